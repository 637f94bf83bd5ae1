//! Bytes of chunks and files, out of the packs, each chunk checked against its hash.
//!
//! A few packs are kept open. Reading many chunks at a time is in `run`, parts of one in `part`; must not know what asks.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::{Catalog, FileRecord, Pack};
use crate::store::error::StoreError;
use crate::store::id::PackId;
use crate::store::index::ChunkRow;
use crate::store::media::ReadAt;
use crate::store::pack;

/// Packs kept open at a time.
const OPEN_PACKS: NonZeroUsize = NonZeroUsize::new(32).expect("32 is not zero");

/// The packs that are open; the one not used for longest makes room.
#[derive(Debug)]
pub(super) struct OpenPacks(Mutex<LruCache<PackId, Arc<dyn ReadAt>>>);

impl Default for OpenPacks {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(OPEN_PACKS)))
    }
}

impl Catalog {
    /// The whole content of a small file.
    pub fn read_all(&self, file: &FileRecord) -> Result<Vec<u8>, StoreError> {
        let mut content = Vec::new();
        self.read_each(file, &mut |bytes| content.extend_from_slice(bytes))?;
        Ok(content)
    }

    /// Hands over a file's content from front to back, a chunk at a time.
    pub fn read_each(&self, file: &FileRecord, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        for extent in &file.extents {
            let pack = self.pack_of(file, extent)?;
            let (mut at, end) = (extent.start, extent.start + extent.len);
            while at < end {
                let row = self.chunk_at(&pack, at)?;
                let chunk = self.read_chunk(&pack, &row)?;
                let from = usize::try_from(at - row.raw_start).unwrap_or(usize::MAX);
                let take = usize::try_from(end - at).unwrap_or(usize::MAX);
                let bytes = chunk.get(from..).unwrap_or_default();
                each(&bytes[..take.min(bytes.len())]);
                at = row.raw_start + u64::from(row.raw_len);
            }
        }
        Ok(())
    }

    /// The chunk that holds the decoded byte at `position` of a pack: where it starts and its row.
    pub fn chunk_at(&self, pack: &Pack, position: u64) -> Result<ChunkRow, StoreError> {
        pack.index.chunk_at(&pack.row, position).map(|(_, row)| row)
    }

    /// The decoded bytes of one chunk of a pack, checked against its hash.
    pub fn read_chunk(&self, pack: &Pack, row: &ChunkRow) -> Result<Vec<u8>, StoreError> {
        pack::open_chunk(row, self.stored_chunk(pack, row)?, &pack.file())
    }

    /// The bytes of one chunk as they are stored, unchecked.
    pub(in crate::store) fn stored_chunk(&self, pack: &Pack, row: &ChunkRow) -> Result<Vec<u8>, StoreError> {
        if pack.is_inline() {
            return pack.index.data(row.stored_start, u64::from(row.stored_len));
        }
        let path = pack::path_of(pack.row.id);
        let mut stored = vec![0; row.stored_len as usize];
        self.pack_file(pack.row.id)?
            .read_exact_at(&mut stored, row.stored_start)
            .map_err(StoreError::reading(&path))?;
        Ok(stored)
    }

    /// The open file of a pack.
    pub fn pack_file(&self, id: PackId) -> Result<Arc<dyn ReadAt>, StoreError> {
        let mut packs = self.packs.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = packs.get(&id) {
            return Ok(Arc::clone(open));
        }
        let path = pack::path_of(id);
        let file: Arc<dyn ReadAt> = self.media.open(&path).map_err(StoreError::reading(&path))?.into();
        packs.put(id, Arc::clone(&file));
        Ok(file)
    }
}
