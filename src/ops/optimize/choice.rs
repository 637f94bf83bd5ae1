//! Which files an optimization is about, and in which packs they lie.
//!
//! Folders that were gone through are not gone through again, so a long history costs what is different in it. It must
//! not know how anything is stored again.

use std::collections::HashSet;

use super::OptimizeOptions;
use crate::ops::error::OpsError;
use crate::ops::history::History;
use crate::ops::patterns::PathFilter;
use crate::ops::{Repository, join};
use crate::snapshot::budget::Budget;
use crate::snapshot::{Mode, resolve};
use crate::store::StoreError;
use crate::store::id::{ObjectId, PackId, Sha256};
use crate::store::ingest::WHOLE_FILE;
use crate::store::path::{MAX_DEPTH, PathError};
use crate::store::vault::View;

/// A large file that was chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) path: String,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
    pub(super) packs: Vec<PackId>,
}

/// What was chosen.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Packs, file by file in the order of paths, newest commits first; each once.
    pub(super) packs: Vec<Vec<PackId>>,
    /// Large files, each content once, by the first path it was found at.
    pub(super) files: Vec<Chosen>,
}

impl Choice {
    /// Goes through the revisions that were asked for, or through all history.
    pub(super) fn new(
        repository: &Repository,
        view: &std::sync::Arc<View>,
        options: &OptimizeOptions,
    ) -> Result<Self, OpsError> {
        let mut walk = Walk::new(view, &options.filter);
        if options.revisions.is_empty() {
            let mut history = History::empty(view);
            for &id in view.state.refs.values() {
                history.add(id)?;
                for step in &mut history {
                    walk.tree(step?.1.tree)?;
                }
            }
        }
        for revision in &options.revisions {
            let id = resolve::commit(view, revision)?;
            walk.tree(view.catalog.commit(id)?.tree)?;
        }
        let mut choice = walk.choice;
        if options.keep_latest {
            let kept = latest(repository, view)?;
            choice.packs.iter_mut().for_each(|packs| packs.retain(|pack| !kept.contains(pack)));
        }
        choice.packs.retain(|packs| !packs.is_empty());
        Ok(choice)
    }
}

/// Packs that the newest commit of some branch uses.
fn latest(repository: &Repository, view: &View) -> Result<HashSet<PackId>, OpsError> {
    let all = PathFilter::default();
    let mut walk = Walk::new(view, &all);
    for branch in repository.list_branches()? {
        walk.tree(view.catalog.commit(branch.target_commit)?.tree)?;
    }
    Ok(walk.packs)
}

/// Going through folders.
struct Walk<'a> {
    view: &'a View,
    filter: &'a PathFilter,
    /// Folders that were gone through; with patterns also where, since they may choose otherwise there.
    folders: HashSet<(ObjectId, String)>,
    blobs: HashSet<ObjectId>,
    packs: HashSet<PackId>,
    budget: Budget,
    choice: Choice,
}

impl<'a> Walk<'a> {
    fn new(view: &'a View, filter: &'a PathFilter) -> Self {
        Self {
            view,
            filter,
            folders: HashSet::new(),
            blobs: HashSet::new(),
            packs: HashSet::new(),
            budget: Budget::default(),
            choice: Choice::default(),
        }
    }

    fn tree(&mut self, root: ObjectId) -> Result<(), OpsError> {
        let mut pending = vec![(root, String::new())];
        while let Some((id, folder)) = pending.pop() {
            let place = if self.filter.takes_all() { String::new() } else { folder.clone() };
            if !self.folders.insert((id, place)) {
                continue;
            }
            self.budget.take(folder.as_bytes()).map_err(OpsError::from)?;
            let mut folders = Vec::new();
            for entry in self.view.catalog.tree(id)?.entries() {
                let name = String::from_utf8_lossy(&entry.name);
                let path = join(&folder, &name);
                if entry.mode == Mode::Directory {
                    if path.matches('/').count() >= MAX_DEPTH {
                        let start = path.chars().take(40).collect();
                        return Err(PathError::TooDeep { start }.into());
                    }
                    folders.push((entry.id, path));
                } else if self.filter.takes(&path) && self.blobs.insert(entry.id) {
                    self.leaf(entry.id, path)?;
                }
            }
            pending.extend(folders.into_iter().rev());
        }
        Ok(())
    }

    fn leaf(&mut self, id: ObjectId, path: String) -> Result<(), StoreError> {
        let (sha256, _) = self.view.catalog.blob(id)?;
        let file = self.view.catalog.file(sha256)?;
        let mut packs: Vec<PackId> = file.extents.iter().map(|extent| extent.pack).collect();
        packs.retain(|&pack| pack != PackId::HERE);
        packs.sort_unstable();
        packs.dedup();
        let new: Vec<PackId> = packs.iter().copied().filter(|&pack| self.packs.insert(pack)).collect();
        if !new.is_empty() {
            self.choice.packs.push(new);
        }
        if file.size >= WHOLE_FILE {
            self.choice.files.push(Chosen { path, sha256, size: file.size, packs });
        }
        Ok(())
    }
}
