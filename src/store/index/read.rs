//! Reading an index in place: every block checked once, rows found by key, nothing loaded whole.
//!
//! Keys are hashes or random, so a search guesses by interpolation and is done after a few rows. Blocks are
//! kept in one bounded cache shared by all indexes of a vault. Reads are positional (no mapping): a disk error
//! or a truncation is an error for one lookup, never a signal that kills a mount.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lru::LruCache;

use super::filter::Filter;
use super::format::{
    BLOCK, BLOCK_HASH, ChunkRow, Extent, FileRow, LookupRow, ObjectRow, PackRow, Row, TRAILER, Table,
    Trailer, TrailerError, VERSION,
};
use super::path_of;
use super::search::{Cursor, Finder, interpolate};
use super::write::{block_hash, id_of_tail};
use crate::store::error::StoreError;
use crate::store::id::{ChunkHash, IndexId, ObjectId, PackId, Sha256};
use crate::store::media::{Media, ReadAt};

/// The bytes of one block.
pub(super) type Block = Arc<Vec<u8>>;

/// Blocks of all indexes of one vault, least recently used out first; bounded in bytes.
#[derive(Debug)]
pub struct BlockCache {
    blocks: Mutex<LruCache<(u64, u32), Block>>,
    serials: AtomicU64,
}

impl BlockCache {
    /// A cache of at most `bytes` (at least one block).
    pub fn new(bytes: usize) -> Self {
        let blocks = NonZeroUsize::new(bytes / BLOCK).unwrap_or(NonZeroUsize::MIN);
        Self { blocks: Mutex::new(LruCache::new(blocks)), serials: AtomicU64::new(0) }
    }

    /// Changes the limit to `bytes` (at least one block).
    pub fn limit(&self, bytes: usize) {
        let blocks = NonZeroUsize::new(bytes / BLOCK).unwrap_or(NonZeroUsize::MIN);
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).resize(blocks);
    }

    /// Most bytes that are held.
    pub fn most(&self) -> usize {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).cap().get() * BLOCK
    }

    fn get(&self, key: (u64, u32)) -> Option<Block> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn put(&self, key: (u64, u32), block: Block) {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).put(key, block);
    }
}

/// Most rows of one prefix that are looked at for a chunk.
const SAME_PREFIX: usize = 64;

/// From so many chunks on it pays to remember what an index does not have: the lookup table of fewer is read once and
/// then stays in the cache.
const FILTERED: u32 = 1 << 18;
/// Reading all of the lookup table costs as much as one lookup for each so many of its rows.
const ROWS_PER_LOOKUP: u32 = 512;

/// An open index.
#[derive(Debug)]
pub struct Index {
    id: IndexId,
    file: Box<dyn ReadAt>,
    trailer: Trailer,
    hashes: Vec<u8>,
    cache: Arc<BlockCache>,
    serial: u64,
    /// How many chunks were asked for, and what is known not to be here once that were many; `None` in it when that
    /// could not be read.
    asked: AtomicU64,
    filter: OnceLock<Option<Filter>>,
}

impl Index {
    /// Opens the index and checks its trailer and block hashes against its name.
    pub fn open(media: &dyn Media, id: IndexId, cache: &Arc<BlockCache>) -> Result<Self, StoreError> {
        let path = path_of(id);
        let file = media.open(&path).map_err(StoreError::reading(&path))?;
        let len = file.len();
        let trailer_at = len
            .checked_sub(TRAILER as u64)
            .ok_or_else(|| StoreError::damaged(&path, "it is too short to be an index"))?;
        let mut bytes = [0; TRAILER];
        file.read_exact_at(&mut bytes, trailer_at).map_err(StoreError::reading(&path))?;
        let trailer = Trailer::decode(&bytes, len).map_err(|error| match error {
            TrailerError::Malformed(detail) => StoreError::damaged(&path, detail),
            TrailerError::Version(found) => {
                StoreError::UnsupportedVersion { file: path.clone(), found, supported: VERSION }
            }
        })?;
        let mut tail = vec![0; trailer.block_count as usize * BLOCK_HASH + TRAILER];
        file.read_exact_at(&mut tail, trailer.sections_end()).map_err(StoreError::reading(&path))?;
        if id_of_tail(&tail) != id {
            return Err(StoreError::damaged(&path, "its block hashes do not match its name"));
        }
        tail.truncate(tail.len() - TRAILER);
        let serial = cache.serials.fetch_add(1, Relaxed);
        let cache = Arc::clone(cache);
        let (asked, filter) = (AtomicU64::new(0), OnceLock::new());
        Ok(Self { id, file, trailer, hashes: tail, cache, serial, asked, filter })
    }

