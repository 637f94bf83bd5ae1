//! Every FUSE request, answered by one call on the port.
//!
//! Reads are passed on; whatever would change anything is answered "read-only file system". It must not know
//! more of the tree than `adapter` offers.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle as FuseHandle, Filesystem, FopenFlags,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::adapter::{Adapter, REPORT, is_systems_own, node, refusal, reply_xattr, wants_to_write};
use super::translate;
use crate::port::{FileHandle, PortError};

/// What the kernel is asked for where it offers it: all attributes with the first listing, several requests
/// for one directory at a time, targets of links read once, and content kept until the mount ends.
const WANTED: [InitFlags; 5] = [
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_ASYNC_DIO,
];

/// Longest name any file system of disks knows. The kernel lets longer ones through to us, and programs expect to be
/// told why there can be no such file.
const NAME_MAX: usize = 255;

/// How many file systems may lie on top of each other below a passed-through file. With 1 (a plain disk) another
/// one, such as an overlay that makes the mount writable, may still lie on top of ours; the kernel's limit is 2.
const BACKING_DEPTH: u32 = 1;

/// Requests that get the same answer whatever they are about.
macro_rules! answered_with {
    ($error:expr => $($request:ident($($argument:ty),*) -> $reply:ty;)*) => {
        $(fn $request(&self, _: &Request, $(_: $argument,)* reply: $reply) {
            reply.error($error);
        })*
    };
}

impl Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for flag in WANTED {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "not offered by this kernel");
            }
        }
        let passthrough = config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
            && config.set_max_stack_depth(BACKING_DEPTH).is_ok();
        if !passthrough {
            self.backings.refuse();
        }
        let offered = config.add_capabilities(InitFlags::FUSE_NO_OPENDIR_SUPPORT).is_ok();
        self.no_opendir = offered && !self.tree.moves();
        self.decide_opens();
        Ok(())
    }

    fn destroy(&mut self) {
        for handle in self.open_files.take_all() {
            self.tree.close(handle);
        }
        self.backings.clear();
        self.unopened.close_all(self.tree.as_ref());
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.ask(|tree| tree.lookup(node(parent), name.as_bytes())) {
            Ok(attributes) => self.found(reply, &attributes),
            Err(PortError::NotFound) if name.len() > NAME_MAX => reply.error(Errno::ENAMETOOLONG),
            Err(PortError::NotFound) => self.missing(reply, node(parent)),
            Err(error) => reply.error(refusal("lookup", &error)),
        }
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        let forgotten = self.ask(|tree| {
            self.unopened.forget(tree, node(ino));
            tree.forget(node(ino), nlookup);
            Ok(())
        });
        if let Err(error) = forgotten {
            refusal("forget", &error);
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FuseHandle>, reply: ReplyAttr) {
        match self.ask(|tree| tree.attributes(node(ino))) {
            Ok(attributes) => {
                let lifetime = self.lifetime_of(node(ino));
                reply.attr(&lifetime, &translate::attributes(&attributes, self.owner));
            }
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
        if self.no_open {
            return reply.error(Errno::ENOSYS);
        }
        match self.ask(|tree| tree.open(node(ino))) {
            Ok(handle) => {
                self.open_files.add(handle);
                let file = || self.ask(|tree| Ok(tree.backing(handle))).ok().flatten();
                let number = FuseHandle(handle.0);
                let register = |file: &File| self.registrar.register(&reply, file);
                let backing = self.backings.open(node(ino), file, register);
                if let Some(id) = backing.as_ref().and_then(|backing| backing.id()) {
                    // What the kernel reads by itself it also caches by itself: asking it to is an error.
                    return reply.opened_passthrough(number, FopenFlags::FOPEN_NOFLUSH, id);
                }
                reply.opened(number, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH);
            }
            Err(error) => reply.error(refusal("open", &error)),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FuseHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match usize::try_from(size) {
            Ok(size) => self.read_into(reply, node(ino), FileHandle(fh.0), offset, size),
            Err(_) => reply.error(Errno::EINVAL),
        }
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FuseHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let handle = FileHandle(fh.0);
        if self.open_files.remove(handle) {
            self.backings.close(node(ino));
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
    /// again and to cache listings as the flags would. Listings of directories that move are not to be kept.
    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.no_opendir {
            return reply.error(Errno::ENOSYS);
        }
        if self.tree.is_moving(node(ino)) {
            return reply.opened(FuseHandle(0), FopenFlags::empty());
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
        if ino == INodeNo::ROOT && name == REPORT {
            return reply_xattr(reply, size, self.report().as_bytes());
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
    answered_with! { Errno::ENOSYS =>
        lseek(INodeNo, FuseHandle, i64, i32) -> ReplyLseek;
        flush(INodeNo, FuseHandle, LockOwner) -> ReplyEmpty;
        fsync(INodeNo, FuseHandle, bool) -> ReplyEmpty;
        fsyncdir(INodeNo, FuseHandle, bool) -> ReplyEmpty;
        bmap(INodeNo, u32, u64) -> ReplyBmap;
        poll(INodeNo, FuseHandle, PollNotifier, PollEvents, PollFlags) -> ReplyPoll;
    }

    answered_with! { Errno::ENOTTY =>
        ioctl(INodeNo, FuseHandle, IoctlFlags, u32, &[u8], u32) -> ReplyIoctl;
    }

    // Everything that would change something. The kernel refuses most of it itself on a read-only mount.
    answered_with! { Errno::EROFS =>
        setattr(
            INodeNo, Option<u32>, Option<u32>, Option<u32>, Option<u64>, Option<TimeOrNow>, Option<TimeOrNow>,
            Option<SystemTime>, Option<FuseHandle>, Option<SystemTime>, Option<SystemTime>, Option<SystemTime>,
            Option<BsdFileFlags>
        ) -> ReplyAttr;
        mknod(INodeNo, &OsStr, u32, u32, u32) -> ReplyEntry;
        mkdir(INodeNo, &OsStr, u32, u32) -> ReplyEntry;
        unlink(INodeNo, &OsStr) -> ReplyEmpty;
        rmdir(INodeNo, &OsStr) -> ReplyEmpty;
        symlink(INodeNo, &OsStr, &Path) -> ReplyEntry;
        rename(INodeNo, &OsStr, INodeNo, &OsStr, RenameFlags) -> ReplyEmpty;
        link(INodeNo, INodeNo, &OsStr) -> ReplyEntry;
        create(INodeNo, &OsStr, u32, u32, i32) -> ReplyCreate;
        write(INodeNo, FuseHandle, u64, &[u8], WriteFlags, OpenFlags, Option<LockOwner>) -> ReplyWrite;
        setxattr(INodeNo, &OsStr, &[u8], i32, u32) -> ReplyEmpty;
        removexattr(INodeNo, &OsStr) -> ReplyEmpty;
        fallocate(INodeNo, FuseHandle, u64, u64, i32) -> ReplyEmpty;
        copy_file_range(
            INodeNo, FuseHandle, u64, INodeNo, FuseHandle, u64, u64, CopyFileRangeFlags
        ) -> ReplyWrite;
    }
}
