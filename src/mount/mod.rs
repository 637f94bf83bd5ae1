//! A snapshot answering the port: what a kernel may ask of a read-only tree, in terms of a revision.
//!
//! Knows node numbers, open handles and how errors look to a kernel; not which kernel asks, how revisions
//! move, or how content is laid out. The revision is fixed when the tree is made, so numbers are stable (the
//! same in every mount of the same path) and everything may be cached for ever. What moves is in `views`.

mod content;
mod errno;
mod folders;
mod handles;
mod node;
mod table;
mod times;
pub mod views;
mod walk;

use std::fs::File;
use std::sync::Arc;

use hubvault_platform::port::{
    Attributes, DirEntry, FileHandle, NodeId, PortError, ReadOnlyTree, Visit, VolumeInfo,
};

pub use self::content::FileTimes;
use self::content::{Content, kind_of};
use self::folders::{Folder, Folders, measure_all};
use self::handles::Handles;
use self::node::{Node, Nodes};
pub use self::views::Views;
use self::walk::Walk;
use crate::snapshot::versions::Held;
use crate::snapshot::{Snapshot, SnapshotError, TreeEntry};

/// A snapshot as a read-only tree.
#[derive(Debug)]
pub struct SnapshotTree {
    content: Content,
    nodes: Nodes,
    walk: Walk,
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
            nodes: Nodes::new(&root),
            content: Content::new(held, root, Folders::default(), FileTimes::Commit),
            walk: Walk::default(),
            files: Handles::default(),
        }
    }

    fn node(&self, id: NodeId) -> Result<Node, PortError> {
        self.nodes.get(id.0).ok_or(PortError::NotFound)
    }

    fn folder(&self, id: NodeId) -> Result<Arc<Folder>, PortError> {
        self.content.listing(&self.node(id)?.entry())
    }

    /// Looks up the sizes of what is in a folder that is being listed: with those of its neighbours, if they come next.
    fn look_up_sizes(&self, number: u64, folder: &Folder) {
        let Some(node) = self.nodes.get(number).filter(|node| node.parent != number && !folder.is_measured())
        else {
            return;
        };
        let Ok(parent) = self.folder(NodeId(node.parent)) else { return };
        let is =
            |entry: &TreeEntry| entry.id == node.id && self.nodes.number(node.parent, &entry.name) == number;
        let Some(ahead) = self.walk.count(node.parent, &parent.tree, is) else { return };
        let (mut folders, mut entries) = (Vec::new(), 0);
        for (at, entry) in ahead.folders(&parent.tree) {
            let Ok(folder) = self.content.listing(entry) else { break };
            entries += folder.tree.entries().len();
            if entries > ahead.entries && !folders.is_empty() {
                break;
            }
            folders.push(folder);
            self.walk.went_to(node.parent, at);
        }
        measure_all(self.content.snapshot(), &folders);
    }

    /// What a node is called, for a message: its name is kept only in its folder.
    fn name_of(&self, number: u64) -> Option<String> {
        let node = self.nodes.get(number)?;
        let folder = self.folder(NodeId(node.parent)).ok()?;
        let mut entries = folder.tree.entries().iter();
        let named =
            |entry: &&TreeEntry| entry.id == node.id && self.nodes.number(node.parent, &entry.name) == number;
        let name = &entries.find(named)?.name;
        Some(format!("{}@{}", String::from_utf8_lossy(name), self.content.snapshot().revision()))
    }
}

impl ReadOnlyTree for SnapshotTree {
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Attributes, PortError> {
        let folder = self.folder(parent)?;
        let entry = folder.tree.find(name).ok_or(PortError::NotFound)?;
        let attributes = self.content.describe(0, entry)?;
        let id = self.nodes.look_up(parent.0, entry);
        Ok(Attributes { node: NodeId(id), ..attributes })
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError> {
        self.content.describe(node.0, &self.node(node)?.entry())
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
        if offset == 0 {
            self.look_up_sizes(node.0, &folder);
        }
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, entry) in folder.tree.entries().iter().enumerate().skip(skip) {
            let id = self.nodes.number(node.0, &entry.name);
            let attributes = || self.content.describe_listed(id, &folder, at, entry);
            let shown = DirEntry {
                name: &entry.name,
                node: NodeId(id),
                kind: kind_of(entry.mode),
                next: at as u64 + 1,
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
        let file = self.content.open(&self.node(node)?.entry())?;
        Ok(self.files.add(file, node.0, None))
    }

    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.files.read(handle, offset, buffer, |node| self.name_of(node))
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
        self.content.read_link(&self.node(node)?.entry())
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        self.content.xattr(&self.node(node)?.entry(), name)
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError> {
        self.content.list_xattrs(&self.node(node)?.entry())
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let snapshot = self.content.snapshot();
        let shown =
            [("commit", snapshot.id().to_string()), ("cache_bytes", snapshot.cached_bytes().to_string())];
        self.files.figures().into_iter().chain(shown).collect()
    }

    fn volume(&self) -> VolumeInfo {
        self.content.volume()
    }
}
