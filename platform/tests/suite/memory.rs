//! A small tree in memory that keeps exact books: lookups, open files, calls. With faults on demand.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubvault_platform::{
    Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit, VolumeInfo,
};

/// The number of files in `many`.
pub(crate) const MANY: usize = 10_000;
/// The size of `big.bin`: several requests, and no multiple of anything.
pub(crate) const BIG: usize = 5 * 1024 * 1024 + 13;
/// The time of everything.
pub(crate) const TIME: Duration = Duration::new(1_700_000_000, 123_456_789);
/// A name that is no text.
pub(crate) const ODD_NAME: &[u8] = b"od\xffd \n n\\ame";

/// What a tree can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Two files have one number.
    SharedNumber,
    /// Reads stop at 1000 bytes.
    ShortRead,
    /// Listings cannot be resumed: every one starts anew.
    NoResume,
    /// Entries show another size than lookups.
    EntrySize,
    /// Goes on after the visitor is full.
    Deaf,
    /// Every read fails.
    ReadFails,
    /// Every read panics.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only a mount survives it"))]
    ReadPanics,
    /// Reads of closed files succeed.
    NoClose,
    /// Reads fail, and files of at least [`BACKED`] bytes have a file on disk that is them: whoever can read those
    /// did not ask.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only a kernel reads by itself"))]
    BackedAndReadFails,
    /// None: the top moves, as a branch does.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only a kernel keeps attributes"))]
    Moves,
}

/// From this size on a file is backed, if any is.
pub(crate) const BACKED: usize = 1 << 20;

#[derive(Debug)]
enum Content {
    Directory(Vec<(Vec<u8>, usize)>),
    File { bytes: Vec<u8>, executable: bool },
    Link(Vec<u8>),
}

#[derive(Debug)]
struct Node {
    parent: usize,
    content: Content,
}

#[derive(Debug)]
pub(crate) struct MemoryTree {
    nodes: Vec<Node>,
    names: HashMap<(usize, Vec<u8>), usize>,
    fault: Fault,
    lookups: Mutex<HashMap<NodeId, i64>>,
    open: Mutex<HashMap<FileHandle, usize>>,
    next_handle: AtomicU64,
    /// How often `lookup` was called.
    pub(crate) lookup_calls: AtomicU64,
    /// How often `attributes` was called.
    pub(crate) attribute_calls: AtomicU64,
    /// How often `read` was called.
    pub(crate) read_calls: AtomicU64,
}

/// The content of `big.bin`: no two pages alike.
pub(crate) fn big_content() -> Vec<u8> {
    let mut state = 1_u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..BIG).map(|_| step()).collect()
}

impl MemoryTree {
    pub(crate) fn sample() -> Self {
        Self::with_fault(Fault::None)
    }

    pub(crate) fn with_fault(fault: Fault) -> Self {
        let root = Node { parent: 0, content: Content::Directory(Vec::new()) };
        let mut tree = Self {
            nodes: vec![root],
            names: HashMap::new(),
            fault,
            lookups: Mutex::default(),
            open: Mutex::default(),
            next_handle: AtomicU64::new(1),
            lookup_calls: AtomicU64::new(0),
            attribute_calls: AtomicU64::new(0),
            read_calls: AtomicU64::new(0),
        };
        tree.fill();
        tree
    }

    fn fill(&mut self) {
        self.file(0, b"empty", b"");
        self.file(0, b"hello.txt", b"hello, world\n");
        self.file(0, b"same.txt", b"hello, world\n");
        self.file(0, ODD_NAME, b"odd");
        self.file(0, b"big.bin", &big_content());
        self.add(0, b"run.sh", Content::File { bytes: b"#!/bin/sh\nexit 7\n".to_vec(), executable: true });
        self.add(0, b"link", Content::Link(b"hello.txt".to_vec()));
        self.add(0, b"dangling", Content::Link(b"no/where\xfe".to_vec()));
        self.add(0, b"hollow", Content::Directory(Vec::new()));
        let outer = self.add(0, b"outer", Content::Directory(Vec::new()));
        let inner = self.add(outer, b"inner", Content::Directory(Vec::new()));
        self.file(inner, b"deep.txt", b"deep");
        let many = self.add(0, b"many", Content::Directory(Vec::new()));
        for number in 0..MANY {
            self.file(many, format!("file-{number:05}.txt").as_bytes(), number.to_string().as_bytes());
        }
    }

    fn file(&mut self, parent: usize, name: &[u8], bytes: &[u8]) {
        self.add(parent, name, Content::File { bytes: bytes.to_vec(), executable: false });
    }

