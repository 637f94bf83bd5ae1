//! The walk from commits to their parents, the newest first, as `git log` goes.
//!
//! Costs what is taken from it. A history of paths is simplified on the way: a commit that equals a parent there leads to
//! that parent alone.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use super::paths::PathHistory;
use super::{Filter, LogEntry, LogOptions};
use crate::ops::OpsError;
use crate::store::id::ObjectId;
use crate::store::object::Commit;
use crate::store::vault::View;

/// Commits that were reached and not yet visited.
#[derive(Debug)]
struct Pending {
    seconds: i64,
    /// Breaks ties: who was reached first comes first.
    reached: u64,
    id: ObjectId,
    commit: Commit,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        self.seconds.cmp(&other.seconds).then(other.reached.cmp(&self.reached))
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pending {}

/// A commit that was visited.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) id: ObjectId,
    pub(super) commit: Commit,
    /// Its parents, or the one it equals in the paths that are asked for.
    pub(super) parents: Vec<ObjectId>,
    /// Whether it changed nothing there.
    pub(super) is_same: bool,
}

/// A walk under way.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) view: Arc<View>,
    pub(super) filter: Filter,
    paths: Option<PathHistory>,
    since: Option<i64>,
    pub(super) first_parent: bool,
    pending: BinaryHeap<Pending>,
    seen: HashSet<ObjectId>,
    excluded: HashSet<ObjectId>,
    /// The excluded commits that were named: a history is drawn and compared up to them.
    bottom: HashSet<ObjectId>,
    reached: u64,
    /// Why commits could not be read; told after all that can be.
    unreadable: Vec<OpsError>,
}

/// Every commit that leads to these, and they themselves.
pub(super) fn ancestors(view: &View, of: &[ObjectId]) -> Result<HashSet<ObjectId>, OpsError> {
    let mut found: HashSet<ObjectId> = of.iter().copied().collect();
    let mut pending: Vec<ObjectId> = of.to_vec();
    while let Some(id) = pending.pop() {
        for parent in view.catalog.commit(id)?.parents {
            if found.insert(parent) {
                pending.push(parent);
            }
        }
    }
    Ok(found)
}

impl Walk {
    pub(super) fn new(
        view: &Arc<View>,
        filter: Filter,
        paths: Option<PathHistory>,
        options: &LogOptions,
    ) -> Self {
        Self {
            view: Arc::clone(view),
            filter,
            paths,
            since: options.since,
            first_parent: options.first_parent,
            pending: BinaryHeap::new(),
            seen: HashSet::new(),
            excluded: HashSet::new(),
            bottom: HashSet::new(),
            reached: 0,
            unreadable: Vec::new(),
        }
    }

    /// Leaves out these commits; `bottom` are those that were named.
    pub(super) fn exclude(&mut self, commits: HashSet<ObjectId>, bottom: &[ObjectId]) {
        self.excluded = commits;
        self.bottom = bottom.iter().copied().collect();
    }

    /// Whether the history of paths is asked for.
    pub(super) fn is_limited(&self) -> bool {
        self.paths.is_some()
    }

    /// Whether a commit counts when a merge is compared with its parents: Git's `relevant_commit`.
    pub(super) fn is_relevant(&self, id: ObjectId) -> bool {
        !self.excluded.contains(&id) || self.bottom.contains(&id)
    }

    /// Puts a commit on the way.
    pub(super) fn reach(&mut self, id: ObjectId) -> Result<(), OpsError> {
        if !self.excluded.contains(&id) && self.seen.insert(id) {
            let commit = self.view.catalog.commit(id)?;
            let seconds = commit.committer.time().seconds;
            self.reached += 1;
            self.pending.push(Pending { seconds, reached: self.reached, id, commit });
        }
        Ok(())
    }

    /// The next commit, shown or not; then what could not be read.
    pub(super) fn visit(&mut self) -> Option<Result<Visited, OpsError>> {
        while let Some(Pending { seconds, id, commit, .. }) = self.pending.pop() {
            if self.since.is_some_and(|since| seconds < since) {
                continue;
            }
            let (parents, is_same) = match self.simplify(&commit) {
                Ok(simplified) => simplified,
                // The trees cannot be read: it may have changed anything.
                Err(error) => {
                    self.unreadable.push(error);
                    (commit.parents.clone(), false)
                }
            };
            let followed = if self.first_parent { 1 } else { parents.len() };
            for &parent in parents.iter().take(followed) {
                // A parent that cannot be read must not hide its child.
                if let Err(error) = self.reach(parent) {
                    self.unreadable.push(error);
                }
            }
            return Some(Ok(Visited { id, commit, parents, is_same }));
        }
        self.unreadable.pop().map(Err)
    }

    /// The parents that matter, and whether the commit changed nothing: Git's `try_to_simplify_commit`.
    fn simplify(&mut self, commit: &Commit) -> Result<(Vec<ObjectId>, bool), OpsError> {
        let Some(mut paths) = self.paths.take() else { return Ok((commit.parents.clone(), false)) };
        let result = self.compare(&mut paths, commit);
        self.paths = Some(paths);
        result
    }

    fn compare(&self, paths: &mut PathHistory, commit: &Commit) -> Result<(Vec<ObjectId>, bool), OpsError> {
        let catalog = &self.view.catalog;
        let ours = paths.look(catalog, commit.tree)?;
        if commit.parents.is_empty() {
            return Ok((Vec::new(), ours.iter().all(Option::is_none)));
        }
        let compared = if self.first_parent { 1 } else { commit.parents.len() };
        let (mut relevant, mut relevant_change, mut irrelevant_change) = (0, false, false);
        for &parent in commit.parents.iter().take(compared) {
            let is_relevant = self.is_relevant(parent);
            let is_same = paths.look(catalog, catalog.commit(parent)?.tree)? == ours;
            if is_same && is_relevant {
                return Ok((vec![parent], true));
            }
            relevant += usize::from(is_relevant);
            relevant_change |= is_relevant && !is_same;
            irrelevant_change |= !is_relevant && !is_same;
        }
        let is_same = if relevant > 0 { !relevant_change } else { !irrelevant_change };
        Ok((commit.parents.clone(), is_same))
    }

    /// The next commit to show.
    pub(super) fn next_shown(&mut self) -> Option<Result<LogEntry, OpsError>> {
        loop {
            match self.visit()? {
                Err(error) => return Some(Err(error)),
                Ok(Visited { id, commit, parents, is_same }) => {
                    if !is_same && self.filter.accepts(&commit, parents.len()) {
                        return Some(Ok(LogEntry { id, commit, parents, drawn_parents: Vec::new() }));
                    }
                }
            }
        }
    }
}
