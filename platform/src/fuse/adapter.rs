//! A tree in FUSE's terms: the work behind the requests that `filesystem` receives.
//!
//! It must not decide what to show, nor cache: the kernel caches, the tree knows.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fuser::{
    AccessFlags, Errno, Generation, INodeNo, OpenAccMode, OpenFlags, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEntry, ReplyXattr,
};
use rustix::fs::OFlags;

use super::backings::{Backing, Backings, Registrar};
use super::open_files::OpenFiles;
use super::translate::{self, Owner};
use super::unopened::Unopened;
use crate::mount::{MountOptions, Opens};
use crate::port::{Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit};

/// `.` and `..` come before the tree's entries, whose offsets are moved up by as many.
const OWN_ENTRIES: u64 = 2;

/// How late the time of a directory that moves may be.
const TICK: Duration = Duration::from_secs(1);

/// Numbers are never reused, so every node is of the first generation.
const GENERATION: Generation = Generation(0);

thread_local! {
    /// The answer to one read; kept, since fresh memory for every MiB costs more than filling it.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The attribute of the root that answers with the mount's [report](Adapter::report). Not listed: nobody copies it.
pub(crate) const REPORT: &str = "user.hubvault.mount";

/// A tree as fuser wants to see it.
#[derive(Debug)]
pub(super) struct Adapter {
    pub(super) tree: Arc<dyn ReadOnlyTree>,
    pub(super) owner: Owner,
    pub(super) lifetime: Duration,
    pub(super) open_files: OpenFiles,
    pub(super) backings: Backings<Backing>,
    pub(super) registrar: Arc<Registrar>,
    /// Whether the kernel can be told once that directories need no opening.
    pub(super) no_opendir: bool,
    opens: Opens,
    /// Whether the kernel is told once that files need no opening either.
    pub(super) no_open: bool,
    pub(super) unopened: Unopened,
}

impl Adapter {
    pub(super) fn new(tree: Arc<dyn ReadOnlyTree>, options: &MountOptions) -> Self {
        let owner =
            Owner { user: rustix::process::getuid().as_raw(), group: rustix::process::getgid().as_raw() };
        let lifetime = translate::lifetime(options.attribute_ttl);
        let (open_files, backings) = (OpenFiles::default(), Backings::new(options.passthrough));
        let registrar = Arc::new(Registrar::new(options.passthrough_helper.clone()));
        Self {
            tree,
            owner,
            lifetime,
            open_files,
            backings,
            registrar,
            no_opendir: false,
            opens: options.opens,
            no_open: false,
            unopened: Unopened::default(),
        }
    }

    /// Decides, once the kernel has said what it can do, whether it has to ask for every opening.
    pub(super) fn decide_opens(&mut self) {
        if self.opens == Opens::Spared || !self.registrar.has_a_chance() {
            self.backings.refuse();
        }
        let spared = match self.opens {
            Opens::Answered => false,
            Opens::Spared => true,
            Opens::WhereNeeded => self.backings.is_refused() || !self.tree.has_backings(),
        };
        // A tree that moves must know what is open, to keep it as it is.
        self.no_open = spared && !self.tree.moves();
        tracing::debug!(passthrough = !self.backings.is_refused(), opens = !self.no_open, "decided");
    }

    /// Asks the tree. A panic in there costs one answer, not the mount.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&dyn ReadOnlyTree) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        catch_unwind(AssertUnwindSafe(|| question(self.tree.as_ref()))).unwrap_or_else(|_panic| {
            tracing::error!("the served tree panicked");
            Err(PortError::Io("panic".into()))
        })
    }

    /// What [`table::report`](crate::table::report) reads: lines of a name and a value.
    pub(super) fn report(&self) -> String {
        let mode = if self.backings.is_refused() { "streaming" } else { "passthrough" };
        let own = [
            ("mode", mode.to_owned()),
            ("pid", std::process::id().to_string()),
            ("opens", u8::from(!self.no_open).to_string()),
            ("files_passed_through", self.backings.passed().to_string()),
        ];
        let lines: Vec<String> = own
            .into_iter()
            .chain(self.tree.figures())
            .map(|(name, value)| format!("{name} {value}\n"))
            .collect();
        lines.concat()
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

    pub(super) fn readdir_into(
        &self,
        node: NodeId,
        offset: u64,
        reply: &mut ReplyDirectory,
    ) -> Result<(), PortError> {
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

    pub(super) fn readdirplus_into(
        &self,
        node: NodeId,
        offset: u64,
        reply: &mut ReplyDirectoryPlus,
    ) -> Result<(), PortError> {
        let names = self.lifetime_in(node);
        for (number, next, name) in self.own_entries(node, offset)? {
            let shown = translate::stub(number, NodeKind::Directory, self.owner);
            if reply.add(shown.ino, next, name, &Duration::ZERO, &shown, GENERATION) {
                return Ok(());
            }
        }
        self.read_dir(node, offset, |entry| {
            let (shown, lifetime) = match (entry.attributes)() {
                Ok(attributes) => (translate::attributes(&attributes, self.owner), names),
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

    pub(super) fn found(&self, reply: ReplyEntry, attributes: &Attributes) {
        let name = if self.tree.is_settled(attributes.node) { self.lifetime } else { Duration::ZERO };
        let own = self.lifetime_of(attributes.node);
        reply.entry_with_ttls(&own, &name, &translate::attributes(attributes, self.owner), GENERATION);
    }

    /// Tells the kernel that there is no such name in a way it remembers (number 0).
    pub(super) fn missing(&self, reply: ReplyEntry, parent: NodeId) {
        let nothing = translate::stub(NodeId(0), NodeKind::File, self.owner);
        reply.entry(&self.lifetime_in(parent), &nothing, GENERATION);
    }

    /// How long a node's own attributes may be kept. Of a directory that moves only its time does, in whole seconds; and
    /// the kernel wants its permissions for each path that leads through it.
    pub(super) fn lifetime_of(&self, node: NodeId) -> Duration {
        if self.tree.is_moving(node) { self.lifetime.min(TICK) } else { self.lifetime }
    }

    /// How long what is, or is not, in a directory may be kept.
    pub(super) fn lifetime_in(&self, directory: NodeId) -> Duration {
        if self.tree.is_moving(directory) { Duration::ZERO } else { self.lifetime }
    }

    /// Reads an open file, or a node where nothing is opened.
    pub(super) fn read_into(
        &self,
        reply: ReplyData,
        node: NodeId,
        handle: FileHandle,
        offset: u64,
        size: usize,
    ) {
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let buffer = &mut buffer[..size];
            let read = self.ask(|tree| {
                if self.no_open {
                    self.unopened.read(tree, node, offset, buffer)
                } else {
                    tree.read(handle, offset, buffer)
                }
            });
            match read {
                Ok(length) => reply.data(&buffer[..length.min(size)]),
                Err(error) => reply.error(refusal("read", &error)),
            }
        });
    }

    pub(super) fn allows(&self, node: NodeId, mask: AccessFlags) -> Result<bool, PortError> {
        if mask.contains(AccessFlags::W_OK) {
            return Err(PortError::ReadOnly);
        }
        let attributes = self.ask(|tree| tree.attributes(node))?;
        let executable = translate::permissions(attributes.kind, attributes.executable) & 0o111 != 0;
        Ok(executable || !mask.contains(AccessFlags::X_OK))
    }
}

/// The error number to answer with. Damage is worth a line in the log, once however often it is met in a row; a missing
/// name is not.
pub(super) fn refusal(request: &'static str, error: &PortError) -> Errno {
    static LAST: Mutex<String> = Mutex::new(String::new());
    if let PortError::Io(detail) = error {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != *detail {
            tracing::error!(request, detail, "the served tree cannot be read");
            last.clone_from(detail);
        }
    }
    translate::errno(error)
}

/// Whether an open asks for more than reading.
pub(super) fn wants_to_write(flags: OpenFlags) -> bool {
    let changing = OFlags::TRUNC | OFlags::APPEND | OFlags::CREATE;
    flags.acc_mode() != OpenAccMode::O_RDONLY || flags.0.cast_unsigned() & changing.bits() != 0
}

/// Attributes the tree is never asked for: they mean rights and labels, which a mount gives out itself.
pub(super) fn is_systems_own(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"security.") || name.starts_with(b"system.posix_acl_") || name.starts_with(b"trusted.")
}

/// Answers a size probe (`size` 0) with the size, and everything else with the value if it fits.
pub(super) fn reply_xattr(reply: ReplyXattr, size: u32, value: &[u8]) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(_) => reply.error(Errno::E2BIG),
    }
}

pub(super) fn node(number: INodeNo) -> NodeId {
    NodeId(number.0)
}
