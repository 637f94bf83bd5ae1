//! What a program does with a medium in memory: every operation counted, and failed when it is its turn.
//!
//! Must not know what a test is after.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write};
use std::sync::PoisonError;

use super::tree::{FileNode, FolderNode, Node, NodeId};
use super::{MemoryMedia, SyncKind, crashed};
use crate::store::media::disk::not_regular;
use crate::store::media::{Lock, LockMode, Media, ReadAt, Sink, Wait};

/// How the trace calls a folder.
fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

impl Media for MemoryMedia {
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        let mut state = self.inspect()?;
        let node = state.tree.find_file(path)?;
        let len = state.tree.file(node)?.bytes.len() as u64;
        Ok(Box::new(MemoryFile { medium: self.clone(), node, len }))
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        let node = self.mutate(format!("create {path}"), |state| {
            state.tree.insert(path, Node::File(FileNode::default()))
        })?;
        Ok(Box::new(MemorySink { medium: self.clone(), path: path.to_owned(), node }))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.mutate(format!("publish {from} -> {to}"), |state| {
            let node = state.tree.find_file(from)?;
            state.tree.name(to, node)?;
            state.tree.unname(from)
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.mutate(format!("remove {path}"), |state| {
            let node = state.tree.find(path)?;
            let freed = state.tree.file(node).map_or(0, |file| file.bytes.len());
            state.tree.unname(path)?;
            state.room = state.room.map(|room| room.saturating_add(freed));
            // As a lock's file comes, so it goes: what is only ever locked says nothing after a crash.
            if state.locks.contains_key(path) { state.tree.settle_name(path) } else { Ok(()) }
        })
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.mutate(format!("create_dir {}", shown(path)), |state| {
            if state.tree.folder(path).is_err() {
                state.tree.insert(path, Node::Folder(FolderNode::default()))?;
            }
            Ok(())
        })
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.mutate(format!("sync_dir {}", shown(path)), |state| {
            let skipped = (state.skip)(path, SyncKind::Dir);
            let folder = state.tree.folder(path)?;
            if !skipped {
                folder.settle();
            }
            Ok(())
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.inspect()?.tree.folder(path)?.names.keys().cloned().collect())
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        let mut state = self.inspect()?;
        match state.tree.find(path) {
            Ok(node) => match state.tree.file(node) {
                Ok(file) => Ok(Some(file.bytes.len() as u64)),
                Err(_) => Err(not_regular(path)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A lock file that this creates is durable at once: it is empty and made anew when absent, so no reader can
    /// tell, and it would only double the states to look at.
    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>> {
        let mut state = self.inspect()?;
        match state.tree.find_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.tree.insert(path, Node::File(FileNode::default()))?;
                state.tree.settle_name(path)?;
            }
            found => {
                found?;
            }
        }
        while !state.locks.entry(path.to_owned()).or_default().take(mode) {
            if wait == Wait::No {
                return Ok(None);
            }
            state = self.shared.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            if state.crashed {
                return Err(crashed());
            }
        }
        drop(state);
        Ok(Some(Box::new(MemoryLock { medium: self.clone(), path: path.to_owned(), mode })))
    }
}

#[derive(Debug)]
struct MemoryFile {
    medium: MemoryMedia,
    node: NodeId,
    len: u64,
}

impl ReadAt for MemoryFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.medium.inspect()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let bytes = &state.tree.file(self.node)?.bytes;
        let found = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

#[derive(Debug)]
struct MemorySink {
    medium: MemoryMedia,
    path: String,
    node: NodeId,
}

impl Write for MemorySink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let what = format!("write {} +{}", self.path, bytes.len());
        let mut state = self.medium.inspect()?;
        let begun = state.begin(what);
        if begun.is_err() && state.crashed {
            state.append(self.node, &bytes[..bytes.len() / 2])?;
            self.medium.shared.freed.notify_all();
        }
        begun.and_then(|()| state.append(self.node, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for MemorySink {
    fn sync(&mut self) -> io::Result<()> {
        let synced =
            self.medium.mutate(format!("sync {}", self.path), |state| state.sync_file(&self.path, self.node));
        if synced.is_err() {
            self.medium.state().tree.file(self.node)?.dropped = true;
        }
        synced
    }

    fn reflink(&mut self, mut source: &File) -> io::Result<bool> {
        if !self.medium.inspect()?.reflinks {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        source.rewind()?;
        source.read_to_end(&mut bytes)?;
        source.rewind()?;
        self.medium.mutate(format!("reflink {}", self.path), |state| state.append(self.node, &bytes))?;
        Ok(true)
    }
}

#[derive(Debug)]
struct MemoryLock {
    medium: MemoryMedia,
    path: String,
    mode: LockMode,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        if let Some(held) = self.medium.state().locks.get_mut(&self.path) {
            held.give_back(self.mode);
        }
        self.medium.shared.freed.notify_all();
    }
}
