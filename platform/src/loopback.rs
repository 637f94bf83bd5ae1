//! Driving the port with no kernel: reads a tree by path, and holds its implementer to the port's contract.
//!
//! Tests of anyone who implements [`ReadOnlyTree`] use it: what works here works through every adapter, and
//! what a kernel would only punish with strange behaviour (a number used twice, a listing that cannot be
//! resumed, a lookup nobody takes back) is an error with a name here. Symbolic links are never followed.
//!
//! It must not know any implementation of the port, nor any operating system.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::{Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit};

mod contract;

pub use contract::Census;

/// Why the loopback driver could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoopbackError {
    /// The tree answered with an error.
    #[error("{operation} of `{path}`: {source}")]
    Port {
        /// What was asked: the method of the port.
        operation: &'static str,
        /// Of which path, for reading only.
        path: String,
        /// The answer.
        source: PortError,
    },
    /// The tree broke its contract.
    #[error("contract broken at `{path}`: {rule}")]
    Contract {
        /// At which path, for reading only.
        path: String,
        /// What must hold and does not.
        rule: String,
    },
}

/// One name of a listed directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name, as stored.
    pub name: Vec<u8>,
    /// The node it stands for.
    pub node: NodeId,
    /// What that is.
    pub kind: NodeKind,
    /// Where the listing continues behind it.
    pub next: u64,
}

/// A tree, read by path. Paths are bytes, separated by `/`, relative to the top; empty means the top.
#[derive(Debug)]
pub struct Loopback {
    tree: Arc<dyn ReadOnlyTree>,
    numbers: Mutex<Numbers>,
}

/// Which path has which number, as far as seen: they must agree for ever.
#[derive(Debug, Default)]
struct Numbers {
    by_path: HashMap<Vec<u8>, NodeId>,
    by_node: HashMap<NodeId, Vec<u8>>,
}

impl Loopback {
    /// Drives `tree`.
    pub fn new(tree: Arc<dyn ReadOnlyTree>) -> Self {
        Self { tree, numbers: Mutex::default() }
    }

    /// The attributes of what is at `path`, of the link itself if it is one.
    ///
    /// # Errors
    /// See [`LoopbackError`].
    pub fn metadata(&self, path: impl AsRef<[u8]>) -> Result<Attributes, LoopbackError> {
        Ok(self.walk(path.as_ref())?.attributes)
    }

