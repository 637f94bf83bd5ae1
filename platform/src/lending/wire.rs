//! The messages between the two sides: 8 bytes and at most one descriptor each. Knows no privilege and no file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The parent hands over the FUSE connection.
pub(super) const CONNECTION: u32 = 1;
/// The parent hands over a file to register.
pub(super) const REGISTER: u32 = 2;
/// The parent gives a number back.
pub(super) const GIVE_BACK: u32 = 3;
/// The helper did it; the number is the kernel's.
pub(super) const DONE: u32 = 4;
/// The helper did not; the number is an error number.
pub(super) const REFUSED: u32 = 5;

const LENGTH: usize = 8;

/// Sends one message.
pub(super) fn send(
    socket: impl AsFd,
    what: u32,
    number: u32,
    file: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut bytes = [0; LENGTH];
    bytes[..4].copy_from_slice(&what.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    // Without a signal when the other side is gone: that is an answer, not a death.
    let sent = retry_on_intr(|| {
        sendmsg(socket.as_fd(), &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
    })?;
    if sent == LENGTH { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// A received message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) what: u32,
    pub(super) number: u32,
    pub(super) file: Option<OwnedFd>,
}

/// Waits for one message; `None` when the other side is gone. Anything that is not a message is an error.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Option<Message>> {
    let mut bytes = [0; LENGTH + 1];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut file = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            for received in files {
                file = Some(received); // there is room for one; the kernel closes what does not fit
            }
        }
    }
    let cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    match (received.bytes, cut) {
        (0, false) => Ok(None),
        (LENGTH, false) => {
            let word =
                |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            Ok(Some(Message { what: word(0), number: word(4), file }))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
