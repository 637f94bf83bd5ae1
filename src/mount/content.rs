//! One revision in the port's terms, entry by entry: kinds, sizes, folders, targets of links, attributes.
//!
//! Knows how an entry becomes what a kernel is told; not node numbers, open handles, or whether the revision is all
//! that is mounted.

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, SystemTime};

use hubvault_platform::port::{Attributes, NodeId, NodeKind, PortError, VolumeInfo};

use super::errno::port_error;
use super::folders::{Folder, Folders};
use super::times::Times;
use crate::snapshot::versions::Held;
use crate::snapshot::{FileReader, Mode, ObjectId, Snapshot, SnapshotError, Tree, TreeEntry};

/// Longest name a Git tree can carry that any system here shows.
pub(super) const NAME_MAX: u32 = 255;
/// Most entries that are summed up for `statfs`: a few nested folders that repeat each other can list more
/// names than there are atoms, and `df` must answer.
const MEASURED: u64 = 1_000_000;
/// What `st_blksize` and `statfs` say.
pub(super) const BLOCK_SIZE: u32 = 4096;

static EMPTY_TREE: LazyLock<ObjectId> = LazyLock::new(|| Tree::empty().id());

/// What the times of files say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileTimes {
    /// When the commit that is shown was made: the same for all files, at no cost.
    #[default]
    Commit,
    /// When the commit that last changed the file was made: history is walked for each folder that is looked into.
    LastChange,
}

/// What is shown of a revision.
#[derive(Debug)]
pub(super) struct Content {
    held: Held,
    root: TreeEntry,
    modified: SystemTime,
    times: Option<Times>,
    folders: Folders,
    volume: OnceLock<VolumeInfo>,
}

impl Content {
    /// Shows what is in the folder `root` of a revision, and keeps the revision.
    pub(super) fn new(held: Held, root: TreeEntry, folders: Folders, times: FileTimes) -> Self {
        let modified = time_of(held.snapshot.commit().committer.time().seconds);
        let times = (times == FileTimes::LastChange).then(Times::default);
        Self { held, root, modified, times, folders, volume: OnceLock::new() }
    }

