//! What is known of packs before their index is written, in as little memory as that takes: a file of 64 GB is a
//! million chunks, and they are held until it is stored.
//!
//! A chunk is 40 bytes here; where it starts follows from those before it. Knows no files, objects or bytes.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::format::{ChunkRow, Codec, LookupRow, PackRow};
use super::read::Index;
use crate::store::error::StoreError;
use crate::store::id::{ChunkHash, PackId};

/// Of so many chunks, one has it noted where it starts.
const EVERY: usize = 64;

/// What is held of a chunk.
#[derive(Debug, Clone, Copy)]
struct Slim {
    hash: ChunkHash,
    raw_len: u32,
    /// Little-endian, as on disk.
    stored_len: [u8; 3],
    codec: Codec,
}

impl Slim {
    fn stored_len(&self) -> u32 {
        let [a, b, c] = self.stored_len;
        u32::from_le_bytes([a, b, c, 0])
    }
}

/// Chunks that follow each other.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    rows: Vec<Slim>,
    /// Where every [`EVERY`]th starts: among the decoded bytes, and among the stored ones.
    places: Vec<(u64, u64)>,
    raw_len: u64,
    stored_len: u64,
}

impl Chunks {
    /// Adds a chunk after the others; answers where it starts among the decoded bytes.
    pub fn push(&mut self, hash: ChunkHash, raw_len: u32, stored_len: u32, codec: Codec) -> u64 {
        let raw_start = self.raw_len;
        if self.rows.len().is_multiple_of(EVERY) {
            self.places.push((raw_start, self.stored_len));
        }
        let [a, b, c, _] = stored_len.to_le_bytes();
        self.rows.push(Slim { hash, raw_len, stored_len: [a, b, c], codec });
        self.raw_len += u64::from(raw_len);
        self.stored_len += u64::from(stored_len);
        raw_start
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Those with these ordinals, in order.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = ChunkRow> + '_ {
        let mark = range.start / EVERY;
        let mut next = self.places.get(mark).copied().unwrap_or_default();
        let rows = self.rows.get(mark * EVERY..range.end.min(self.rows.len())).unwrap_or_default();
        let placed = rows.iter().map(move |row| {
            let (raw_start, stored_start) = next;
            next = (raw_start + u64::from(row.raw_len), stored_start + u64::from(row.stored_len()));
            ChunkRow {
                hash: row.hash,
                raw_start,
                stored_start,
                raw_len: row.raw_len,
                stored_len: row.stored_len(),
                codec: row.codec,
            }
        });
        placed.skip(range.start - mark * EVERY)
    }

    /// All in order.
    pub fn iter(&self) -> impl Iterator<Item = ChunkRow> + '_ {
        self.range(0..self.rows.len())
    }

    fn hash(&self, at: usize) -> Option<ChunkHash> {
        self.rows.get(at).map(|row| row.hash)
    }
}

/// What is known of a pack while its index is being built.
#[derive(Debug, Clone)]
pub struct PackDraft {
    /// Its name.
    pub id: PackId,
    chunks: Chunks,
}

impl PackDraft {
    /// A pack without chunks.
    pub fn new(id: PackId) -> Self {
        Self::of(id, Chunks::default())
    }

    /// A pack of these chunks.
    pub fn of(id: PackId, chunks: Chunks) -> Self {
        Self { id, chunks }
    }

    /// A pack as an index describes it.
    pub fn read(index: &Index, pack: &PackRow) -> Result<Self, StoreError> {
        let mut draft = Self::new(pack.id);
        for ordinal in pack.first_chunk..pack.first_chunk.saturating_add(pack.chunk_count) {
            let chunk: ChunkRow = index.row(ordinal)?;
            draft.push(chunk.hash, chunk.raw_len, chunk.stored_len, chunk.codec);
        }
        Ok(draft)
    }

    /// Notes a chunk that follows the ones before; answers where it starts among the decoded bytes.
    pub fn push(&mut self, hash: ChunkHash, raw_len: u32, stored_len: u32, codec: Codec) -> u64 {
        self.chunks.push(hash, raw_len, stored_len, codec)
    }

    /// Length of the pack file in bytes.
    pub fn stored_len(&self) -> u64 {
        self.chunks.stored_len
    }

    /// Length of its chunks' bytes when decoded.
    pub fn raw_len(&self) -> u64 {
        self.chunks.raw_len
    }

    /// Its chunks in order.
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// Adds the chunks of another; answers where they start among the decoded bytes.
    pub(super) fn append(&mut self, other: &Self) -> u64 {
        let base = self.raw_len();
        for chunk in other.chunks.iter() {
            self.push(chunk.hash, chunk.raw_len, chunk.stored_len, chunk.codec);
        }
        base
    }
}

