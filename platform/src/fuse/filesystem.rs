//! Every FUSE request, answered by one call on the port.
//!
//! Reads are passed on; whatever would change anything is answered "read-only file system". It must not cache
//! or decide what to show: the kernel caches, the tree knows.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle as FuseHandle, Filesystem, FopenFlags,
    Generation, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, PollEvents,
    PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::OFlags;

use super::open_files::OpenFiles;
use super::translate::{self, Owner};
use crate::port::{Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit};

/// What the kernel is asked for where it offers it: all attributes with the first listing, several requests
/// for one directory at a time, targets of links read once, and content kept until the mount ends.
const WANTED: [InitFlags; 5] = [
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_ASYNC_DIO,
];

/// `.` and `..` come before the tree's entries, whose offsets are moved up by as many.
const OWN_ENTRIES: u64 = 2;

/// Numbers are never reused, so every node is of the first generation.
const GENERATION: Generation = Generation(0);

thread_local! {
    /// The answer to one read; kept, since fresh memory for every MiB costs more than filling it.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A tree as fuser wants to see it.
#[derive(Debug)]
pub(super) struct Adapter {
    tree: Arc<dyn ReadOnlyTree>,
    owner: Owner,
    lifetime: Duration,
    open_files: OpenFiles,
    /// Whether the kernel can be told once that directories need no opening.
    no_opendir: bool,
}

impl Adapter {
    pub(super) fn new(tree: Arc<dyn ReadOnlyTree>, lifetime: Option<Duration>) -> Self {
        let owner =
            Owner { user: rustix::process::getuid().as_raw(), group: rustix::process::getgid().as_raw() };
        let lifetime = translate::lifetime(lifetime);
        Self { tree, owner, lifetime, open_files: OpenFiles::default(), no_opendir: false }
    }

    /// Asks the tree. A panic in there costs one answer, not the mount.
    fn ask<T>(
        &self,
        question: impl FnOnce(&dyn ReadOnlyTree) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        catch_unwind(AssertUnwindSafe(|| question(self.tree.as_ref()))).unwrap_or_else(|_panic| {
            tracing::error!("the served tree panicked");
            Err(PortError::Io("panic".into()))
        })
    }

    /// `.` and `..` with their offsets, as far as they are behind `offset`.
    fn own_entries(&self, node: NodeId, offset: u64) -> Result<Vec<(NodeId, u64, &'static str)>, PortError> {
        if offset >= OWN_ENTRIES {
            return Ok(Vec::new());
        }
        let parent = self.ask(|tree| tree.parent(node))?;
        let both = [(node, 1, "."), (parent, 2, "..")];
        Ok(both.into_iter().filter(|(_, next, _)| *next > offset).collect())
    }

    fn readdir_into(&self, node: NodeId, offset: u64, reply: &mut ReplyDirectory) -> Result<(), PortError> {
        for (number, next, name) in self.own_entries(node, offset)? {
            if reply.add(INodeNo(number.0), next, translate::kind(NodeKind::Directory), name) {
                return Ok(());
            }
        }
        self.read_dir(node, offset, |entry| {
            let name = OsStr::from_bytes(entry.name);
            let kind = translate::kind(entry.kind);
            let full = reply.add(INodeNo(entry.node.0), entry.next.saturating_add(OWN_ENTRIES), kind, name);
            if full { Visit::Full } else { Visit::Listed }
        })
    }

    fn readdirplus_into(
        &self,
        node: NodeId,
        offset: u64,
        reply: &mut ReplyDirectoryPlus,
    ) -> Result<(), PortError> {
        for (number, next, name) in self.own_entries(node, offset)? {
            let shown = translate::stub(number, NodeKind::Directory, self.owner);
            if reply.add(shown.ino, next, name, &Duration::ZERO, &shown, GENERATION) {
                return Ok(());
            }
        }
        self.read_dir(node, offset, |entry| {
            let (shown, lifetime) = match (entry.attributes)() {
                Ok(attributes) => (translate::attributes(&attributes, self.owner), self.lifetime),
                // Listed without a lifetime, so that whoever uses it asks again and gets the error.
                Err(_unreadable) => (translate::stub(entry.node, entry.kind, self.owner), Duration::ZERO),
            };
            let name = OsStr::from_bytes(entry.name);
            let full = reply.add(
                shown.ino,
                entry.next.saturating_add(OWN_ENTRIES),
                name,
                &lifetime,
                &shown,
                GENERATION,
            );
            if full { Visit::Full } else { Visit::LookedUp }
        })
    }

    /// The tree's entries behind `offset`. An error after the first ones is left to the next call.
    fn read_dir(
        &self,
        node: NodeId,
        offset: u64,
        mut visit: impl FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError> {
        let mut any = false;
        let mut counted = |entry: DirEntry<'_>| {
            let visited = visit(entry);
            any |= visited != Visit::Full;
            visited
        };
        let offset = offset.saturating_sub(OWN_ENTRIES);
        let result = self.ask(|tree| tree.read_dir(node, offset, &mut counted));
        if any { Ok(()) } else { result }
    }

    fn found(&self, reply: ReplyEntry, attributes: &Attributes) {
        reply.entry(&self.lifetime, &translate::attributes(attributes, self.owner), GENERATION);
    }

    /// Tells the kernel that there is no such name in a way it remembers (number 0).
    fn missing(&self, reply: ReplyEntry) {
        let nothing = translate::stub(NodeId(0), NodeKind::File, self.owner);
        reply.entry(&self.lifetime, &nothing, GENERATION);
    }

    fn read_into(&self, reply: ReplyData, handle: FileHandle, offset: u64, size: usize) {
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            match self.ask(|tree| tree.read(handle, offset, &mut buffer[..size])) {
                Ok(length) => reply.data(&buffer[..length.min(size)]),
                Err(error) => reply.error(refusal("read", &error)),
            }
        });
    }

    fn allows(&self, node: NodeId, mask: AccessFlags) -> Result<bool, PortError> {
        if mask.contains(AccessFlags::W_OK) {
            return Err(PortError::ReadOnly);
        }
        let attributes = self.ask(|tree| tree.attributes(node))?;
        let executable = translate::permissions(attributes.kind, attributes.executable) & 0o111 != 0;
        Ok(executable || !mask.contains(AccessFlags::X_OK))
    }
}

