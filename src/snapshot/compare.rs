//! Whether two files hold the same bytes, asked of where they are stored before anything is read.
//!
//! Two versions of a large file share chunks; what is one chunk, or one place of one pack, is equal without a look at its
//! bytes. Only what is stored twice is read. Knows extents and chunks, not what the bytes mean.

use std::collections::HashSet;

use super::error::SnapshotError;
use super::file::FileReader;
use crate::store::id::ChunkHash;

/// Bytes of each file held while comparing.
const BUFFER: u64 = 128 << 10;
/// Files of more bytes than this are not asked for their chunks: the set of them would take too much memory.
const MAX_CHUNKED: u64 = 64 << 30;

/// Whether `len` bytes of `a` from `a_start` equal those of `b` from `b_start`. Both ranges must lie in their files;
/// memory does not grow with `len`, and equal chunks cost no reading.
pub fn same_bytes(
    a: &FileReader,
    a_start: u64,
    b: &FileReader,
    b_start: u64,
    len: u64,
) -> Result<bool, SnapshotError> {
    let mut done = 0;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    while done < len {
        let (here, there) = (a.place(a_start + done)?, b.place(b_start + done)?);
        let alike = if here.pack == there.pack && here.position == there.position {
            here.extent_left.min(there.extent_left)
        } else if here.hash == there.hash && here.within == there.within {
            // A chunk may be in the file in part only.
            let in_both = here.chunk_left.min(here.extent_left);
            in_both.min(there.chunk_left.min(there.extent_left))
        } else {
            0
        };
        if alike > 0 {
            done += alike;
            continue;
        }
        let n = usize::try_from(BUFFER.min(len - done)).unwrap_or(0);
        left.resize(n, 0);
        right.resize(n, 0);
        let read = (a.read_at(a_start + done, &mut left)?, b.read_at(b_start + done, &mut right)?);
        if read != (n, n) || left != right {
            return Ok(false);
        }
        done += n as u64;
    }
    Ok(true)
}

/// How many bytes of `new` are in chunks that `old` has as well; `None` when the files are too long to be asked.
pub fn shared_bytes(old: &FileReader, new: &FileReader) -> Result<Option<u64>, SnapshotError> {
    if old.size().max(new.size()) > MAX_CHUNKED {
        return Ok(None);
    }
    let mut known: HashSet<ChunkHash> = HashSet::new();
    each_chunk(old, &mut |hash, _| {
        known.insert(hash);
    })?;
    let mut shared = 0;
    each_chunk(new, &mut |hash, len| {
        if known.contains(&hash) {
            shared += len;
        }
    })?;
    Ok(Some(shared))
}

/// Visits the chunks of a file in order, with how many of its bytes are in each.
fn each_chunk(file: &FileReader, visit: &mut dyn FnMut(ChunkHash, u64)) -> Result<(), SnapshotError> {
    let mut at = 0;
    while at < file.size() {
        let place = file.place(at)?;
        let len = place.chunk_left.min(place.extent_left).max(1);
        visit(place.hash, len);
        at += len;
    }
    Ok(())
}
