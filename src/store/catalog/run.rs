//! Runs: neighbouring chunks of one pack, located once and read together.
//!
//! A reader that goes through a file asks for one chunk after the other; asking the index for each costs more than
//! copying it, and reading each on its own costs a call. Chunks that lie next to each other on disk as they are
//! (raw) are read with one call, straight to where they are wanted, and checked there. Knows packs and rows, not
//! files.

use super::{Catalog, Pack};
use crate::store::chunk;
use crate::store::error::StoreError;
use crate::store::index::{ChunkRow, Codec};

impl Catalog {
    /// The chunks of a pack from the one that holds the decoded byte at `position` on, at most `most` of them. There
    /// is at least one, and they follow each other without a gap.
    pub fn chunks_at(&self, pack: &Pack, position: u64, most: usize) -> Result<Vec<ChunkRow>, StoreError> {
        let (ordinal, first) = pack.index.chunk_at(&pack.row, position)?;
        let end = pack.row.first_chunk.saturating_add(pack.row.chunk_count);
        let count = most.min(end.saturating_sub(ordinal) as usize);
        let mut rows = pack.index.rows_at::<ChunkRow>(ordinal, u32::try_from(count).unwrap_or(1))?;
        if rows.first() != Some(&first) {
            rows = vec![first];
        }
        let follow = |pair: &[ChunkRow]| pair[1].raw_start == pair[0].raw_start + u64::from(pair[0].raw_len);
        if !rows.windows(2).all(follow) {
            return Err(StoreError::damaged(
                &pack.file(),
                "its index lists chunks that do not follow each other",
            ));
        }
        Ok(rows)
    }

    /// Fills `buffer` with the bytes of the chunks `rows`, which [`raw_run`] chose to go there; each is checked.
    /// After an error the buffer holds nothing to be relied on.
    pub fn read_run(&self, pack: &Pack, rows: &[ChunkRow], buffer: &mut [u8]) -> Result<(), StoreError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let path = pack.file();
        let file = self.pack_file(pack.row.id)?;
        file.read_exact_at(buffer, first.stored_start).map_err(StoreError::reading(&path))?;
        let mut rest = &*buffer;
        for row in rows {
            let (bytes, behind) = rest.split_at_checked(row.raw_len as usize).unwrap_or((rest, &[]));
            if chunk::hash(bytes) != row.hash {
                return Err(super::pack::failed_check(row, &path));
            }
            rest = behind;
        }
        Ok(())
    }

    /// Tells the system that a stretch of a pack's file is read soon. Best effort.
    pub fn announce(&self, pack: &Pack, stored_start: u64, len: u64) {
        if !pack.is_inline()
            && let Ok(file) = self.pack_file(pack.row.id)
        {
            file.will_need(stored_start, len);
        }
    }
}

/// The first chunks of `rows` that can be read with one call: raw, one behind the other on disk, and no longer
/// together than `room` bytes. Answers them and their length.
pub fn raw_run<'a>(pack: &Pack, rows: &'a [ChunkRow], room: usize) -> (&'a [ChunkRow], usize) {
    let (mut count, mut len) = (0, 0);
    let start = rows.first().map_or(0, |row| row.stored_start);
    for row in rows {
        let longer = len + row.raw_len as usize;
        let fits = row.codec == Codec::Raw && row.stored_start == start + len as u64 && longer <= room;
        if !fits || pack.is_inline() {
            break;
        }
        (count, len) = (count + 1, longer);
    }
    (&rows[..count], len)
}