    /// The whole content of a file.
    ///
    /// # Errors
    /// See [`LoopbackError`]; also if the content is not as long as the attributes say.
    pub fn read_to_end(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>, LoopbackError> {
        let at = self.walk(path.as_ref())?;
        let Ok(size) = usize::try_from(at.attributes.size) else {
            return Err(at.broken("a file read whole must fit into memory"));
        };
        let file = Opened::new(self, &at)?;
        let content = file.read(0, size)?;
        if content.len() < size {
            return Err(at.broken(format!("the size is {size}, but reading ends at {}", content.len())));
        }
        if !file.read(at.attributes.size, 1)?.is_empty() {
            return Err(at.broken(format!("the size is {size}, but there is more to read")));
        }
        Ok(content)
    }

    /// Up to `length` bytes of a file from byte `offset` on; fewer only at its end.
    ///
    /// # Errors
    /// See [`LoopbackError`].
    pub fn read_at(
        &self,
        path: impl AsRef<[u8]>,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, LoopbackError> {
        let at = self.walk(path.as_ref())?;
        let content = Opened::new(self, &at)?.read(offset, length)?;
        let left = at.attributes.size.saturating_sub(offset);
        let due = usize::try_from(left).map_or(length, |left| left.min(length));
        if content.len() == due {
            return Ok(content);
        }
        Err(at.broken(format!("read at {offset} must yield {due} bytes and yields {}", content.len())))
    }

    /// The entries of a directory, in the tree's order, without `.` and `..`.
    ///
    /// # Errors
    /// See [`LoopbackError`].
    pub fn list(&self, path: impl AsRef<[u8]>) -> Result<Vec<Listed>, LoopbackError> {
        let at = self.walk(path.as_ref())?;
        let entries = self.list_from(&at, 0, usize::MAX)?;
        let mut names = HashSet::new();
        for entry in &entries {
            contract::check_name(&at, &entry.name)?;
            if !names.insert(&entry.name) {
                return Err(at.broken("a name is listed only once"));
            }
            self.remember(&join(&at.path, &entry.name), entry.node)?;
        }
        Ok(entries)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// See [`LoopbackError`]; also if the link's size is not the target's length.
    pub fn read_link(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>, LoopbackError> {
        let at = self.walk(path.as_ref())?;
        let target =
            self.tree.read_link(at.attributes.node).map_err(|error| at.failed("read_link", error))?;
        if u64::try_from(target.len()).is_ok_and(|length| length == at.attributes.size) {
            return Ok(target);
        }
        Err(at.broken("a link's size is its target's length"))
    }

    /// The value of an extended attribute.
    ///
    /// # Errors
    /// See [`LoopbackError`].
    pub fn xattr(&self, path: impl AsRef<[u8]>, name: &[u8]) -> Result<Option<Vec<u8>>, LoopbackError> {
        let at = self.walk(path.as_ref())?;
        self.tree.xattr(at.attributes.node, name).map_err(|error| at.failed("xattr", error))
    }

    /// The names of all extended attributes.
    ///
    /// # Errors
    /// See [`LoopbackError`].
    pub fn list_xattrs(&self, path: impl AsRef<[u8]>) -> Result<Vec<Vec<u8>>, LoopbackError> {
        let at = self.walk(path.as_ref())?;
        self.tree.list_xattrs(at.attributes.node).map_err(|error| at.failed("list_xattrs", error))
    }

    /// Looks up `path` one name at a time, as a kernel does.
    fn walk(&self, path: &[u8]) -> Result<Found, LoopbackError> {
        let mut at = Found::root(self)?;
        for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            let below = join(&at.path, name);
            let looked_up = self.tree.lookup(at.attributes.node, name);
            let attributes = looked_up.map_err(|error| failed("lookup", &below, error))?;
            at = Found::looked_up(self, below, attributes); // before it can fail: it takes the lookup back
            self.remember(&at.path, at.attributes.node)?;
            contract::check_found(self.tree.as_ref(), &at)?;
        }
        Ok(at)
    }

    /// At most `most` entries behind `offset`.
    fn list_from(&self, at: &Found, offset: u64, most: usize) -> Result<Vec<Listed>, LoopbackError> {
        let mut entries = Vec::new();
        let mut calls_after_full = 0;
        let mut full = false;
        let listed = self.tree.read_dir(at.attributes.node, offset, &mut |entry: DirEntry<'_>| {
            calls_after_full += usize::from(full);
            if entries.len() >= most {
                full = true;
                return Visit::Full;
            }
            let DirEntry { name, node, kind, next, .. } = entry;
            entries.push(Listed { name: name.to_vec(), node, kind, next });
            Visit::Listed
        });
        listed.map_err(|error| at.failed("read_dir", error))?;
        if calls_after_full > 0 {
            return Err(at.broken("a visitor that is full is not called again"));
        }
        Ok(entries)
    }

    /// Holds a path and its number against all that was seen before.
    fn remember(&self, path: &[u8], node: NodeId) -> Result<(), LoopbackError> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let node_before = *numbers.by_path.entry(path.to_vec()).or_insert(node);
        let path_before = numbers.by_node.entry(node).or_insert_with(|| path.to_vec()).clone();
        if node_before != node {
            return Err(broken(path, format!("its number was {node_before} and now is {node}")));
        }
        if path_before != path {
            let other = String::from_utf8_lossy(&path_before).into_owned();
            return Err(broken(path, format!("its number {node} is also that of `{other}`")));
        }
        Ok(())
    }
}

/// A node found by path; takes its lookup back when dropped.
#[derive(Debug)]
struct Found {
    tree: Arc<dyn ReadOnlyTree>,
    path: Vec<u8>,
    attributes: Attributes,
}

impl Found {
    fn root(driver: &Loopback) -> Result<Self, LoopbackError> {
        let attributes =
            driver.tree.attributes(NodeId::ROOT).map_err(|error| failed("attributes", b"", error))?;
        let found = Self { tree: Arc::clone(&driver.tree), path: Vec::new(), attributes };
        if attributes.node != NodeId::ROOT || attributes.kind != NodeKind::Directory {
            return Err(found.broken("the root is a directory and numbered 1"));
        }
        Ok(found)
    }

    fn looked_up(driver: &Loopback, path: Vec<u8>, attributes: Attributes) -> Self {
        Self { tree: Arc::clone(&driver.tree), path, attributes }
    }

    fn failed(&self, operation: &'static str, source: PortError) -> LoopbackError {
        failed(operation, &self.path, source)
    }

    fn broken(&self, rule: impl Into<String>) -> LoopbackError {
        broken(&self.path, rule)
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        if self.attributes.node != NodeId::ROOT {
            self.tree.forget(self.attributes.node, 1);
        }
    }
}

/// An open file; closes itself.
#[derive(Debug)]
struct Opened<'a> {
    at: &'a Found,
    handle: FileHandle,
}

impl<'a> Opened<'a> {
    fn new(driver: &Loopback, at: &'a Found) -> Result<Self, LoopbackError> {
        let handle = driver.tree.open(at.attributes.node).map_err(|error| at.failed("open", error))?;
        Ok(Self { at, handle })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, LoopbackError> {
        let mut buffer = vec![0; length];
        let read = self.at.tree.read(self.handle, offset, &mut buffer);
        let read = read.map_err(|error| self.at.failed("read", error))?;
        if read > length {
            return Err(self.at.broken("a read yields at most what fits the buffer"));
        }
        buffer.truncate(read);
        Ok(buffer)
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.at.tree.close(self.handle);
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, name].join(&b'/') }
}

fn failed(operation: &'static str, path: &[u8], source: PortError) -> LoopbackError {
    LoopbackError::Port { operation, path: String::from_utf8_lossy(path).into_owned(), source }
}

fn broken(path: &[u8], rule: impl Into<String>) -> LoopbackError {
    LoopbackError::Contract { path: String::from_utf8_lossy(path).into_owned(), rule: rule.into() }
}
