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
use crate::store::media::Sink;

/// One chunk of a large file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) hash: ChunkHash,
    pub(super) len: u32,
    /// Where the vault has it.
    pub(super) known: Option<Place>,
    /// Where it is in the spooled file; `None` when it is not there.
    pub(super) spooled: Option<u64>,
}

/// A chunk with its bytes, as they lie in the buffers they were read into.
pub(super) struct Cut {
    pub(super) hash: ChunkHash,
    pub(super) len: u32,
    pub(super) known: Option<Place>,
    pub(super) parts: Vec<Part>,
}

/// Consecutive chunks that are stored alike.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) pieces: Range<usize>,
    pub(super) known: Option<Place>,
    pub(super) len: u64,
}

impl Run {
    fn of(at: usize, known: Option<Place>) -> Self {
        Self { pieces: at..at, known, len: 0 }
    }

    fn goes_on_with(&self, known: Option<Place>) -> bool {
        match (self.known, known) {
            (Some((pack, start)), Some(next)) => (pack, start + self.len) == next,
            (run, next) => run.is_none() && next.is_none(),
        }
    }

    fn push(&mut self, len: u32) {
        self.pieces.end += 1;
        self.len += u64::from(len);
    }

    /// Whether it is used from where it is, whatever came before.
    fn is_long(&self) -> bool {
        self.known.is_some() && self.len >= MIN_RUN
    }
}

/// Pays for seeks with bytes that are read forward: a file of many short runs would read slowly, one with a short run
/// here and there does not. Two seeks (there and back) for 2 MiB keep extents at 1 MiB on average.
#[derive(Debug, Default)]
struct Credit(u64);

impl Credit {
    /// What a short run costs, and the most that can be saved up: no place of a file gets more than 16 in a row.
    const PRICE: u64 = 2 * MIN_RUN;
    const MOST: u64 = 16 * Self::PRICE;

    /// Whether a run that has ended is used from where it is.
    fn decide(&mut self, run: &Run) -> bool {
        let short = run.known.is_some() && run.len >= SHORT_RUN && self.0 >= Self::PRICE;
        let pays = short && !run.is_long();
        if pays {
            self.0 -= Self::PRICE;
        }
        self.0 = self.0.saturating_add(run.len).min(Self::MOST);
        pays || run.is_long()
    }
}

/// Groups chunks into runs, giving up known ones that are not worth a seek.
pub(super) fn runs(pieces: &[Piece]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match runs.last_mut() {
            Some(last) if last.goes_on_with(piece.known) => last.push(piece.len),
            _ => {
                let mut run = Run::of(at, piece.known);
                run.push(piece.len);
                runs.push(run);
            }
        }
    }
    let mut credit = Credit::default();
    for run in &mut runs {
        if !credit.decide(run) {
            run.known = None;
        }
    }
    runs
}

/// A large file on its way to the disk.
pub(super) struct Spool<'a> {
    tmp: &'a str,
    sink: Box<dyn Sink>,
    size: u64,
    pieces: Vec<Piece>,
    /// The run that the last piece belongs to.
    run: Run,
    credit: Credit,
    /// Chunks of a known run that is still too short to be sure that it is used.
    undecided: Vec<(usize, Vec<Part>)>,
    /// Bytes in known runs that are used, without the last one.
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
    pub(super) pieces: Vec<Piece>,
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
            pieces: Vec::new(),
            run: Run::of(0, None),
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
            self.run = Run::of(at, cut.known);
        }
        self.run.push(cut.len);
        self.pieces.push(Piece { hash: cut.hash, len: cut.len, known: cut.known, spooled: None });
        // What is written while it may be whole is all of it, also the chunk that tips the scales.
        if self.complete {
            self.place(at);
        } else if self.whole || cut.known.is_none() {
            self.write(at, cut.parts)?;
        } else if self.run.is_long() {
            self.undecided.clear();
        } else {
            self.undecided.push((at, cut.parts));
        }
        let shared = self.shared + if self.run.is_long() { self.run.len } else { 0 };
        self.weigh(shared);
        Ok(())
    }

    /// Gives up keeping it whole when so much of it is shared.
    fn weigh(&mut self, shared: u64) {
        self.whole = self.whole && shared.saturating_mul(WORTH_SHARING) < self.size;
    }

    /// Ends the run; what was held back because it might have been shared is written after all.
    fn end_run(&mut self) -> Result<(), StoreError> {
        let undecided = std::mem::take(&mut self.undecided);
        if self.credit.decide(&self.run) {
            self.shared += self.run.len;
            self.weigh(self.shared);
            return Ok(());
        }
        undecided.into_iter().try_for_each(|(at, parts)| self.write(at, parts))
    }

    /// The next bytes of the spooled file are this chunk.
    fn place(&mut self, at: usize) {
        let piece = &mut self.pieces[at];
        piece.spooled = Some(self.written);
        self.written += u64::from(piece.len);
    }

    /// Writes a chunk, joined with what follows in the same buffer.
    fn write(&mut self, at: usize, parts: Vec<Part>) -> Result<(), StoreError> {
        self.place(at);
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
        Ok(Spooled { sink: self.sink, pieces: self.pieces, whole: self.whole })
    }
}
