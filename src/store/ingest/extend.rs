//! Matches made longer: where a known run ends inside a chunk that was changed, its pack may hold the bytes up to
//! the change itself.
//!
//! Chunks find what is shared; this finds where exactly the change begins and ends. Extents are ranges of bytes, so
//! an edit of a few bytes costs those and not the chunks around them. Only bytes that were compared one by one, in
//! chunks whose hash was checked, are taken for equal. What stays new is cut where it was cut before, so that the
//! next version finds it again. Reads the spooled file and packs; stores nothing.

use std::ops::Range;

use super::known::{Known, Place};
use super::spool::Run;
use crate::store::catalog::{Catalog, Pack};
use crate::store::chunk;
use crate::store::error::StoreError;
use crate::store::id::ChunkHash;
use crate::store::index::Extent;
use crate::store::index::draft::Chunks;
use crate::store::media::ReadAt;

/// Less than this is not worth leaving the cut points that content chose.
const WORTH_MOVING: u64 = 4 << 10;

/// A stretch of a file as it will be stored.
#[derive(Debug)]
pub(super) enum Stretch {
    /// Bytes that are there.
    Known(Extent),
    /// Chunks to be stored, from this place in the spooled file on.
    Pieces { pieces: Range<usize>, at: u64 },
    /// Part of a chunk to be stored, from this place in the spooled file.
    Part { hash: ChunkHash, at: u64, len: u32 },
}

/// A large file that was spooled because much of it is known.
pub(super) struct Layout<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) spooled: &'a dyn ReadAt,
    pub(super) tmp: &'a str,
    pub(super) pieces: &'a Chunks,
}

