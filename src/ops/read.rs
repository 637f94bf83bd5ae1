//! `open_file`, `read_bytes`, `read_range`: a file's content by its path.
//!
//! Only the chunks that hold what is asked for are read, and each is checked. What does not fit in memory is refused
//! before anything is read; a handle reads files of any length.

use std::io::{self, Read, Seek, SeekFrom};

use super::Repository;
use super::error::OpsError;
use super::safetensors::{self, HeaderError};
use crate::snapshot::FileReader;

/// A committed file, open to read and to seek in; there is no way to write to it.
#[derive(Debug)]
pub struct OpenFile {
    reader: FileReader,
    at: u64,
}

impl OpenFile {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.reader.size()
    }

    /// The reader beneath, which reads at any position from any thread.
    pub fn reader(&self) -> &FileReader {
        &self.reader
    }
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read_at(self.at, buffer).map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for OpenFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(offset) => (self.reader.size(), offset),
            SeekFrom::Current(offset) => (self.at, offset),
        };
        let at = base.checked_add_signed(offset);
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the beginning"))?;
        Ok(self.at)
    }
}

impl Repository {
    /// The header of a safetensors file: which tensors it holds, and where. No tensor is read.
    ///
    /// # Errors
    /// As [`Repository::open_file`], and [`OpsError::Invalid`] for a file that is none.
    pub fn parse_safetensors_file_metadata(
        &self,
        path_in_repo: &str,
        revision: Option<&str>,
    ) -> Result<safetensors::Header, OpsError> {
        let file = self.open_file(path_in_repo, revision)?.reader;
        safetensors::read_header(&file).map_err(|error| match error {
            HeaderError::Read(error) => error.into(),
            HeaderError::Invalid(_) => OpsError::Invalid(format!("`{path_in_repo}` is {error}")),
        })
    }

    /// Opens the file at `path_in_repo` of a revision (default: the default branch).
    ///
    /// # Errors
    /// [`SnapshotError::EntryNotFound`](crate::SnapshotError::EntryNotFound),
    /// [`SnapshotError::IsADirectory`](crate::SnapshotError::IsADirectory).
    pub fn open_file(&self, path_in_repo: &str, revision: Option<&str>) -> Result<OpenFile, OpsError> {
        let reader = self.snapshot(revision)?.open_path(path_in_repo)?;
        Ok(OpenFile { reader, at: 0 })
    }

    /// The whole content of a file.
    ///
    /// # Errors
    /// As [`Repository::open_file`], and [`OpsError::Invalid`] when it does not fit in memory.
    pub fn read_bytes(&self, path_in_repo: &str, revision: Option<&str>) -> Result<Vec<u8>, OpsError> {
        self.read_range(path_in_repo, 0, u64::MAX, revision)
    }

    /// Up to `length` bytes of a file from `start`; fewer where it ends, none beyond.
    ///
    /// # Errors
    /// As [`Repository::read_bytes`].
    pub fn read_range(
        &self,
        path_in_repo: &str,
        start: u64,
        length: u64,
        revision: Option<&str>,
    ) -> Result<Vec<u8>, OpsError> {
        let file = self.open_file(path_in_repo, revision)?.reader;
        let length = length.min(file.size().saturating_sub(start));
        let mut bytes = Vec::new();
        let fits = usize::try_from(length).is_ok_and(|length| bytes.try_reserve_exact(length).is_ok());
        if !fits {
            return Err(OpsError::Invalid(format!(
                "{length} bytes of `{path_in_repo}` do not fit in memory; open the file and read it in parts"
            )));
        }
        file.read_span::<OpsError>(start..start.saturating_add(length), &mut |_, run| {
            bytes.extend_from_slice(run);
            Ok(())
        })?;
        Ok(bytes)
    }
}
