//! What the live indexes of one state say together: where an object, a file, a chunk or a pack is.
//!
//! A catalog is immutable and cheap to share; readers keep theirs while writers publish new ones. An index
//! that cannot be opened does not take the others down: only a lookup that finds nothing elsewhere reports it.
//! Which refs point where is none of its business.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::error::StoreError;
use super::id::{ChunkHash, IndexId, PackId, Sha256};
use super::index::{self, BlockCache, Extent, FileRow, Index, Row};
use super::log::state::State;
use super::media::Media;

mod believed;
pub mod checked;
mod content;
mod found;
mod objects;
pub mod part;
mod places;
pub mod run;
mod walk;
mod whole;

pub use found::{FileRecord, Located, Pack};
pub(super) use objects::max_body;

/// Live indexes and the packs they describe.
#[derive(Debug)]
pub struct Catalog {
    media: Arc<dyn Media>,
    indexes: Vec<Arc<Index>>,
    broken: Vec<(IndexId, String)>,
    /// Which index answered last: what belongs together was stored together.
    recent: AtomicUsize,
    /// Packs whose rows do not count.
    retired: BTreeSet<PackId>,
    packs: content::OpenPacks,
}

/// The error for an index that cannot be opened.
pub fn broken_index((id, why): &(IndexId, String)) -> StoreError {
    StoreError::damaged(&index::path_of(*id), why.clone())
}

impl Catalog {
    /// Opens the indexes of a state, taking those that `previous` has open already.
    pub fn open(
        media: &Arc<dyn Media>,
        state: &State,
        cache: &Arc<BlockCache>,
        previous: Option<&Self>,
    ) -> Self {
        let mut indexes: Vec<Arc<Index>> = Vec::with_capacity(state.indexes.len());
        let mut broken = Vec::new();
        let mut seen = HashSet::new();
        for &id in state.indexes.iter().filter(|id| seen.insert(**id)) {
            let open = previous.and_then(|catalog| catalog.indexes.iter().find(|index| index.id() == id));
            let index = match open {
                Some(index) => Ok(Arc::clone(index)),
                None => Index::open(&**media, id, cache).map(Arc::new),
            };
            match index {
                Ok(index) => indexes.push(index),
                Err(StoreError::Damaged { file, detail }) if file == index::path_of(id) => {
                    broken.push((id, detail));
                }
                Err(error) => broken.push((id, error.to_string())),
            }
        }
        Self {
            media: Arc::clone(media),
            indexes,
            broken,
            recent: AtomicUsize::new(0),
            retired: state.retired_packs.clone(),
            packs: content::OpenPacks::default(),
        }
    }

    /// The indexes that could be opened, oldest first.
    pub fn indexes(&self) -> &[Arc<Index>] {
        &self.indexes
    }

    /// The indexes that could not, with the reason; [`broken_index`] says it as an error.
    pub fn broken(&self) -> &[(IndexId, String)] {
        &self.broken
    }

    /// Whether a pack is retired: what indexes say of it does not count.
    pub fn is_retired(&self, pack: PackId) -> bool {
        self.retired.contains(&pack)
    }

