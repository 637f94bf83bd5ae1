//! A large file whose blocks the file system shares with the vault: no byte of it is written.
//!
//! The copy is taken first and read afterwards, so what is hashed is what is kept, whatever becomes of the source
//! meanwhile. Knows one temporary file and the content it was taken from.

use std::io;

use super::{Content, changed, check_unchanged};
use crate::store::error::StoreError;
use crate::store::media::{Media, ReadAt, Sink};

/// A copy that shares its blocks with the content it is of.
pub(super) struct Reflink<'a> {
    name: &'a str,
    copy: Box<dyn ReadAt>,
    at: u64,
}

/// Has the empty file `sink` share the blocks of `content`; `false` where that cannot be.
pub(super) fn share(sink: &mut dyn Sink, tmp: &str, content: &dyn Content) -> Result<bool, StoreError> {
    let Some(source) = content.as_file() else { return Ok(false) };
    sink.reflink(source).map_err(StoreError::io("write", tmp))
}

impl<'a> Reflink<'a> {
    /// Opens the copy `tmp` of `content`.
    ///
    /// # Errors
    /// [`StoreError::SourceChanged`] when the content was not at rest while the copy was taken.
    pub(super) fn open(
        media: &dyn Media,
        tmp: &str,
        content: &'a mut dyn Content,
    ) -> Result<Self, StoreError> {
        check_unchanged(content)?;
        let copy = media.open(tmp).map_err(StoreError::io("read", tmp))?;
        if copy.len() != content.size() {
            return Err(changed(content));
        }
        Ok(Self { name: content.name(), copy, at: 0 })
    }
}

impl Content for Reflink<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn size(&self) -> u64 {
        self.copy.len()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.copy.len() - self.at).unwrap_or(usize::MAX);
        let n = left.min(buffer.len());
        self.copy.read_exact_at(&mut buffer[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }

    fn sample(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let left = self.copy.len().saturating_sub(offset);
        let mut bytes = vec![0; len.min(usize::try_from(left).unwrap_or(usize::MAX))];
        self.copy.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
