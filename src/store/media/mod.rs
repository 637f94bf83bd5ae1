//! The one seam to the disk.
//!
//! Everything the store reads, writes, syncs or locks goes through [`Media`], a dozen calls over relative
//! `/`-separated paths. [`disk`] is the real thing; [`memory`] remembers what was synced, so that tests can
//! crash, fill and damage it at every step. This layer knows files and their durability, no format at all.
//!
//! Rules every implementation keeps:
//! - A file is written once through [`Media::create`] under `tmp/`, synced, then moved into place with
//!   [`Media::publish`], which never replaces anything. No file is ever opened for writing again.
//! - Nothing is durable before its sync: file bytes before [`Sink::sync`], a name (created, published or
//!   removed) before [`Media::sync_dir`] of the folder that holds it. A crash may keep or lose each unsynced
//!   change on its own.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};

#[cfg(test)]
mod conformance;
pub mod disk;
pub mod memory;

/// How a lock excludes others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Held together with other shared locks.
    Shared,
    /// Held alone.
    Exclusive,
}

/// Whether to wait for a lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Block until the lock is free.
    Forever,
    /// Answer `None` at once.
    No,
}

/// Files of one vault. Paths are relative, `/`-separated and never contain `..`; the empty path is the root.
pub trait Media: Debug + Send + Sync {
    /// Opens a published file for positional reading. [`io::ErrorKind::NotFound`] when absent; anything that
    /// is not a regular file (a symlink, a folder, a device) is refused.
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>>;

    /// Creates a file that did not exist and opens it for writing; [`io::ErrorKind::AlreadyExists`] otherwise.
    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>>;

    /// Moves `from` to `to` in one step if and only if `to` does not exist;
    /// [`io::ErrorKind::AlreadyExists`] otherwise, with `from` left in place.
    fn publish(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. [`io::ErrorKind::NotFound`] when absent.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Creates a folder (the parent must exist); fine when it is there already.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a folder durable (a no-op where the platform has no such call).
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Names of files and folders in a folder, in no particular order; [`io::ErrorKind::NotFound`] when absent.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Length in bytes of a regular file, `None` when nothing has that name.
    fn len(&self, path: &str) -> io::Result<Option<u64>>;

    /// When a file was last written, by the clock of the medium, in nanoseconds since 1970; `None` when the medium
    /// has no clock.
    fn modified(&self, path: &str) -> io::Result<Option<i64>> {
        self.len(path).map(|_| None)
    }

    /// Takes an advisory lock on the (created when absent, empty) file at `path`, released on drop or death.
    /// `None` when `wait` is [`Wait::No`] and the lock is taken.
    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>>;
}

/// An open file, read by position. Keeps working after the file is removed.
pub trait ReadAt: Debug + Send + Sync {
    /// Fills `buffer` from `offset`; [`io::ErrorKind::UnexpectedEof`] when the file ends before that.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Length in bytes when it was opened.
    fn len(&self) -> u64;

    /// Whether it holds no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says that these bytes are read soon, so that a slow medium can begin. Changes nothing that is read.
    fn will_need(&self, _offset: u64, _len: u64) {}

    /// Whether it is this user's own, and nobody can write it whom he did not let: what it says is believed.
    fn is_own(&self) -> bool {
        true
    }

    /// The operating system's file, where there is one: what a kernel can be handed to read by itself.
    fn as_file(&self) -> Option<&File> {
        None
    }
}

/// A new file being written, front to back.
pub trait Sink: Write + Debug + Send {
    /// Makes the bytes written so far durable and the file read-only (mode 0444 where modes exist).
    fn sync(&mut self) -> io::Result<()>;

    /// Has the file, empty so far, share the blocks of `source` as they are now (a reflink): a copy that writes
    /// nothing. `false`, and still empty, where the file system cannot.
    fn reflink(&mut self, _source: &File) -> io::Result<bool> {
        Ok(false)
    }
}

/// A held advisory lock; dropping it releases it.
pub trait Lock: Debug + Send + Sync {}