impl Layout<'_> {
    /// What to store and what to share, front to back.
    pub(super) fn stretches(&self, runs: &[Run], known: &mut Known<'_>) -> Result<Vec<Stretch>, StoreError> {
        let mut stretches = Vec::new();
        let mut at = 0;
        while let Some(run) = runs.get(at) {
            if let Some((pack, start)) = run.known {
                stretches.push(Stretch::Known(Extent { pack, start, len: run.len }));
                at += 1;
                continue;
            }
            let new = runs[at..].iter().take_while(|run| run.known.is_none()).count();
            let pieces = run.pieces.start..runs[at + new - 1].pieces.end;
            // They lie one after the other in the spooled file: none between was left out.
            let spooled =
                run.spooled..run.spooled + runs[at..at + new].iter().map(|run| run.len).sum::<u64>();
            let before = at.checked_sub(1).and_then(|before| end_of(&runs[before]));
            let after = runs.get(at + new).and_then(|run| run.known);
            self.new_stretches(pieces, spooled, (before, after), known, &mut stretches)?;
            at += new;
        }
        Ok(stretches)
    }

    /// Stores these consecutive pieces, but for what continues the runs beside them.
    fn new_stretches(
        &self,
        pieces: Range<usize>,
        spooled: Range<u64>,
        (before, after): (Option<Place>, Option<Place>),
        known: &mut Known<'_>,
        stretches: &mut Vec<Stretch>,
    ) -> Result<(), StoreError> {
        let (first, end) = (spooled.start, spooled.end);
        let head = self.head(first..end, before)?;
        let tail = self.tail(first + head..end, after)?;
        if let (Some((pack, start)), 1..) = (before, head) {
            stretches.push(Stretch::Known(Extent { pack, start, len: head }));
        }
        let kept = first + head..end - tail;
        let mut at = first;
        for (ordinal, piece) in pieces.clone().zip(self.pieces.range(pieces)) {
            let whole = at..at + u64::from(piece.raw_len);
            at = whole.end;
            let part = whole.start.max(kept.start)..whole.end.min(kept.end);
            if part == whole {
                push_piece(stretches, ordinal, part.start);
            } else if part.start < part.end {
                stretches.push(self.part(part, known)?);
            }
        }
        if let (Some((pack, start)), 1..) = (after, tail) {
            stretches.push(Stretch::Known(Extent { pack, start: start - tail, len: tail }));
        }
        Ok(())
    }

    /// Part of a chunk, which an earlier version may have left over in the same way.
    fn part(&self, part: Range<u64>, known: &mut Known<'_>) -> Result<Stretch, StoreError> {
        let bytes = self.read(part.clone())?;
        let hash = chunk::hash(&bytes);
        let len = u32::try_from(bytes.len()).expect("a part of a chunk is at most 128 KiB");
        Ok(match known.find(hash, len) {
            Some((pack, start)) => Stretch::Known(Extent { pack, start, len: u64::from(len) }),
            None => Stretch::Part { hash, at: part.start, len },
        })
    }

    /// How many of these spooled bytes, from their front, go on as the pack does at `place`.
    fn head(&self, spooled: Range<u64>, place: Option<Place>) -> Result<u64, StoreError> {
        let Some((pack, start)) = self.pack_at(place) else { return Ok(0) };
        let mut same = 0;
        while same < spooled.end - spooled.start && start + same < pack.row.raw_len {
            let at = start + same;
            let Some((chunk_start, bytes)) = self.chunk_of(&pack, at) else { break };
            let theirs = &bytes[index(at - chunk_start)..];
            let len = (theirs.len() as u64).min(spooled.end - spooled.start - same);
            let ours = self.read(spooled.start + same..spooled.start + same + len)?;
            let equal = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count() as u64;
            same += equal;
            if equal < len {
                break;
            }
        }
        Ok(if same < WORTH_MOVING { 0 } else { same })
    }

    /// How many of these spooled bytes, from their end, are what the pack holds before `place`.
    fn tail(&self, spooled: Range<u64>, place: Option<Place>) -> Result<u64, StoreError> {
        let Some((pack, start)) = self.pack_at(place) else { return Ok(0) };
        let mut same = 0;
        while same < spooled.end - spooled.start && same < start {
            let at = start - same;
            let Some((chunk_start, bytes)) = self.chunk_of(&pack, at - 1) else { break };
            let theirs = &bytes[..index(at - chunk_start)];
            let len = (theirs.len() as u64).min(spooled.end - spooled.start - same);
            let ours = self.read(spooled.end - same - len..spooled.end - same)?;
            let pairs = ours.iter().rev().zip(theirs.iter().rev());
            let equal = pairs.take_while(|(ours, theirs)| ours == theirs).count() as u64;
            same += equal;
            if equal < len {
                break;
            }
        }
        Ok(if same < WORTH_MOVING { 0 } else { same })
    }

    /// The pack of a place, if it is published: those of the same transaction are not.
    fn pack_at(&self, place: Option<Place>) -> Option<(Pack, u64)> {
        let (id, start) = place?;
        let pack = self.catalog.pack(id).ok().flatten()?;
        Some((pack, start))
    }

    /// The chunk that holds the decoded byte at `position`: where it starts, and its bytes. What cannot be read is not
    /// shared, and stored again instead.
    fn chunk_of(&self, pack: &Pack, position: u64) -> Option<(u64, Vec<u8>)> {
        let row = self.catalog.chunk_at(pack, position).ok()?;
        let bytes = self.catalog.read_chunk(pack, &row).ok()?;
        Some((row.raw_start, bytes))
    }

    /// Bytes of the spooled file.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; index(range.end - range.start)];
        self.spooled.read_exact_at(&mut bytes, range.start).map_err(StoreError::reading(self.tmp))?;
        Ok(bytes)
    }
}

/// Adds a chunk that is stored from `at` in the spooled file.
fn push_piece(stretches: &mut Vec<Stretch>, ordinal: usize, at: u64) {
    match stretches.last_mut() {
        Some(Stretch::Pieces { pieces, .. }) if pieces.end == ordinal => pieces.end += 1,
        _ => stretches.push(Stretch::Pieces { pieces: ordinal..ordinal + 1, at }),
    }
}

/// The place after a known run.
fn end_of(run: &Run) -> Option<Place> {
    run.known.map(|(pack, start)| (pack, start + run.len))
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("within one chunk")
}
