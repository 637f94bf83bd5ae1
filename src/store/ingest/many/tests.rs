//! That what many files are stored as does not depend on how many threads prepared them, or on how much was held of them.

use sha2::Digest as _;
use std::sync::Arc;

use super::*;
use crate::store::id::Sha256;
use crate::store::ingest::Bytes;
use crate::store::ingest::tests::{context, new_vault};
use crate::store::media::Media;
use crate::store::media::memory::MemoryMedia;
use crate::store::publish::Change;
use crate::store::samples::noise;
use crate::store::sorted::HELD;
use crate::store::vault::Vault;

/// Files in memory; those in `seen` are said to be stored as that blob, and cannot be opened.
struct Many {
    files: Vec<Vec<u8>>,
    seen: Vec<Option<ObjectId>>,
    fails: Option<usize>,
    /// The one that cannot be told any more.
    lost: Option<usize>,
}

impl Sources for Many {
    type File = usize;
    type Error = StoreError;

    fn size(&self, &at: &usize) -> u64 {
        self.files[at].len() as u64
    }
    fn is_pointer(&self, &at: &usize) -> bool {
        at.is_multiple_of(3)
    }
    fn seen(&self, at: &usize) -> Option<(ObjectId, u64)> {
        self.seen.get(*at).copied().flatten().map(|blob| (blob, self.size(at)))
    }
    fn open<'f>(&'f self, &at: &'f usize) -> Result<Box<dyn Content + 'f>, StoreError> {
        if self.fails.is_some_and(|fails| at >= fails) {
            return Err(StoreError::SourceChanged(at.to_string()));
        }
        Ok(Box::new(Bytes::new("many", &self.files[at])))
    }
}

impl Many {
    /// Stores all, or as far as they are found.
    fn store(
        &self,
        transaction: &mut Transaction<'_>,
        workers: usize,
    ) -> Result<Vec<StoredFile>, StoreError> {
        let mut stored = Vec::new();
        let mut done = |_: &mut Transaction<'_>, at: usize, done: Done| {
            assert_eq!(at, stored.len());
            stored.push(done.stored);
            Ok(())
        };
        let mut files = (0..self.files.len()).map(|at| {
            let lost = self.lost.is_some_and(|lost| at == lost);
            if lost { Err(StoreError::SourceChanged("lost".to_owned())) } else { Ok(at) }
        });
        let mut told = Told { steps: &mut |_| (), done: &mut done };
        transaction.add_all_with(self, &mut files, workers, &mut told)?;
        Ok(stored)
    }
}

fn many() -> Many {
    // Repeated content, text and noise, small and large, more than one batch of each.
    let file = |n: u64| match n % 7 {
        0 => noise(n, 700 << 10),
        1 => b"text ".repeat(1000 + usize::try_from(n).unwrap()),
        2 => Vec::new(),
        3 => noise(1, 200 << 10),
        _ => noise(n, 9000),
    };
    Many { files: (0..150).map(file).collect(), seen: Vec::new(), fails: None, lost: None }
}

fn store_many(sources: &Many, workers: usize) -> (MemoryMedia, Vec<StoredFile>) {
    store_many_held(sources, workers, HELD)
}

/// The same, with little held of the rows of the index.
fn store_many_held(sources: &Many, workers: usize, held: usize) -> (MemoryMedia, Vec<StoredFile>) {
    let (media, vault) = new_vault();
    vault.hold_at_most(held);
    let mut transaction = vault.begin(context(1)).unwrap();
    let stored = sources.store(&mut transaction, workers).unwrap();
    transaction.publish(Change::default()).unwrap();
    drop(transaction);
    (media, stored)
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let sources = many();
    let (one, stored) = store_many(&sources, 1);
    assert_eq!(stored.len(), sources.files.len());
    for (file, bytes) in stored.iter().zip(&sources.files) {
        assert_eq!(file.sha256, Sha256::from_bytes(sha2::Sha256::digest(bytes).into()));
    }
    for workers in [2, 5] {
        let (many, same) = store_many(&sources, workers);
        assert!(many.files() == one.files() && same == stored, "{workers} workers");
        assert_eq!(many.operations(), one.operations(), "{workers} workers");
    }
}

#[test]
fn how_much_is_held_in_memory_changes_nothing() {
    let sources = many();
    let (all, stored) = store_many(&sources, 2);
    for held in [0, 3000] {
        let (little, same) = store_many_held(&sources, 2, held);
        assert!(little.files() == all.files() && same == stored, "{held}");
        let runs = little.operations().len() - all.operations().len();
        assert!(runs > 20, "{runs} more steps");
    }
}

#[test]
fn the_first_failure_in_order_is_reported_whoever_found_it() {
    for (fails, lost, first) in [(100, None, "100"), (100, Some(99), "lost"), (100, Some(101), "100")] {
        let sources = Many { fails: Some(fails), lost, ..many() };
        for workers in [1, 4] {
            let (_, vault) = new_vault();
            let failed = sources.store(&mut vault.begin(context(1)).unwrap(), workers).unwrap_err();
            assert!(matches!(&failed, StoreError::SourceChanged(at) if at == first), "{failed}");
        }
    }
}

#[test]
fn what_was_seen_is_read_all_the_same_when_the_vault_does_not_have_it() {
    let sources = many();
    let (media, stored) = store_many(&sources, 2);
    let all = |blob: &StoredFile| Some(blob.blob);
    let seen = Many { seen: stored.iter().map(all).collect(), fails: Some(0), ..many() };
    let again = |seen: &Many| {
        let vault = Vault::open(Arc::new(media.clone()) as Arc<dyn Media>).unwrap();
        seen.store(&mut vault.begin(context(2)).unwrap(), 2)
    };
    again(&seen).unwrap();
    // Another size, another kind of blob, no such blob, a lost pack.
    let mut other = many();
    other.seen = vec![stored[1].blob.into(); 1];
    other.fails = Some(0);
    assert!(again(&other).is_err());
    other.seen = vec![Some(ObjectId::from_bytes([7; 20]))];
    assert!(again(&other).is_err());
    let pack =
        media.files().into_keys().find(|path| path.starts_with("packs/") && !path.contains(".idx")).unwrap();
    media.remove(&pack).unwrap();
    assert!(again(&seen).is_err());
}
