//! The port's contract, checked on a whole tree: [`Loopback::examine`].
//!
//! Each check is one sentence of the port's documentation. It must not know what a tree contains, only what
//! any tree must do.

use super::{Found, Listed, Loopback, LoopbackError, Opened, join};
use crate::port::{DirEntry, NodeId, NodeKind, PortError, ReadOnlyTree, Visit};

/// Directories up to this many entries are resumed behind every single one, larger ones at a few places.
const RESUME_EVERYWHERE: usize = 64;

/// File content is compared piece by piece in pieces of this many bytes, which divides nothing evenly.
const ODD_PIECE: usize = 64 * 1024 - 7;

/// A name no tree in its right mind has.
const NO_SUCH_NAME: &[u8] = b"\x01no such name\x7f";

/// What [`Loopback::examine`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Directories, the top one included.
    pub directories: u64,
    /// Files.
    pub files: u64,
    /// Symbolic links.
    pub links: u64,
    /// Sum of the sizes of all files, in bytes.
    pub bytes: u64,
}

impl Loopback {
    /// Visits everything in the tree, reads every file, and checks every rule of the port that can be checked
    /// from outside. For trees that fit a test: every file is read twice.
    ///
    /// # Errors
    /// The first [`LoopbackError`] met.
    pub fn examine(&self) -> Result<Census, LoopbackError> {
        let mut census = Census::default();
        let mut waiting = vec![Vec::new()];
        while let Some(path) = waiting.pop() {
            match self.metadata(&path)?.kind {
                NodeKind::Directory => {
                    census.directories += 1;
                    waiting.extend(self.examine_directory(&path)?);
                }
                NodeKind::File => {
                    census.files += 1;
                    census.bytes += self.examine_file(&path)?;
                }
                NodeKind::Symlink => {
                    census.links += 1;
                    self.examine_link(&path)?;
                }
            }
        }
        Ok(census)
    }

    /// Checks one directory and returns the paths in it.
    fn examine_directory(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, LoopbackError> {
        let entries = self.list(path)?;
        let at = self.walk(path)?;
        check_offsets(&at, &entries)?;
        self.check_resuming(&at, &entries)?;
        self.check_looked_up(&at, &entries)?;
        let is = |error: &PortError| *error == PortError::NotFound;
        expect_refusal(
            &at,
            "lookup of a missing name",
            self.tree.lookup(at.attributes.node, NO_SUCH_NAME),
            is,
        )?;
        let is = |error: &PortError| *error == PortError::IsADirectory;
        expect_refusal(&at, "open of a directory", self.tree.open(at.attributes.node), is)?;
        Ok(entries.iter().map(|entry| join(path, &entry.name)).collect())
    }

    /// A listing can be resumed behind every entry, and behind the last one it is empty.
    fn check_resuming(&self, at: &Found, entries: &[Listed]) -> Result<(), LoopbackError> {
        let step = entries.len().div_ceil(RESUME_EVERYWHERE).max(1);
        let last = entries.len().checked_sub(1);
        for index in (0..entries.len()).step_by(step).chain(last) {
            let rest = &entries[index + 1..];
            let most = rest.len().min(3);
            let resumed = self.list_from(at, entries[index].next, most)?;
            if resumed != rest[..most] {
                return Err(at.broken(format!("the listing cannot be resumed behind entry {index}")));
            }
        }
        let end = last.map_or(Ok(Vec::new()), |last| self.list_from(at, entries[last].next, 1))?;
        if end.is_empty() { Ok(()) } else { Err(at.broken("behind the last entry there is another")) }
    }

    /// An entry and a lookup of its name agree, and an entry taken with its attributes can be forgotten.
    fn check_looked_up(&self, at: &Found, entries: &[Listed]) -> Result<(), LoopbackError> {
        for entry in entries {
            let looked_up = self.walk(&join(&at.path, &entry.name))?.attributes;
            if (looked_up.node, looked_up.kind) != (entry.node, entry.kind) {
                return Err(at.broken("an entry has the number and kind of a lookup of its name"));
            }
        }
        let mut taken = Vec::new();
        let mut collect = |entry: DirEntry<'_>| {
            let attributes = (entry.attributes)();
            let visited = if attributes.is_ok() { Visit::LookedUp } else { Visit::Listed };
            taken.push((entry.name.to_vec(), attributes));
            visited
        };
        let listed = self.tree.read_dir(at.attributes.node, 0, &mut collect);
        // Taken back before anything can fail.
        for node in
            taken.iter().filter_map(|(_, attributes)| attributes.as_ref().ok()).map(|found| found.node)
        {
            self.tree.forget(node, 1);
        }
        listed.map_err(|error| at.failed("read_dir", error))?;
        for (name, attributes) in taken {
            let path = join(&at.path, &name);
            let listed = attributes.map_err(|error| super::failed("attributes of entry", &path, error))?;
            if listed != self.walk(&path)?.attributes {
                return Err(super::broken(&path, "an entry's attributes are those of a lookup of its name"));
            }
        }
        Ok(())
    }

