//! A snapshot answering the port: what a kernel may ask of a read-only tree, in terms of a revision.
//!
//! Knows node numbers, open handles and how errors look to a kernel; not which kernel asks, how revisions
//! move, or how content is laid out. The revision is fixed when the tree is made, so numbers are stable (the
//! same in every mount of the same path) and everything may be cached for ever. What moves is in `views`.

mod content;
mod errno;
mod handles;
mod node;
mod times;
pub mod views;

use std::fs::File;
use std::sync::Arc;

use hubvault_platform::port::{
    Attributes, DirEntry, FileHandle, NodeId, PortError, ReadOnlyTree, Visit, VolumeInfo,
};

pub use self::content::FileTimes;
use self::content::{Content, Folders, kind_of};
use self::handles::Handles;
use self::node::{Node, Nodes};
pub use self::views::Views;
use crate::snapshot::versions::Held;
use crate::snapshot::{Snapshot, SnapshotError, Tree, TreeEntry};

/// A snapshot as a read-only tree.
#[derive(Debug)]
pub struct SnapshotTree {
    content: Content,
    nodes: Nodes,
    files: Handles,
}

impl SnapshotTree {
    /// Shows `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        let root = snapshot.root();
        Self::at(snapshot, root)
    }

    /// Shows the folder `path` of `snapshot` (`/`-separated; empty for all of it).
    ///
    /// # Errors
    /// [`SnapshotError::EntryNotFound`], and [`SnapshotError::NotADirectory`] when something else is there.
    pub fn below(snapshot: Snapshot, path: &str) -> Result<Self, SnapshotError> {
        let root = snapshot.folder(path)?;
        Ok(Self::at(snapshot, root))
    }

    fn at(snapshot: Snapshot, root: TreeEntry) -> Self {
        let held = Held { snapshot, lease: None };
        Self {
            nodes: Nodes::new(root.clone()),
            content: Content::new(held, root, Folders::default(), FileTimes::Commit),
            files: Handles::default(),
        }
    }

    fn node(&self, id: NodeId) -> Result<Node, PortError> {
        self.nodes.get(id.0).ok_or(PortError::NotFound)
    }

    fn folder(&self, id: NodeId) -> Result<Arc<Tree>, PortError> {
        self.content.folder(&self.node(id)?.entry)
    }
}

impl ReadOnlyTree for SnapshotTree {
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Attributes, PortError> {
        let folder = self.folder(parent)?;
        let entry = folder.find(name).ok_or(PortError::NotFound)?;
        let attributes = self.content.describe(0, entry)?;
        let id = self.nodes.look_up(parent.0, entry);
        Ok(Attributes { node: NodeId(id), ..attributes })
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError> {
        self.content.describe(node.0, &self.node(node)?.entry)
    }

    fn forget(&self, node: NodeId, lookups: u64) {
        self.nodes.forget(node.0, lookups);
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, PortError> {
        Ok(NodeId(self.node(node)?.parent))
    }

    fn read_dir(
        &self,
        node: NodeId,
        offset: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError> {
        let folder = self.folder(node)?;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, entry) in (1..).zip(folder.entries()).skip(skip) {
            let id = self.nodes.number(node.0, &entry.name);
            let attributes = || self.content.describe(id, entry);
            let shown = DirEntry {
                name: &entry.name,
                node: NodeId(id),
                kind: kind_of(entry.mode),
                next: at,
                attributes: &attributes,
            };
            match visit(shown) {
                Visit::Listed => {}
                Visit::LookedUp => drop(self.nodes.look_up(node.0, entry)),
                Visit::Full => break,
            }
        }
        Ok(())
    }

    fn open(&self, node: NodeId) -> Result<FileHandle, PortError> {
        let file = self.content.open(&self.node(node)?.entry)?;
        Ok(self.files.add(file, None))
    }

    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.files.read(handle, offset, buffer)
    }

    fn close(&self, handle: FileHandle) {
        self.files.close(handle);
    }

    fn backing(&self, handle: FileHandle) -> Option<Arc<File>> {
        self.files.backing(handle)
    }

    fn has_backings(&self) -> bool {
        // Damage is found by whoever reads what is damaged.
        self.content.snapshot().may_hold_whole_files().unwrap_or(true)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, PortError> {
        self.content.read_link(&self.node(node)?.entry)
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        self.content.xattr(&self.node(node)?.entry, name)
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError> {
        self.content.list_xattrs(&self.node(node)?.entry)
    }

    fn figures(&self) -> Vec<(&'static str, u64)> {
        let cached = ("cache_bytes", self.content.snapshot().cached_bytes() as u64);
        self.files.figures().into_iter().chain([cached]).collect()
    }

    fn volume(&self) -> VolumeInfo {
        self.content.volume()
    }
}
