//! Matches made longer: where a known run ends inside a chunk that was changed, its pack may hold the bytes up to
//! the change itself.
//!
//! Chunks find what is shared; this finds where exactly the change begins and ends. Extents are ranges of bytes, so
//! an edit of a few bytes costs those and not the chunks around them. Only bytes that were compared one by one, in
//! chunks whose hash was checked, are taken for equal. What stays new is cut where it was cut before, so that the
//! next version finds it again. Which of all this is shared in the end, `arrange` decides. Reads the spooled file and
//! packs; stores nothing.

use std::cell::Cell;
use std::ops::Range;

use super::arrange::{Atom, Spot, arrange, most_extents};
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

/// What finding all places of a chunk counts as, beside reading so many bytes.
const LOOKUP: u64 = 4 << 10;

/// What any file may be worth, in bytes that are read of packs.
const MIN_EFFORT: u64 = 16 << 20;

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
    catalog: &'a Catalog,
    spooled: &'a dyn ReadAt,
    tmp: &'a str,
    pub(super) pieces: &'a Chunks,
    /// Bytes that may still be read of packs: a file of a million small changes is not read a second time for them.
    effort: Cell<u64>,
}

impl<'a> Layout<'a> {
    /// For a file that was cut into `pieces`, of which some are in the spooled file of this temporary name.
    pub(super) fn new(
        catalog: &'a Catalog,
        (spooled, tmp): (&'a dyn ReadAt, &'a str),
        pieces: &'a Chunks,
    ) -> Self {
        let size: u64 = pieces.iter().map(|piece| u64::from(piece.raw_len)).sum();
        Self { catalog, spooled, tmp, pieces, effort: Cell::new(size / 2 + MIN_EFFORT) }
    }

    /// What to store and what to share, front to back.
    pub(super) fn stretches(&self, runs: &[Run], known: &mut Known<'_>) -> Result<Vec<Stretch>, StoreError> {
        let atoms = self.extended(&self.atoms(runs, known), known)?;
        let size = atoms.iter().map(|atom| atom.len).sum();
        let choices = arrange(&atoms, most_extents(size));
        let mut stretches = Vec::new();
        let mut new: Option<(Spot, u64)> = None;
        for (atom, choice) in atoms.iter().zip(choices) {
            match (choice, atom.spot) {
                (None, Some(spot)) => new = Some((new.map_or(spot, |(first, _)| first), spot.at + atom.len)),
                (shared, _) => {
                    new.take().map_or(Ok(()), |range| self.store(range, &mut stretches))?;
                    let (pack, start) = atom.places[shared.unwrap_or(0)];
                    stretches.push(Stretch::Known(Extent { pack, start, len: atom.len }));
                }
            }
        }
        new.map_or(Ok(()), |range| self.store(range, &mut stretches))?;
        Ok(stretches)
    }

    /// The runs of a file; where a short one lies in several packs, stretches that are in the same ones.
    fn atoms(&self, runs: &[Run], known: &mut Known<'_>) -> Vec<Atom> {
        let mut atoms: Vec<Atom> = Vec::new();
        for run in runs {
            let Some((pack, start)) = run.known.filter(|_| !run.is_long()) else {
                let spot = Spot { at: run.spooled, piece: run.pieces.start, piece_at: run.spooled };
                let spot = run.known.is_none().then_some(spot);
                atoms.push(Atom { len: run.len, places: run.known.into_iter().collect(), spot });
                continue;
            };
            let (first, mut into) = (atoms.len(), 0);
            for (piece, row) in run.pieces.clone().zip(self.pieces.range(run.pieces.clone())) {
                let mut places = vec![(pack, start + into)];
                if self.spend(LOOKUP) {
                    let others = known.places(row.hash, row.raw_len);
                    places.extend(others.into_iter().filter(|&other| other != (pack, start + into)));
                }
                let (at, len) = (run.spooled + into, u64::from(row.raw_len));
                match atoms[first..].last_mut() {
                    Some(last) if ends(last) == places => last.len += len,
                    _ => atoms.push(Atom { len, places, spot: Some(Spot { at, piece, piece_at: at }) }),
                }
                into += len;
            }
        }
        atoms
    }

    /// The same, with what is not known taken apart: into what goes on as its neighbours do, and the rest.
    fn extended(&self, atoms: &[Atom], known: &mut Known<'_>) -> Result<Vec<Atom>, StoreError> {
        let mut found = Vec::with_capacity(atoms.len());
        for (at, atom) in atoms.iter().enumerate() {
            let (Some(spot), true) = (atom.spot, atom.places.is_empty()) else {
                found.push(atom.clone());
                continue;
            };
            let before = at.checked_sub(1).map(|before| ends(&atoms[before])).unwrap_or_default();
            let after = atoms.get(at + 1).map(|after| after.places.as_slice()).unwrap_or_default();
            self.extend(spot, atom.len, (&before, after), known, &mut found)?;
        }
        Ok(found)
    }