    /// Checks one file and returns its size.
    fn examine_file(&self, path: &[u8]) -> Result<u64, LoopbackError> {
        let whole = self.read_to_end(path)?;
        let at = self.walk(path)?;
        let handle = {
            let file = Opened::new(self, &at)?;
            check_pieces(&file, &whole)?;
            check_end(&file, at.attributes.size)?;
            file.handle
        };
        let is = |error: &PortError| *error == PortError::StaleHandle;
        expect_refusal(&at, "read of a closed handle", self.tree.read(handle, 0, &mut [0]), is)?;
        self.check_is_no_directory(&at)?;
        let is = |error: &PortError| *error == PortError::InvalidInput;
        expect_refusal(&at, "read_link of a file", self.tree.read_link(at.attributes.node), is)?;
        self.check_xattrs(&at)?;
        Ok(at.attributes.size)
    }

    fn examine_link(&self, path: &[u8]) -> Result<(), LoopbackError> {
        self.read_link(path)?;
        let at = self.walk(path)?;
        self.check_is_no_directory(&at)?;
        let is = |error: &PortError| *error == PortError::InvalidInput;
        expect_refusal(&at, "open of a link", self.tree.open(at.attributes.node), is)
    }

    fn check_is_no_directory(&self, at: &Found) -> Result<(), LoopbackError> {
        let node = at.attributes.node;
        let is = |error: &PortError| *error == PortError::NotADirectory;
        expect_refusal(at, "lookup in a non-directory", self.tree.lookup(node, b"x"), is)?;
        let listed = self.tree.read_dir(node, 0, &mut |_| Visit::Listed);
        expect_refusal(at, "read_dir of a non-directory", listed, is)
    }

    /// Every listed attribute has a value, and one that is not listed has none.
    fn check_xattrs(&self, at: &Found) -> Result<(), LoopbackError> {
        for name in self.list_xattrs(&at.path)? {
            if self.xattr(&at.path, &name)?.is_none() {
                return Err(at.broken("every listed attribute has a value"));
            }
        }
        match self.xattr(&at.path, b"user.\x01no.such.attribute")? {
            None => Ok(()),
            Some(_) => Err(at.broken("an attribute that is not there has no value")),
        }
    }
}

/// A looked-up node keeps the attributes it was found with, and knows where it is.
pub(super) fn check_found(tree: &dyn ReadOnlyTree, at: &Found) -> Result<(), LoopbackError> {
    let node = at.attributes.node;
    if node == NodeId(0) {
        return Err(at.broken("a node's number is not 0"));
    }
    let again = tree.attributes(node).map_err(|error| at.failed("attributes", error))?;
    if again != at.attributes {
        return Err(at.broken("attributes by number are those of the lookup"));
    }
    tree.parent(node).map_err(|error| at.failed("parent", error))?;
    Ok(())
}

pub(super) fn check_name(at: &Found, name: &[u8]) -> Result<(), LoopbackError> {
    let forbidden =
        name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0);
    if forbidden {
        return Err(at.broken("a name is not empty, `.` or `..` and has no `/` or NUL in it"));
    }
    Ok(())
}

fn check_offsets(at: &Found, entries: &[Listed]) -> Result<(), LoopbackError> {
    let mut seen = std::collections::HashSet::new();
    let limit = i64::MAX.cast_unsigned() - 2;
    if entries.iter().all(|entry| entry.next != 0 && entry.next <= limit && seen.insert(entry.next)) {
        return Ok(());
    }
    Err(at.broken("every entry has its own next offset, from 1 to i64::MAX - 2"))
}

fn check_pieces(file: &Opened<'_>, whole: &[u8]) -> Result<(), LoopbackError> {
    let mut offset = 0_u64;
    for piece in whole.chunks(ODD_PIECE) {
        if file.read(offset, piece.len())? != piece {
            return Err(file.at.broken(format!("a read at {offset} differs from the whole content")));
        }
        offset = offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

fn check_end(file: &Opened<'_>, size: u64) -> Result<(), LoopbackError> {
    for offset in [size, size.saturating_add(1), i64::MAX.cast_unsigned(), u64::MAX] {
        if !file.read(offset, 16)?.is_empty() {
            return Err(file.at.broken(format!("a read at {offset}, at or behind the end, is empty")));
        }
    }
    Ok(())
}

fn expect_refusal<T>(
    at: &Found,
    what: &str,
    answer: Result<T, PortError>,
    is_right: impl Fn(&PortError) -> bool,
) -> Result<(), LoopbackError> {
    match answer {
        Err(error) if is_right(&error) => Ok(()),
        Err(error) => Err(at.broken(format!("{what} fails with the wrong error: {error}"))),
        Ok(_) => Err(at.broken(format!("{what} must fail"))),
    }
}
