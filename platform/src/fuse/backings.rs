//! Which open files the kernel reads by itself, from the file on disk that backs them (FUSE passthrough).
//!
//! The kernel demands one way of reading for a node as long as it is open anywhere, and keeps a backing file for as
//! long as its number is not given back. Only who has `CAP_SYS_ADMIN` may register one; the first refusal is
//! remembered, so that nobody else's open costs a call in vain. It must not know what the files are.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::NodeId;

/// Nodes that are open, and how each is read. `B` is a registered backing file; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Backings<B> {
    open: Mutex<HashMap<NodeId, OpenNode<B>>>,
    refused: AtomicBool,
}

#[derive(Debug)]
struct OpenNode<B> {
    backing: Option<Arc<B>>,
    opens: u64,
}

impl<B> Backings<B> {
    /// Without passthrough unless `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Self { open: Mutex::default(), refused: AtomicBool::new(!wanted) }
    }

    /// From now on, nothing is passed through that is not already.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Relaxed);
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
