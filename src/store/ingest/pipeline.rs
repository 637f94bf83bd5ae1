//! One large file on several cores: it is read here, hashed, cut and written beside.
//!
//! ```text
//!            +--> SHA-256, SHA-1 ------------------------------> ids
//!   read ----+
//!     ^      +--> cut, BLAKE3, look up --> decide, write ------> pieces
//!     +--- buffers that nobody needs any longer
//! ```
//!
//! SHA-256 cannot be shared out, so everything else hides behind it. Buffers are read by all stages in place and
//! come back when the last one is done: their number bounds the memory and how far stages run apart. Each stage
//! ends when the one before it does; one that fails lets go of what it is given, which stops those before it.
//! What is found is the same, byte for byte, however the threads are scheduled.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{ScopedJoinHandle, scope};

use super::known::Known;
use super::spool::{Cut, Spool, Spooled};
use super::{Content, Identity, changed, read_some};
use crate::store::chunk::{self, Cutter};
use crate::store::error::StoreError;
use crate::store::id::{ObjectId, Sha256};

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;
/// Buffers of one file; they hold its known bytes too while it is not clear whether they are used.
const BUFFERS: usize = 16;

/// A buffer that goes back to its reader when nobody needs it any longer.
struct Block {
    bytes: Vec<u8>,
    len: usize,
    home: Sender<Vec<u8>>,
}

impl Block {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // A reader that is gone needs no buffers.
        drop(self.home.send(std::mem::take(&mut self.bytes)));
    }
}

/// Some bytes of a buffer.
pub(super) struct Part {
    block: Arc<Block>,
    range: Range<usize>,
}

impl Part {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block.bytes[self.range.clone()]
    }

    /// Takes in what follows in the same buffer; answers whether `next` does.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let follows = Arc::ptr_eq(&self.block, &next.block) && self.range.end == next.range.start;
        if follows {
            self.range.end = next.range.end;
        }
        follows
    }
}

/// Reads `content` to its end, or until `progress` fails; answers its ids and what was written.
pub(super) fn run(
    content: &mut dyn Content,
    identity: Identity,
    known: Known<'_>,
    spool: Spool<'_>,
    progress: &mut dyn FnMut(u64) -> Result<(), StoreError>,
) -> Result<(Sha256, ObjectId, Spooled), StoreError> {
    scope(|threads| {
        let (to_hasher, hashed) = channel();
        let (to_cutter, uncut) = channel();
        let (to_writer, cuts) = channel();
        let hasher = threads.spawn(move || identify(identity, &hashed));
        let cutter = threads.spawn(move || cut(&uncut, known, &to_writer));
        let writer = threads.spawn(move || write(spool, &cuts));
        let read = read_all(content, &to_hasher, &to_cutter, progress);
        drop((to_hasher, to_cutter));
        let (sha256, blob) = join(hasher);
        join(cutter);
        let spooled = join(writer)?;
        read?;
        Ok((sha256, blob, spooled))
    })
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn read_all(
    content: &mut dyn Content,
    to_hasher: &Sender<Arc<Block>>,
    to_cutter: &Sender<Arc<Block>>,
    progress: &mut dyn FnMut(u64) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (home, free) = channel();
    // Filled when they are first needed: a file of one buffer needs one.
    (0..BUFFERS).for_each(|_| drop(home.send(Vec::new())));
    let mut left = content.size();
    loop {
        let mut bytes: Vec<u8> = free.recv().expect("`home` is here, so the channel is open");
        bytes.resize(BUFFER, 0);
        let len = read_some(content, &mut bytes)?;
        left = left.checked_sub(len as u64).ok_or_else(|| changed(content))?;
        if len == 0 {
            return if left == 0 { Ok(()) } else { Err(changed(content)) };
        }
        let block = Arc::new(Block { bytes, len, home: home.clone() });
        if to_cutter.send(Arc::clone(&block)).is_err() || to_hasher.send(block).is_err() {
            // A later stage failed, and says why.
            return Ok(());
        }
        progress(len as u64)?;
    }
}

fn identify(mut identity: Identity, blocks: &Receiver<Arc<Block>>) -> (Sha256, ObjectId) {
    blocks.iter().for_each(|block| identity.update(block.bytes()));
    identity.finish()
}

/// Cuts what it is given into chunks, names them and looks where the vault has them.
fn cut(blocks: &Receiver<Arc<Block>>, mut known: Known<'_>, to_writer: &Sender<Cut>) {
    let mut cutter = Cutter::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut emit = |parts: &mut Vec<Part>| {
        let parts = std::mem::take(parts);
        let hash = chunk::hash_parts(parts.iter().map(Part::bytes));
        let len = parts.iter().map(|part| part.range.len()).sum::<usize>();
        let len = u32::try_from(len).expect("a chunk is at most 128 KiB");
        to_writer.send(Cut { hash, len, known: known.find(hash, len), parts })
    };
    for block in blocks {
        let mut at = 0;
        while let Some(len) = cutter.next_cut(&block.bytes()[at..], false) {
            parts.push(Part { block: Arc::clone(&block), range: at..at + len });
            at += len;
            if emit(&mut parts).is_err() {
                return;
            }
        }
        if at < block.len {
            parts.push(Part { range: at..block.len, block });
        }
    }
    if cutter.next_cut(&[], true).is_some() {
        drop(emit(&mut parts));
    }
}

fn write(mut spool: Spool<'_>, cuts: &Receiver<Cut>) -> Result<Spooled, StoreError> {
    cuts.iter().try_for_each(|cut| spool.push(cut))?;
    spool.finish()
}
