//! Whether an index can give a content, or only says that it has it.
//!
//! Who drops an older record in favour of a newer one asks this: the newer one may point into a pack that is lost, or lie
//! in an index some blocks of which are damaged. Content in packs is not read: lengths are looked at, as for every commit.

use std::sync::Arc;

use super::{Catalog, Pack};
use crate::store::error::StoreError;
use crate::store::id::{PackId, Sha256};
use crate::store::index::Index;
use crate::store::pack;

impl Catalog {
    /// Whether `index`, one of this catalog's, has a record of a content that counts, every chunk of it is described, and
    /// the packs are there with all their bytes. What cannot be read is not given.
    pub(in crate::store) fn gives(&self, index: &Arc<Index>, content: Sha256) -> bool {
        self.try_give(index, content).unwrap_or(false)
    }

    fn try_give(&self, index: &Arc<Index>, content: Sha256) -> Result<bool, StoreError> {
        let Some(row) = index.file(content)? else { return Ok(false) };
        let record = self.record(index, &row)?;
        if record.extents.iter().any(|extent| self.is_retired(extent.pack)) {
            return Ok(false);
        }
        for extent in &record.extents {
            let pack = self.pack_of(&record, extent)?;
            if !self.is_there(&pack)? {
                return Ok(false);
            }
            for chunk in pack.chunks_in(extent) {
                let (_, chunk) = chunk?;
                if pack.is_inline() {
                    self.stored_chunk(&pack, &chunk)?;
                }
            }
        }
        Ok(true)
    }

    fn is_there(&self, pack: &Pack) -> Result<bool, StoreError> {
        if pack.row.id == PackId::HERE {
            return Ok(true);
        }
        let path = pack::path_of(pack.row.id);
        let len = self.media.len(&path).map_err(StoreError::io("look at", &path))?;
        Ok(len == Some(pack.row.stored_len))
    }
}
