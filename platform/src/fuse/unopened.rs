//! Reading without opening: where no file has a backing, the kernel is told that opens need no answer, and then asks
//! for bytes by node. The tree still wants files opened; this keeps the handles of those read last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::port::{FileHandle, NodeId, PortError, ReadOnlyTree};

/// Handles kept. A program that reads more files at once reopens them all the time, which is slower, not wrong.
const KEPT: usize = 256;

/// Open handles by node.
#[derive(Debug, Default)]
pub(super) struct Unopened(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    handles: HashMap<NodeId, (FileHandle, u64)>,
    clock: u64,
}

impl Unopened {
    /// Reads a node, which is opened when it is not.
    pub(super) fn read(
        &self,
        tree: &dyn ReadOnlyTree,
        node: NodeId,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, PortError> {
        loop {
            let handle = self.handle(tree, node)?;
            match tree.read(handle, offset, buffer) {
                // Closed in between to make room for others.
                Err(PortError::StaleHandle) if self.current(node) != Some(handle) => {}
                done => return done,
            }
        }
    }

    fn current(&self, node: NodeId) -> Option<FileHandle> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.handles.get(&node).map(|(handle, _)| *handle)
    }

    fn handle(&self, tree: &dyn ReadOnlyTree, node: NodeId) -> Result<FileHandle, PortError> {
        if let Some(handle) = self.touch(node) {
            return Ok(handle);
        }
        let opened = tree.open(node)?;
        let (handle, closing) = self.keep(node, opened);
        closing.into_iter().for_each(|handle| tree.close(handle));
        Ok(handle)
    }

    fn touch(&self, node: NodeId) -> Option<FileHandle> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        kept.handles.get_mut(&node).map(|(handle, used)| {
            *used = now;
            *handle
        })
    }

    /// Keeps a handle; answers the one to use and those to close.
    fn keep(&self, node: NodeId, opened: FileHandle) -> (FileHandle, Vec<FileHandle>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((handle, _)) = kept.handles.get(&node) {
            return (*handle, vec![opened]); // another thread was faster
        }
        let mut closing = Vec::new();
        if kept.handles.len() >= KEPT {
            // The older half at once, so that this is rare.
            let mut ages: Vec<u64> = kept.handles.values().map(|(_, used)| *used).collect();
            let (_, median, _) = ages.select_nth_unstable(KEPT / 2);
            let median = *median;
            closing.extend(kept.handles.extract_if(|_, (_, used)| *used < median).map(|(_, (old, _))| old));
        }
        kept.clock += 1;
        let now = kept.clock;
        kept.handles.insert(node, (opened, now));
        (opened, closing)
    }

    /// Closes a node the kernel has forgotten.
    pub(super) fn forget(&self, tree: &dyn ReadOnlyTree, node: NodeId) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).handles.remove(&node);
        if let Some((handle, _)) = known {
            tree.close(handle);
        }
    }

    /// Closes everything.
    pub(super) fn close_all(&self, tree: &dyn ReadOnlyTree) {
        let handles = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).handles);
        handles.into_values().for_each(|(handle, _)| tree.close(handle));
    }
}
