//! What a commit does to a tree once its content is stored, one edit after the other.
//!
//! Edits are applied again when another writer was first. They know paths and ids; not where content came from.

use super::edit::{Subtree, TreeEditor};
use super::error::OpsError;
use super::patterns::Pattern;
use super::plan::GITATTRIBUTES;
use crate::snapshot::SnapshotError;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::Mode;
use crate::store::path::RepoPath;
use crate::store::sorted::Sorted;
use crate::store::transaction::Transaction;

/// Files by their paths.
pub(super) type Files = Sorted<RepoPath, (Mode, ObjectId)>;

/// An operation whose content is stored.
#[derive(Debug)]
pub(super) enum Edit {
    /// Files, all of them in this folder or the one of this path (`None`: the root).
    PutAll(Option<RepoPath>, Files),
    Delete(RepoPath),
    DeleteOnly(RepoPath, bool),
    DeleteMatching(Option<RepoPath>, Vec<Pattern>),
    Copy(RepoPath, RepoPath),
    PutSubtree(RepoPath, Mode, ObjectId),
}

impl Edit {
    /// Changes the tree. `later` is what will be done to it after this.
    pub(super) fn apply(
        &self,
        later: &[Self],
        editor: &mut TreeEditor,
        catalog: &Catalog,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), OpsError> {
        let missing = |path: &RepoPath| {
            OpsError::Snapshot(SnapshotError::EntryNotFound {
                path: path.to_string(),
                revision: "the branch as it is at this step".to_owned(),
            })
        };
        match self {
            Self::PutAll(_, files) => {
                let is_done = |folder: &str| !later.iter().any(|edit| edit.touches(folder));
                editor.put_files(catalog, files, transaction, &is_done)
            }
            Self::Delete(path) if editor.delete(catalog, path)? => Ok(()),
            Self::Delete(path) => Err(missing(path)),
            Self::DeleteOnly(path, folder) => {
                match editor.get(catalog, path)? {
                    Some(subtree) if subtree.is_folder() == *folder => editor.delete(catalog, path)?,
                    _ => return Err(missing(path)),
                };
                Ok(())
            }
            Self::DeleteMatching(folder, patterns) => {
                let doomed = editor.files(catalog, folder.as_ref(), &|path| {
                    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
                    name != GITATTRIBUTES && patterns.iter().any(|pattern| pattern.matches(path))
                })?;
                doomed.iter().try_for_each(|path| editor.delete(catalog, path).map(drop).map_err(Into::into))
            }
            Self::PutSubtree(path, mode, id) => {
                editor.put_subtree(catalog, path, Subtree::stored(*mode, *id))
            }
            Self::Copy(from, to) => {
                let subtree = editor.get(catalog, from)?.ok_or_else(|| missing(from))?;
                editor.put_subtree(catalog, to, subtree)
            }
        }
    }

    /// Whether it can read or change anything in a folder, or the folder itself.
    fn touches(&self, folder: &str) -> bool {
        let is_in = |inner: &str, outer: &str| {
            outer.is_empty()
                || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let meets = |path: &str| is_in(path, folder) || is_in(folder, path);
        match self {
            Self::Delete(path) | Self::DeleteOnly(path, _) | Self::PutSubtree(path, ..) => {
                meets(path.as_str())
            }
            Self::PutAll(folder, _) | Self::DeleteMatching(folder, _) => {
                meets(folder.as_ref().map_or("", RepoPath::as_str))
            }
            Self::Copy(from, to) => meets(from.as_str()) || meets(to.as_str()),
        }
    }
}