/// Finds chunks of packs that no index describes yet. The table is made when it is first asked: of a transaction of
/// one large file it never is.
#[derive(Debug, Default)]
pub struct DraftChunks {
    packs: Vec<Arc<PackDraft>>,
    /// Pack and chunk, by the hash.
    table: HashTable<(u32, u32)>,
    entered: usize,
}

impl DraftChunks {
    /// Adds the chunks of a pack.
    pub fn add(&mut self, pack: Arc<PackDraft>) {
        self.packs.push(pack);
    }

    /// Makes ready what was added, to be found.
    pub fn enter(&mut self) {
        let packs = &self.packs;
        let hash_at = |&(pack, chunk): &(u32, u32)| packs[pack as usize].chunks.hash(chunk as usize);
        for (pack, draft) in (0u32..).zip(packs).skip(self.entered) {
            for (chunk, row) in (0u32..).zip(draft.chunks.iter()) {
                let is_same = |at: &(u32, u32)| hash_at(at) == Some(row.hash);
                let spread = |at: &(u32, u32)| hash_at(at).map_or(0, LookupRow::prefix_of);
                // Of equal ones the last counts.
                match self.table.entry(LookupRow::prefix_of(row.hash), is_same, spread) {
                    Entry::Occupied(mut known) => *known.get_mut() = (pack, chunk),
                    Entry::Vacant(free) => drop(free.insert((pack, chunk))),
                }
            }
        }
        self.entered = self.packs.len();
    }

    /// Where the chunk with this hash is: its pack, and where it starts among the decoded bytes there.
    pub fn find(&self, hash: ChunkHash) -> Option<(PackId, u64)> {
        let draft = |pack: u32| self.packs.get(pack as usize);
        let is_it = |&(pack, chunk): &(u32, u32)| {
            draft(pack).and_then(|draft| draft.chunks.hash(chunk as usize)) == Some(hash)
        };
        let &(pack, chunk) = self.table.find(LookupRow::prefix_of(hash), is_it)?;
        let (draft, chunk) = (draft(pack)?, chunk as usize);
        draft.chunks.range(chunk..chunk + 1).next().map(|row| (draft.id, row.raw_start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::chunk;

    fn pack(id: u8, chunks: &[u32]) -> Arc<PackDraft> {
        let mut draft = PackDraft::new(PackId::from_bytes([id; 16]));
        for &n in chunks {
            draft.push(chunk::hash(&n.to_le_bytes()), n % 1000 + 1, n % 700 + 1, Codec::Zstd);
        }
        Arc::new(draft)
    }

    #[test]
    fn a_row_is_small() {
        assert_eq!(size_of::<Slim>(), 40);
    }

    #[test]
    fn every_range_starts_where_the_chunks_before_it_end() {
        let draft = pack(1, &(0..300).collect::<Vec<_>>());
        let (mut raw, mut stored, mut rows) = (0, 0, Vec::new());
        for n in 0..300u32 {
            let (raw_len, stored_len, hash) = (n + 1, n + 1, chunk::hash(&n.to_le_bytes()));
            let (raw_start, stored_start) = (raw, stored);
            rows.push(ChunkRow { hash, raw_start, stored_start, raw_len, stored_len, codec: Codec::Zstd });
            (raw, stored) = (raw + u64::from(raw_len), stored + u64::from(stored_len));
        }
        assert_eq!((draft.raw_len(), draft.stored_len()), (raw, stored));
        for range in [0..300, 0..0, 63..64, 64..65, 100..300, 299..300, 300..300, 250..900] {
            let expected = &rows[range.start..range.end.min(300)];
            assert_eq!(draft.chunks().range(range.clone()).collect::<Vec<_>>(), expected, "{range:?}");
        }
    }

    #[test]
    fn chunks_of_all_packs_are_found_the_last_of_equal_ones_and_no_others() {
        let mut drafts = DraftChunks::default();
        let find = |drafts: &DraftChunks, n: u32| drafts.find(chunk::hash(&n.to_le_bytes()));
        drafts.add(pack(1, &[5, 6, 7]));
        drafts.enter();
        drafts.add(pack(2, &[8, 6, 8]));
        assert_eq!(find(&drafts, 8), None, "not entered yet");
        drafts.enter();
        let place = |id: u8, start| Some((PackId::from_bytes([id; 16]), start));
        assert_eq!([5, 7].map(|n| find(&drafts, n)), [place(1, 0), place(1, 13)]);
        assert_eq!([6, 8, 9].map(|n| find(&drafts, n)), [place(2, 9), place(2, 16), None]);
    }
}
