//! The privileged side. Assumes that whoever started it is hostile: an ordinary user with a program of his own.
//!
//! It has one capability and uses it for two calls. It takes no arguments, no environment and no path; it opens
//! nothing; it writes nothing but 8-byte answers. A file is registered only when its caller could read it anyway:
//! a regular file, opened to read and not to write, on a file system of disks or memory, readable by the caller's
//! own rights as seen now. And no more at a time than the caller may have files open, and by one helper only on each
//! connection, so that nobody holds files beyond his limit this way.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fuser::BackingId;
use rustix::fs::{
    Access, AtFlags, CWD, FileType, OFlags, accessat, fcntl_getfl, fstat, fstatfs, major, minor,
};
use rustix::ioctl::{Setter, ioctl, opcode};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_peercred, socket_type};
use rustix::process::{Resource, getppid, getrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};

use super::wire::{self, Message};

/// The number of `/dev/fuse`, fixed in the kernel.
const FUSE_DEVICE: (u32, u32) = (10, 229);

/// `FUSE_DEV_IOC_BACKING_CLOSE`.
const BACKING_CLOSE: rustix::ioctl::Opcode = opcode::write::<u32>(229, 2);

/// Magic numbers of the file systems whose files are taken: ext2-4, btrfs, XFS, F2FS, bcachefs, ZFS, tmpfs. Not those
/// that are programs (FUSE, proc, sysfs), come over a network, or lie on others.
const FILE_SYSTEMS: [u64; 7] =
    [0xEF53, 0x9123_683E, 0x5846_5342, 0xF2F5_2010, 0xCA45_1A4E, 0x2FC1_2FC1, 0x0102_1994];

/// The number of the first file that is registered on a connection.
const FIRST: u32 = 1;

/// Most files at a time, whatever the caller's limit is.
const MOST: u64 = 1 << 16;

/// Serves the parent that started this process, until it is gone.
///
/// # Errors
/// Whatever makes serving impossible or unsafe; nobody is told but by the process ending.
pub fn run() -> io::Result<()> {
    let socket = io::stdin();
    let socket = socket.as_fd();
    drop_privileges()?;
    check_parent(socket)?;
    let mut helper = Helper { connection: None, lent: HashSet::new(), is_first: false, most: most() };
    while let Some(message) = wire::receive(socket)? {
        match helper.answer(message) {
            Ok(number) => wire::send(socket, wire::DONE, number, None)?,
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
                wire::send(socket, wire::REFUSED, number.cast_unsigned(), None)?;
            }
        }
    }
    Ok(())
}

fn most() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(MOST).min(MOST)
}

/// Keeps the one capability, put away until it is used; nothing can be gained from here on.
fn drop_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    use_capability(CapabilitySet::empty())
}

fn use_capability(effective: CapabilitySet) -> io::Result<()> {
    let permitted = CapabilitySet::SYS_ADMIN;
    let inheritable = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?)
}

/// Standard input is a socket whose other end was made by the parent, which still lives.
fn check_parent(socket: BorrowedFd<'_>) -> io::Result<()> {
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    if socket_type(socket)? != SocketType::SEQPACKET {
        return Err(refused());
    }
    let peer = socket_peercred(socket)?;
    let is_parent = getppid() == Some(peer.pid) && peer.uid == rustix::process::getuid();
    if is_parent { Ok(()) } else { Err(refused()) }
}

struct Helper {
    connection: Option<OwnedFd>,
    lent: HashSet<u32>,
    /// Whether nobody registered files on the connection before.
    is_first: bool,
    most: u64,
}

impl Helper {
    fn answer(&mut self, message: Message) -> io::Result<u32> {
        match (message.what, message.file) {
            (wire::CONNECTION, Some(file)) if self.connection.is_none() => {
                check_connection(file.as_fd())?;
                self.connection = Some(file);
                Ok(0)
            }
            (wire::REGISTER, Some(file)) => self.register(&file),
            (wire::GIVE_BACK, None) => self.give_back(message.number),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn connection(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.connection.as_ref().ok_or(io::ErrorKind::NotConnected)?.as_fd())
    }

    fn register(&mut self, file: &OwnedFd) -> io::Result<u32> {
        let connection = self.connection()?;
        check_file(file.as_fd())?;
        if self.lent.len() as u64 >= self.most {
            return Err(rustix::io::Errno::MFILE.into());
        }
        let number = with_capability(|| BackingId::create_raw(connection, file))?;
        // What an earlier helper registered is still held and not counted here: one after the other would hold any
        // number of files. The kernel numbers from 1 and takes no number twice before 2^31 are used.
        if !self.is_first && number != FIRST {
            with_capability(|| close(connection, number))?;
            return Err(rustix::io::Errno::BUSY.into());
        }
        self.is_first = true;
        self.lent.insert(number);
        Ok(number)
    }

    fn give_back(&mut self, number: u32) -> io::Result<u32> {
        if !self.lent.remove(&number) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let connection = self.connection()?;
        with_capability(|| close(connection, number))?;
        Ok(0)
    }
}

fn with_capability<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    use_capability(CapabilitySet::SYS_ADMIN)?;
    let done = call();
    use_capability(CapabilitySet::empty())?;
    done
}

fn close(connection: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the kernel has no other call to give a backing file back")]
    // SAFETY: the call reads one `u32` through the pointer it is given and writes nothing, as the kernel's header
    // `fuse.h` defines for this number; on anything but a FUSE connection it is an error.
    let done = unsafe { ioctl(connection, Setter::<BACKING_CLOSE, u32>::new(number)) };
    Ok(done?)
}

fn check_connection(file: BorrowedFd<'_>) -> io::Result<()> {
    let stat = fstat(file)?;
    let device = (major(stat.st_rdev), minor(stat.st_rdev));
    let is_fuse = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && device == FUSE_DEVICE;
    if is_fuse { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Whether the caller could read this file without us, in the way the kernel is going to.
fn check_file(file: BorrowedFd<'_>) -> io::Result<()> {
    let refused = || io::Error::from(rustix::io::Errno::ACCESS);
    if FileType::from_raw_mode(fstat(file)?.st_mode) != FileType::RegularFile {
        return Err(refused());
    }
    let flags = fcntl_getfl(file)?;
    if flags & OFlags::ACCMODE != OFlags::RDONLY || flags.contains(OFlags::PATH) {
        return Err(refused());
    }
    let kind = u64::try_from(fstatfs(file)?.f_type).unwrap_or(0);
    if !FILE_SYSTEMS.contains(&(kind & 0xFFFF_FFFF)) {
        return Err(refused());
    }
    // No capability is in effect now: these are the caller's own rights, to the very file that is open.
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(accessat(CWD, name, Access::READ_OK, AtFlags::EACCESS)?)
}
