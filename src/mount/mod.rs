//! A snapshot answering the port: what a kernel may ask of a read-only tree, in terms of a revision.
//!
//! Knows node numbers, open handles and how errors look to a kernel; not which kernel asks, how revisions
//! move, or how content is laid out. The revision is fixed when the tree is made, so numbers are stable (the
//! same in every mount of the same path) and everything may be cached for ever.

mod errno;
mod folders;
mod node;
mod walk;

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use hubvault_platform::port::{
    Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit, VolumeInfo,
};

use self::errno::port_error;
use self::folders::{Folder, Folders, measure_all};
use self::node::{Node, Nodes};
use self::walk::Walk;
use crate::snapshot::{FileReader, Mode, Snapshot, SnapshotError, TreeEntry};

/// Longest name a Git tree can carry that any system here shows.
const NAME_MAX: u32 = 255;
/// Most entries that are summed up for `statfs`: a few nested folders that repeat each other can list more
/// names than there are atoms, and `df` must answer.
const MEASURED: u64 = 1_000_000;
/// What `st_blksize` and `statfs` say.
const BLOCK_SIZE: u32 = 4096;

/// A snapshot as a read-only tree.
#[derive(Debug)]
pub struct SnapshotTree {
    snapshot: Snapshot,
    modified: SystemTime,
    nodes: Nodes,
    folders: Folders,
    walk: Walk,
    files: Mutex<HashMap<u64, Arc<OpenFile>>>,
    next_handle: AtomicU64,
    served: AtomicU64,
    volume: OnceLock<VolumeInfo>,
}

/// An open file and its node.
#[derive(Debug)]
struct OpenFile {
    reader: FileReader,
    node: Node,
    number: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SnapshotTree {
    /// Shows `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        let seconds = snapshot.commit().committer.time().seconds;
        let since = Duration::from_secs(seconds.unsigned_abs());
        let modified = if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(since)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(since)
        };
        Self {
            modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
            nodes: Nodes::new(&snapshot.root()),
            snapshot,
            folders: Folders::default(),
            walk: Walk::default(),
            files: Mutex::new(HashMap::new()),
            next_handle: AtomicU64::new(1),
            served: AtomicU64::new(0),
            volume: OnceLock::new(),
        }
    }

    fn node(&self, id: NodeId) -> Result<Node, PortError> {
        self.nodes.get(id.0).ok_or(PortError::NotFound)
    }

    fn folder(&self, id: NodeId) -> Result<Arc<Folder>, PortError> {
        let node = self.node(id)?;
        if node.mode != Mode::Directory {
            return Err(PortError::NotADirectory);
        }
        self.folders.get(node.id, |id| self.snapshot.tree(id)).map_err(|e| port_error(&e))
    }

    fn describe(&self, id: u64, entry: &TreeEntry) -> Result<Attributes, PortError> {
        let size = match kind_of(entry.mode) {
            NodeKind::Directory => 0,
            NodeKind::File | NodeKind::Symlink => self.snapshot.info(entry).map_err(|e| port_error(&e))?.size,
        };
        Ok(self.attributes_of(id, entry.mode, size))
    }

    fn attributes_of(&self, id: u64, mode: Mode, size: u64) -> Attributes {
        Attributes {
            node: NodeId(id),
            kind: kind_of(mode),
            size,
            executable: mode == Mode::Executable,
            modified: self.modified,
            links: 1,
            blocks512: size.div_ceil(512),
        }
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
            let Ok(folder) = self.folders.get(entry.id, |id| self.snapshot.tree(id)) else { break };
            entries += folder.tree.entries().len();
            if entries > ahead.entries && !folders.is_empty() {
                break;
            }
            folders.push(folder);
            self.walk.went_to(node.parent, at);
        }
        measure_all(&self.snapshot, &folders);
    }

    /// What a file is called, for a message: its name is kept only in its folder.
    fn name_of(&self, number: u64, node: Node) -> Option<String> {
        let folder = self.folder(NodeId(node.parent)).ok()?;
        let mut entries = folder.tree.entries().iter();
        let named =
            |entry: &&TreeEntry| entry.id == node.id && self.nodes.number(node.parent, &entry.name) == number;
        entries.find(named).map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
    }

    /// The port's error for a file that cannot be read, with its name.
    fn unreadable(&self, number: u64, node: Node, error: SnapshotError) -> PortError {
        let error = match (error, self.name_of(number, node)) {
            (SnapshotError::Read { source, .. }, Some(name)) => {
                SnapshotError::Read { file: format!("{name}@{}", self.snapshot.revision()), source }
            }
            (error, _) => error,
        };
        port_error(&error)
    }

    fn file(&self, handle: FileHandle) -> Result<Arc<OpenFile>, PortError> {
        lock(&self.files).get(&handle.0).cloned().ok_or(PortError::StaleHandle)
    }

    /// Sums up the revision: asked for once, by `df`.
    fn measure(&self) -> VolumeInfo {
        let (mut files, mut bytes) = (0u64, 0u64);
        let walked = self.snapshot.walk(self.snapshot.root().id, b"", &mut |_, entry| {
            files += 1;
            if entry.mode != Mode::Directory {
                let size = self.snapshot.info(entry)?.size;
                let blocks = size.checked_next_multiple_of(u64::from(BLOCK_SIZE)).unwrap_or(u64::MAX);
                bytes = bytes.saturating_add(blocks);
            }
            Ok(files < MEASURED)
        });
        if let Err(error) = walked {
            tracing::warn!(%error, "the size of the revision is only partly known");
        }
        VolumeInfo { total_bytes: bytes, free_bytes: 0, files, name_max: NAME_MAX, block_size: BLOCK_SIZE }
    }

    /// The attributes with which a file tells what it is in the vault.
    fn tags(&self, node: &Node) -> Result<Vec<(&'static [u8], String)>, SnapshotError> {
        let mut tags: Vec<(&'static [u8], String)> = vec![
            (b"user.hubvault.commit", self.snapshot.id().to_string()),
            (b"user.hubvault.oid", node.id.to_string()),
        ];
        if node.mode != Mode::Directory {
            let info = self.snapshot.info(&node.entry())?;
            tags.push((b"user.hubvault.sha256", info.sha256.to_string()));
            tags.push((b"user.hubvault.lfs", info.pointer_size.is_some().to_string()));
        }
        Ok(tags)
    }
}

