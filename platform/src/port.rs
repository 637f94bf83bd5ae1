//! The port: the only thing an adapter knows about the files it serves.
//!
//! [`ReadOnlyTree`] is a read-only tree of directories, files and symbolic links addressed by numbers, which is
//! how every kernel asks for files. Whoever has a tree to show implements it; every adapter (FUSE, the loopback
//! driver, later `WinFsp`) calls it and adds nothing.
//!
//! It must not know what a vault, a commit or a pack is, nor any operating system's flags, error numbers or
//! types: this file compiles everywhere.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

/// The number of a directory, file or symbolic link; what `stat` shows as the inode.
///
/// Numbers are never 0, differ between any two paths of the tree (also for equal content) and stay the same for
/// the life of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The top directory. It is known without a lookup and is never forgotten.
    pub const ROOT: Self = Self(1);
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The number of an open file, chosen by the tree in [`ReadOnlyTree::open`] and unique while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileHandle(pub u64);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
}

/// What `stat` shows of a node. Owner and permission bits are the adapter's business, save for `executable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The node itself.
    pub node: NodeId,
    /// What it is.
    pub kind: NodeKind,
    /// Exact size in bytes: of a file's content, of a link's target; anything for a directory.
    pub size: u64,
    /// Whether a file may be executed. Ignored for directories and links.
    pub executable: bool,
    /// Time of last modification; also shown as every other time.
    pub modified: SystemTime,
    /// Number of names: 1 for files and links; 2 plus the number of subdirectories, or 1 for "not counted",
    /// for directories.
    pub links: u32,
    /// Space shown as used, in units of 512 bytes; the content's size rounded up unless something better is known.
    pub blocks512: u64,
}

/// One name in a directory, as handed to the visitor of [`ReadOnlyTree::read_dir`].
#[derive(Clone, Copy)]
pub struct DirEntry<'a> {
    /// The name: never empty, `.` or `..`; without `/` and NUL. Names are bytes, not text.
    pub name: &'a [u8],
    /// The number a lookup of this name would return.
    pub node: NodeId,
    /// The kind a lookup of this name would return.
    pub kind: NodeKind,
    /// Where to continue after this entry: passed as `offset` it yields the entries behind this one. Never 0,
    /// different for every entry, at most `i64::MAX - 2`.
    pub next: u64,
    /// The attributes a lookup of this name would return, worked out only when asked for.
    pub attributes: &'a dyn Fn() -> Result<Attributes, PortError>,
}

impl fmt::Debug for DirEntry<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DirEntry")
            .field("name", &String::from_utf8_lossy(self.name))
            .field("node", &self.node)
            .field("kind", &self.kind)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// What a visitor did with a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Taken as a name only. Continue.
    Listed,
    /// Taken together with its attributes: counts as one lookup of its node, to be forgotten later. Continue.
    LookedUp,
    /// Not taken, there was no room. Stop; the caller comes back with the last taken entry's `next`.
    Full,
}

/// The numbers `statfs` (`df`) shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Bytes of content in the tree.
    pub total_bytes: u64,
    /// Bytes shown as free. 0 is right for a tree nobody can write to.
    pub free_bytes: u64,
    /// Number of nodes.
    pub files: u64,
    /// Longest allowed name, in bytes.
    pub name_max: u32,
    /// Unit of `total_bytes` and `free_bytes` as shown, in bytes; not 0.
    pub block_size: u32,
}

/// Why a tree could not answer. Each adapter has one table from these to its system's error numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// There is no such name, or no such node.
    #[error("no such file or directory")]
    NotFound,
    /// A directory was needed.
    #[error("not a directory")]
    NotADirectory,
    /// A file was needed.
    #[error("is a directory")]
    IsADirectory,
    /// The request makes no sense for this node (reading the target of something that is no link).
    #[error("invalid request")]
    InvalidInput,
    /// Somebody tried to change the tree.
    #[error("the tree is read-only")]
    ReadOnly,
    /// The content could not be read or is damaged.
    #[error("input/output error: {0}")]
    Io(String),
    /// No more files can be opened now.
    #[error("too many open files")]
    TooManyOpen,
    /// The file handle was never opened or is closed.
    #[error("stale file handle")]
    StaleHandle,
    /// The node has no extended attribute of that name.
    #[error("no such attribute")]
    NoAttribute,
}

