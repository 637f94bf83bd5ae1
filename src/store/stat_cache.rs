//! Which local files were already stored, so that an unchanged one need not be read again: Git's index idea.
//!
//! A file is recognised by device, inode, size, mtime and ctime in nanoseconds; a user can set all but the last
//! back. Git's racy-clean rule: what was touched when a transaction began, or later, is not noted, because another
//! change within one tick of the clock would not show. What is noted is only ever a hint: whether the vault still
//! has that content is asked of its catalog, each row carries a check, and any file here may be deleted. Who can write a row
//! can have another content committed for a file, so only this user's own files count.
//!
//! Rows are sorted by device and inode, so that few can be found without reading all; files are merged as they
//! grow, so that a small commit does not rewrite a large cache. It must not know paths: a renamed file is the same.

use std::cmp::Ordering;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::id::ObjectId;
use super::media::{Media, ReadAt};
use super::sorted::{Coded, Sorted};

/// The folder of files that may be deleted at any time.
const FOLDER: &str = "cache";
/// What names of these files begin with.
const PREFIX: &str = "stat-";
/// A file that is at most this many times as large as what is added to it is merged with it.
const MERGE: usize = 4;
/// A file with more rows is dropped instead of merged; 64 million files are beyond anybody's tree.
const MAX_ROWS: usize = 64 << 20;
/// Most files that are used, and most that are looked at: merging leaves far fewer.
const MAX_FILES: usize = 16;
const MAX_LOOKED_AT: usize = 256;
/// Files are surveyed when at least one in this many rows will be asked for; so many are a block.
const DENSE: usize = 64;
/// Blocks of a surveyed file that are held: neighbours in a folder are often neighbours here.
const SLOTS: usize = 16;
/// Bytes that are gathered before they are written.
const GATHERED: usize = 64 << 10;
/// Bytes of a row: key 16, size 8, mtime 8, ctime 8, blob 20, check 8.
const ROW: usize = 68;
const KEY: usize = 16;
const CHECKED: usize = ROW - 8;

/// What tells a local file from any other, and from itself after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// The device it is on.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When its content last changed, as it says; nanoseconds since 1970.
    pub mtime: i64,
    /// When anything of it last changed; nanoseconds since 1970.
    pub ctime: i64,
}

/// Two changes within this time may be given one time: clocks tick up to every 10 ms, and some file systems round.
const TICK: i64 = 20_000_000;
/// The same where a time has no part below the second: probably rounded, to two seconds by some file systems.
const COARSE_TICK: i64 = 2_000_000_000;

impl Fingerprint {
    /// Whether a change at `begun` or later would show in the times.
    fn is_settled(&self, begun: i64) -> bool {
        [self.mtime, self.ctime].into_iter().all(|time| {
            let tick = if time % 1_000_000_000 == 0 { COARSE_TICK } else { TICK };
            time.checked_add(tick).is_some_and(|next| next <= begun)
        })
    }

    fn key(&self) -> [u8; KEY] {
        let mut key = [0; KEY];
        key[..8].copy_from_slice(&self.device.to_be_bytes());
        key[8..].copy_from_slice(&self.inode.to_be_bytes());
        key
    }
}

type Row = [u8; ROW];

/// Files and what they are stored as, to be recognised the next time; see [`StatCache::note`]. Of a file that is noted
/// twice the first counts.
pub type Noted = Sorted<[u8; KEY], [u8; ROW - KEY]>;

impl Coded for Fingerprint {
    fn put(&self, out: &mut Vec<u8>) {
        [self.device, self.inode, self.size].iter().for_each(|number| number.put(out));
        [self.mtime, self.ctime].iter().for_each(|time| time.cast_unsigned().put(out));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut number = || u64::take(bytes);
        let (device, inode, size) = (number()?, number()?, number()?);
        let (mtime, ctime) = (number()?.cast_signed(), number()?.cast_signed());
        Some(Self { device, inode, size, mtime, ctime })
    }
}

fn encode(file: &Fingerprint, blob: ObjectId) -> Row {
    let mut row = [0; ROW];
    row[..KEY].copy_from_slice(&file.key());
    row[16..24].copy_from_slice(&file.size.to_le_bytes());
    row[24..32].copy_from_slice(&file.mtime.to_le_bytes());
    row[32..40].copy_from_slice(&file.ctime.to_le_bytes());
    row[40..60].copy_from_slice(blob.as_bytes());
    let check = check(&row);
    row[CHECKED..].copy_from_slice(&check);
    row
}

