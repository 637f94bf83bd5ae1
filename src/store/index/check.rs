//! Whether an index whose every byte is as written also makes sense: its rows tile their tables in order.
//!
//! Lookups never rely on this: each checks what it follows. But whoever goes through *all* of an index (a merge,
//! `verify`) would be led in circles by rows that overlap: a thousand packs may each claim the same million
//! chunks. So those two ask here first. One pass over the tables, no allocation that depends on them.

use super::format::{ChunkRow, FileRow, LookupRow, ObjectRow, PackRow};
use super::path_of;
use super::read::Index;
use crate::store::error::StoreError;
use crate::store::id::PackId;
use crate::store::index::{Extent, Table};

impl Index {
    /// Checks that packs and files own consecutive, disjoint rows, that chunks follow each other without gaps in
    /// their pack, and that keys ascend.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the first row that is out of place.
    pub fn check_layout(&self) -> Result<(), StoreError> {
        let data = self.check_packs()?;
        if data > self.section_len(Table::Data) {
            return Err(self.misplaced("its inline pack is longer than its data section"));
        }
        self.check_files()?;
        ascending(self.rows::<ObjectRow>().map(|row| row.map(|row| row.id)), || {
            self.misplaced("its objects are out of order")
        })?;
        self.check_lookup()
    }

    fn check_lookup(&self) -> Result<(), StoreError> {
        if self.count::<LookupRow>() != self.count::<ChunkRow>() {
            return Err(self.misplaced("its lookup table does not have a row for each chunk"));
        }
        ascending(self.rows::<LookupRow>().map(|row| row.map(|row| (row.prefix, row.chunk))), || {
            self.misplaced("its lookup table is out of order")
        })?;
        for lookup in self.rows::<LookupRow>() {
            let lookup = lookup?;
            if LookupRow::prefix_of(self.row::<ChunkRow>(lookup.chunk)?.hash) != lookup.prefix {
                return Err(self.misplaced("its lookup table points at other chunks"));
            }
        }
        Ok(())
    }

    fn misplaced(&self, detail: &str) -> StoreError {
        StoreError::damaged(&path_of(self.id()), detail)
    }

    /// Answers how long the inline pack is.
    fn check_packs(&self) -> Result<u64, StoreError> {
        ascending(self.rows::<PackRow>().map(|row| row.map(|row| row.id)), || {
            self.misplaced("its packs are out of order")
        })?;
        let (mut next, mut inline) = (0u32, 0);
        for pack in self.rows::<PackRow>() {
            let pack = pack?;
            if pack.id == PackId::HERE {
                inline = pack.stored_len;
            }
            let end = pack.first_chunk.checked_add(pack.chunk_count);
            let end = end.filter(|&end| pack.first_chunk == next && end <= self.count::<ChunkRow>());
            next = end.ok_or_else(|| self.misplaced("its packs do not own consecutive chunks"))?;
            self.check_chunks(&pack)?;
        }
        if next == self.count::<ChunkRow>() {
            Ok(inline)
        } else {
            Err(self.misplaced("it has chunks that belong to no pack"))
        }
    }

    fn check_chunks(&self, pack: &PackRow) -> Result<(), StoreError> {
        let (mut raw, mut stored) = (0u64, 0u64);
        for ordinal in pack.first_chunk..pack.first_chunk + pack.chunk_count {
            let chunk: ChunkRow = self.row(ordinal)?;
            if (chunk.raw_start, chunk.stored_start) != (raw, stored) {
                return Err(self.misplaced(&format!("chunks of pack {} do not follow each other", pack.id)));
            }
            raw += u64::from(chunk.raw_len);
            stored += u64::from(chunk.stored_len);
        }
        if (raw, stored) == (pack.raw_len, pack.stored_len) {
            Ok(())
        } else {
            Err(self.misplaced(&format!("chunks of pack {} do not add up to its length", pack.id)))
        }
    }

    fn check_files(&self) -> Result<(), StoreError> {
        ascending(self.rows::<FileRow>().map(|row| row.map(|row| row.sha256)), || {
            self.misplaced("its files are out of order")
        })?;
        let mut next = 0u32;
        for file in self.rows::<FileRow>() {
            let file = file?;
            let end = file.first_extent.checked_add(file.extent_count);
            let end = end.filter(|&end| file.first_extent == next && end <= self.count::<Extent>());
            next = end.ok_or_else(|| self.misplaced("its files do not own consecutive extents"))?;
        }
        Ok(())
    }
}

fn ascending<K: Ord>(
    keys: impl Iterator<Item = Result<K, StoreError>>,
    disorder: impl Fn() -> StoreError,
) -> Result<(), StoreError> {
    let mut last = None;
    for key in keys {
        let key = key?;
        if last.is_some_and(|last| last >= key) {
            return Err(disorder());
        }
        last = Some(key);
    }
    Ok(())
}
