//! Reading a long stretch of a file at the speed of its medium: many chunks in one read, each of them still checked.
//!
//! For what reads once and front to back, such as a download; what jumps about goes through the chunk cache instead.
//! Knows extents, packs and chunks, as the catalog does; not what the bytes are for.

use std::ops::Range;

use super::catalog::{Catalog, FileRecord, Pack};
use super::chunk;
use super::error::StoreError;
use super::index::{ChunkRow, Codec};
use super::pack;

/// Bytes read at a time.
const RUN: u64 = 1 << 20;

/// Neighbouring chunks that are stored raw, one after the other.
struct RawRun {
    rows: Vec<ChunkRow>,
    len: u64,
}

impl RawRun {
    fn takes(&self, row: &ChunkRow) -> bool {
        let raw = row.codec == Codec::Raw && row.raw_len == row.stored_len;
        let follows = self.rows.last().is_none_or(|last| {
            last.stored_start + u64::from(last.stored_len) == row.stored_start
                && last.raw_start + u64::from(last.raw_len) == row.raw_start
        });
        raw && follows && self.len + u64::from(row.raw_len) <= RUN
    }

    fn push(&mut self, row: ChunkRow) {
        self.len += u64::from(row.raw_len);
        self.rows.push(row);
    }
}

impl Catalog {
    /// Hands over the bytes of a file in `span` (clipped to the file) in order, each run with the position in the file
    /// at which it starts. Every chunk is checked before any byte of it is handed over. Ends early when `each` answers
    /// `false`.
    pub fn read_span(
        &self,
        file: &FileRecord,
        span: Range<u64>,
        each: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut buffer = Vec::new();
        let mut start = 0;
        for extent in &file.extents {
            let end = start + extent.len;
            let (from, to) = (span.start.max(start), span.end.min(end));
            if from < to {
                let pack = self.pack_of(file, extent)?;
                let shift = |position: u64| position - start + extent.start;
                let wanted = shift(from)..shift(to);
                let mut hand = |position: u64, bytes: &[u8]| each(position - extent.start + start, bytes);
                if !self.read_pack_span(&pack, wanted, &mut buffer, &mut hand)? {
                    return Ok(());
                }
            }
            start = end;
        }
        Ok(())
    }

    /// The same for decoded positions of a pack; `false` when it ended early.
    fn read_pack_span(
        &self,
        pack: &Pack,
        wanted: Range<u64>,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<bool, StoreError> {
        let (mut ordinal, mut row) = pack.index.chunk_at(&pack.row, wanted.start)?;
        let last = pack.row.first_chunk.saturating_add(pack.row.chunk_count);
        let mut at = wanted.start;
        let mut hand = |at: &mut u64, start: u64, bytes: &[u8]| {
            let skip = usize::try_from(*at - start).unwrap_or(usize::MAX);
            let end = usize::try_from(wanted.end - start).unwrap_or(usize::MAX).min(bytes.len());
            let bytes = bytes.get(skip..end).filter(|bytes| !bytes.is_empty())?;
            let from = *at;
            *at += bytes.len() as u64;
            Some(each(from, bytes))
        };
        loop {
            let start = row.raw_start;
            let mut run = RawRun { rows: Vec::new(), len: 0 };
            let mut next = Some(row);
            while let Some(row) = next.take_if(|row| !pack.is_inline() && run.takes(row)) {
                let end = row.raw_start + u64::from(row.raw_len);
                run.push(row);
                ordinal += 1;
                next = if end < wanted.end && ordinal < last { Some(pack.index.row(ordinal)?) } else { None };
            }
            let handed = if run.rows.is_empty() {
                let Some(row) = next else { return Err(gap(pack)) };
                ordinal += 1;
                next = if ordinal < last { Some(pack.index.row(ordinal)?) } else { None };
                hand(&mut at, start, &self.read_chunk(pack, &row)?)
            } else {
                self.read_raw(pack, &run, buffer)?;
                hand(&mut at, start, buffer)
            };
            if !handed.ok_or_else(|| gap(pack))? {
                return Ok(false);
            }
            if at >= wanted.end {
                return Ok(true);
            }
            row = next.filter(|row| row.raw_start == at).ok_or_else(|| gap(pack))?;
        }
    }

    /// Reads and checks a run of raw chunks.
    fn read_raw(&self, pack: &Pack, run: &RawRun, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let path = pack.file();
        buffer.resize(usize::try_from(run.len).unwrap_or(usize::MAX), 0);
        let first = run.rows.first().map_or(0, |row| row.stored_start);
        self.pack_file(pack.row.id)?.read_exact_at(buffer, first).map_err(StoreError::reading(&path))?;
        let mut rest = buffer.as_slice();
        for row in &run.rows {
            let (raw, after) = rest.split_at_checked(row.raw_len as usize).ok_or_else(|| gap(pack))?;
            if chunk::hash(raw) != row.hash {
                return Err(pack::failed_check(row, &path));
            }
            rest = after;
        }
        Ok(())
    }
}

fn gap(pack: &Pack) -> StoreError {
    StoreError::Damaged { file: pack.file(), detail: "its chunks do not follow each other".to_owned() }
}
