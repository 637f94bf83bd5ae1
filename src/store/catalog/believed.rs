//! Which record of a content is believed when indexes are merged, where several say something of it.
//!
//! The newest one, unless it cannot give the content and an older one can: the newest may point into a pack that is lost, or
//! lie in an index some blocks of which are damaged. Content in packs is not read: lengths are looked at, as for every
//! commit.

use std::sync::Arc;

use super::{Catalog, FileRecord, Pack};
use crate::store::error::StoreError;
use crate::store::id::{PackId, Sha256};
use crate::store::index::Index;
use crate::store::pack;

impl Catalog {
    /// The number of the index whose record of a content is believed from now on; `None` when none has one that counts.
    ///
    /// The newest one also is when it cannot be found out whether it can give the content: that may pass.
    pub(in crate::store) fn believed(&self, content: Sha256) -> Option<usize> {
        let indexes = self.indexes.iter().enumerate().rev();
        let mut said = indexes.filter_map(|(at, index)| Some((at, self.said(index, content)?)));
        let (newest, record) = said.next()?;
        // Most contents are spoken of once, and nothing has to be looked at.
        let mut older = said.peekable();
        if older.peek().is_none()
            || record.and_then(|record| self.gives(&record)).unwrap_or_else(|error| may_pass(&error))
        {
            return Some(newest);
        }
        let gives =
            |record: &Result<_, _>| record.as_ref().is_ok_and(|found| self.gives(found).unwrap_or(false));
        Some(older.find(|(_, record)| gives(record)).map_or(newest, |(at, _)| at))
    }

    /// The record that an index has of a content, if it counts and its blocks are not damaged. Where it cannot be found out
    /// whether there is one, it does not count: on its account another would be dropped, which may be the only one.
    fn said(&self, index: &Arc<Index>, content: Sha256) -> Option<Result<FileRecord, StoreError>> {
        let row = index.file(content).ok()??;
        match self.record(index, &row) {
            Ok(record) if record.extents.iter().any(|extent| self.is_retired(extent.pack)) => None,
            Err(error) if !may_pass(&error) => None,
            said => Some(said),
        }
    }

    /// Whether every chunk of a record is described, and the packs are there with all their bytes.
    fn gives(&self, record: &FileRecord) -> Result<bool, StoreError> {
        for extent in &record.extents {
            let pack = self.pack_of(record, extent)?;
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

/// Whether it is the medium that failed, and not the bytes on it that are wrong.
fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { .. })
}
