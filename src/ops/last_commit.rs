//! Listings with the commit that last changed each entry: what `huggingface_hub` calls `expand`.
//!
//! Sizes and ids come from `tree`, last changes from one walk over history for the whole listing; here they are put
//! together. All entries of a listing are in memory at once: none is known before the walk has found it.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::Repository;
use super::error::OpsError;
use super::history::iso;
use super::models::{LastCommitInfo, RepoEntry};
use super::tree::describe;
use crate::snapshot::budget::Budget;
use crate::snapshot::last_change::{Scope, last_changes};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::store::id::ObjectId;
use crate::store::object::{Mode, TreeEntry};
use crate::store::path::RepoPath;

/// A path and what is there.
type Found = (Vec<u8>, TreeEntry);

impl Repository {
    /// As [`Repository::list_repo_tree`], with `last_commit`: the commit `git log -1 -- PATH` shows for each entry;
    /// for a folder the last change of anything below it. What is found is kept in the vault's cache, where that can
    /// be written.
    ///
    /// # Errors
    /// As [`Repository::list_repo_tree`], and what reading history can meet.
    pub fn list_repo_tree_expanded(
        &self,
        path_in_repo: Option<&str>,
        recursive: bool,
        revision: Option<&str>,
    ) -> Result<Vec<RepoEntry>, OpsError> {
        let snapshot = self.snapshot(revision)?;
        // Each path in one spelling, as the walk knows it.
        let names = path_in_repo.unwrap_or_default().split('/').filter(|name| !name.is_empty());
        let path = names.collect::<Vec<_>>().join("/");
        let top = snapshot.entry(&path)?;
        if top.mode != Mode::Directory {
            let revision = snapshot.revision().to_owned();
            return Err(SnapshotError::NotADirectory { path, revision }.into());
        }
        let mut found: Vec<Found> = Vec::new();
        if recursive {
            let mut budget = Budget::default();
            snapshot.walk(top.id, path.as_bytes(), &mut |path, entry| {
                budget.take(path)?;
                found.push((path.to_vec(), entry.clone()));
                Ok(true)
            })?;
        } else {
            let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
            let entries = snapshot.list(top.id)?.into_iter();
            found.extend(entries.map(|entry| ([prefix.as_bytes(), &entry.name].concat(), entry)));
        }
        expand(&snapshot, &found, Scope::Folder { path: &path, recursive })
    }

    /// As [`Repository::get_paths_info`], with `last_commit`.
    ///
    /// # Errors
    /// As [`Repository::get_paths_info`], and what reading history can meet.
    pub fn get_paths_info_expanded<P: AsRef<str>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        revision: Option<&str>,
    ) -> Result<Vec<RepoEntry>, OpsError> {
        let snapshot = self.snapshot(revision)?;
        let mut found: Vec<Found> = Vec::new();
        for path in paths {
            let path = RepoPath::new(path.as_ref())?;
            if let Some(entry) = snapshot.try_entry(path.as_str())? {
                found.push((path.as_str().as_bytes().to_vec(), entry));
            }
        }
        // One asked for twice is followed once.
        let mut wanted = found.clone();
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        wanted.dedup_by(|a, b| a.0 == b.0);
        let known: HashMap<String, RepoEntry> = expand(&snapshot, &wanted, Scope::Paths)?
            .into_iter()
            .map(|entry| (entry.path().to_owned(), entry))
            .collect();
        let names = found.iter().map(|(path, _)| String::from_utf8_lossy(path).into_owned());
        Ok(names.filter_map(|path| known.get(&path).cloned()).collect())
    }
}

fn expand(snapshot: &Snapshot, found: &[Found], scope: Scope<'_>) -> Result<Vec<RepoEntry>, OpsError> {
    let changes = last_changes(snapshot, found, scope)?;
    let mut known: HashMap<ObjectId, LastCommitInfo> = HashMap::new();
    let mut entries = Vec::with_capacity(found.len());
    for ((path, entry), id) in found.iter().zip(changes) {
        let mut described = describe(snapshot, String::from_utf8_lossy(path).into_owned(), entry)?;
        let last = match known.entry(id) {
            Slot::Occupied(there) => there.get().clone(),
            Slot::Vacant(free) => {
                let commit = snapshot.commit_of(id)?;
                let date = iso(commit.author.time().seconds);
                free.insert(LastCommitInfo { oid: id, title: commit.title(), date }).clone()
            }
        };
        let last = Some(last);
        match &mut described {
            RepoEntry::File(file) => file.last_commit = last,
            RepoEntry::Folder(folder) => folder.last_commit = last,
        }
        entries.push(described);
    }
    Ok(entries)
}
