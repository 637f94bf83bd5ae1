//! From the port's words to FUSE's: errors, attributes, kinds, lifetimes.
//!
//! Tables only. It must not call the tree or the kernel.

use std::time::Duration;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use crate::port::{Attributes, NodeId, NodeKind, PortError};

/// "For ever" as the kernel is told it: far beyond any uptime, far below where its arithmetic would end.
const FOREVER: Duration = Duration::from_hours(24 * 365 * 10);

/// The preferred size of reads shown by `stat`, in bytes.
const READ_SIZE: u32 = 4096;

/// Whom the files belong to: whoever mounted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// The one table from the port's errors to the kernel's.
pub(super) fn errno(error: &PortError) -> Errno {
    match error {
        PortError::NotFound => Errno::ENOENT,
        PortError::NotADirectory => Errno::ENOTDIR,
        PortError::IsADirectory => Errno::EISDIR,
        PortError::InvalidInput => Errno::EINVAL,
        PortError::ReadOnly => Errno::EROFS,
        PortError::Io(_) => Errno::EIO,
        PortError::TooManyOpen => Errno::EMFILE,
        PortError::StaleHandle => Errno::EBADF,
        PortError::NoAttribute => Errno::NO_XATTR,
    }
}

pub(super) fn kind(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Directory => FileType::Directory,
        NodeKind::File => FileType::RegularFile,
        NodeKind::Symlink => FileType::Symlink,
    }
}

pub(super) fn permissions(kind: NodeKind, executable: bool) -> u16 {
    match kind {
        NodeKind::Directory => 0o555,
        NodeKind::File if executable => 0o555,
        NodeKind::File => 0o444,
        NodeKind::Symlink => 0o777,
    }
}

pub(super) fn attributes(attributes: &Attributes, owner: Owner) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.node.0),
        size: attributes.size,
        blocks: attributes.blocks512,
        atime: attributes.modified,
        mtime: attributes.modified,
        ctime: attributes.modified,
        crtime: attributes.modified,
        kind: kind(attributes.kind),
        perm: permissions(attributes.kind, attributes.executable),
        nlink: attributes.links,
        uid: owner.user,
        gid: owner.group,
        rdev: 0,
        blksize: READ_SIZE,
        flags: 0,
    }
}

/// Attributes of which only number and kind are right, for replies that need no more.
pub(super) fn stub(node: NodeId, node_kind: NodeKind, owner: Owner) -> FileAttr {
    let blank = Attributes {
        node,
        kind: node_kind,
        size: 0,
        executable: false,
        modified: std::time::UNIX_EPOCH,
        links: 1,
        blocks512: 0,
    };
    attributes(&blank, owner)
}

pub(super) fn lifetime(wanted: Option<Duration>) -> Duration {
    wanted.map_or(FOREVER, |wanted| wanted.min(FOREVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { user: 7, group: 8 };

    #[test]
    fn every_error_has_the_number_programs_expect() {
        let number = |error| errno(&error).code();
        assert_eq!(number(PortError::NotFound), 2);
        assert_eq!(number(PortError::NotADirectory), 20);
        assert_eq!(number(PortError::IsADirectory), 21);
        assert_eq!(number(PortError::InvalidInput), 22);
        assert_eq!(number(PortError::ReadOnly), 30);
        assert_eq!(number(PortError::Io("x".into())), 5);
        assert_eq!(number(PortError::TooManyOpen), 24);
        assert_eq!(number(PortError::StaleHandle), 9);
        assert_eq!(number(PortError::NoAttribute), 61);
    }

    #[test]
    fn nobody_may_write_and_the_mounter_owns() {
        for (node_kind, executable, mode) in [
            (NodeKind::Directory, false, 0o555),
            (NodeKind::File, false, 0o444),
            (NodeKind::File, true, 0o555),
            (NodeKind::Symlink, true, 0o777),
        ] {
            assert_eq!(permissions(node_kind, executable), mode);
        }
        let shown = stub(NodeId(9), NodeKind::File, OWNER);
        assert_eq!((shown.ino.0, shown.uid, shown.gid), (9, 7, 8));
    }

    #[test]
    fn lifetimes_stay_within_what_the_kernel_can_add_up() {
        assert_eq!(lifetime(None), FOREVER);
        assert_eq!(lifetime(Some(Duration::MAX)), FOREVER);
        assert_eq!(lifetime(Some(Duration::from_secs(3))), Duration::from_secs(3));
    }
}