fn check(row: &[u8]) -> [u8; 8] {
    *blake3::hash(&row[..CHECKED]).as_bytes().first_chunk().expect("BLAKE3 is 32 bytes")
}

/// The rows of one cache file.
#[derive(Debug)]
struct Rows {
    name: String,
    count: usize,
    file: Box<dyn ReadAt>,
    /// Of one that many will be asked of.
    survey: Option<Survey>,
}

#[derive(Debug)]
struct Survey {
    /// The key of the first row in each block.
    firsts: Vec<[u8; KEY]>,
    /// Blocks that were read last, each with its number.
    slots: [Mutex<(usize, Vec<u8>)>; SLOTS],
}

impl Rows {
    fn open(media: &dyn Media, name: String) -> Option<Self> {
        let file = media.open(&format!("{FOLDER}/{name}")).ok()?;
        if !file.is_own() {
            return None;
        }
        let count = usize::try_from(file.len()).ok()? / ROW;
        Some(Self { name, count, file, survey: None })
    }

    /// Makes it ready to be asked for many files.
    fn survey(&mut self) {
        let mut bytes = Vec::new();
        let blocks = 0..self.count.div_ceil(DENSE);
        let firsts =
            blocks.map(|block| self.read(block, &mut bytes).and_then(|()| bytes.first_chunk().copied()));
        let firsts: Option<Vec<_>> = firsts.collect();
        let slots = std::array::from_fn(|_| Mutex::new((usize::MAX, Vec::new())));
        self.survey = firsts.map(|firsts| Survey { firsts, slots });
    }

    /// Reads the rows of a block, over `bytes`.
    fn read(&self, block: usize, bytes: &mut Vec<u8>) -> Option<()> {
        let first = block * DENSE;
        bytes.resize(self.count.checked_sub(first)?.min(DENSE) * ROW, 0);
        self.file.read_exact_at(bytes, (first * ROW) as u64).ok()
    }

    fn row(&self, at: usize) -> Option<Row> {
        let mut row = [0; ROW];
        self.file.read_exact_at(&mut row, (at * ROW) as u64).ok()?;
        Some(row)
    }

    /// All rows that are sound, in order, as far as they can be read.
    fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        let blocks = (0..self.count.div_ceil(DENSE)).map_while(|block| {
            let mut bytes = Vec::new();
            self.read(block, &mut bytes).map(|()| bytes)
        });
        let rows = blocks.flat_map(|bytes| bytes.as_chunks().0.to_vec());
        rows.filter(|row: &Row| check(row) == row[CHECKED..])
    }

    fn find(&self, file: &Fingerprint) -> Option<ObjectId> {
        let key = file.key();
        let row = match &self.survey {
            None => search(self.count, &key, |at| self.row(at)),
            Some(Survey { firsts, slots }) => {
                let block = firsts.partition_point(|first| *first <= key).checked_sub(1)?;
                let mut slot = slots[block % SLOTS].lock().unwrap_or_else(PoisonError::into_inner);
                let (held, bytes) = &mut *slot;
                if *held != block {
                    *held = usize::MAX;
                    self.read(block, bytes)?;
                    *held = block;
                }
                let rows = bytes.as_chunks().0;
                search(rows.len(), &key, |at| rows.get(at).copied())
            }
        }?;
        let blob = ObjectId::from_bytes(*row[40..].first_chunk()?);
        (encode(file, blob) == row).then_some(blob)
    }
}

/// The row with this key among `count` that are sorted.
fn search(count: usize, key: &[u8; KEY], row: impl Fn(usize) -> Option<Row>) -> Option<Row> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = row(middle)?;
        match found[..KEY].cmp(key) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Some(found),
        }
    }
    None
}

/// What is known of local files.
#[derive(Debug)]
pub struct StatCache {
    files: Vec<Rows>,
    /// By the clock of the medium; what was touched since is not noted.
    begun: i64,
}

/// What is to be written in place of some cache files.
#[derive(Debug)]
pub(super) struct Rewritten<'c> {
    pub(super) path: String,
    noted: &'c Noted,
    old: Vec<&'c Rows>,
    /// What it says everything of.
    pub(super) replaces: Vec<String>,
}

