//! Files that are open: what each handle reads, and what it keeps readable meanwhile.
//!
//! Knows readers and numbers; not which tree opened a file, or why.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hubvault_platform::port::{FileHandle, PortError};

use super::content::Content;
use super::errno::port_error;
use crate::snapshot::{FileReader, SnapshotError};

/// What a handle reads.
#[derive(Debug)]
enum Opened {
    /// A file of a revision, and the revision, where a handle has to keep it.
    File { file: FileReader, node: u64, _keep: Option<Arc<Content>> },
    /// A text of our own.
    Text(&'static [u8]),
}

/// The error of a file with what it is called, if that is known.
fn renamed(error: SnapshotError, name: Option<String>) -> SnapshotError {
    match (error, name) {
        (SnapshotError::Read { source, .. }, Some(file)) => SnapshotError::Read { file, source },
        (error, _) => error,
    }
}

/// Open files by handle.
#[derive(Debug, Default)]
pub(super) struct Handles {
    open: Mutex<HashMap<u64, Arc<Opened>>>,
    last: AtomicU64,
    served: AtomicU64,
}

impl Handles {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Opened>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file that is node number `node`; `keep` lives as long as the handle.
    pub(super) fn add(&self, file: FileReader, node: u64, keep: Option<Arc<Content>>) -> FileHandle {
        self.insert(Opened::File { file, node, _keep: keep })
    }

    /// Opens a text.
    pub(super) fn add_text(&self, text: &'static [u8]) -> FileHandle {
        self.insert(Opened::Text(text))
    }

    fn insert(&self, opened: Opened) -> FileHandle {
        let handle = self.last.fetch_add(1, Relaxed) + 1;
        self.lock().insert(handle, Arc::new(opened));
        FileHandle(handle)
    }

    fn get(&self, handle: FileHandle) -> Result<Arc<Opened>, PortError> {
        self.lock().get(&handle.0).cloned().ok_or(PortError::StaleHandle)
    }

    /// Reads as the port's `read` does; `name` answers what the file of a node is called, if there is something to say
    /// about it.
    pub(super) fn read(
        &self,
        handle: FileHandle,
        offset: u64,
        buffer: &mut [u8],
        name: impl FnOnce(u64) -> Option<String>,
    ) -> Result<usize, PortError> {
        let n = match &*self.get(handle)? {
            Opened::File { file, node, .. } => {
                let named = |error| port_error(&renamed(error, name(*node)));
                file.read_at(offset, buffer).map_err(named)?
            }
            Opened::Text(text) => {
                let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..)).unwrap_or_default();
                let n = rest.len().min(buffer.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                n
            }
        };
        self.served.fetch_add(n as u64, Relaxed);
        Ok(n)
    }

    /// The file on disk that is an open file, if there is one.
    pub(super) fn backing(&self, handle: FileHandle) -> Option<Arc<File>> {
        match &*self.get(handle).ok()? {
            Opened::File { file, .. } => file.whole_file().ok()??.as_file()?.try_clone().ok().map(Arc::new),
            Opened::Text(_) => None,
        }
    }

    /// Closes a handle.
    pub(super) fn close(&self, handle: FileHandle) {
        // Dropped after the lock: giving up a revision removes files.
        let closed = self.lock().remove(&handle.0);
        drop(closed);
    }

    /// Bytes read so far, and files open now.
    pub(super) fn figures(&self) -> [(&'static str, String); 2] {
        [
            ("bytes_streamed", self.served.load(Relaxed).to_string()),
            ("open_files", self.lock().len().to_string()),
        ]
    }
}
