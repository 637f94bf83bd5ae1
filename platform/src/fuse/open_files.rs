//! The file handles the kernel holds, so that none stays open in the tree after the mount ends.
//!
//! Closing a file is reported asynchronously, and the report is lost if the mount ends first. It must not know
//! what a handle stands for.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::port::FileHandle;

/// A set of open handles.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<HashSet<FileHandle>>);

impl OpenFiles {
    pub(super) fn add(&self, handle: FileHandle) {
        self.lock().insert(handle);
    }

    /// Whether the handle was open.
    pub(super) fn remove(&self, handle: FileHandle) -> bool {
        self.lock().remove(&handle)
    }

    /// Empties the set and returns what was in it.
    pub(super) fn take_all(&self) -> Vec<FileHandle> {
        self.lock().drain().collect()
    }

    /// No code panics while holding the lock, so a poisoned one is still sound.
    fn lock(&self) -> MutexGuard<'_, HashSet<FileHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_closed_once() {
        let files = OpenFiles::default();
        files.add(FileHandle(1));
        files.add(FileHandle(2));
        assert!(files.remove(FileHandle(1)));
        assert!(!files.remove(FileHandle(1)));
        assert_eq!(files.take_all(), [FileHandle(2)]);
        assert_eq!(files.take_all(), []);
    }
}