impl Rewritten<'_> {
    /// Writes the rows in order; of two of one file, what was noted counts, or what the smaller file says.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut failed = Ok(());
        let noted = self.noted.in_order()?.map_while(|row| match row {
            Ok((key, rest)) => {
                let mut row = [0; ROW];
                row[..KEY].copy_from_slice(&key);
                row[KEY..].copy_from_slice(&*rest);
                Some(row)
            }
            Err(error) => {
                failed = Err(error);
                None
            }
        });
        let noted: Box<dyn Iterator<Item = Row>> = Box::new(noted);
        let mut sources = vec![noted.peekable()];
        for old in &self.old {
            let rows: Box<dyn Iterator<Item = Row>> = Box::new(old.iter());
            sources.push(rows.peekable());
        }
        let (mut last, mut gathered) = (None, Vec::with_capacity(GATHERED + ROW));
        loop {
            let heads = sources.iter_mut().enumerate();
            let heads = heads
                .filter_map(|(at, rows)| rows.peek().and_then(|row| Some((*row.first_chunk::<KEY>()?, at))));
            let Some((key, at)) = heads.min() else { break };
            let Some(row) = sources[at].next() else { break };
            if last.replace(key) != Some(key) {
                gathered.extend(row);
            }
            if gathered.len() >= GATHERED {
                out.write_all(&gathered)?;
                gathered.clear();
            }
        }
        drop(sources);
        failed?;
        out.write_all(&gathered)
    }
}

impl StatCache {
    /// Opens what there is, to be asked about `lookups` files. `begun` is when the transaction began, by the clock of
    /// the medium, in nanoseconds since 1970.
    pub(super) fn open(media: &dyn Media, begun: i64, lookups: usize) -> Self {
        let mut names = media.list(FOLDER).unwrap_or_default();
        names.retain(|name| name.starts_with(PREFIX));
        names.sort_unstable();
        let opened = names.into_iter().take(MAX_LOOKED_AT).filter_map(|name| Rows::open(media, name));
        let mut files: Vec<Rows> = opened.take(MAX_FILES).collect();
        let is_dense = |rows: &&mut Rows| rows.count <= lookups.saturating_mul(DENSE).min(MAX_ROWS);
        files.iter_mut().filter(is_dense).for_each(Rows::survey);
        Self { files, begun }
    }

    /// The blob that this file was stored as when it was last seen with just this fingerprint.
    pub fn find(&self, file: &Fingerprint) -> Option<ObjectId> {
        self.files.iter().find_map(|rows| rows.find(file))
    }

    /// Notes that this file is stored as that blob, unless a change of it would not show.
    pub fn note(&self, noted: &mut Noted, file: &Fingerprint, blob: ObjectId) {
        if file.is_settled(self.begun)
            && let (key, Some(rest)) = (file.key(), encode(file, blob).last_chunk())
        {
            noted.insert_first(key, *rest);
        }
    }