    /// Its name.
    pub fn id(&self) -> IndexId {
        self.id
    }

    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// Whether it describes nothing at all.
    pub fn is_empty(&self) -> bool {
        self.trailer.sections_end() == 0
    }

    pub(in crate::store) fn damaged(&self, detail: impl Into<String>) -> StoreError {
        StoreError::damaged(&path_of(self.id), detail)
    }

    pub(super) fn block(&self, number: u32) -> Result<Block, StoreError> {
        if let Some(block) = self.cache.get((self.serial, number)) {
            return Ok(block);
        }
        let start = u64::from(number) * BLOCK as u64;
        let left = self.trailer.sections_end().saturating_sub(start);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK)];
        self.file.read_exact_at(&mut bytes, start).map_err(StoreError::reading(&path_of(self.id)))?;
        let at = number as usize * BLOCK_HASH;
        if self.hashes.get(at..at + BLOCK_HASH) != Some(&block_hash(&bytes)[..]) {
            return Err(self.damaged(format!("the {} bytes at offset {start} fail their check", bytes.len())));
        }
        let block = Arc::new(bytes);
        self.cache.put((self.serial, number), Arc::clone(&block));
        Ok(block)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), StoreError> {
        Cursor::new(self).read(offset, out)
    }

    pub(super) fn section(&self, table: Table) -> (u64, u64) {
        self.trailer.sections[table as usize]
    }

    /// Length of a section in bytes.
    pub(super) fn section_len(&self, table: Table) -> u64 {
        self.section(table).1
    }

    /// Bytes of all sections together.
    pub fn sections_len(&self) -> u64 {
        self.trailer.sections_end()
    }

    /// How many rows a table has.
    pub fn count<R: Row>(&self) -> u32 {
        // The trailer was refused when a table of rows had more than `u32::MAX` of them.
        u32::try_from(self.section(R::TABLE).1 / R::LEN as u64).unwrap_or(u32::MAX)
    }

    /// The row at an ordinal; an ordinal beyond the table or a row without meaning is damage.
    pub fn row<R: Row>(&self, ordinal: u32) -> Result<R, StoreError> {
        Cursor::new(self).row(ordinal)
    }

    /// Up to `count` rows from an ordinal on, read together.
    pub fn rows_at<R: Row>(&self, ordinal: u32, count: u32) -> Result<Vec<R>, StoreError> {
        let count = count.min(self.count::<R>().saturating_sub(ordinal));
        let mut bytes = vec![0; count as usize * R::LEN];
        self.read(self.section(R::TABLE).0 + u64::from(ordinal) * R::LEN as u64, &mut bytes)?;
        let no_meaning = |at: usize| {
            self.damaged(format!("row {} of {:?} has no meaning", u64::from(ordinal) + at as u64, R::TABLE))
        };
        let rows = bytes.chunks_exact(R::LEN).enumerate();
        rows.map(|(at, row)| R::decode(row).ok_or_else(|| no_meaning(at))).collect()
    }

    /// Every row of a table in order.
    pub fn rows<R: Row>(&self) -> impl Iterator<Item = Result<R, StoreError>> + '_ {
        let mut cursor = Cursor::new(self);
        (0..self.count::<R>()).map(move |ordinal| cursor.row(ordinal))
    }

    /// `len` bytes of the data section from `offset`.
    pub fn data(&self, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
        let (start, section) = self.section(Table::Data);
        let inside = offset.checked_add(len).is_some_and(|end| end <= section);
        let len = usize::try_from(len).ok().filter(|_| inside);
        let mut bytes = vec![0; len.ok_or_else(|| self.damaged("it points beyond its data section"))?];
        self.read(start + offset, &mut bytes)?;
        Ok(bytes)
    }

    /// First row whose leading bytes are not below `key`.
    fn lower_bound<R: Row>(&self, key: &[u8]) -> Result<u32, StoreError> {
        Cursor::new(self).lower_bound::<R>(key, (0, 0))
    }

    /// A search for many keys of one table; quickest when they come in ascending order.
    pub fn finder<R: Row>(&self) -> Finder<'_, R> {
        Finder::new(self)
    }

    /// The pack with this id, when this index describes it.
    pub fn pack(&self, id: PackId) -> Result<Option<PackRow>, StoreError> {
        self.finder::<PackRow>().find(id.as_bytes())
    }

    /// The record of the file with this content.
    pub fn file(&self, sha256: Sha256) -> Result<Option<FileRow>, StoreError> {
        Ok(self.find_file(sha256)?.map(|(_, row)| row))
    }

    /// The same with its ordinal.
    pub fn find_file(&self, sha256: Sha256) -> Result<Option<(u32, FileRow)>, StoreError> {
        self.finder().locate(sha256.as_bytes())
    }

    /// The object with this id.
    pub fn object(&self, id: ObjectId) -> Result<Option<ObjectRow>, StoreError> {
        Ok(self.find_object(id)?.map(|(_, row)| row))
    }

    /// The same with its ordinal.
    pub fn find_object(&self, id: ObjectId) -> Result<Option<(u32, ObjectRow)>, StoreError> {
        self.finder().locate(id.as_bytes())
    }

    /// Up to `limit` objects whose binary id lies in `from..=to`.
    pub fn objects_between(
        &self,
        from: ObjectId,
        to: ObjectId,
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let first = self.lower_bound::<ObjectRow>(from.as_bytes())?;
        let mut found = Vec::new();
        for ordinal in first..self.count::<ObjectRow>() {
            let row: ObjectRow = self.row(ordinal)?;
            if row.id > to || found.len() == limit {
                break;
            }
            found.push(row);
        }
        Ok(found)
    }

    /// What makes up a file, in order; checked to add up to its size.
    pub fn extents(&self, file: &FileRow) -> Result<Vec<Extent>, StoreError> {
        let end =
            file.first_extent.checked_add(file.extent_count).filter(|&end| end <= self.count::<Extent>());
        let end = end.ok_or_else(|| self.damaged("a file record points beyond the extents"))?;
        let mut cursor = Cursor::new(self);
        let extents: Vec<Extent> =
            (file.first_extent..end).map(|at| cursor.row(at)).collect::<Result<_, _>>()?;
        let total = extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.len));
        if total != Some(file.size) {
            return Err(
                self.damaged(format!("the extents of sha256:{} do not add up to its size", file.sha256))
            );
        }
        Ok(extents)
    }

    /// A chunk with this hash, if this index describes one: its ordinal, its pack and its row.
    pub fn chunk(&self, hash: ChunkHash) -> Result<Option<(u32, PackRow, ChunkRow)>, StoreError> {
        let mut found = None;
        self.each_chunk(hash, &mut |ordinal, pack, chunk| {
            found = Some((ordinal, pack, chunk));
            false
        })?;
        Ok(found)
    }

    /// Hands over each chunk with this hash, with its ordinal and its pack, until `visit` says that it is enough.
    pub fn each_chunk(
        &self,
        hash: ChunkHash,
        visit: &mut dyn FnMut(u32, PackRow, ChunkRow) -> bool,
    ) -> Result<(), StoreError> {
        let prefix = LookupRow::prefix_of(hash);
        if self.lacks(prefix) {
            return Ok(());
        }
        let first = self.lower_bound::<LookupRow>(&prefix.to_be_bytes())?;
        // Eight bytes of a hash in common is one chunk twice; a table full of one prefix is an attack on time.
        for at in (first..self.count::<LookupRow>()).take(SAME_PREFIX) {
            let lookup: LookupRow = self.row(at)?;
            if lookup.prefix != prefix {
                break;
            }
            let chunk: ChunkRow = self.row(lookup.chunk)?;
            if chunk.hash == hash && !visit(lookup.chunk, self.pack_of_chunk(lookup.chunk)?, chunk) {
                break;
            }
        }
        Ok(())
    }

    /// Whether no chunk's hash begins like this, as far as that is known without looking.
    fn lacks(&self, prefix: u64) -> bool {
        if self.filter.get().is_none() && !self.pays_to_filter() {
            return false;
        }
        // What cannot be read is reported by the lookup that needs it.
        let filter = self.filter.get_or_init(|| self.read_filter().ok());
        filter.as_ref().is_some_and(|filter| !filter.may_have(prefix))
    }

    /// Counts a chunk that is asked for; answers whether those were so many that a filter would have cost less.
    fn pays_to_filter(&self) -> bool {
        let rows = self.count::<LookupRow>();
        rows >= FILTERED && self.asked.fetch_add(1, Relaxed) >= u64::from(rows / ROWS_PER_LOOKUP)
    }

    fn read_filter(&self) -> Result<Filter, StoreError> {
        let mut filter = Filter::new(self.count::<LookupRow>());
        for row in self.rows::<LookupRow>() {
            filter.add(row?.prefix);
        }
        Ok(filter)
    }

    fn pack_of_chunk(&self, ordinal: u32) -> Result<PackRow, StoreError> {
        let (mut low, mut high) = (0, self.count::<PackRow>());
        while low < high {
            let middle = low + (high - low) / 2;
            let pack: PackRow = self.row(middle)?;
            let after = ordinal.wrapping_sub(pack.first_chunk);
            if ordinal >= pack.first_chunk && after < pack.chunk_count {
                return Ok(pack);
            }
            if ordinal < pack.first_chunk { high = middle } else { low = middle + 1 }
        }
        Err(self.damaged(format!("chunk {ordinal} belongs to no pack")))
    }

    /// The chunk of `pack` that holds the decoded byte at `position`, with its ordinal.
    pub fn chunk_at(&self, pack: &PackRow, position: u64) -> Result<(u32, ChunkRow), StoreError> {
        let end = pack.first_chunk.checked_add(pack.chunk_count);
        let end = end.ok_or_else(|| self.damaged("a pack's chunks overflow"))?;
        let (mut low, mut high) = (pack.first_chunk, end);
        let (mut low_at, mut high_at) = (0, pack.raw_len);
        let mut guesses = 0;
        let mut cursor = Cursor::new(self);
        while low < high {
            let middle = if guesses < 8 {
                interpolate(low, high, low_at, high_at, position)
            } else {
                low + (high - low) / 2
            };
            guesses += 1;
            let chunk: ChunkRow = cursor.row(middle)?;
            let chunk_end = chunk.raw_start + u64::from(chunk.raw_len);
            if position < chunk.raw_start {
                (high, high_at) = (middle, chunk.raw_start);
            } else if position >= chunk_end {
                (low, low_at) = (middle + 1, chunk_end);
            } else {
                return Ok((middle, chunk));
            }
        }
        Err(self.damaged(format!("pack {} has no chunk at {position}", pack.id)))
    }

    /// Reads and checks every block.
    pub fn check_all_blocks(&self) -> Result<(), StoreError> {
        self.bad_blocks().next().map_or(Ok(()), Err)
    }

    /// What is wrong with each block that fails its check.
    pub fn bad_blocks(&self) -> impl Iterator<Item = StoreError> + '_ {
        (0..self.trailer.block_count).filter_map(|number| self.block(number).err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::chunk;
    use crate::store::index::Codec;
    use crate::store::index::IndexBuilder;
    use crate::store::index::draft::PackDraft;
    use crate::store::media::memory::MemoryMedia;

    fn hash(n: u32) -> ChunkHash {
        chunk::hash(&n.to_le_bytes())
    }

    /// An index of 3,000 chunks, in a medium of its own.
    fn sample() -> (MemoryMedia, IndexId) {
        sample_of(3000)
    }

    fn sample_of(chunks: u32) -> (MemoryMedia, IndexId) {
        let mut pack = PackDraft::new(PackId::from_bytes([7; 16]));
        (0..chunks).for_each(|n| assert_eq!(pack.push(hash(n), 5, 5, Codec::Raw), u64::from(n) * 5));
        let mut builder = IndexBuilder::default();
        builder.add_pack(pack);
        let mut bytes = Vec::new();
        let (id, len) = builder.write(&mut bytes).unwrap();
        assert_eq!((len, builder.built_len()), (bytes.len() as u64, bytes.len() as u64));
        let media = MemoryMedia::new();
        media.create_dir("packs").unwrap();
        media.create(&path_of(id)).unwrap().write_all(&bytes).unwrap();
        (media, id)
    }

    fn open(media: &MemoryMedia, id: IndexId) -> Index {
        Index::open(media, id, &Arc::new(BlockCache::new(1 << 20))).unwrap()
    }

    #[test]
    fn a_filter_changes_no_answer() {
        let (media, id) = sample();
        let (plain, filtered) = (open(&media, id), open(&media, id));
        assert!(filtered.filter.get_or_init(|| filtered.read_filter().ok()).is_some());
        for n in 0..6000 {
            let found = plain.chunk(hash(n)).unwrap();
            assert_eq!(found, filtered.chunk(hash(n)).unwrap(), "{n}");
            assert_eq!(found.map(|(ordinal, ..)| ordinal), Some(n).filter(|&n| n < 3000));
        }
        let denied = (3000..6000).filter(|&n| filtered.lacks(LookupRow::prefix_of(hash(n)))).count();
        assert!(denied > 2900, "{denied} of 3,000 were denied without looking");
        assert!(plain.filter.get().is_none(), "a small index needs none");
    }

    #[test]
    fn a_lookup_table_that_is_sorted_part_by_part_is_sorted() {
        const CHUNKS: u32 = 300_000;
        let (media, id) = sample_of(CHUNKS);
        let rows: Vec<LookupRow> = open(&media, id).rows().map(Result::unwrap).collect();
        let mut expected: Vec<_> = (0..CHUNKS).map(|n| (LookupRow::prefix_of(hash(n)), n)).collect();
        expected.sort_unstable();
        assert!(rows.iter().map(|row| (row.prefix, row.chunk)).eq(expected));
    }

    #[test]
    fn an_index_whose_table_is_damaged_is_not_said_to_lack_anything() {
        let (media, id) = sample();
        let at = usize::try_from(open(&media, id).section(Table::Lookup).0).unwrap() + 20_000;
        media.corrupt(&path_of(id), |bytes| bytes[at] ^= 1).unwrap();
        let index = open(&media, id);
        assert!(index.filter.get_or_init(|| index.read_filter().ok()).is_none());
        let refused = (0..6000).filter(|&n| index.chunk(hash(n)).is_err()).count();
        assert!(refused > 1000, "{refused} asked for the damaged block");
        assert!((0..3000).all(|n| index.chunk(hash(n)).map_or(true, |found| found.is_some())));
    }
}
