//! How many paths may be collected at a time. Folders that share one subtree have twice as many paths with every level,
//! so a vault of some kilobytes can have more paths than any memory holds; whoever collects paths counts them here first.
//!
//! Knows lengths of paths; not where they come from or what they are collected for.

use super::error::SnapshotError;

/// Most paths, files and folders, that are collected at a time: with what is known of each about a gigabyte. More than
/// any dataset in one repository has that is still worked with (Hugging Face advises against more than 100 000 files).
pub const MAX_PATHS: u64 = 4_000_000;

/// Most bytes in all those paths: half a gigabyte, as a path may be long.
pub const MAX_PATH_BYTES_HELD: u64 = 512 << 20;

/// What may still be collected.
#[derive(Debug)]
pub struct Budget {
    paths: u64,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { paths: MAX_PATHS, bytes: MAX_PATH_BYTES_HELD }
    }
}

impl Budget {
    /// One for so many paths, of 128 bytes each.
    #[cfg(test)]
    pub(crate) fn of(paths: u64) -> Self {
        Self { paths, bytes: paths * 128 }
    }

    /// Counts one path.
    ///
    /// # Errors
    /// [`SnapshotError::TooManyPaths`] when it is one too many.
    pub fn take(&mut self, path: &[u8]) -> Result<(), SnapshotError> {
        let left = |have: u64, taken| have.checked_sub(taken).ok_or(SnapshotError::TooManyPaths);
        (self.paths, self.bytes) = (left(self.paths, 1)?, left(self.bytes, path.len() as u64)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_counted_by_number_and_by_length() {
        let mut many = Budget::of(2);
        assert!(many.take(b"a").is_ok() && many.take(b"b").is_ok());
        assert!(matches!(many.take(b"c"), Err(SnapshotError::TooManyPaths)));
        let mut long = Budget::of(2);
        assert!(long.take(&[b'a'; 256]).is_ok());
        assert!(matches!(long.take(b"b"), Err(SnapshotError::TooManyPaths)));
    }
}
