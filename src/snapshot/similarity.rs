//! How much of one file is in another: the measure that decides what counts as a rename.
//!
//! Ordinary files are measured as Git measures them (`diffcore-delta.c`): content is cut into lines of at most 64
//! bytes, and what counts is how many bytes lie in lines that both files have. A large file's bytes are never read
//! for this: its stored chunks say what it shares with another. Knows content; not what a path or a tree is.

use std::collections::HashMap;

use super::error::SnapshotError;
use crate::store::StoreError;
use crate::store::catalog::{Catalog, FileRecord};
use crate::store::id::{ObjectId, PackId, Sha256};

/// The score of two equal files.
pub const MAX_SCORE: u16 = 60_000;

/// Longer content is measured by its chunks.
const MAX_READ: u64 = 16 << 20;
/// Content of an LFS pointer from this length on is measured by its chunks.
const MAX_READ_POINTER: u64 = 1 << 20;
/// Most chunks of one file that are looked at; beyond that only whole runs count.
const MAX_CHUNKS: usize = 16 << 10;
/// How many different lines the measure can tell apart, as in Git.
const LINES: u32 = 107_927;

/// A file to be compared: what is known of it without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject {
    sha256: Sha256,
    pub(super) size: u64,
    by_chunks: bool,
}

impl Subject {
    /// Looks up what a blob stands for.
    pub(super) fn find(catalog: &Catalog, blob: ObjectId) -> Result<Self, SnapshotError> {
        let (sha256, pointer) = catalog.blob(blob)?;
        let size = catalog.file_size(sha256)?.ok_or(StoreError::MissingContent(sha256))?;
        let by_chunks = size > if pointer { MAX_READ_POINTER } else { MAX_READ };
        Ok(Self { sha256, size, by_chunks })
    }

    /// Whether the two can reach `minimum` at all, by their lengths alone.
    pub(super) fn may_reach(&self, other: &Self, minimum: u16) -> bool {
        let (long, short) = (self.size.max(other.size), self.size.min(other.size));
        let (long, short) = (u128::from(long), u128::from(short));
        long * u128::from(MAX_SCORE - minimum) >= (long - short) * u128::from(MAX_SCORE)
    }

    /// An upper bound on the memory its measure takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let lines = if self.size <= MAX_READ { self.size.min(u64::from(LINES)) * 16 } else { 0 };
        let chunks =
            if self.size > MAX_READ_POINTER { (self.size / 8192).min(MAX_CHUNKS as u64) * 24 } else { 0 };
        usize::try_from(lines + chunks).unwrap_or(usize::MAX) + 256
    }
}

/// What a file is measured by; filled in when a comparison needs it.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// Bytes by line, sorted by line.
    lines: Option<Vec<(u32, u32)>>,
    chunks: Option<Chunks>,
}

/// What a large file is made of.
#[derive(Debug)]
struct Chunks {
    /// Bytes by chunk hash, sorted; `None` when there are too many.
    hashes: Option<Vec<(u64, u64)>>,
    /// Runs of packs, sorted and apart from each other.
    runs: Vec<(PackId, u64, u64)>,
}

/// How similar two files are: 0 to [`MAX_SCORE`], the part of the longer one that is in the other. 0 when their
/// lengths keep them from reaching `minimum`.
pub(super) fn similarity(
    catalog: &Catalog,
    (old, old_measure): (&Subject, &mut Measure),
    (new, new_measure): (&Subject, &mut Measure),
    minimum: u16,
) -> Result<u16, SnapshotError> {
    let longer = old.size.max(new.size);
    if !old.may_reach(new, minimum) || new.size == 0 {
        return Ok(0);
    }
    let shared = if old.by_chunks || new.by_chunks {
        let (old, new) = (old_measure.chunks(catalog, old)?, new_measure.chunks(catalog, new)?);
        let by_hash = match (&old.hashes, &new.hashes) {
            (Some(old), Some(new)) => common(old, new),
            _ => 0,
        };
        by_hash.max(common_runs(&old.runs, &new.runs))
    } else {
        common(old_measure.lines(catalog, old)?, new_measure.lines(catalog, new)?)
    };
    let score = u128::from(shared.min(longer)) * u128::from(MAX_SCORE) / u128::from(longer);
    Ok(u16::try_from(score).unwrap_or(MAX_SCORE))
}

impl Measure {
    fn lines(&mut self, catalog: &Catalog, subject: &Subject) -> Result<&[(u32, u32)], StoreError> {
        if self.lines.is_none() {
            let record = catalog.file(subject.sha256)?;
            self.lines = Some(lines_of(&catalog.read_all(&record)?));
        }
        Ok(self.lines.as_deref().unwrap_or_default())
    }

    fn chunks(&mut self, catalog: &Catalog, subject: &Subject) -> Result<&Chunks, StoreError> {
        let chunks = match self.chunks.take() {
            Some(chunks) => chunks,
            None => Chunks::of(catalog, &catalog.file(subject.sha256)?)?,
        };
        Ok(self.chunks.insert(chunks))
    }
}

