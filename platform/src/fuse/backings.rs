//! Which open files the kernel reads by itself, from the file on disk that backs them (FUSE passthrough).
//!
//! The kernel demands one way of reading for a node as long as it is open anywhere, and keeps a backing file for as
//! long as its number is not given back. Only who has `CAP_SYS_ADMIN` may register one, or have the helper do it; when
//! both are refused that is remembered, so that nobody else's open costs a call in vain. It must not know what the
//! files are.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fuser::{BackingId, ReplyOpen};
use rustix::thread::CapabilitySet;

use crate::lending::{self, Lender};
use crate::port::NodeId;

/// A file registered with the kernel; dropping it gives it back.
#[derive(Debug)]
pub(super) enum Backing {
    /// By this process.
    Own(BackingId),
    /// By the helper. Taken only when dropped.
    Lent(Option<BackingId>, Arc<Lender>),
}

impl Backing {
    pub(super) fn id(&self) -> Option<&BackingId> {
        match self {
            Self::Own(id) => Some(id),
            Self::Lent(id, _) => id.as_ref(),
        }
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        if let Self::Lent(id, lender) = self
            && let Some(id) = id.take()
            && let Err(error) = lender.give_back(id.into_raw())
        {
            tracing::debug!(%error, "a backing file stays registered until the mount ends");
        }
    }
}

/// Registers files: with this process's own right, else with the helper's. Which of them works is found once.
#[derive(Debug, Default)]
pub(super) struct Registrar {
    /// The helper's program.
    program: Option<PathBuf>,
    /// The FUSE connection, for as long as the mount is served.
    connection: Mutex<Option<OwnedFd>>,
    lender: OnceLock<Option<Arc<Lender>>>,
}

impl Registrar {
    pub(super) fn new(program: Option<PathBuf>) -> Self {
        Self { program, ..Self::default() }
    }

    /// Whether trying is worth it: this process has the right, or there is a helper that has.
    pub(super) fn has_a_chance(&self) -> bool {
        let own = rustix::thread::capabilities(None);
        let own = own.is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        own || self.program.as_deref().is_some_and(lending::is_granted)
    }

    /// Is told of the connection.
    pub(super) fn connect(&self, connection: OwnedFd) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    pub(super) fn register(&self, reply: &ReplyOpen, file: &File) -> io::Result<Backing> {
        let Some(lender) = self.lender.get() else {
            let refused = match reply.open_backing(file) {
                Ok(id) => return Ok(Backing::Own(id)),
                Err(error) => error,
            };
            if refused.kind() != io::ErrorKind::PermissionDenied {
                return Err(refused);
            }
            let lender = self.lender.get_or_init(|| self.start_helper());
            return lender.as_ref().map_or(Err(refused), |lender| Self::lend(lender, reply, file));
        };
        let lender = lender.as_ref().ok_or(io::ErrorKind::PermissionDenied)?;
        Self::lend(lender, reply, file)
    }

    fn lend(lender: &Arc<Lender>, reply: &ReplyOpen, file: &File) -> io::Result<Backing> {
        let number = lender.register(file)?;
        #[expect(
            unsafe_code,
            reason = "fuser has no other way to take a number that another process registered"
        )]
        // SAFETY: the number was registered just now on this very connection, nobody else knows it, and it is given
        // back only when this value is dropped.
        let id = unsafe { reply.wrap_backing(number) };
        Ok(Backing::Lent(Some(id), Arc::clone(lender)))
    }

    fn start_helper(&self) -> Option<Arc<Lender>> {
        use std::os::fd::AsFd;
        let program = self.program.as_ref()?;
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connection.as_ref()?;
        match Lender::start(program, connection.as_fd()) {
            Ok(lender) => Some(Arc::new(lender)),
            Err(error) => {
                tracing::debug!(%error, program = %program.display(), "the passthrough helper is of no help");
                None
            }
        }
    }
}

