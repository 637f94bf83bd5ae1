//! The unprivileged side: starts the helper, asks it, and gives numbers back. Knows no FUSE request.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

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

impl Drop for Lender {
    fn drop(&mut self) {
        drop(self.socket.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        if let Err(error) = ended {
            tracing::debug!(%error, "the passthrough helper cannot be waited for");
        }
    }
}
