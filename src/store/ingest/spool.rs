//! What of a large file is written while it is read, and how it is laid out in the end.
//!
//! Nobody knows before its last byte whether a file will be kept whole or in pieces. So it is written as if
//! whole until so much of it is known that it cannot be; from there on only what the vault lacks is written.
//! Not written at all is a known run that is long enough to be used: an edited file costs its changes, and at
//! most a tenth of itself. Knows one temporary file, not who reads or what becomes of it.

use std::io::Write as _;
use std::ops::Range;

use super::known::Place;
use super::pipeline::Part;
use super::{MIN_RUN, SHORT_RUN, WORTH_SHARING};
use crate::store::error::StoreError;
use crate::store::id::ChunkHash;
use crate::store::index::Codec;
use crate::store::index::draft::Chunks;
use crate::store::media::Sink;

/// A chunk with its bytes, as they lie in the buffers they were read into.
pub(super) struct Cut {
    pub(super) hash: ChunkHash,
    pub(super) len: u32,
    pub(super) known: Option<Place>,
    pub(super) parts: Vec<Part>,
}

/// Consecutive chunks that are known in one place, one behind the other, or not at all.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) pieces: Range<usize>,
    pub(super) known: Option<Place>,
    pub(super) len: u64,
    /// Where its bytes are in the spooled file; without meaning for a long run, which need not be there.
    pub(super) spooled: u64,
}

impl Run {
    pub(super) fn of(at: usize, known: Option<Place>, spooled: u64) -> Self {
        Self { pieces: at..at, known, len: 0, spooled }
    }

    pub(super) fn goes_on_with(&self, known: Option<Place>) -> bool {
        match (self.known, known) {
            (Some((pack, start)), Some(next)) => (pack, start + self.len) == next,
            (run, next) => run.is_none() && next.is_none(),
        }
    }

    pub(super) fn push(&mut self, len: u32) {
        self.pieces.end += 1;
        self.len += u64::from(len);
    }

    /// Whether it is used from where it is, whatever came before.
    pub(super) fn is_long(&self) -> bool {
        self.known.is_some() && self.len >= MIN_RUN
    }
}

/// Tells while a file is read how much of it will be shared; [`arrange`](super::arrange) decides at its end. Seeks are
/// paid for with bytes that are read forward: two of them (there and back) for 2 MiB keep extents at 1 MiB on average.
#[derive(Debug, Default)]
pub(super) struct Credit(u64);

impl Credit {
    /// What a short run costs, and the most that can be saved up: no place of a file gets more than 16 in a row.
    const PRICE: u64 = 2 * MIN_RUN;
    const MOST: u64 = 16 * Self::PRICE;

    /// Whether a run that has ended is likely to be used from where it is.
    pub(super) fn decide(&mut self, run: &Run) -> bool {
        let short = run.known.is_some() && run.len >= SHORT_RUN && self.0 >= Self::PRICE;
        let pays = short && !run.is_long();
        if pays {
            self.0 -= Self::PRICE;
        }
        self.0 = self.0.saturating_add(run.len).min(Self::MOST);
        pays || run.is_long()
    }
}

/// A large file on its way to the disk.
pub(super) struct Spool<'a> {
    tmp: &'a str,
    sink: Box<dyn Sink>,
    size: u64,
    /// All of the file, as it is cut.
    pieces: Chunks,
    /// Runs that have ended.
    runs: Vec<Run>,
    /// The run that the last piece belongs to.
    run: Run,
    credit: Credit,
    /// Chunks of a known run that is still too short to be sure that it is used.
    undecided: Vec<(u32, Vec<Part>)>,
    /// Bytes in known runs that are likely to be used, without the last one.
    shared: u64,
    /// Whether it may still be kept whole.
    whole: bool,
    /// Whether all of it is there already.
    complete: bool,
    unwritten: Option<Part>,
    /// Bytes of the spooled file so far.
    written: u64,
}

/// What is there when a file was read to its end.
pub(super) struct Spooled {
    pub(super) sink: Box<dyn Sink>,
    pub(super) pieces: Chunks,
    pub(super) runs: Vec<Run>,
    /// Whether the spooled file is, byte for byte, the file, and worth keeping as it is.
    pub(super) whole: bool,
}

impl<'a> Spool<'a> {
    /// For content of `size` bytes, in the new file `tmp`: an empty one, or one that is `complete` already. `whole` says
    /// that it may be kept as it is.
    pub(super) fn new(tmp: &'a str, sink: Box<dyn Sink>, complete: bool, size: u64, whole: bool) -> Self {
        Self {
            tmp,
            sink,
            size,
            pieces: Chunks::default(),
            runs: Vec::new(),
            run: Run::of(0, None, 0),
            credit: Credit::default(),
            undecided: Vec::new(),
            shared: 0,
            whole,
            complete,
            unwritten: None,
            written: 0,
        }
    }

    /// Takes the next chunk.
    pub(super) fn push(&mut self, cut: Cut) -> Result<(), StoreError> {
        let at = self.pieces.len();
        if !self.run.goes_on_with(cut.known) {
            self.end_run()?;
            self.run = Run::of(at, cut.known, self.written);
        }
        self.run.push(cut.len);
        self.pieces.push(cut.hash, cut.len, cut.len, Codec::Raw);
        // What is written while it may be whole is all of it, also the chunk that tips the scales.
        if self.complete {
            self.written += u64::from(cut.len);
        } else if self.whole || cut.known.is_none() {
            self.write(cut.len, cut.parts)?;
        } else if self.run.is_long() {
            self.undecided.clear();
        } else {
            self.undecided.push((cut.len, cut.parts));
        }
        let shared = self.shared + if self.run.is_long() { self.run.len } else { 0 };
        self.weigh(shared);
        Ok(())
    }

    /// Gives up keeping it whole when so much of it is shared.
    fn weigh(&mut self, shared: u64) {
        self.whole = self.whole && shared.saturating_mul(WORTH_SHARING) < self.size;
    }

    /// Ends the run; what was held back because it might have become long is written after all.
    fn end_run(&mut self) -> Result<(), StoreError> {
        let undecided = std::mem::take(&mut self.undecided);
        undecided.into_iter().try_for_each(|(len, parts)| self.write(len, parts))?;
        let run = std::mem::replace(&mut self.run, Run::of(0, None, 0));
        if self.credit.decide(&run) {
            self.shared += run.len;
            self.weigh(self.shared);
        }
        if !run.pieces.is_empty() {
            self.runs.push(run);
        }
        Ok(())
    }

    /// Writes a chunk of `len` bytes, joined with what follows in the same buffer.
    fn write(&mut self, len: u32, parts: Vec<Part>) -> Result<(), StoreError> {
        self.written += u64::from(len);
        for part in parts {
            let joined = self.unwritten.as_mut().is_some_and(|last| last.join(&part));
            if !joined {
                self.flush()?;
                self.unwritten = Some(part);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let Some(part) = self.unwritten.take() else { return Ok(()) };
        self.sink.write_all(part.bytes()).map_err(StoreError::io("write", self.tmp))
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Spooled, StoreError> {
        self.end_run()?;
        self.flush()?;
        Ok(Spooled { sink: self.sink, pieces: self.pieces, runs: self.runs, whole: self.whole })
    }
}