/// Nodes that are open, and how each is read. `B` is a registered backing file; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Backings<B> {
    open: Mutex<HashMap<NodeId, OpenNode<B>>>,
    refused: AtomicBool,
    passed: AtomicU64,
}

#[derive(Debug)]
struct OpenNode<B> {
    backing: Option<Arc<B>>,
    opens: u64,
}

impl<B> Backings<B> {
    /// Without passthrough unless `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Self { open: Mutex::default(), refused: AtomicBool::new(!wanted), passed: AtomicU64::new(0) }
    }

    /// From now on, nothing is passed through that is not already.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Relaxed);
    }

    /// Whether files are no longer passed through.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// How many opens were passed through.
    pub(super) fn passed(&self) -> u64 {
        self.passed.load(Relaxed)
    }

    /// Counts an open of `node`. Answers what the kernel reads by itself, or `None` when it is to ask for every byte.
    pub(super) fn open(
        &self,
        node: NodeId,
        backing: impl FnOnce() -> Option<Arc<File>>,
        register: impl FnOnce(&File) -> io::Result<B>,
    ) -> Option<Arc<B>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.entry(node).or_insert_with(|| {
            let file = if self.refused.load(Relaxed) { None } else { backing() };
            let backing = file.and_then(|file| match register(&file) {
                Ok(backing) => Some(Arc::new(backing)),
                Err(error) => {
                    tracing::debug!(%error, "no passthrough: every byte goes through this process");
                    self.refuse();
                    None
                }
            });
            OpenNode { backing, opens: 0 }
        });
        known.opens += 1;
        self.passed.fetch_add(u64::from(known.backing.is_some()), Relaxed);
        known.backing.clone()
    }

    /// Takes back one open of `node`.
    pub(super) fn close(&self, node: NodeId) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get_mut(&node) {
            known.opens -= 1;
            if known.opens == 0 {
                open.remove(&node);
            }
        }
    }

    /// Gives every backing file back.
    pub(super) fn clear(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const A: NodeId = NodeId(2);
    const B: NodeId = NodeId(3);

    fn some_file() -> Option<Arc<File>> {
        File::open(env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml").ok().map(Arc::new)
    }

    #[test]
    fn a_node_is_registered_once_and_given_back_with_its_last_close() {
        let backings = Backings::new(true);
        let registered = Cell::new(0);
        let register = |_: &File| Ok(registered.replace(registered.get() + 1));
        let first = backings.open(A, some_file, register).unwrap();
        let second = backings.open(A, || panic!("is known"), register).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        backings.close(A);
        assert_eq!(Arc::strong_count(&first), 3);
        backings.close(A);
        assert_eq!(Arc::strong_count(&first), 2, "given back");
        backings.open(A, some_file, register).unwrap();
        assert_eq!(registered.get(), 2);
    }

    #[test]
    fn a_node_keeps_its_way_while_it_is_open_and_a_refusal_is_for_all_others() {
        let backings = Backings::new(true);
        assert!(backings.open(A, some_file, |_| Ok(())).is_some());
        assert!(backings.open(B, some_file, |_| Err(io::ErrorKind::PermissionDenied.into())).is_none());
        assert!(backings.open(B, || panic!("asked again"), |_| Ok(())).is_none());
        assert!(backings.open(A, || panic!("is open"), |_| Ok(())).is_some(), "as it was opened");
        backings.close(B);
        backings.close(B);
        backings.close(B);
        assert!(backings.open(B, || panic!("asked again"), |_| Ok(())).is_none());
    }

    #[test]
    fn nothing_is_passed_through_that_has_no_file_or_when_nobody_wants_it() {
        assert!(Backings::new(true).open(A, || None, |_| -> io::Result<()> { panic!("no file") }).is_none());
        assert!(Backings::new(false).open(A, || panic!("not wanted"), |_| Ok(())).is_none());
    }
}
