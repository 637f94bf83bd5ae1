//! Runs: neighbouring chunks of one pack, located once and read together.
//!
//! A reader that goes through a file asks for one chunk after the other; asking the index for each costs more than
//! copying it, and reading each on its own costs a call. Chunks that lie next to each other on disk as they are
//! (raw) are read a few with one call, straight to where they are wanted, and checked there. Knows packs and rows, not
//! files.

use super::{Catalog, Pack};
use crate::store::chunk;
use crate::store::error::StoreError;
use crate::store::index::{ChunkRow, Codec};
use crate::store::pack;

/// Bytes read with one call and then checked: what is still near the processor by then.
const PIECE: usize = 256 << 10;

impl Catalog {
    /// The chunks of a pack from the one that holds the decoded byte at `position` on, at most `most` of them. There
    /// is at least one, and they follow each other without a gap.
    pub fn chunks_at(&self, pack: &Pack, position: u64, most: usize) -> Result<Vec<ChunkRow>, StoreError> {
        Ok(numbered_chunks_at(pack, position, most)?.1)
    }

    /// Fills `buffer` with the bytes of the chunks `rows`, which [`raw_run`] chose to go there; each is checked.
    /// After an error the buffer holds nothing to be relied on.
    pub fn read_run(&self, pack: &Pack, rows: &[ChunkRow], buffer: &mut [u8]) -> Result<(), StoreError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let file = self.pack_file(pack.row.id)?;
        let (mut rows, mut rest, mut at) = (rows, buffer, first.stored_start);
        while !rows.is_empty() {
            let (piece, behind) = rows.split_at(piece_of(rows));
            let len = piece.iter().map(|row| row.raw_len as usize).sum::<usize>().min(rest.len());
            let (bytes, left) = rest.split_at_mut(len);
            file.read_exact_at(bytes, at).map_err(|error| StoreError::reading(&pack.file())(error))?;
            check_each(pack, piece, bytes)?;
            (rows, rest, at) = (behind, left, at + len as u64);
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

/// As [`Catalog::chunks_at`], with the number of the first one in the index that describes the pack.
pub(super) fn numbered_chunks_at(
    pack: &Pack,
    position: u64,
    most: usize,
) -> Result<(u32, Vec<ChunkRow>), StoreError> {
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
    Ok((ordinal, rows))
}

/// How many of `rows` are read with one call: as many as fit [`PIECE`], and at least one.
fn piece_of(rows: &[ChunkRow]) -> usize {
    let mut len = 0;
    let fits = |row: &&ChunkRow| {
        len += row.raw_len as usize;
        len <= PIECE
    };
    rows.iter().take_while(fits).count().max(1)
}

/// Checks chunks that lie one behind the other in `bytes`.
fn check_each(pack: &Pack, rows: &[ChunkRow], bytes: &[u8]) -> Result<(), StoreError> {
    let mut rest = bytes;
    for row in rows {
        let (bytes, behind) = rest.split_at_checked(row.raw_len as usize).unwrap_or((rest, &[]));
        if chunk::hash(bytes) != row.hash {
            return Err(pack::failed_check(row, &pack.file()));
        }
        rest = behind;
    }
    Ok(())
}

/// The first chunks of `rows` that can be read as one run: raw, one behind the other on disk, and no longer
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