    /// The revision.
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.held.snapshot
    }

    /// The time of what is called `name` in the folder `path`, whose entries are `tree`.
    pub(super) fn modified(&self, path: &[u8], tree: &Tree, name: &[u8]) -> SystemTime {
        let changed = self.times.as_ref().and_then(|times| times.of(self.snapshot(), path, tree, name));
        changed.unwrap_or(self.modified)
    }

    /// The folder that is shown, as an entry.
    pub(super) fn root(&self) -> &TreeEntry {
        &self.root
    }

    /// A folder's entries with their sizes.
    pub(super) fn listing(&self, entry: &TreeEntry) -> Result<Arc<Folder>, PortError> {
        if entry.mode != Mode::Directory {
            return Err(PortError::NotADirectory);
        }
        // The one tree that every vault has, whether or not it was stored.
        let read = |id| if id == *EMPTY_TREE { Ok(Tree::empty()) } else { self.snapshot().tree(id) };
        self.folders.get(entry.id, read).map_err(|e| port_error(&e))
    }

    /// What `stat` shows of an entry that has the node number `number`.
    pub(super) fn describe(&self, number: u64, entry: &TreeEntry) -> Result<Attributes, PortError> {
        let size = match kind_of(entry.mode) {
            NodeKind::Directory => 0,
            NodeKind::File | NodeKind::Symlink => {
                self.snapshot().info(entry).map_err(|e| port_error(&e))?.size
            }
        };
        Ok(self.attributes(number, entry.mode, size))
    }

    /// The same of entry number `at` of a folder that is listed, whose sizes are looked up together.
    pub(super) fn describe_listed(
        &self,
        number: u64,
        folder: &Folder,
        at: usize,
        entry: &TreeEntry,
    ) -> Result<Attributes, PortError> {
        match folder.size(self.snapshot(), at) {
            Some(size) => Ok(self.attributes(number, entry.mode, size)),
            None => self.describe(number, entry),
        }
    }

    fn attributes(&self, number: u64, mode: Mode, size: u64) -> Attributes {
        Attributes {
            node: NodeId(number),
            kind: kind_of(mode),
            size,
            executable: mode == Mode::Executable,
            modified: self.modified,
            links: 1,
            blocks512: size.div_ceil(512),
        }
    }

    /// Opens a file.
    pub(super) fn open(&self, entry: &TreeEntry) -> Result<FileReader, PortError> {
        match kind_of(entry.mode) {
            NodeKind::Directory => return Err(PortError::IsADirectory),
            NodeKind::Symlink => return Err(PortError::InvalidInput),
            NodeKind::File => {}
        }
        self.snapshot().open_file(entry, &entry.id.to_string()).map_err(|e| port_error(&e))
    }

    /// The target of a symlink.
    pub(super) fn read_link(&self, entry: &TreeEntry) -> Result<Vec<u8>, PortError> {
        if entry.mode != Mode::Symlink {
            return Err(PortError::InvalidInput);
        }
        self.snapshot().read_link(entry).map_err(|e| port_error(&e))
    }

    /// One of the attributes with which a file tells what it is in the vault.
    pub(super) fn xattr(&self, entry: &TreeEntry, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        if !name.starts_with(b"user.hubvault.") {
            return Ok(None);
        }
        let tags = self.tags(entry).map_err(|e| port_error(&e))?;
        Ok(tags.into_iter().find(|(tag, _)| *tag == name).map(|(_, value)| value.into_bytes()))
    }

    /// The names of these attributes.
    pub(super) fn list_xattrs(&self, entry: &TreeEntry) -> Result<Vec<Vec<u8>>, PortError> {
        let tags = self.tags(entry).map_err(|e| port_error(&e))?;
        Ok(tags.into_iter().map(|(tag, _)| tag.to_vec()).collect())
    }

    fn tags(&self, entry: &TreeEntry) -> Result<Vec<(&'static [u8], String)>, SnapshotError> {
        let mut tags: Vec<(&'static [u8], String)> = vec![
            (b"user.hubvault.commit", self.snapshot().id().to_string()),
            (b"user.hubvault.oid", entry.id.to_string()),
        ];
        if entry.mode != Mode::Directory {
            let info = self.snapshot().info(entry)?;
            tags.push((b"user.hubvault.sha256", info.sha256.to_string()));
            tags.push((b"user.hubvault.lfs", info.pointer_size.is_some().to_string()));
        }
        Ok(tags)
    }

    /// Size and limits of what is shown; summed up once, when `df` asks.
    pub(super) fn volume(&self) -> VolumeInfo {
        *self.volume.get_or_init(|| self.measure())
    }

    fn measure(&self) -> VolumeInfo {
        let (mut files, mut bytes) = (0u64, 0u64);
        let walked = self.snapshot().walk(self.root.id, b"", &mut |_, entry| {
            files += 1;
            if entry.mode != Mode::Directory {
                let size = self.snapshot().info(entry)?.size;
                let blocks = size.checked_next_multiple_of(u64::from(BLOCK_SIZE)).unwrap_or(u64::MAX);
                bytes = bytes.saturating_add(blocks);
            }
            Ok(files < MEASURED)
        });
        if let Err(error) = walked {
            tracing::warn!(%error, "the size of the revision is only partly known");
        }
        VolumeInfo { total_bytes: bytes, free_bytes: 0, files, name_max: NAME_MAX, block_size: BLOCK_SIZE }
    }
}

/// Seconds since 1970 as a file's time.
pub(super) fn time_of(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(super) fn kind_of(mode: Mode) -> NodeKind {
    match mode {
        Mode::Directory => NodeKind::Directory,
        Mode::Symlink => NodeKind::Symlink,
        Mode::File | Mode::Executable => NodeKind::File,
    }
}
