//! `show`: what a revision, a tag or a `REV:PATH` names, ready to be shown.
//!
//! Knows which kinds of things there are; not how any of them looks.

use super::Repository;
use super::error::OpsError;
use crate::snapshot::{FileInfo, FileReader, Mode, Snapshot, SnapshotError, TreeEntry, resolve};
use crate::store::id::ObjectId;
use crate::store::object::{Kind, Tag};

/// What a name stands for.
#[derive(Debug)]
pub enum Shown {
    /// Annotated tags, the outermost first, and the commit they lead to.
    Tags(Vec<Tag>, ObjectId),
    /// A commit.
    Commit(ObjectId),
    /// A folder.
    Folder(Vec<TreeEntry>),
    /// A file, or the target of a symlink.
    File(Box<File>),
}

/// A file of a revision.
#[derive(Debug)]
pub struct File {
    /// Its path from the root.
    pub path: String,
    /// What it is.
    pub mode: Mode,
    /// Git id of the blob.
    pub oid: ObjectId,
    /// Size and hash.
    pub info: FileInfo,
    /// The content.
    pub reader: FileReader,
}

impl Repository {
    /// Finds what `name` stands for: a revision, `REV^{tree}`, `REV:PATH` or `:PATH`.
    ///
    /// # Errors
    /// When nothing has that name, or a tag leads to something that is no commit.
    pub fn show(&self, name: &str) -> Result<Shown, OpsError> {
        if let (revision, Some(path)) = resolve::split_path(name) {
            let snapshot = self.snapshot(Some(revision).filter(|revision| !revision.is_empty()))?;
            return entry(&snapshot, path);
        }
        if let Some(revision) = name.strip_suffix("^{tree}") {
            return entry(&self.snapshot(Some(revision))?, "");
        }
        let view = self.vault().view();
        let commit = resolve::commit(&view, name)?;
        let (mut id, mut tags) = (self.rev_parse(name)?, Vec::new());
        while id != commit && view.catalog.body(id)?.0 == Kind::Tag {
            let tag = view.catalog.tag(id)?;
            id = tag.target;
            tags.push(tag);
        }
        Ok(if tags.is_empty() { Shown::Commit(commit) } else { Shown::Tags(tags, commit) })
    }
}

fn entry(snapshot: &Snapshot, path: &str) -> Result<Shown, OpsError> {
    let found = snapshot.entry(path)?;
    if found.mode == Mode::Directory {
        return Ok(Shown::Folder(snapshot.list(found.id)?));
    }
    if path.ends_with('/') {
        return Err(SnapshotError::NotADirectory {
            path: path.to_owned(),
            revision: snapshot.revision().to_owned(),
        }
        .into());
    }
    let (info, reader) = (snapshot.info(&found)?, snapshot.open_file(&found, path)?);
    let path = path.trim_matches('/').to_owned();
    Ok(Shown::File(Box::new(File { path, mode: found.mode, oid: found.id, info, reader })))
}
