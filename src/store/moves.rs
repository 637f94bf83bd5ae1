//! Where chunks went that were put into other packs, and what a file's extents are after that.
//!
//! Chunks that stay neighbours are one run, so that extents stay as long as they were. Knows places, not why anything
//! moved; reads and writes nothing.

use std::collections::HashMap;

use super::id::PackId;
use super::index::{ChunkRow, Extent};

/// A run of decoded bytes that moved together.
#[derive(Debug)]
struct Run {
    start: u64,
    end: u64,
    pack: PackId,
    to: u64,
}

/// The pack a chunk was in; for one inside an index that index's number, 0 otherwise.
pub(super) type Place = (PackId, usize);

/// The place of an extent of a file that index number `at` describes.
pub(super) fn place_of(extent: &Extent, at: usize) -> Place {
    (extent.pack, if extent.pack == PackId::HERE { at } else { 0 })
}

/// Where chunks went, by the place they were in.
#[derive(Debug, Default)]
pub(super) struct Moves(HashMap<Place, Vec<Run>>);

impl Moves {
    /// Notes that nothing stays in a place, whether anything of it moves or not.
    pub(super) fn leave(&mut self, from: Place) {
        self.0.entry(from).or_default();
    }

    /// Notes where a chunk went. Those of one place come in ascending order, or [`Moves::sort`] is called at the end.
    pub(super) fn note(&mut self, from: Place, row: &ChunkRow, (pack, to): (PackId, u64)) {
        let (start, end) = (row.raw_start, row.raw_start + u64::from(row.raw_len));
        let runs = self.0.entry(from).or_default();
        match runs.last_mut() {
            Some(last)
                if last.end == start && last.pack == pack && last.to + (last.end - last.start) == to =>
            {
                last.end = end;
            }
            _ => runs.push(Run { start, end, pack, to }),
        }
    }

    /// Puts what was noted out of order into order.
    pub(super) fn sort(&mut self) {
        self.0.values_mut().for_each(|runs| runs.sort_unstable_by_key(|run| run.start));
    }

    /// The extents that now say what `extents` said in index number `at`; `None` when they lie in chunks that did not
    /// move though their place was left.
    pub(super) fn translate(&self, at: usize, extents: &[Extent]) -> Option<Vec<Extent>> {
        let mut said: Vec<Extent> = Vec::with_capacity(extents.len());
        for extent in extents {
            for moved in self.translate_one(place_of(extent, at), extent)? {
                match said.last_mut() {
                    Some(last) if last.pack == moved.pack && last.start + last.len == moved.start => {
                        last.len += moved.len;
                    }
                    _ => said.push(moved),
                }
            }
        }
        Some(said)
    }

    fn translate_one(&self, from: Place, extent: &Extent) -> Option<Vec<Extent>> {
        let Some(runs) = self.0.get(&from) else { return Some(vec![*extent]) };
        let (mut at, end) = (extent.start, extent.start + extent.len);
        let mut next = runs.partition_point(|run| run.end <= at);
        let mut found = Vec::new();
        while at < end {
            let run = runs.get(next).filter(|run| run.start <= at)?;
            let stop = run.end.min(end);
            found.push(Extent { pack: run.pack, start: run.to + (at - run.start), len: stop - at });
            (at, next) = (stop, next + 1);
        }
        Some(found)
    }
}