    fn add(&mut self, parent: usize, name: &[u8], content: Content) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node { parent, content });
        self.names.insert((parent, name.to_vec()), index);
        if let Content::Directory(entries) = &mut self.nodes[parent].content {
            entries.push((name.to_vec(), index));
        }
        index
    }

    /// Lookups not taken back, over all nodes.
    pub(crate) fn outstanding_lookups(&self) -> i64 {
        self.lookups.lock().unwrap().values().sum()
    }

    /// Files not closed.
    pub(crate) fn open_files(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    fn number(&self, index: usize) -> NodeId {
        let shared = self.fault == Fault::SharedNumber && index == 3;
        NodeId(if shared { 3 } else { index as u64 + 1 })
    }

    fn node(&self, node: NodeId) -> Result<(usize, &Node), PortError> {
        let index = usize::try_from(node.0.wrapping_sub(1)).map_err(|_| PortError::NotFound)?;
        Ok((index, self.nodes.get(index).ok_or(PortError::NotFound)?))
    }

    fn entries(&self, node: NodeId) -> Result<&[(Vec<u8>, usize)], PortError> {
        match &self.node(node)?.1.content {
            Content::Directory(entries) => Ok(entries),
            _ => Err(PortError::NotADirectory),
        }
    }

    fn describe(&self, index: usize) -> Attributes {
        let (kind, size, executable) = match &self.nodes[index].content {
            Content::Directory(_) => (NodeKind::Directory, 0, false),
            Content::File { bytes, executable } => (NodeKind::File, bytes.len() as u64, *executable),
            Content::Link(target) => (NodeKind::Symlink, target.len() as u64, false),
        };
        let modified: SystemTime = UNIX_EPOCH + TIME;
        let blocks512 = size.div_ceil(512);
        Attributes { node: self.number(index), kind, size, executable, modified, links: 1, blocks512 }
    }

    fn count(&self, node: NodeId, change: i64) {
        *self.lookups.lock().unwrap().entry(node).or_default() += change;
    }
}

impl ReadOnlyTree for MemoryTree {
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Attributes, PortError> {
        self.lookup_calls.fetch_add(1, Ordering::Relaxed);
        self.entries(parent)?;
        let found = self.names.get(&(self.node(parent)?.0, name.to_vec()));
        let attributes = self.describe(*found.ok_or(PortError::NotFound)?);
        self.count(attributes.node, 1);
        Ok(attributes)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError> {
        self.attribute_calls.fetch_add(1, Ordering::Relaxed);
        Ok(self.describe(self.node(node)?.0))
    }

    fn is_settled(&self, node: NodeId) -> bool {
        self.fault != Fault::Moves || self.node(node).is_ok_and(|(_, node)| node.parent != 0)
    }

    fn is_moving(&self, folder: NodeId) -> bool {
        self.fault == Fault::Moves && folder == NodeId::ROOT
    }

    fn moves(&self) -> bool {
        self.fault == Fault::Moves
    }

    fn forget(&self, node: NodeId, lookups: u64) {
        self.count(node, -i64::try_from(lookups).unwrap());
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, PortError> {
        Ok(self.number(self.node(node)?.1.parent))
    }

    fn read_dir(
        &self,
        node: NodeId,
        offset: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError> {
        let offset = if self.fault == Fault::NoResume { 0 } else { usize::try_from(offset).unwrap() };
        for (position, (name, index)) in self.entries(node)?.iter().enumerate().skip(offset) {
            let mut attributes = self.describe(*index);
            attributes.size += u64::from(self.fault == Fault::EntrySize);
            let Attributes { node, kind, .. } = attributes;
            let next = position as u64 + 1;
            let entry = DirEntry { name, node, kind, next, attributes: &|| Ok(attributes) };
            match visit(entry) {
                Visit::Listed => {}
                Visit::LookedUp => self.count(node, 1),
                Visit::Full if self.fault == Fault::Deaf => {}
                Visit::Full => break,
            }
        }
        Ok(())
    }

    fn open(&self, node: NodeId) -> Result<FileHandle, PortError> {
        let (index, node) = self.node(node)?;
        match node.content {
            Content::Directory(_) => return Err(PortError::IsADirectory),
            Content::Link(_) => return Err(PortError::InvalidInput),
            Content::File { .. } => {}
        }
        let handle = FileHandle(self.next_handle.fetch_add(1, Ordering::Relaxed));
        self.open.lock().unwrap().insert(handle, index);
        Ok(handle)
    }

    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.read_calls.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::ReadFails | Fault::BackedAndReadFails => return Err(PortError::Io("as ordered".into())),
            Fault::ReadPanics => panic!("as ordered"),
            Fault::NoClose if !self.open.lock().unwrap().contains_key(&handle) => return Ok(0),
            _ => {}
        }
        let index = *self.open.lock().unwrap().get(&handle).ok_or(PortError::StaleHandle)?;
        let Content::File { bytes, .. } = &self.nodes[index].content else { return Err(PortError::NotFound) };
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let most = if self.fault == Fault::ShortRead { 1000 } else { usize::MAX };
        let length = rest.len().min(buffer.len()).min(most);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn close(&self, handle: FileHandle) {
        self.open.lock().unwrap().remove(&handle);
    }

    fn backing(&self, handle: FileHandle) -> Option<Arc<File>> {
        let index = *self.open.lock().unwrap().get(&handle)?;
        let Content::File { bytes, .. } = &self.nodes[index].content else { return None };
        if self.fault != Fault::BackedAndReadFails || bytes.len() < BACKED {
            return None;
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Some(Arc::new(file))
    }

    fn has_backings(&self) -> bool {
        self.fault == Fault::BackedAndReadFails
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, PortError> {
        match &self.node(node)?.1.content {
            Content::Link(target) => Ok(target.clone()),
            _ => Err(PortError::InvalidInput),
        }
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        let (index, _) = self.node(node)?;
        Ok((name == b"user.hubvault.id").then(|| format!("node {index}").into_bytes()))
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError> {
        self.node(node)?;
        Ok(vec![b"user.hubvault.id".to_vec()])
    }

    fn volume(&self) -> VolumeInfo {
        let files = self.nodes.len() as u64;
        VolumeInfo { total_bytes: 10_000_001, free_bytes: 0, files, name_max: 255, block_size: 4096 }
    }
}
