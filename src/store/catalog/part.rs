//! Parts of raw chunks: read for somebody who goes here and there, and checked without reading all of the chunk each time.
//!
//! The first read of a part reads its whole chunk and checks that; what it leaves is the chunk's [`Proof`], with which
//! later reads take and check only the part. Nothing is believed because it was right earlier: every byte handed out
//! was hashed on its way. Who keeps proofs, and for how long, is the caller's business.

use std::cell::RefCell;
use std::ops::Range;

use super::{Catalog, Pack};
use crate::store::error::StoreError;
use crate::store::index::{ChunkRow, Codec};
use crate::store::pack;
use crate::store::proof::Proof;

thread_local! {
    /// One chunk at a time; kept, since fresh memory costs more than reading into it.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Catalog {
    /// Whether parts of a chunk can be read by themselves: it is stored as it is, in a file of chunks.
    pub fn has_parts(pack: &Pack, row: &ChunkRow) -> bool {
        row.codec == Codec::Raw && !pack.is_inline()
    }

    /// Fills `out` from `start` of a chunk that [has parts](Self::has_parts). All of the chunk is read and checked; its
    /// proof is the answer.
    pub fn prove_chunk(
        &self,
        pack: &Pack,
        row: &ChunkRow,
        start: usize,
        out: &mut [u8],
    ) -> Result<Proof, StoreError> {
        self.with_stored(pack, row, 0..row.raw_len as usize, |chunk| {
            let proof = Proof::of(chunk, row.hash)?;
            out.copy_from_slice(chunk.get(start..start.checked_add(out.len())?)?);
            Some(proof)
        })
    }

    /// Fills `out` from `start` of a chunk whose proof is known. Only what holds the part is read and checked.
    pub fn read_part(
        &self,
        pack: &Pack,
        row: &ChunkRow,
        proof: &Proof,
        start: usize,
        out: &mut [u8],
    ) -> Result<(), StoreError> {
        let part = proof.around(&(start..start.saturating_add(out.len())));
        let skip = start.saturating_sub(part.start);
        self.with_stored(pack, row, part.clone(), |bytes| {
            let wanted = bytes.get(skip..skip.checked_add(out.len())?)?;
            proof.holds(part.start, bytes).then(|| out.copy_from_slice(wanted))
        })
    }

    /// Calls `check` with a part of a chunk as it is stored; `None` from it means that the chunk is damaged.
    fn with_stored<T>(
        &self,
        pack: &Pack,
        row: &ChunkRow,
        part: Range<usize>,
        check: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, StoreError> {
        let file = self.pack_file(pack.row.id)?;
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.len() < part.len() {
                scratch.resize(part.len(), 0);
            }
            let bytes = &mut scratch[..part.len()];
            let at = row.stored_start + part.start as u64;
            file.read_exact_at(bytes, at).map_err(|error| StoreError::reading(&pack.file())(error))?;
            check(bytes).ok_or_else(|| pack::failed_check(row, &pack.file()))
        })
    }
}
