//! Finding rows by key: keys are hashes or random, so a search guesses by interpolation and is done after a few
//! rows.
//!
//! What is read comes from checked blocks; how those are had is `read`'s business.

use std::marker::PhantomData;

use super::format::{BLOCK, Row};
use super::read::{Block, Index};
use crate::store::error::StoreError;

/// Most bytes of a row.
const ROW: usize = 64;

/// Reads of one search: the block that was read last stays at hand, so that its neighbours cost no lookup.
#[derive(Debug)]
pub(super) struct Cursor<'i> {
    index: &'i Index,
    held: Option<(u32, Block)>,
    /// A row that lies in two blocks, put together.
    joined: [u8; ROW],
}

impl<'i> Cursor<'i> {
    pub(super) fn new(index: &'i Index) -> Self {
        Self { index, held: None, joined: [0; ROW] }
    }

    fn block(&mut self, number: u32) -> Result<&[u8], StoreError> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != number) {
            self.held = Some((number, self.index.block(number)?));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, block)| block.as_slice()))
    }

    /// The bytes of a block from an offset to the block's end; there is at least one.
    fn from(&mut self, offset: u64) -> Result<&[u8], StoreError> {
        let index = self.index;
        let out_of_range = || index.damaged("an offset is out of range");
        let number = u32::try_from(offset / BLOCK as u64).map_err(|_| out_of_range())?;
        let within = usize::try_from(offset % BLOCK as u64).unwrap_or(0);
        let from = self.block(number)?.get(within..).filter(|from| !from.is_empty());
        from.ok_or_else(out_of_range)
    }

    pub(super) fn read(&mut self, mut offset: u64, mut out: &mut [u8]) -> Result<(), StoreError> {
        while !out.is_empty() {
            let from = self.from(offset)?;
            let n = from.len().min(out.len());
            out[..n].copy_from_slice(&from[..n]);
            out = &mut out[n..];
            offset += n as u64;
        }
        Ok(())
    }

    /// The bytes of the row at an ordinal of the table, where they are when one block has them all.
    fn bytes<R: Row>(&mut self, ordinal: u32) -> Result<&[u8], StoreError> {
        let offset = self.index.section(R::TABLE).0 + u64::from(ordinal) * R::LEN as u64;
        if offset % BLOCK as u64 + R::LEN as u64 <= BLOCK as u64 {
            let index = self.index;
            let row = self.from(offset)?.get(..R::LEN);
            return row.ok_or_else(|| index.damaged("an offset is out of range"));
        }
        let mut joined = [0; ROW];
        self.read(offset, &mut joined[..R::LEN])?;
        self.joined = joined;
        Ok(&self.joined[..R::LEN])
    }

    pub(super) fn row<R: Row>(&mut self, ordinal: u32) -> Result<R, StoreError> {
        let index = self.index;
        if ordinal >= index.count::<R>() {
            return Err(
                index.damaged(format!("it points at row {ordinal} of {:?}, which is not there", R::TABLE))
            );
        }
        R::decode(self.bytes::<R>(ordinal)?)
            .ok_or_else(|| index.damaged(format!("row {ordinal} of {:?} has no meaning", R::TABLE)))
    }

    /// The first `len` bytes of a row.
    fn key<R: Row>(&mut self, ordinal: u32, len: usize) -> Result<&[u8], StoreError> {
        Ok(&self.bytes::<R>(ordinal)?[..len.min(R::LEN)])
    }

    /// First row whose leading bytes are not below `key`. `from` is a row that cannot be after it, and the leading
    /// bytes of that row.
    pub(super) fn lower_bound<R: Row>(&mut self, key: &[u8], from: (u32, u64)) -> Result<u32, StoreError> {
        let ((mut low, mut low_key), mut high, mut high_key) = (from, self.index.count::<R>(), u64::MAX);
        let wanted = leading(key);
        let mut guesses = 0;
        while low < high {
            // Interpolation finds hashes in a few steps; bisection bounds the work on keys that are no hashes.
            let middle = if guesses < 8 {
                interpolate(low, high, low_key, high_key, wanted)
            } else {
                low + (high - low) / 2
            };
            guesses += 1;
            let found = self.key::<R>(middle, key.len())?;
            if found < key {
                low = middle + 1;
                low_key = leading(found);
            } else {
                high = middle;
                high_key = leading(found);
            }
        }
        Ok(low)
    }
}

