//! The files and folders of a memory medium, each with what of it is durable and what is not yet.
//!
//! A file knows how many of its bytes a sync has covered; a folder knows, for every name changed since its last
//! sync, all states that name has had. What a crash makes of that is `crash`'s business; counting, failing and
//! locking are the medium's. Nothing here knows what the bytes mean.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::super::disk::{check_path, not_regular};

/// A file or folder, by position in [`Tree::nodes`]; stays valid when its names are gone.
pub(super) type NodeId = usize;

/// A whole medium at rest: bytes of each file, `None` for each folder, by path.
pub(super) type Image = BTreeMap<String, Option<Arc<Vec<u8>>>>;

/// Says what a name in a folder stands for, given what it stands for now.
pub(super) type ChooseEntry<'a> = dyn Fn(NodeId, &str, Option<NodeId>) -> Option<NodeId> + 'a;

/// Says what a file holds.
pub(super) type ChooseContent<'a> = dyn Fn(NodeId, &FileNode) -> Arc<Vec<u8>> + 'a;

/// Files and folders, the root first. Nodes are never dropped: an open file outlives its name.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// One file or folder.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A regular file.
    File(FileNode),
    /// A folder.
    Folder(FolderNode),
}

/// A file's bytes as a reader sees them; the first `durable` of them survive a crash for certain.
#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) durable: usize,
    /// A sync of it failed: the system has dropped the bytes that were to be written, and later syncs, though
    /// they report success, bring none of them back.
    pub(super) dropped: bool,
}

/// A folder's names as a reader sees them, and the states of each name since the last sync, the durable first.
#[derive(Debug, Clone, Default)]
pub(super) struct FolderNode {
    pub(super) names: BTreeMap<String, NodeId>,
    pub(super) pending: BTreeMap<String, Vec<Option<NodeId>>>,
}

impl FolderNode {
    fn set(&mut self, name: &str, node: Option<NodeId>) {
        let before = match node {
            Some(node) => self.names.insert(name.to_owned(), node),
            None => self.names.remove(name),
        };
        self.pending.entry(name.to_owned()).or_insert_with(|| vec![before]).push(node);
    }

    /// What follows from a sync: the names as they are now are the only possible ones.
    pub(super) fn settle(&mut self) {
        self.pending.clear();
    }
}

impl Tree {
    /// An empty root.
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Folder(FolderNode::default())] }
    }

    /// The tree in which exactly this is there, and durable. Folders come before what they hold, as `/` is
    /// part of every longer path.
    pub(super) fn from_image(image: &Image) -> Self {
        let mut tree = Self::new();
        for (path, bytes) in image {
            let node = match bytes {
                Some(bytes) => {
                    let (bytes, durable) = (Arc::clone(bytes), bytes.len());
                    Node::File(FileNode { bytes, durable, dropped: false })
                }
                None => Node::Folder(FolderNode::default()),
            };
            tree.insert(path, node).expect("an image has every folder, and each before what it holds");
        }
        for node in &mut tree.nodes {
            if let Node::Folder(folder) = node {
                folder.settle();
            }
        }
        tree
    }

    /// The node at a path.
    pub(super) fn find(&self, path: &str) -> io::Result<NodeId> {
        check_path(path)?;
        path.split('/').filter(|name| !name.is_empty()).try_fold(0, |at, name| match &self.nodes[at] {
            Node::Folder(folder) => folder.names.get(name).copied().ok_or_else(|| not_found(path)),
            Node::File(_) => {
                Err(io::Error::new(io::ErrorKind::NotADirectory, format!("on the way to `{path}`")))
            }
        })
    }

    /// The regular file at a path.
    pub(super) fn find_file(&self, path: &str) -> io::Result<NodeId> {
        let node = self.find(path)?;
        if matches!(self.nodes[node], Node::File(_)) { Ok(node) } else { Err(not_regular(path)) }
    }

    /// The folder at a path.
    pub(super) fn folder(&mut self, path: &str) -> io::Result<&mut FolderNode> {
        let node = self.find(path)?;
        match &mut self.nodes[node] {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, path.to_owned())),
        }
    }

    /// The contents behind an id that [`Self::find_file`] or [`Self::insert`] gave for a file.
    pub(super) fn file(&mut self, node: NodeId) -> io::Result<&mut FileNode> {
        match &mut self.nodes[node] {
            Node::File(file) => Ok(file),
            Node::Folder(_) => Err(not_regular("")),
        }
    }

    /// Adds a node under a name that must be free.
    pub(super) fn insert(&mut self, path: &str, node: Node) -> io::Result<NodeId> {
        let id = self.nodes.len();
        self.name(path, id)?;
        self.nodes.push(node);
        Ok(id)
    }

    /// Gives a node one more name, which must be free.
    pub(super) fn name(&mut self, path: &str, node: NodeId) -> io::Result<()> {
        check_path(path)?;
        let (parent, name) = split(path);
        let folder = self.folder(parent)?;
        if name.is_empty() || folder.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{path}` is there")));
        }
        folder.set(name, Some(node));
        Ok(())
    }

    /// Takes away the name of a file.
    pub(super) fn unname(&mut self, path: &str) -> io::Result<()> {
        self.find_file(path)?;
        let (parent, name) = split(path);
        self.folder(parent)?.set(name, None);
        Ok(())
    }

    /// Makes what a path stands for now durable by itself.
    pub(super) fn settle_name(&mut self, path: &str) -> io::Result<()> {
        let (parent, name) = split(path);
        self.folder(parent)?.pending.remove(name);
        Ok(())
    }

    /// Everything as a reader sees it.
    pub(super) fn image(&self) -> Image {
        self.image_with(&|_, _, now| now, &|_, file| Arc::clone(&file.bytes))
    }

    /// Everything reachable when `entry` decides what each name stands for (given folder, name and what it
    /// stands for now; names removed but pending are asked for too) and `content` what each file holds.
    pub(super) fn image_with(&self, entry: &ChooseEntry<'_>, content: &ChooseContent<'_>) -> Image {
        let mut image = Image::new();
        let mut open = vec![(0, String::new())];
        while let Some((id, path)) = open.pop() {
            match &self.nodes[id] {
                Node::File(file) => {
                    image.insert(path, Some(content(id, file)));
                }
                Node::Folder(folder) => {
                    let gone = folder.pending.keys().filter(|name| !folder.names.contains_key(*name));
                    for name in folder.names.keys().chain(gone) {
                        if let Some(child) = entry(id, name, folder.names.get(name).copied()) {
                            let slash = if path.is_empty() { "" } else { "/" };
                            open.push((child, format!("{path}{slash}{name}")));
                        }
                    }
                    if !path.is_empty() {
                        image.insert(path, None);
                    }
                }
            }
        }
        image
    }
}

/// Folder and last name of a path.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("`{path}` is not there"))
}
