//! That the pipeline stores what the plain way would, kept here for comparison: read, then cut, then look up,
//! then write, one after the other.

use std::io::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::known::Place;
use super::spool::Credit;
use super::*;
use crate::store::chunk;
use crate::store::id::PackId;
use crate::store::index::Codec;
use crate::store::media::Media;
use crate::store::media::memory::MemoryMedia;
use crate::store::object::Timestamp;
use crate::store::publish::{Change, create_vault};
use crate::store::samples::noise;
use crate::store::transaction::Context;
use crate::store::vault::{Settings, Vault};

mod growth;

impl Transaction<'_> {
    /// [`Transaction::add_large`] without threads: the file is spooled whole first.
    fn add_large_plainly(&mut self, name: &str, bytes: &[u8], pointer: bool) -> StoredFile {
        let size = bytes.len() as u64;
        let mut content = Bytes::new(name, bytes);
        let compression = worthwhile(Compression::Auto, &samples(&mut content).unwrap());
        let tmp = self.next_tmp();
        let mut sink = self.vault.media.create(&tmp).unwrap();
        sink.write_all(bytes).unwrap();
        let mut identity = Identity::new(size, pointer);
        identity.update(bytes);
        let (sha256, blob) = identity.finish();
        let (mut pieces, mut found, mut stored) = (Chunks::default(), Vec::new(), Known::of(self));
        for range in chunk::cut_all(bytes) {
            let hash = chunk::hash(&bytes[range.clone()]);
            let len = u32::try_from(range.len()).unwrap();
            let known = stored.find(hash, len);
            pieces.push(hash, len, len, Codec::Raw);
            found.push((len, known));
        }
        let runs = runs(&found);
        let mut credit = Credit::default();
        let known: u64 = runs.iter().filter(|run| credit.decide(run)).map(|run| run.len).sum();
        let new_bytes = if self.is_known(sha256).unwrap() {
            discard(&*self.vault.media, &tmp);
            0
        } else if compression == Compression::None && known * WORTH_SHARING < size {
            self.keep_whole(sha256, size, pieces, tmp, sink).unwrap();
            size
        } else {
            let new = self.keep_pieces((sha256, size), (&pieces, &runs), &tmp, compression).unwrap();
            discard(&*self.vault.media, &tmp);
            new
        };
        self.add_blob(blob, sha256, pointer).unwrap();
        StoredFile { sha256, size, blob, new_bytes }
    }
}

/// Groups the chunks of a file that was spooled whole into runs.
fn runs(found: &[(u32, Option<Place>)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut spooled = 0;
    for (at, &(len, known)) in found.iter().enumerate() {
        if !runs.last().is_some_and(|last| last.goes_on_with(known)) {
            runs.push(Run::of(at, known, spooled));
        }
        runs.last_mut().unwrap().push(len);
        spooled += u64::from(len);
    }
    runs
}

pub(super) fn new_vault() -> (MemoryMedia, Vault) {
    let media = MemoryMedia::new();
    let vault_id = PackId::from_bytes([1; 16]);
    create_vault(&media, &Settings { vault_id, created: 0, large_file_threshold: 1 << 30 }).unwrap();
    let vault = Vault::open(Arc::new(media.clone()) as Arc<dyn Media>).unwrap();
    (media, vault)
}

pub(super) fn context(n: u8) -> Context {
    let time = Timestamp { seconds: 0, offset_minutes: 0 };
    Context { time, actor: "A <a>".into(), command: "test".into(), nonce: [n; 16] }
}

/// How the versions of a file are stored.
#[derive(Clone, Copy)]
enum Way {
    /// One step after the other.
    Plain,
    /// As it ships.
    Pipeline,
    /// As it ships, where the file system shares blocks.
    Reflink,
}

/// Content that is also in a file.
struct OnDisk<'a>(Bytes<'a>, File);

impl Content for OnDisk<'_> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("the copy is read, not the source")
    }
    fn sample(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.sample(offset, len)
    }
    fn is_unchanged(&mut self) -> io::Result<bool> {
        self.0.is_unchanged()
    }
    fn as_file(&self) -> Option<&File> {
        Some(&self.1)
    }
}

fn on_disk(bytes: &[u8]) -> OnDisk<'_> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    OnDisk(Bytes::new("file", bytes), file)
}

/// Stores each version in a transaction of its own.
fn store(versions: &[Vec<u8>], way: Way) -> (MemoryMedia, Vec<StoredFile>) {
    let (media, vault) = new_vault();
    media.allow_reflinks();
    let stored = versions.iter().enumerate().map(|(n, bytes)| {
        let mut transaction = vault.begin(context(u8::try_from(n).unwrap())).unwrap();
        let pointer = n % 2 == 1;
        let stored = match way {
            Way::Plain => transaction.add_large_plainly("file", bytes, pointer),
            Way::Pipeline => {
                transaction.add_content(&mut Bytes::new("file", bytes), pointer, &mut |_| ()).unwrap()
            }
            Way::Reflink => transaction.add_content(&mut on_disk(bytes), pointer, &mut |_| ()).unwrap(),
        };
        transaction.publish(Change::default()).unwrap();
        stored
    });
    let stored = stored.collect();
    (media, stored)
}