    /// Takes one stretch apart that lies between these places.
    fn extend(
        &self,
        spot: Spot,
        len: u64,
        (before, after): (&[Place], &[Place]),
        known: &mut Known<'_>,
        found: &mut Vec<Atom>,
    ) -> Result<(), StoreError> {
        let (first, end) = (spot.at, spot.at + len);
        let (mut head, mut tail) = ((0, None), (0, None));
        for &place in before {
            let same = self.head(first..end, place)?;
            head = if same > head.0 { (same, Some(place)) } else { head };
        }
        for &(pack, start) in after {
            let same = self.tail(first + head.0..end, (pack, start))?;
            tail = if same > tail.0 { (same, Some((pack, start - same))) } else { tail };
        }
        let kept = first + head.0..end - tail.0;
        let mut spot = spot;
        let mut push = |spot: Spot, end: u64, places: Vec<Place>| match found.last_mut() {
            Some(last) if places.is_empty() && last.places.is_empty() && last.spot.is_some() => {
                last.len += end - spot.at;
            }
            _ if end > spot.at => found.push(Atom { len: end - spot.at, places, spot: Some(spot) }),
            _ => {}
        };
        push(spot, kept.start, head.1.into_iter().collect());
        let mut at = spot.piece_at;
        for (piece, row) in (spot.piece..).zip(self.pieces.range(spot.piece..self.pieces.len())) {
            let whole = at..at + u64::from(row.raw_len);
            at = whole.end;
            let part = whole.start.max(kept.start)..whole.end.min(kept.end);
            let here = Spot { at: part.start, piece, piece_at: whole.start };
            if part == whole {
                push(here, part.end, Vec::new());
            } else if part.start < part.end {
                // An earlier version may have left it over in the same way.
                let hash = chunk::hash(&self.read(part.clone())?);
                push(here, part.end, known.places(hash, length(&part)));
            }
            if kept.end < whole.end || whole.end >= end {
                spot = Spot { at: kept.end, piece, piece_at: whole.start };
                break;
            }
        }
        push(spot, end, tail.1.into_iter().collect());
        Ok(())
    }

    /// Stores this range of the spooled file, in the chunks it was cut into.
    fn store(&self, (spot, end): (Spot, u64), stretches: &mut Vec<Stretch>) -> Result<(), StoreError> {
        let mut at = spot.piece_at;
        for (ordinal, piece) in (spot.piece..).zip(self.pieces.range(spot.piece..self.pieces.len())) {
            if at >= end {
                break;
            }
            let whole = at..at + u64::from(piece.raw_len);
            at = whole.end;
            let part = whole.start.max(spot.at)..whole.end.min(end);
            if part == whole {
                push_piece(stretches, ordinal, part.start);
            } else {
                let hash = chunk::hash(&self.read(part.clone())?);
                stretches.push(Stretch::Part { hash, at: part.start, len: length(&part) });
            }
        }
        Ok(())
    }

    /// How many of these spooled bytes, from their front, go on as the pack does at `place`.
    fn head(&self, spooled: Range<u64>, place: Place) -> Result<u64, StoreError> {
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
    fn tail(&self, spooled: Range<u64>, place: Place) -> Result<u64, StoreError> {
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
    fn pack_at(&self, (id, start): Place) -> Option<(Pack, u64)> {
        let pack = self.catalog.pack(id).ok().flatten()?;
        Some((pack, start))
    }

    /// The chunk that holds the decoded byte at `position`: where it starts, and its bytes. What cannot be read is not
    /// shared, and stored again instead.
    fn chunk_of(&self, pack: &Pack, position: u64) -> Option<(u64, Vec<u8>)> {
        let row = self.catalog.chunk_at(pack, position).ok()?;
        if !self.spend(u64::from(row.raw_len)) {
            return None;
        }
        let bytes = self.catalog.read_chunk(pack, &row).ok()?;
        Some((row.raw_start, bytes))
    }

    /// Whether there is effort left, which this takes off.
    fn spend(&self, effort: u64) -> bool {
        let left = self.effort.get().checked_sub(effort);
        self.effort.set(left.unwrap_or(0));
        left.is_some()
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

/// The places after an atom.
fn ends(atom: &Atom) -> Vec<Place> {
    atom.places.iter().map(|&(pack, start)| (pack, start + atom.len)).collect()
}

fn length(part: &Range<u64>) -> u32 {
    u32::try_from(part.end - part.start).expect("a part of a chunk is at most 128 KiB")
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("within one chunk")
}