/// The error number to answer with. Damage is worth a line in the log; a missing name is not.
fn refusal(request: &'static str, error: &PortError) -> Errno {
    if let PortError::Io(detail) = error {
        tracing::error!(request, detail, "the served tree cannot be read");
    }
    translate::errno(error)
}

/// Whether an open asks for more than reading.
fn wants_to_write(flags: OpenFlags) -> bool {
    let changing = OFlags::TRUNC | OFlags::APPEND | OFlags::CREATE;
    flags.acc_mode() != OpenAccMode::O_RDONLY || flags.0.cast_unsigned() & changing.bits() != 0
}

/// Attributes the tree is never asked for: they mean rights and labels, which a mount gives out itself.
fn is_systems_own(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"security.") || name.starts_with(b"system.posix_acl_") || name.starts_with(b"trusted.")
}

/// Answers a size probe (`size` 0) with the size, and everything else with the value if it fits.
fn reply_xattr(reply: ReplyXattr, size: u32, value: &[u8]) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(_) => reply.error(Errno::E2BIG),
    }
}

fn node(number: INodeNo) -> NodeId {
    NodeId(number.0)
}

impl Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for flag in WANTED {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "not offered by this kernel");
            }
        }
        self.no_opendir = config.add_capabilities(InitFlags::FUSE_NO_OPENDIR_SUPPORT).is_ok();
        Ok(())
    }

    fn destroy(&mut self) {
        for handle in self.open_files.take_all() {
            self.tree.close(handle);
        }
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.ask(|tree| tree.lookup(node(parent), name.as_bytes())) {
            Ok(attributes) => self.found(reply, &attributes),
            Err(PortError::NotFound) => self.missing(reply),
            Err(error) => reply.error(refusal("lookup", &error)),
        }
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        let forgotten = self.ask(|tree| {
            tree.forget(node(ino), nlookup);
            Ok(())
        });
        if let Err(error) = forgotten {
            refusal("forget", &error);
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FuseHandle>, reply: ReplyAttr) {
        match self.ask(|tree| tree.attributes(node(ino))) {
            Ok(attributes) => reply.attr(&self.lifetime, &translate::attributes(&attributes, self.owner)),
            Err(error) => reply.error(refusal("getattr", &error)),
        }
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        match self.ask(|tree| tree.read_link(node(ino))) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(refusal("readlink", &error)),
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if wants_to_write(flags) {
            return reply.error(Errno::EROFS);
        }
        match self.ask(|tree| tree.open(node(ino))) {
            Ok(handle) => {
                self.open_files.add(handle);
                let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
                reply.opened(FuseHandle(handle.0), flags);
            }
            Err(error) => reply.error(refusal("open", &error)),
        }
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FuseHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match usize::try_from(size) {
            Ok(size) => self.read_into(reply, FileHandle(fh.0), offset, size),
            Err(_) => reply.error(Errno::EINVAL),
        }
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FuseHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let handle = FileHandle(fh.0);
        if self.open_files.remove(handle) {
            let closed = self.ask(|tree| {
                tree.close(handle);
                Ok(())
            });
            if let Err(error) = closed {
                return reply.error(refusal("release", &error));
            }
        }
        reply.ok();
    }

    /// Directories are read by number and need no handle. "Not implemented" tells the kernel never to ask
    /// again and to cache listings as the flags would.
    fn opendir(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.no_opendir {
            return reply.error(Errno::ENOSYS);
        }
        reply.opened(FuseHandle(0), FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FuseHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.readdir_into(node(ino), offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(refusal("readdir", &error)),
        }
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FuseHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match self.readdirplus_into(node(ino), offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(refusal("readdirplus", &error)),
        }
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        match self.ask(|tree| Ok(tree.volume())) {
            Ok(volume) => {
                let unit = volume.block_size.max(1);
                let blocks = volume.total_bytes.div_ceil(u64::from(unit));
                let free = volume.free_bytes / u64::from(unit);
                reply.statfs(blocks, free, 0, volume.files, 0, unit, volume.name_max, unit);
            }
            Err(error) => reply.error(refusal("statfs", &error)),
        }
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if is_systems_own(name) {
            return reply.error(Errno::NO_XATTR);
        }
        match self.ask(|tree| tree.xattr(node(ino), name.as_bytes())) {
            Ok(Some(value)) => reply_xattr(reply, size, &value),
            Ok(None) => reply.error(Errno::NO_XATTR),
            Err(error) => reply.error(refusal("getxattr", &error)),
        }
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        match self.ask(|tree| tree.list_xattrs(node(ino))) {
            Ok(names) => {
                let list: Vec<u8> = names.iter().flat_map(|name| name.iter().chain(b"\0")).copied().collect();
                reply_xattr(reply, size, &list);
            }
            Err(error) => reply.error(refusal("listxattr", &error)),
        }
    }

    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        match self.allows(node(ino), mask) {
            Ok(true) => reply.ok(),
            Ok(false) => reply.error(Errno::EACCES),
            Err(error) => reply.error(refusal("access", &error)),
        }
    }

    // What the kernel does better itself: "not implemented" makes it do so and never ask again. Its own
    // SEEK_DATA and SEEK_HOLE take a file as one piece of data, which is right.

    fn lseek(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FuseHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FuseHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _req: &Request, _ino: INodeNo, _fh: FuseHandle, _datasync: bool, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fsyncdir(&self, _req: &Request, _ino: INodeNo, _fh: FuseHandle, _datasync: bool, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn bmap(&self, _req: &Request, _ino: INodeNo, _blocksize: u32, _idx: u64, reply: ReplyBmap) {
        reply.error(Errno::ENOSYS);
    }

    fn poll(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FuseHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FuseHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    // Everything that would change something. The kernel refuses most of it itself on a read-only mount.

    fn setattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FuseHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mknod(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mkdir(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EROFS);
    }

    fn unlink(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rmdir(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn symlink(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, _target: &Path, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn rename(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _newparent: INodeNo,
        _newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn link(&self, _req: &Request, _ino: INodeNo, _newparent: INodeNo, _newname: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn create(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        reply.error(Errno::EROFS);
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FuseHandle,
        _offset: u64,
        _data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::EROFS);
    }

    fn setxattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _name: &OsStr,
        _value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn removexattr(&self, _req: &Request, _ino: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FuseHandle,
        _offset: u64,
        _length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn copy_file_range(
        &self,
        _req: &Request,
        _ino_in: INodeNo,
        _fh_in: FuseHandle,
        _offset_in: u64,
        _ino_out: INodeNo,
        _fh_out: FuseHandle,
        _offset_out: u64,
        _len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::EROFS);
    }
}