/// What is done to one version to make the next.
#[derive(Debug, Clone)]
enum EditOf {
    Nothing,
    Overwrite(usize, usize),
    Insert(usize, usize),
    Remove(usize, usize),
    Text(usize, usize),
}

fn edits() -> impl Strategy<Value = EditOf> {
    let place = || (0usize..4 << 20, 1usize..1 << 20);
    prop_oneof![
        Just(EditOf::Nothing),
        place().prop_map(|(at, len)| EditOf::Overwrite(at, len)),
        place().prop_map(|(at, len)| EditOf::Overwrite(at, len / 1000 + 1)),
        place().prop_map(|(at, len)| EditOf::Insert(at, len)),
        place().prop_map(|(at, len)| EditOf::Remove(at, len)),
        place().prop_map(|(at, len)| EditOf::Text(at, len)),
    ]
}

fn edited(before: &[u8], edit: &EditOf, seed: u64) -> Vec<u8> {
    let mut after = before.to_vec();
    let span = |at: usize, len: usize| {
        let at = at.min(before.len());
        at..(at + len).min(before.len())
    };
    match *edit {
        EditOf::Nothing => {}
        EditOf::Overwrite(at, len) => {
            let span = span(at, len);
            after[span.clone()].copy_from_slice(&noise(seed, span.len()));
        }
        EditOf::Insert(at, len) => {
            after.splice(span(at, 0), noise(seed, len));
        }
        EditOf::Remove(at, len) => drop(after.drain(span(at, len))),
        EditOf::Text(at, len) => span(at, len).for_each(|i| after[i] = b"text "[i % 5]),
    }
    after.resize(after.len().max(usize::try_from(WHOLE_FILE).unwrap()), 7);
    after
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_pipeline_stores_what_the_plain_way_would(
        len in (1usize << 19)..4 << 20,
        text: bool,
        steps in prop::collection::vec(edits(), 1..4),
    ) {
        let first = if text { b"some text ".iter().copied().cycle().take(len).collect() } else { noise(1, len) };
        let mut versions = vec![first];
        for (seed, step) in (2..).zip(&steps) {
            versions.push(edited(versions.last().unwrap(), step, seed));
        }
        let (plain, threaded) = (store(&versions, Way::Plain), store(&versions, Way::Pipeline));
        let reflinked = store(&versions, Way::Reflink);
        prop_assert_eq!((&plain.1, &plain.1), (&threaded.1, &reflinked.1));
        prop_assert!(plain.0.files() == threaded.0.files(), "the vaults differ");
        prop_assert!(plain.0.files() == reflinked.0.files(), "the vaults differ where blocks are shared");
        let vault = Vault::open(Arc::new(threaded.0) as Arc<dyn Media>).unwrap();
        let catalog = &vault.view().catalog;
        for (stored, version) in threaded.1.iter().zip(&versions) {
            let record = catalog.file(stored.sha256).unwrap();
            prop_assert!(catalog.read_all(&record).unwrap() == *version, "{:?}", record.extents);
        }
    }
}

/// Bytes the vault grew by for each version after the first, and the extents of the last.
fn growth(versions: &[Vec<u8>]) -> (Vec<u64>, usize) {
    let (media, stored) = store(versions, Way::Pipeline);
    let vault = Vault::open(Arc::new(media) as Arc<dyn Media>).unwrap();
    let record = vault.view().catalog.file(stored.last().unwrap().sha256).unwrap();
    (stored[1..].iter().map(|stored| stored.new_bytes).collect(), record.extents.len())
}

/// Twelve megabytes, and versions of it with this many bytes changed in another place each time.
fn edited_again_and_again(edit: usize) -> Vec<Vec<u8>> {
    let mut versions = vec![noise(1, 12 << 20)];
    for n in 0..3usize {
        let mut next = versions[n].clone();
        let at = (2 << 20) + n * (3 << 20) + 12_345;
        next[at..at + edit].copy_from_slice(&noise(n as u64 + 2, edit));
        versions.push(next);
    }
    versions
}

#[test]
fn growth_is_the_change_itself_version_after_version() {
    // Also what would fit into an index: what lies there is not shared with later versions.
    for edit in [1_400_000u32, 5000] {
        let (new, extents) = growth(&edited_again_and_again(edit as usize));
        // At each end less than 4 KiB of a chunk that begins or ends there may be stored with it.
        let edit = u64::from(edit);
        assert!(new.iter().all(|&new| (edit..edit + (8 << 10)).contains(&new)), "{new:?}");
        assert!(extents <= 3 * 4 + 1, "{extents}: before, two halves at most, after");
    }
}

#[test]
fn growth_is_what_was_inserted() {
    let first = noise(1, 12 << 20);
    let mut inserted = first.clone();
    inserted.splice(5_000_000..5_000_000, noise(9, 100_000));
    let (new, extents) = growth(&[first, inserted]);
    assert!(new[0] < 100_000 + (8 << 10) && extents == 3, "{new:?} {extents}");
}

