//! What was found in a local folder, in the order in which it will be stored: more than memory should hold, when a folder
//! has a million files.
//!
//! Knows where things were and what they looked like; what it means for a commit is in `plan`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::error::OpsError;
use super::local::{Found, Links};
use super::plan::GITATTRIBUTES;
use crate::store::StoreError;
use crate::store::object::Mode;
use crate::store::path::RepoPath;
use crate::store::sorted::Sorted;
use crate::store::stat_cache::Fingerprint;

/// What is held of a file that was found: what it is to Git, its size, and what tells it from any other.
type Sighting = (Mode, (u64, Option<Fingerprint>));

/// Keeps what was found from filling the memory; see [`Transaction::spill`](crate::store::transaction::Transaction::spill).
pub type Spill<'s> = &'s mut (dyn FnMut(&mut Sorted<RepoPath, Sighting>) -> Result<(), StoreError> + Send);

/// Files and symlinks of a local folder.
#[derive(Debug)]
pub struct Walked {
    top: PathBuf,
    /// Whether what links lead to was found in their place.
    followed: bool,
    /// Where its content goes; `None` is the root.
    pub into: Option<RepoPath>,
    files: Sorted<RepoPath, Sighting>,
    /// Bytes of them all.
    pub bytes: u64,
    /// Every folder of the repository above one of them, the root (empty) too.
    pub folders: BTreeSet<String>,
    /// Those called `.gitattributes`.
    pub attributes: Vec<Found>,
}

impl Walked {
    pub(super) fn new(top: &Path, into: Option<&RepoPath>, links: Links) -> Self {
        let (files, folders, attributes) = (Sorted::default(), BTreeSet::new(), Vec::new());
        let followed = links == Links::Follow;
        Self { top: top.to_owned(), followed, into: into.cloned(), files, bytes: 0, folders, attributes }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds a file.
    pub(super) fn add(&mut self, found: Found, spill: &mut Spill<'_>) -> Result<(), OpsError> {
        let folder = found.path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.folders.contains(folder) {
            self.folders.extend(folders_of(&found.path));
        }
        if found.path.name() == GITATTRIBUTES {
            self.attributes.push(found.clone());
        }
        self.bytes += found.size;
        self.files.insert(found.path, (found.mode, (found.size, found.fingerprint)));
        Ok(spill(&mut self.files)?)
    }

    /// All of them in path order: neighbours in a folder become neighbours in a pack, and are read forward later.
    pub fn found(&self) -> Result<impl Iterator<Item = Result<Found, OpsError>> + Send + '_, OpsError> {
        let files = self.files.in_order().map_err(unreadable)?;
        Ok(files.map(|file| {
            let (path, found) = file.map_err(unreadable)?;
            let (mode, (size, fingerprint)) = *found;
            let inside = self.into.as_ref().map_or(0, |into| into.as_str().len() + 1);
            let inside = &path.as_str()[inside..];
            let mut local = PathBuf::with_capacity(self.top.as_os_str().len() + 1 + inside.len());
            local.push(&self.top);
            local.extend(inside.split('/'));
            if self.followed {
                // What it leads to by now, if that is another file, is not what was seen.
                local = local.canonicalize().unwrap_or(local);
            }
            Ok(Found { path, local, mode, size, fingerprint })
        }))
    }
}

/// The failure to read what was moved out of memory.
pub(super) fn unreadable(source: io::Error) -> OpsError {
    StoreError::io("read", "tmp")(source).into()
}

/// Every folder above a path, the root (empty) first.
pub(super) fn folders_of(path: &RepoPath) -> Vec<String> {
    let mut folders = vec![String::new()];
    let mut parent = path.parent();
    while let Some(folder) = parent {
        parent = folder.parent();
        folders.push(folder.to_string());
    }
    folders
}
