//! `list_repo_tree`: what a folder of a revision holds.

use super::models::{BlobLfsInfo, TreeItem};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::store::object::{Mode, TreeEntry};

/// Visits the entries of `path` (empty: the root), with everything below when `recursive`; folders come before
/// what is in them, in Git's order. A file's own path gives that file. An error of `visit` ends the listing.
///
/// # Errors
/// [`SnapshotError::EntryNotFound`] when nothing is at `path`.
pub fn list_repo_tree<E: From<SnapshotError>>(
    snapshot: &Snapshot,
    path: &str,
    recursive: bool,
    visit: &mut dyn FnMut(TreeItem) -> Result<(), E>,
) -> Result<(), E> {
    let top = snapshot.entry(path)?;
    let prefix = path.trim_matches('/').as_bytes();
    if top.mode != Mode::Directory {
        return visit(describe(snapshot, prefix, &top)?);
    }
    if recursive {
        let mut failed = None;
        snapshot.walk(top.id, prefix, &mut |path, entry| {
            failed = visit(describe(snapshot, path, entry)?).err();
            Ok(failed.is_none())
        })?;
        return failed.map_or(Ok(()), Err);
    }
    for entry in snapshot.list(top.id)? {
        let mut path = prefix.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        visit(describe(snapshot, &path, &entry)?)?;
    }
    Ok(())
}

fn describe(snapshot: &Snapshot, path: &[u8], entry: &TreeEntry) -> Result<TreeItem, SnapshotError> {
    let path = String::from_utf8_lossy(path).into_owned();
    let mode = format!("{:0>6}", entry.mode.octal());
    if entry.mode == Mode::Directory {
        return Ok(TreeItem {
            kind: "directory",
            path,
            size: 0,
            oid: entry.id,
            mode,
            sha256: None,
            lfs: None,
        });
    }
    let info = snapshot.info(entry)?;
    let lfs =
        info.pointer_size.map(|pointer_size| BlobLfsInfo { oid: info.sha256, size: info.size, pointer_size });
    Ok(TreeItem { kind: "file", path, size: info.size, oid: entry.id, mode, sha256: Some(info.sha256), lfs })
}