    /// What to write so that `noted` is known too; `None` when there is nothing to note.
    pub(super) fn with<'c>(&'c self, noted: &'c Noted, name: &str) -> Option<Rewritten<'c>> {
        if noted.is_empty() {
            return None;
        }
        let (mut count, mut old, mut replaces) = (noted.len(), Vec::new(), Vec::new());
        let mut smallest_first: Vec<&Rows> = self.files.iter().collect();
        smallest_first.sort_by_key(|rows| rows.count);
        for rows in smallest_first {
            let is_merged = rows.count <= count.saturating_mul(MERGE);
            if rows.count > MAX_ROWS || is_merged {
                replaces.push(format!("{FOLDER}/{}", rows.name));
            }
            if rows.count <= MAX_ROWS && is_merged {
                count += rows.count;
                old.push(rows);
            }
        }
        Some(Rewritten { path: format!("{FOLDER}/{PREFIX}{name}"), noted, old, replaces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::media::memory::MemoryMedia;

    const BEGUN: i64 = 1_700_000_000_123_456_789;

    fn file(inode: u64) -> Fingerprint {
        Fingerprint { device: 1, inode, size: 5, mtime: BEGUN - 9_000_000_001, ctime: BEGUN - TICK }
    }

    fn blob(n: u8) -> ObjectId {
        ObjectId::from_bytes([n; 20])
    }

    fn write(media: &MemoryMedia, path: &str, bytes: &[u8]) {
        use std::io::Write as _;
        drop(media.create_dir(FOLDER));
        media.create(path).unwrap().write_all(bytes).unwrap();
    }

    fn note_all(cache: &StatCache, files: &[(Fingerprint, ObjectId)]) -> Noted {
        let mut noted = Noted::default();
        files.iter().for_each(|(file, blob)| cache.note(&mut noted, file, *blob));
        noted
    }

    fn bytes(new: &Rewritten<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        new.write(&mut bytes).unwrap();
        bytes
    }

    fn save(media: &MemoryMedia, files: &[(Fingerprint, ObjectId)], name: &str) -> usize {
        let cache = StatCache::open(media, BEGUN, 1);
        let noted = note_all(&cache, files);
        let new = cache.with(&noted, name).unwrap();
        write(media, &new.path, &bytes(&new));
        new.replaces.iter().for_each(|path| media.remove(path).unwrap());
        new.replaces.len()
    }

    #[test]
    fn only_the_very_same_file_is_found() {
        let media = MemoryMedia::new();
        let noted: Vec<_> = (0..100).map(|n| (file(u64::from(n) * 3), blob(n))).collect();
        save(&media, &noted, "a");
        for lookups in [0, 1000] {
            let cache = StatCache::open(&media, BEGUN, lookups);
            assert!(noted.iter().all(|(file, blob)| cache.find(file) == Some(*blob)));
            assert_eq!(cache.find(&file(1)), None);
            let known = file(30);
            for other in [
                Fingerprint { device: 2, ..known },
                Fingerprint { size: 6, ..known },
                Fingerprint { mtime: known.mtime + 1, ..known },
                Fingerprint { ctime: known.ctime - 1, ..known },
            ] {
                assert_eq!(cache.find(&other), None, "{other:?}");
            }
        }
    }

    #[test]
    fn what_was_touched_when_the_transaction_began_is_not_noted() {
        let cache = StatCache::open(&MemoryMedia::new(), BEGUN, 1);
        let whole = BEGUN / 1_000_000_000 * 1_000_000_000;
        for (time, noted) in [
            (BEGUN - TICK, true),
            (BEGUN - TICK + 1, false),
            (BEGUN, false),
            (BEGUN + 1, false),
            (i64::MAX, false),
            (whole, false),
            (whole - COARSE_TICK, true),
        ] {
            for touched in [Fingerprint { ctime: time, ..file(1) }, Fingerprint { mtime: time, ..file(1) }] {
                assert_eq!(!note_all(&cache, &[(touched, blob(1))]).is_empty(), noted, "{touched:?}");
            }
        }
    }

    #[test]
    fn small_files_are_merged_and_large_ones_left_alone() {
        let media = MemoryMedia::new();
        let many: Vec<_> = (0..100).map(|n| (file(n), blob(1))).collect();
        assert_eq!(save(&media, &many, "a"), 0);
        assert_eq!(save(&media, &[(file(500), blob(2))], "b"), 0);
        assert_eq!(save(&media, &[(file(501), blob(3))], "c"), 1, "the other small one");
        assert_eq!(save(&media, &many[..50], "d"), 2);
        let cache = StatCache::open(&media, BEGUN, 1);
        assert_eq!((cache.files.len(), cache.files[0].count), (1, 102));
        assert_eq!(cache.find(&file(501)), Some(blob(3)));
    }

    #[test]
    fn damage_is_a_miss_and_never_another_answer() {
        let media = MemoryMedia::new();
        let noted: Vec<_> = (0..20).map(|n| (file(u64::from(n)), blob(n))).collect();
        let cache = StatCache::open(&media, BEGUN, 1);
        let rows = note_all(&cache, &noted);
        let good = bytes(&cache.with(&rows, "a").unwrap());
        for bad in 0..good.len() {
            let mut bytes = good.clone();
            bytes[bad] ^= 0x40;
            bytes.truncate(good.len() - bad % 3 * 50);
            write(&media, "cache/stat-x", &bytes);
            for lookups in [0, 1000] {
                let cache = StatCache::open(&media, BEGUN, lookups);
                for (file, blob) in &noted {
                    assert!(cache.find(file).is_none_or(|found| found == *blob), "byte {bad}");
                }
            }
            media.remove("cache/stat-x").unwrap();
        }
    }
}