/// How many rows after the last one found are looked at before guessing.
const NEXT: u32 = 6;

/// Finds rows of one table by their leading bytes. A search for a key above the last one starts at that.
#[derive(Debug)]
pub struct Finder<'i, R> {
    cursor: Cursor<'i>,
    /// Where the last key is or would be, and its leading bytes.
    last: (u32, u64),
    rows: PhantomData<R>,
}

impl<'i, R: Row> Finder<'i, R> {
    pub(super) fn new(index: &'i Index) -> Self {
        Self { cursor: Cursor::new(index), last: (0, 0), rows: PhantomData }
    }

    /// The row that begins with `key`, if there is one.
    pub fn find(&mut self, key: &[u8]) -> Result<Option<R>, StoreError> {
        Ok(self.locate(key)?.map(|(_, row)| row))
    }

    /// The same with its ordinal.
    pub fn locate(&mut self, key: &[u8]) -> Result<Option<(u32, R)>, StoreError> {
        let wanted = leading(key);
        // Of equal leading bytes the rest may be lower: only a higher key is known to come later.
        let from = if wanted > self.last.1 { self.last } else { (0, 0) };
        let at = self.lower_bound(key, from)?;
        self.last = (at, wanted);
        if at >= self.cursor.index.count::<R>() || self.cursor.key::<R>(at, key.len())? != key {
            return Ok(None);
        }
        Ok(Some((at, self.cursor.row(at)?)))
    }

    /// As [`Cursor::lower_bound`]. Keys that are asked for in order tend to be next to each other: the first few rows
    /// are looked at one by one.
    fn lower_bound(&mut self, key: &[u8], mut from: (u32, u64)) -> Result<u32, StoreError> {
        let end = self.cursor.index.count::<R>().min(from.0.saturating_add(NEXT));
        if from.0 > 0 {
            while from.0 < end {
                let found = self.cursor.key::<R>(from.0, key.len())?;
                if found >= key {
                    return Ok(from.0);
                }
                from = (from.0 + 1, leading(found));
            }
        }
        self.cursor.lower_bound::<R>(key, from)
    }
}

fn leading(key: &[u8]) -> u64 {
    key.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Where between `low` and `high` (exclusive) a key should lie if keys were spread evenly.
pub(super) fn interpolate(low: u32, high: u32, low_key: u64, high_key: u64, key: u64) -> u32 {
    let (span, into) = (high_key.saturating_sub(low_key), key.saturating_sub(low_key));
    // The upper 32 bits of the span are precise enough, and then nothing overflows.
    let shift = (u64::BITS - span.leading_zeros()).saturating_sub(u32::BITS);
    let into = (into >> shift).min(span >> shift) * u64::from(high - low) / ((span >> shift) + 1);
    low + u32::try_from(into).unwrap_or(u32::MAX).min(high - low - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_guess_is_inside(low in any::<u32>(), rows in 1..=u32::MAX, keys in any::<[u64; 3]>()) {
            let high = low.saturating_add(rows);
            prop_assume!(low < high);
            let guess = interpolate(low, high, keys[0].min(keys[1]), keys[0].max(keys[1]), keys[2]);
            prop_assert!((low..high).contains(&guess));
        }
    }

    #[test]
    fn evenly_spread_keys_are_guessed_right() {
        for shift in [0, 10, 40] {
            let step = (u64::MAX >> shift) / 1000;
            for row in 0..1000_u32 {
                let guess = interpolate(0, 1000, 0, u64::MAX >> shift, u64::from(row) * step + step / 2);
                assert!(guess.abs_diff(row) <= 1, "{guess} for {row}");
            }
        }
    }
}