/// A read-only tree. What a number stands for never changes while it is shown: content, kind, and what a directory
/// holds. Only directories that say so ([`is_moving`](Self::is_moving)) may list other names later, and lead to other
/// nodes.
///
/// Every method may be called from several threads at once. An error, never a panic, is the answer to a node,
/// handle or offset the tree does not know.
///
/// # Lookups
///
/// A node becomes known to the caller by [`lookup`](Self::lookup) or by a directory entry answered
/// [`Visit::LookedUp`]. It must be answered for until [`forget`](Self::forget) has taken back as many lookups;
/// a tree that can always find a node by its number may ignore the count. When a mount ends, the kernel does
/// not forget everything: dropping the tree releases what is left. Open files are always closed.
pub trait ReadOnlyTree: Send + Sync + fmt::Debug + 'static {
    /// The node called `name` in the directory `parent`; counts one lookup. `name` is never `.` or `..`.
    ///
    /// # Errors
    /// [`PortError::NotFound`], [`PortError::NotADirectory`] if `parent` is none, [`PortError::Io`].
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Attributes, PortError>;

    /// The attributes of a known node.
    ///
    /// # Errors
    /// [`PortError::NotFound`] for an unknown node, [`PortError::Io`].
    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError>;

    /// Takes back `lookups` lookups of `node`. Unknown nodes and the root are ignored.
    fn forget(&self, node: NodeId, lookups: u64);

    /// The directory that holds `node`; the root is its own parent. Only shown (as `..`); counts no lookup.
    ///
    /// # Errors
    /// [`PortError::NotFound`] for an unknown node.
    fn parent(&self, node: NodeId) -> Result<NodeId, PortError>;

    /// Whether the name under which `node` was found will always lead to it. Asked right after a lookup.
    fn is_settled(&self, _node: NodeId) -> bool {
        true
    }

    /// Whether a directory may list other names, and have other attributes, when it is asked again. Its listing is
    /// still that of one moment: where it goes on says of which.
    fn is_moving(&self, _directory: NodeId) -> bool {
        false
    }

    /// Whether any directory of the tree ever moves.
    fn moves(&self) -> bool {
        false
    }

    /// Passes the entries of the directory `node` that follow `offset` to `visit`, until it answers
    /// [`Visit::Full`]. `offset` is 0 for the first entry, or an earlier entry's [`DirEntry::next`]. The order
    /// is always the same (save for a directory that [moves](Self::is_moving), when it is begun anew). `.` and `..` are added by the adapter.
    ///
    /// # Errors
    /// [`PortError::NotFound`], [`PortError::NotADirectory`], [`PortError::Io`].
    fn read_dir(
        &self,
        node: NodeId,
        offset: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError>;

    /// Opens a file for reading; [`close`](Self::close) is called once for every success.
    ///
    /// # Errors
    /// [`PortError::NotFound`], [`PortError::IsADirectory`], [`PortError::InvalidInput`] for a link,
    /// [`PortError::TooManyOpen`], [`PortError::Io`].
    fn open(&self, node: NodeId) -> Result<FileHandle, PortError>;

    /// Reads from byte `offset` of an open file and returns the number of bytes read. `buffer` is filled whole
    /// unless the file ends before; at and behind the end the answer is 0.
    ///
    /// # Errors
    /// [`PortError::StaleHandle`], [`PortError::Io`] if any wanted byte cannot be had (never a short read).
    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError>;

    /// Closes an open file. Unknown handles are ignored.
    fn close(&self, handle: FileHandle);

    /// A file on disk that *is* the open file: same bytes from byte 0 on, same length, never written again.
    ///
    /// An adapter may hand it to the kernel, which then reads it directly (FUSE passthrough). All handles of one
    /// node must give the same answer for the life of the tree. `None` means every byte goes through
    /// [`read`](Self::read).
    fn backing(&self, _handle: FileHandle) -> Option<Arc<File>> {
        None
    }

    /// Whether any file of the tree may have a [`backing`](Self::backing). Where none has, an adapter can spare its
    /// kernel the opening of files.
    fn has_backings(&self) -> bool {
        false
    }

    /// The target of a symbolic link, as stored.
    ///
    /// # Errors
    /// [`PortError::InvalidInput`] if the node is no link, [`PortError::NotFound`], [`PortError::Io`].
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, PortError>;

    /// The value of the extended attribute `name` (with its prefix, `user.…`), or `None` if there is none.
    ///
    /// # Errors
    /// [`PortError::NotFound`], [`PortError::Io`].
    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError>;

    /// The names of all extended attributes of a node.
    ///
    /// # Errors
    /// [`PortError::NotFound`], [`PortError::Io`].
    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError>;

    /// What the tree shows and how it works, for whoever looks after mounts: names, and values of one line.
    fn figures(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Size and limits of the whole tree.
    fn volume(&self) -> VolumeInfo;
}