/// The lines of a text, or of anything: each ends after a newline or after 64 bytes. Answers how many bytes lie in
/// lines of each hash. In a text the CR of a CRLF does not count.
fn lines_of(content: &[u8]) -> Vec<(u32, u32)> {
    let is_text = !content.iter().take(8000).any(|&byte| byte == 0);
    let mut found: HashMap<u32, u32> = HashMap::new();
    let (mut a, mut b, mut length) = (0_u32, 0_u32, 0_u32);
    let mut bytes = content.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if is_text && byte == b'\r' && bytes.peek() == Some(&b'\n') {
            continue;
        }
        (a, b) = ((a << 7) ^ (b >> 25), (b << 7) ^ (a >> 25));
        a = a.wrapping_add(u32::from(byte));
        length += 1;
        if length == 64 || byte == b'\n' {
            *found.entry(line_hash(a, b)).or_default() += length;
            (a, b, length) = (0, 0, 0);
        }
    }
    if length > 0 {
        *found.entry(line_hash(a, b)).or_default() += length;
    }
    let mut lines: Vec<_> = found.into_iter().collect();
    lines.sort_unstable();
    lines
}

fn line_hash(a: u32, b: u32) -> u32 {
    a.wrapping_add(b.wrapping_mul(0x61)) % LINES
}

/// How many bytes two sorted lists have in common.
fn common<K: Ord + Copy, N: Ord + Copy + Into<u64>>(old: &[(K, N)], new: &[(K, N)]) -> u64 {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut shared = 0;
    while let (Some(&&(old_key, old_bytes)), Some(&&(new_key, new_bytes))) = (old.peek(), new.peek()) {
        match old_key.cmp(&new_key) {
            std::cmp::Ordering::Less => {
                old.next();
            }
            std::cmp::Ordering::Greater => {
                new.next();
            }
            std::cmp::Ordering::Equal => {
                shared += old_bytes.min(new_bytes).into();
                old.next();
                new.next();
            }
        }
    }
    shared
}

impl Chunks {
    fn of(catalog: &Catalog, record: &FileRecord) -> Result<Self, StoreError> {
        // A run inside an index is a small file's own; its hashes tell.
        let stored = record.extents.iter().filter(|extent| extent.pack != PackId::HERE);
        let mut runs: Vec<_> = stored
            .map(|extent| (extent.pack, extent.start, extent.start.saturating_add(extent.len)))
            .collect();
        runs.sort_unstable();
        runs.dedup_by(|next, run| {
            let touches = next.0 == run.0 && next.1 <= run.2;
            if touches {
                run.2 = run.2.max(next.2);
            }
            touches
        });
        Ok(Self { hashes: hashes(catalog, record)?, runs })
    }
}

/// Bytes by chunk hash, unless there are too many chunks.
fn hashes(catalog: &Catalog, record: &FileRecord) -> Result<Option<Vec<(u64, u64)>>, StoreError> {
    let mut found: HashMap<u64, u64> = HashMap::new();
    let mut looked_at = 0;
    for extent in &record.extents {
        let pack = catalog.pack_of(record, extent)?;
        let (mut at, end) = (extent.start, extent.start.saturating_add(extent.len));
        while at < end {
            looked_at += 1;
            if looked_at > MAX_CHUNKS {
                return Ok(None);
            }
            let row = catalog.chunk_at(&pack, at)?;
            let next = row.raw_start.saturating_add(u64::from(row.raw_len)).min(end);
            if next <= at {
                return Err(StoreError::damaged(&record.described_in(), "a chunk is empty".to_owned()));
            }
            let prefix = row.hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            *found.entry(prefix).or_default() += next - at;
            at = next;
        }
    }
    let mut hashes: Vec<_> = found.into_iter().collect();
    hashes.sort_unstable();
    Ok(Some(hashes))
}

/// How many bytes of packs two sorted lists of runs have in common.
fn common_runs(old: &[(PackId, u64, u64)], new: &[(PackId, u64, u64)]) -> u64 {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while let (Some(a), Some(b)) = (old.get(i), new.get(j)) {
        if a.0 == b.0 {
            shared += a.2.min(b.2).saturating_sub(a.1.max(b.1));
        }
        if (a.0, a.2) <= (b.0, b.2) {
            i += 1;
        } else {
            j += 1;
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_newlines_and_after_64_bytes() {
        let lengths = |content: &[u8]| {
            let mut lengths: Vec<_> = lines_of(content).into_iter().map(|(_, bytes)| bytes).collect();
            lengths.sort_unstable();
            lengths
        };
        assert_eq!(lengths(b"a\nbc\nd"), [1, 2, 3]);
        assert_eq!(lengths(b"a\na\n"), [4]);
        let long: Vec<u8> = (1..=130).collect();
        assert_eq!(lengths(&long).iter().sum::<u32>(), 130);
        assert_eq!(lines_of(b"a\r\nb\n"), lines_of(b"a\nb\r\n"));
        assert_ne!(lines_of(b"\0a\r\n"), lines_of(b"\0a\n"));
        assert!(lines_of(b"").is_empty());
    }

    #[test]
    fn runs_are_compared_as_sets_of_bytes() {
        let pack = |n| PackId::from_bytes([n; 16]);
        let old = [(pack(1), 0, 100), (pack(1), 200, 300), (pack(2), 0, 50)];
        let new = [(pack(1), 50, 250), (pack(2), 10, 20), (pack(3), 0, 9)];
        assert_eq!(common_runs(&old, &new), 50 + 50 + 10);
        assert_eq!(common_runs(&new, &old), 110);
        assert_eq!(common_runs(&old, &old), 250);
        assert_eq!(common_runs(&old, &[]), 0);
    }
}
