//! The chunks that hold some of a file, one after the other: what is marked, held or stored again goes through them.
//!
//! An index can be damaged or forged, so each chunk must begin where the one before it ends. Must not know what anybody
//! does with them.

use super::Pack;
use crate::store::error::StoreError;
use crate::store::index::{ChunkRow, Extent};

impl Pack {
    /// Every chunk that holds some of an extent, in order, each with its ordinal in the index; ends after an error.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where no chunk follows.
    pub fn chunks_in(
        &self,
        extent: &Extent,
    ) -> impl Iterator<Item = Result<(u32, ChunkRow), StoreError>> + use<> {
        let (pack, end) = (self.clone(), extent.start.saturating_add(extent.len));
        let mut next = Some(pack.index.chunk_at(&pack.row, extent.start));
        std::iter::from_fn(move || {
            let found = next.take()?;
            if let Ok((ordinal, chunk)) = &found {
                let at = chunk.raw_start + u64::from(chunk.raw_len);
                next = (at < end).then(|| pack.following(ordinal + 1, at));
            }
            Some(found)
        })
    }

    /// The chunk with this ordinal, which begins `at` among the decoded bytes.
    fn following(&self, ordinal: u32, at: u64) -> Result<(u32, ChunkRow), StoreError> {
        let chunk: ChunkRow = self.index.row(ordinal)?;
        if chunk.raw_start != at || ordinal - self.row.first_chunk >= self.row.chunk_count {
            let detail = format!("pack {} has no chunk at {at}", self.row.id);
            return Err(self.index.damaged(detail));
        }
        Ok((ordinal, chunk))
    }
}
