//! The order a graph needs: no commit before its children, one line of history after the other.
//!
//! All commits are visited first and kept as ids and parents only; a commit is read again when it is its turn. A history
//! of paths leads from each shown commit to the next shown ones: Git's `rewrite_parents`.

use std::collections::HashMap;

use super::LogEntry;
use super::walk::Walk;
use crate::ops::OpsError;
use crate::store::id::ObjectId;

#[derive(Debug)]
struct Node {
    parents: Vec<ObjectId>,
    is_same: bool,
    /// Whether it is shown, once that was asked.
    shown: Option<bool>,
}

/// All commits of a log in topological order.
#[derive(Debug)]
pub(super) struct Sorted {
    walk: Walk,
    nodes: HashMap<ObjectId, Node>,
    order: std::vec::IntoIter<ObjectId>,
    unreadable: Vec<OpsError>,
}

impl Sorted {
    pub(super) fn new(mut walk: Walk) -> Self {
        let (mut nodes, mut list, mut unreadable) = (HashMap::new(), Vec::new(), Vec::new());
        while let Some(visited) = walk.visit() {
            match visited {
                Err(error) => unreadable.push(error),
                Ok(visited) => {
                    let seconds = visited.commit.committer.time().seconds;
                    if walk.filter.until.is_none_or(|until| seconds <= until) {
                        list.push(visited.id);
                    }
                    let node = Node { parents: visited.parents, is_same: visited.is_same, shown: None };
                    nodes.insert(visited.id, node);
                }
            }
        }
        unreadable.reverse();
        let order = sort(&list, &nodes).into_iter();
        Self { walk, nodes, order, unreadable }
    }

    /// The next commit to show.
    pub(super) fn next_shown(&mut self) -> Option<Result<LogEntry, OpsError>> {
        loop {
            let Some(id) = self.order.next() else { return self.unreadable.pop().map(Err) };
            match self.entry(id) {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn entry(&mut self, id: ObjectId) -> Result<Option<LogEntry>, OpsError> {
        if !self.is_shown(id)? {
            return Ok(None);
        }
        let mut parents = Vec::new();
        for parent in self.nodes.get(&id).map(|node| node.parents.clone()).unwrap_or_default() {
            let parent = if self.walk.is_limited() { self.past_unchanged(parent) } else { Some(parent) };
            parents.extend(parent.filter(|parent| !parents.contains(parent)));
        }
        let mut drawn_parents = Vec::new();
        let followed = if self.walk.first_parent { 1 } else { parents.len() };
        for &parent in parents.iter().take(followed) {
            if self.is_shown(parent)? {
                drawn_parents.push(parent);
            }
        }
        let commit = self.walk.view.catalog.commit(id)?;
        Ok(Some(LogEntry { id, commit, parents, drawn_parents }))
    }

    /// The nearest commit from `id` on that changed something; `None` when nothing did.
    fn past_unchanged(&self, mut id: ObjectId) -> Option<ObjectId> {
        while let Some(node) = self.nodes.get(&id).filter(|node| node.is_same) {
            let next = match node.parents.as_slice() {
                [] => return None,
                [only] => Some(*only),
                several if self.walk.first_parent => Some(several[0]),
                several => {
                    let mut relevant = several.iter().filter(|parent| self.walk.is_relevant(**parent));
                    relevant.next().filter(|_| relevant.next().is_none()).copied()
                }
            };
            match next {
                Some(next) => id = next,
                None => break,
            }
        }
        Some(id)
    }

    fn is_shown(&mut self, id: ObjectId) -> Result<bool, OpsError> {
        let Some(node) = self.nodes.get(&id) else { return Ok(false) };
        if let Some(shown) = node.shown {
            return Ok(shown);
        }
        let commit = self.walk.view.catalog.commit(id)?;
        // A merge of lines that both matter stays, so that they are seen to meet.
        let joins = || node.parents.iter().filter(|parent| self.walk.is_relevant(**parent)).count() >= 2;
        let shown = self.walk.filter.accepts(&commit, node.parents.len()) && (!node.is_same || joins());
        if let Some(node) = self.nodes.get_mut(&id) {
            node.shown = Some(shown);
        }
        Ok(shown)
    }
}

/// Git's `sort_in_topological_order` without dates: a commit comes when its last child has come, the last one that
/// became free first.
fn sort(list: &[ObjectId], nodes: &HashMap<ObjectId, Node>) -> Vec<ObjectId> {
    let mut children: HashMap<ObjectId, usize> = list.iter().map(|id| (*id, 0)).collect();
    let parents = |id: &ObjectId| nodes.get(id).map(|node| node.parents.as_slice()).unwrap_or_default();
    for parent in list.iter().flat_map(parents) {
        if let Some(count) = children.get_mut(parent) {
            *count += 1;
        }
    }
    let mut free: Vec<ObjectId> = list.iter().filter(|id| children.get(id) == Some(&0)).copied().collect();
    free.reverse();
    let mut order = Vec::with_capacity(list.len());
    while let Some(id) = free.pop() {
        for parent in parents(&id) {
            if let Some(count) = children.get_mut(parent) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    free.push(*parent);
                }
            }
        }
        order.push(id);
    }
    order
}
