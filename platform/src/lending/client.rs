//! The unprivileged side: starts the helper, asks it, and gives numbers back. Knows no FUSE request.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::CapabilitySet;

use super::wire;

/// A running helper. Dropping it ends the helper, and with it nothing that the kernel already reads.
#[derive(Debug)]
pub(crate) struct Lender {
    /// One question and its answer at a time.
    socket: Mutex<Option<OwnedFd>>,
    child: Mutex<Child>,
}

impl Lender {
    /// Starts the helper and hands it the connection `fuse`.
    pub(crate) fn start(program: &Path, fuse: BorrowedFd<'_>) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new(program);
        command.env_clear().current_dir("/");
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        drop(command); // and with it the other end: if the helper dies, we are told
        let lender = Self { socket: Mutex::new(Some(ours)), child: Mutex::new(child) };
        lender.ask(wire::CONNECTION, 0, Some(fuse))?;
        Ok(lender)
    }

    /// Has a file registered; answers its number.
    pub(crate) fn register(&self, file: &File) -> io::Result<u32> {
        self.ask(wire::REGISTER, 0, Some(file.as_fd()))
    }

    /// Gives a number back.
    pub(crate) fn give_back(&self, number: u32) -> io::Result<()> {
        self.ask(wire::GIVE_BACK, number, None).map(drop)
    }

    fn ask(&self, what: u32, number: u32, file: Option<BorrowedFd<'_>>) -> io::Result<u32> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        wire::send(socket, what, number, file)?;
        match wire::receive(socket)? {
            Some(answer) if answer.what == wire::DONE => Ok(answer.number),
            Some(answer) if answer.what == wire::REFUSED => {
                Err(io::Error::from_raw_os_error(answer.number.cast_signed()))
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Whether `program` was granted the right to register files: a helper without it is no help, and every workspace
/// build has one.
pub(crate) fn is_granted(program: &Path) -> bool {
    let mut attribute = [0; 64];
    let length = rustix::fs::getxattr(program, "security.capability", &mut attribute);
    length.is_ok_and(|length| permits_admin(&attribute[..length]))
}

/// Reads `struct vfs_cap_data` (linux/capability.h): a word for the version and the flags, then the lower half of the
/// permitted set, all little-endian.
fn permits_admin(attribute: &[u8]) -> bool {
    let Some(permitted) = attribute.get(4..8).and_then(|bytes| bytes.try_into().ok()) else { return false };
    CapabilitySet::from_bits_retain(u32::from_le_bytes(permitted).into()).contains(CapabilitySet::SYS_ADMIN)
}

impl Drop for Lender {
    fn drop(&mut self) {
        drop(self.socket.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        if let Err(error) = ended {
            tracing::debug!(%error, "the passthrough helper cannot be waited for");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_granted_program_counts() {
        // What `setcap cap_sys_admin+p` writes, and what `setcap cap_net_raw+p` does.
        let admin = [0, 0, 0, 2, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let net_raw = [0, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(permits_admin(&admin));
        assert!(!permits_admin(&net_raw));
        assert!(!permits_admin(&admin[..7]));
        assert!(!is_granted(Path::new(env!("CARGO_MANIFEST_DIR"))));
        assert!(!is_granted(Path::new("/nowhere")));
    }
}