#[test]
fn scattered_edits_share_short_runs_only_while_the_file_reads_forward() {
    let first = noise(1, 12 << 20);
    let edited = |every: usize| {
        let mut next = first.clone();
        for at in (0..next.len() - 100).step_by(every) {
            next[at..at + 100].copy_from_slice(&noise(at as u64, 100));
        }
        growth(&[first.clone(), next])
    };
    // One in 4 MiB: each edit costs its bytes.
    let (new, extents) = edited(4 << 20);
    assert!(new[0] < 1000 && extents <= 20, "{new:?} {extents}");
    // One in 300 KiB: what was saved up is spent, then runs are given up.
    let (new, extents) = edited(300 << 10);
    assert!(extents <= 24 && new[0] > 6 << 20, "{new:?} {extents}");
}

#[test]
fn what_is_known_is_not_written_again() {
    let first = noise(1, 8 << 20);
    let mut second = first.clone();
    second.splice(0..0, noise(2, 1000));
    let (media, _) = store(&[first.clone(), second.clone()], Way::Pipeline);
    let written = |media: &MemoryMedia| {
        let operations = media.operations();
        let bytes = operations.iter().filter_map(|step| step.strip_prefix("write tmp/")?.rsplit_once('+'));
        bytes.map(|(_, len)| len.parse::<usize>().unwrap()).sum::<usize>()
    };
    let plain = written(&store(&[first.clone(), second], Way::Plain).0);
    let tenth = first.len() / 10;
    assert!(written(&media) < first.len() + tenth + (1 << 20), "{} written", written(&media));
    assert!(plain > 2 * first.len(), "the plain way writes both: {plain}");
}

#[test]
fn nothing_is_written_of_a_file_whose_blocks_are_shared() {
    let (media, _) = store(&[noise(1, 4 << 20)], Way::Reflink);
    let packs: Vec<String> = media.operations().into_iter().filter(|step| step.contains("tmp/")).collect();
    let writes = packs.iter().filter_map(|step| step.strip_prefix("write ")?.rsplit_once('+'));
    let written: usize = writes.map(|(_, len)| len.parse::<usize>().unwrap()).sum();
    assert!(written < 100 << 10, "{packs:?}");
    assert_eq!(packs.iter().filter(|step| step.starts_with("reflink")).count(), 1, "{packs:?}");
}

#[test]
fn a_source_that_changes_after_its_blocks_were_shared_changes_nothing() {
    let (media, vault) = new_vault();
    media.allow_reflinks();
    let bytes = noise(1, 2 << 20);
    let mut content = on_disk(&bytes);
    let mut source = content.1.try_clone().unwrap();
    let mut transaction = vault.begin(context(1)).unwrap();
    let stored = transaction.add_content(&mut content, true, &mut |_| drop(source.set_len(5))).unwrap();
    transaction.publish(Change::default()).unwrap();
    let vault = Vault::open(Arc::new(media) as Arc<dyn Media>).unwrap();
    let catalog = &vault.view().catalog;
    assert!(catalog.read_all(&catalog.file(stored.sha256).unwrap()).unwrap() == bytes);
    source.write_all(b"x").unwrap();
    let longer = OnDisk(Bytes::new("file", &bytes), source);
    let mut transaction = vault.begin(context(2)).unwrap();
    let refused = transaction.add_content(&mut { longer }, true, &mut |_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::SourceChanged(_)), "{refused:?}");
}

/// Content whose reading fails, or which is longer or shorter than it said.
struct Broken {
    size: u64,
    left: u64,
    fails: bool,
}

impl Content for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn size(&self) -> u64 {
        self.size
    }
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.left.min(buffer.len() as u64);
        if n == 0 && self.fails {
            return Err(io::Error::other("no more"));
        }
        self.left -= n;
        Ok(usize::try_from(n).unwrap())
    }
    fn sample(&mut self, _: u64, len: usize) -> io::Result<Vec<u8>> {
        Ok(noise(1, len))
    }
    fn is_unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

#[test]
fn failures_of_any_stage_end_all_of_them_and_leave_nothing() {
    let (media, vault) = new_vault();
    let size = 40 << 20;
    let add = |left: u64, fails: bool| {
        let mut transaction = vault.begin(context(9)).unwrap();
        transaction.add_content(&mut Broken { size, left, fails }, true, &mut |_| ()).unwrap_err()
    };
    let tmp = |media: &MemoryMedia| media.files().into_keys().filter(|path| path.starts_with("tmp/")).count();
    assert!(matches!(add(30 << 20, true), StoreError::Source { .. }));
    assert!(matches!(add(size - 1, false), StoreError::SourceChanged(_)));
    assert!(matches!(add(size + 1, false), StoreError::SourceChanged(_)));
    media.full_after(3 << 20);
    assert!(matches!(add(size, false), StoreError::Io { action: "write", .. }));
    assert_eq!(tmp(&media), 0, "{media:?}");
}