    /// Asks each index, newest first. A damaged one is an error only when no other has the answer.
    fn ask<T>(
        &self,
        find: impl Fn(&Arc<Index>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut failed = None;
        for (at, index) in self.indexes.iter().enumerate().rev() {
            match find(index) {
                Ok(Some(found)) => {
                    self.recent.store(at, Relaxed);
                    return Ok(Some(found));
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        match (failed, self.broken.first()) {
            (Some(error), _) => Err(error),
            (None, Some(broken)) => Err(broken_index(broken)),
            (None, None) => Ok(None),
        }
    }

    /// As [`Self::ask`], for what is the same in every index that knows it: the one that answered last is asked
    /// first, because a history or a folder tends to be in one index.
    fn ask_recent<T>(
        &self,
        find: impl Fn(&Arc<Index>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.indexes.get(self.recent.load(Relaxed)).map(&find) {
            Some(Ok(Some(found))) => Ok(Some(found)),
            _ => self.ask(find),
        }
    }

    /// As [`Self::ask_recent`] for each of many keys, quickest in ascending order. Each answer is handed over with
    /// what its key came with.
    fn ask_each<T, K: Copy, R: Row>(
        &self,
        keys: impl IntoIterator<Item = (T, K)>,
        bytes: impl for<'k> Fn(&'k K) -> &'k [u8],
        ask: impl Fn(K) -> Result<Option<R>, StoreError>,
        mut found: impl FnMut(T, K, Result<Option<R>, StoreError>),
    ) {
        let recent = || {
            let at = self.recent.load(Relaxed);
            (at, self.indexes.get(at).map(|index| index.finder::<R>()))
        };
        let (mut at, mut finder) = recent();
        for (tag, key) in keys {
            if let Some(Ok(Some(row))) = finder.as_mut().map(|finder| finder.find(bytes(&key))) {
                found(tag, key, Ok(Some(row)));
                continue;
            }
            found(tag, key, ask(key));
            if self.recent.load(Relaxed) != at {
                (at, finder) = recent();
            }
        }
    }

    /// As [`Self::file_size`] for each of many hashes, quickest in ascending order.
    pub fn file_sizes<T>(
        &self,
        contents: impl IntoIterator<Item = (T, Sha256)>,
        mut found: impl FnMut(T, Result<Option<u64>, StoreError>),
    ) {
        let ask = |sha256| self.ask_recent(|index| index.file(sha256));
        let answer =
            |tag, _, row: Result<Option<FileRow>, _>| found(tag, row.map(|row| row.map(|row| row.size)));
        self.ask_each(contents, |sha256| sha256.as_bytes(), ask, answer);
    }

    /// Size in bytes of the content with this hash, if it is stored: a lookup, without its extents.
    pub fn file_size(&self, sha256: Sha256) -> Result<Option<u64>, StoreError> {
        Ok(self.ask_recent(|index| index.file(sha256))?.map(|row| row.size))
    }

    /// The record of the content with this hash, if it is stored.
    pub fn try_file(&self, sha256: Sha256) -> Result<Option<FileRecord>, StoreError> {
        self.ask(|index| {
            let Some(row) = index.file(sha256)? else { return Ok(None) };
            let record = self.record(index, &row)?;
            let is_gone = record.extents.iter().any(|extent| self.is_retired(extent.pack));
            Ok((!is_gone).then_some(record))
        })
    }

    /// The record of a row of one of this catalog's indexes.
    pub fn record(&self, index: &Arc<Index>, row: &FileRow) -> Result<FileRecord, StoreError> {
        let extents = index.extents(row)?;
        Ok(FileRecord { sha256: row.sha256, size: row.size, extents, index: Arc::clone(index) })
    }

    /// The record of the content with this hash.
    pub fn file(&self, sha256: Sha256) -> Result<FileRecord, StoreError> {
        self.try_file(sha256)?.ok_or(StoreError::MissingContent(sha256))
    }

    /// A stored chunk with this hash in a pack of its own file, if there is one.
    pub fn chunk(&self, hash: ChunkHash) -> Result<Option<Located>, StoreError> {
        let is_shareable = |id: PackId| id != PackId::HERE && !self.is_retired(id);
        self.ask(|index| {
            let found = index.chunk(hash)?.filter(|(_, pack, _)| is_shareable(pack.id));
            Ok(found.map(|(ordinal, row, chunk)| Located { pack: Pack::of(index, row), ordinal, chunk }))
        })
    }

    /// A pack that has a file of its own.
    pub fn pack(&self, id: PackId) -> Result<Option<Pack>, StoreError> {
        if self.is_retired(id) {
            return Ok(None);
        }
        self.ask(|index| Ok(index.pack(id)?.map(|row| Pack::of(index, row))))
    }

    /// The pack an extent of `file` lies in.
    pub fn pack_of(&self, file: &FileRecord, extent: &Extent) -> Result<Pack, StoreError> {
        let found = match extent.pack {
            PackId::HERE => file.own_pack()?,
            id => self.pack(id)?,
        };
        let damaged = |detail| StoreError::damaged(&file.described_in(), detail);
        let pack = found.ok_or_else(|| {
            damaged(format!("it points into pack {}, which no index describes", extent.pack))
        })?;
        if extent.start + extent.len > pack.row.raw_len {
            return Err(damaged(format!("it points beyond the end of pack {}", extent.pack)));
        }
        Ok(pack)
    }

    /// The medium the packs are on.
    pub fn media(&self) -> &dyn Media {
        &*self.media
    }
}
