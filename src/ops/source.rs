//! Where added content comes from when it is not a local path: a reader somebody has open, a folder with choices.
//!
//! A reader is read from its beginning and left where it was, as `huggingface_hub` does with file objects. Knows
//! streams; not where their content goes.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::patterns::PathFilter;
use crate::store::ingest::Content;

/// What can be read and sought in.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// An open reader whose whole content is added, whatever place it is at.
#[derive(Clone)]
pub struct SharedReader(Arc<Mutex<dyn ReadSeek>>);

impl SharedReader {
    /// Takes a reader; [`SharedReader::share`] keeps it usable by its owner.
    pub fn new(reader: impl ReadSeek + 'static) -> Self {
        Self(Arc::new(Mutex::new(reader)))
    }

    /// Uses a reader that its owner keeps. It must not be read elsewhere while a commit reads it.
    pub fn share<T: ReadSeek + 'static>(reader: &Arc<Mutex<T>>) -> Self {
        let shared: Arc<Mutex<T>> = Arc::clone(reader);
        Self(shared)
    }

    fn lock(&self) -> MutexGuard<'_, dyn ReadSeek + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Length of the content in bytes.
    pub fn size(&self) -> io::Result<u64> {
        let mut reader = self.lock();
        let before = reader.stream_position()?;
        let size = reader.seek(SeekFrom::End(0));
        reader.seek(SeekFrom::Start(before))?;
        size
    }

    /// The content, to be read once; `name` is for messages.
    pub(super) fn content(&self, name: &str) -> io::Result<ReaderContent<'_>> {
        let mut reader = self.lock();
        let before = reader.stream_position()?;
        let size = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        Ok(ReaderContent { reader, name: name.to_owned(), before, size, at: 0 })
    }
}

impl fmt::Debug for SharedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedReader")
    }
}

/// A reader while it is read.
pub(super) struct ReaderContent<'a> {
    reader: MutexGuard<'a, dyn ReadSeek + 'static>,
    name: String,
    before: u64,
    size: u64,
    at: u64,
}

impl Content for ReaderContent<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }

    fn sample(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.reader.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len);
        let read = (&mut *self.reader).take(len as u64).read_to_end(&mut bytes);
        self.reader.seek(SeekFrom::Start(self.at))?;
        read.map(|_| bytes)
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        let end = self.reader.seek(SeekFrom::End(0))?;
        self.reader.seek(SeekFrom::Start(self.at))?;
        Ok(end == self.size)
    }
}

impl Drop for ReaderContent<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.reader.seek(SeekFrom::Start(self.before)) {
            tracing::warn!(%error, name = self.name, "the reader is not back where it was");
        }
    }
}

/// A local folder, and which of its files are meant.
#[derive(Debug, Clone, Default)]
pub struct FolderSource {
    /// The folder.
    pub path: PathBuf,
    /// Which files, by their path in the folder.
    pub filter: PathFilter,
    /// Leave out what `.hvignore` and `.gitignore` files in the folder say.
    pub respect_ignore: bool,
    /// Whether it is fine that no file is meant; an error otherwise.
    pub may_be_empty: bool,
}
