//! What a catalog answers with: rows, each with the index it came from.
//!
//! The index goes along because a row means something only there: its ordinals, and the content `HERE` stands for. Must
//! not know how it was found.

use std::sync::Arc;

use crate::store::error::StoreError;
use crate::store::id::{IndexId, PackId, Sha256};
use crate::store::index::{self, ChunkRow, Extent, Index, PackRow};
use crate::store::pack;

/// A file's content as stored.
#[derive(Debug, Clone)]
pub struct FileRecord {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
    /// What makes it up, in order; the lengths add up to `size`.
    pub extents: Vec<Extent>,
    pub(in crate::store) index: Arc<Index>,
}

impl FileRecord {
    /// The pack that `HERE` means in its extents, if its index has one.
    pub(super) fn own_pack(&self) -> Result<Option<Pack>, StoreError> {
        Ok(self.index.pack(PackId::HERE)?.map(|row| Pack::of(&self.index, row)))
    }

    /// The vault file that holds the record.
    pub fn described_in(&self) -> String {
        index::path_of(self.index_id())
    }

    /// The index that holds the record: the one whose content `HERE` means in its extents.
    pub fn index_id(&self) -> IndexId {
        self.index.id()
    }
}

/// A pack as an index describes it, ready to be read.
#[derive(Debug, Clone)]
pub struct Pack {
    /// Its description.
    pub row: PackRow,
    pub(in crate::store) index: Arc<Index>,
}

impl Pack {
    /// The pack of a row of one index.
    pub fn of(index: &Arc<Index>, row: PackRow) -> Self {
        Self { row, index: Arc::clone(index) }
    }

    /// The chunks of the pack in order.
    pub fn chunks(&self) -> impl Iterator<Item = Result<ChunkRow, StoreError>> + '_ {
        let end = self.row.first_chunk.saturating_add(self.row.chunk_count);
        (self.row.first_chunk..end).map(|ordinal| self.index.row(ordinal))
    }

    /// Whether its bytes are in the data section of an index rather than in a file of their own.
    pub fn is_inline(&self) -> bool {
        self.row.id == PackId::HERE
    }

    /// The vault file that holds its bytes.
    pub fn file(&self) -> String {
        if self.is_inline() { index::path_of(self.index.id()) } else { pack::path_of(self.row.id) }
    }
}

/// A chunk, and where it was found.
#[derive(Debug, Clone)]
pub struct Located {
    /// The pack it is in.
    pub pack: Pack,
    /// Its number in the index that describes the pack.
    pub ordinal: u32,
    /// Its row.
    pub chunk: ChunkRow,
}

impl Located {
    /// The chunk that follows in the same pack.
    pub fn next(&self) -> Result<Option<Self>, StoreError> {
        let after = self.ordinal.wrapping_sub(self.pack.row.first_chunk).saturating_add(1);
        if after >= self.pack.row.chunk_count {
            return Ok(None);
        }
        let ordinal = self.ordinal.saturating_add(1);
        let chunk = self.pack.index.row(ordinal)?;
        Ok(Some(Self { pack: self.pack.clone(), ordinal, chunk }))
    }
}