fn kind_of(mode: Mode) -> NodeKind {
    match mode {
        Mode::Directory => NodeKind::Directory,
        Mode::Symlink => NodeKind::Symlink,
        Mode::File | Mode::Executable => NodeKind::File,
    }
}

impl ReadOnlyTree for SnapshotTree {
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Attributes, PortError> {
        let folder = self.folder(parent)?;
        let entry = folder.tree.find(name).ok_or(PortError::NotFound)?;
        let attributes = self.describe(0, entry)?;
        let id = self.nodes.look_up(parent.0, entry);
        Ok(Attributes { node: NodeId(id), ..attributes })
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError> {
        self.describe(node.0, &self.node(node)?.entry())
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
            let attributes = || match folder.size(&self.snapshot, at) {
                Some(size) => Ok(self.attributes_of(id, entry.mode, size)),
                None => self.describe(id, entry),
            };
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
        let number = node.0;
        let node = self.node(node)?;
        match kind_of(node.mode) {
            NodeKind::Directory => return Err(PortError::IsADirectory),
            NodeKind::Symlink => return Err(PortError::InvalidInput),
            NodeKind::File => {}
        }
        // What it is called is found when there is something to say about it.
        let opened = self.snapshot.open_file(&node.entry(), "a file");
        let reader = opened.map_err(|error| self.unreadable(number, node, error))?;
        let handle = self.next_handle.fetch_add(1, Relaxed);
        lock(&self.files).insert(handle, Arc::new(OpenFile { reader, node, number }));
        Ok(FileHandle(handle))
    }

    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let file = self.file(handle)?;
        let read = file.reader.read_at(offset, buffer);
        let n = read.map_err(|error| self.unreadable(file.number, file.node, error))?;
        self.served.fetch_add(n as u64, Relaxed);
        Ok(n)
    }

    fn close(&self, handle: FileHandle) {
        lock(&self.files).remove(&handle.0);
    }

    fn backing(&self, handle: FileHandle) -> Option<Arc<File>> {
        let whole = self.file(handle).ok()?.reader.whole_file().ok()??;
        whole.as_file()?.try_clone().ok().map(Arc::new)
    }

    fn has_backings(&self) -> bool {
        // Damage is found by whoever reads what is damaged.
        self.snapshot.may_hold_whole_files().unwrap_or(true)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, PortError> {
        let number = node.0;
        let node = self.node(node)?;
        if node.mode != Mode::Symlink {
            return Err(PortError::InvalidInput);
        }
        self.snapshot.read_link(&node.entry()).map_err(|error| self.unreadable(number, node, error))
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        if !name.starts_with(b"user.hubvault.") {
            return Ok(None);
        }
        let tags = self.tags(&self.node(node)?).map_err(|e| port_error(&e))?;
        Ok(tags.into_iter().find(|(tag, _)| *tag == name).map(|(_, value)| value.into_bytes()))
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError> {
        let tags = self.tags(&self.node(node)?).map_err(|e| port_error(&e))?;
        Ok(tags.into_iter().map(|(tag, _)| tag.to_vec()).collect())
    }

    fn figures(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("bytes_streamed", self.served.load(Relaxed)),
            ("cache_bytes", self.snapshot.cached_bytes() as u64),
            ("open_files", lock(&self.files).len() as u64),
        ]
    }

    fn volume(&self) -> VolumeInfo {
        *self.volume.get_or_init(|| self.measure())
    }
}
