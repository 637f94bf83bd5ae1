//! Who descends from whom: best common ancestors in the graph of commits.
//!
//! Follows Git's `commit-reach.c`: both histories are painted downwards, newest commits first, until everything left
//! lies below a common ancestor. Dates only decide how soon that is: what is answered is right for any clocks. Costs
//! what lies between the commits, not what lies below. Knows parents and dates; not what a commit holds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::error::SnapshotError;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;

/// Reached from the one side.
const ONE: u8 = 1;
/// Reached from the other side.
const TWO: u8 = 2;
/// Below a common ancestor that was found.
const STALE: u8 = 4;
/// A common ancestor that was found.
const FOUND: u8 = 8;

/// Every best common ancestor of two commits: those that are no ancestor of another one. Newest first, as Git lists
/// them; several after criss-cross merges, none for unrelated histories.
///
/// # Errors
/// What reading a commit can meet.
pub fn merge_bases(catalog: &Catalog, one: ObjectId, two: ObjectId) -> Result<Vec<ObjectId>, SnapshotError> {
    merge_bases_of(catalog, &[one], two)
}

/// The same for a commit that does not exist but would have these `parents`, and another one.
pub(crate) fn merge_bases_of(
    catalog: &Catalog,
    parents: &[ObjectId],
    two: ObjectId,
) -> Result<Vec<ObjectId>, SnapshotError> {
    if parents.contains(&two) {
        return Ok(vec![two]);
    }
    let mut graph = Painted::new(catalog);
    let mut found = graph.paint_down(parents, &[two])?;
    found.retain(|id| graph.flags(*id) & STALE == 0);
    let mut best: Vec<(i64, ObjectId)> = found.iter().map(|id| (graph.date(*id), *id)).collect();
    best.sort_by_key(|(date, _)| Reverse(*date));
    let best: Vec<ObjectId> = best.into_iter().map(|(_, id)| id).collect();
    independent(catalog, best)
}

/// Whether `ancestor` can be reached from `descendant`; a commit is its own ancestor.
///
/// # Errors
/// What reading a commit can meet.
pub fn is_ancestor(
    catalog: &Catalog,
    ancestor: ObjectId,
    descendant: ObjectId,
) -> Result<bool, SnapshotError> {
    if ancestor == descendant {
        return Ok(true);
    }
    let mut graph = Painted::new(catalog);
    graph.paint_down(&[ancestor], &[descendant])?;
    Ok(graph.flags(ancestor) & TWO != 0)
}

/// Takes out what can be reached from another one: with clocks that go wrong, painting finds too much.
fn independent(catalog: &Catalog, commits: Vec<ObjectId>) -> Result<Vec<ObjectId>, SnapshotError> {
    if commits.len() < 2 {
        return Ok(commits);
    }
    let mut kept = Vec::with_capacity(commits.len());
    for &commit in &commits {
        let others: Vec<ObjectId> = commits.iter().copied().filter(|&other| other != commit).collect();
        let mut graph = Painted::new(catalog);
        graph.paint_down(&[commit], &others)?;
        if graph.flags(commit) & TWO == 0 {
            kept.push(commit);
        }
    }
    Ok(kept)
}

/// A commit that was reached.
struct Node {
    flags: u8,
    date: i64,
    parents: Vec<ObjectId>,
    /// How often it waits in the queue.
    queued: usize,
}

/// The part of the graph that was looked at.
struct Painted<'a> {
    catalog: &'a Catalog,
    nodes: HashMap<ObjectId, Node>,
    queue: BinaryHeap<(i64, Reverse<u64>, ObjectId)>,
    /// Breaks ties between equal dates: first come, first served.
    order: u64,
    /// How many in the queue are not stale.
    fresh: usize,
}

impl<'a> Painted<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, nodes: HashMap::new(), queue: BinaryHeap::new(), order: 0, fresh: 0 }
    }

    fn flags(&self, id: ObjectId) -> u8 {
        self.nodes.get(&id).map_or(0, |node| node.flags)
    }

    fn date(&self, id: ObjectId) -> i64 {
        self.nodes.get(&id).map_or(0, |node| node.date)
    }

    /// Adds flags to a commit and puts it in the queue, unless it had them all.
    fn paint(&mut self, id: ObjectId, flags: u8) -> Result<(), SnapshotError> {
        if !self.nodes.contains_key(&id) {
            let commit = self.catalog.commit(id)?;
            let date = commit.committer.time().seconds;
            self.nodes.insert(id, Node { flags: 0, date, parents: commit.parents, queued: 0 });
        }
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        if node.flags & flags == flags {
            return Ok(());
        }
        if node.flags & STALE == 0 && flags & STALE != 0 {
            self.fresh -= node.queued;
        }
        node.flags |= flags;
        node.queued += 1;
        if node.flags & STALE == 0 {
            self.fresh += 1;
        }
        self.order += 1;
        self.queue.push((node.date, Reverse(self.order), id));
        Ok(())
    }

    /// Paints until nothing fresh is left; answers every commit that both sides reach first, in the order found.
    fn paint_down(&mut self, ones: &[ObjectId], twos: &[ObjectId]) -> Result<Vec<ObjectId>, SnapshotError> {
        ones.iter().try_for_each(|&id| self.paint(id, ONE))?;
        twos.iter().try_for_each(|&id| self.paint(id, TWO))?;
        let mut found = Vec::new();
        while self.fresh > 0
            && let Some((_, _, id)) = self.queue.pop()
        {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.queued -= 1;
            let mut flags = node.flags & (ONE | TWO | STALE);
            if flags & STALE == 0 {
                self.fresh -= 1;
            }
            if flags == ONE | TWO {
                if node.flags & FOUND == 0 {
                    node.flags |= FOUND;
                    found.push(id);
                }
                flags |= STALE;
            }
            for parent in node.parents.clone() {
                self.paint(parent, flags)?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::Repository;
    use crate::ops::{Actor, InitOptions, Signature, Timestamp};
    use crate::store::media::memory::MemoryMedia;
    use crate::store::object::{Commit, Kind, Tree};
    use crate::store::publish::Change;
    use crate::store::transaction::Context;
    use proptest::prelude::*;

    fn signature(seconds: i64) -> Signature {
        Signature::new("A", "a@x", Timestamp { seconds, offset_minutes: 0 }).unwrap()
    }

    /// A vault whose commits have these parents (numbers of earlier ones) and dates.
    fn history(commits: &[(Vec<usize>, i64)]) -> (Repository, Vec<ObjectId>) {
        let actor = Actor { signature: signature(0), nonce: [1; 16] };
        let media = Arc::new(MemoryMedia::new());
        let (repository, _) = Repository::init_on(media, &InitOptions::default(), &actor).unwrap();
        let context = Context {
            time: Timestamp::default(),
            actor: String::new(),
            command: String::new(),
            nonce: [2; 16],
        };
        let mut transaction = repository.vault().begin(context).unwrap();
        let mut ids: Vec<ObjectId> = Vec::new();
        for (number, (parents, seconds)) in commits.iter().enumerate() {
            let commit = Commit {
                tree: Tree::empty().id(),
                parents: parents.iter().map(|&parent| ids[parent]).collect(),
                author: signature(*seconds),
                committer: signature(*seconds),
                extra_headers: Vec::new(),
                message: format!("{number}").into_bytes(),
            };
            ids.push(transaction.add_object(Kind::Commit, &commit.encode()).unwrap());
        }
        transaction.publish(Change::default()).unwrap();
        drop(transaction);
        (repository, ids)
    }

    /// All ancestors of each commit, itself included.
    fn closures(commits: &[(Vec<usize>, i64)]) -> Vec<BTreeSet<usize>> {
        let mut all: Vec<BTreeSet<usize>> = Vec::new();
        for (number, (parents, _)) in commits.iter().enumerate() {
            let mut own: BTreeSet<usize> = parents.iter().flat_map(|&parent| all[parent].clone()).collect();
            own.insert(number);
            all.push(own);
        }
        all
    }

    fn graph() -> impl Strategy<Value = Vec<(Vec<usize>, i64)>> {
        let node = (prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0..12_i64);
        prop::collection::vec(node, 2..14).prop_map(|nodes| {
            let wire = |(number, (parents, date)): (usize, (Vec<prop::sample::Index>, i64))| {
                let parents: BTreeSet<usize> =
                    parents.iter().filter(|_| number > 0).map(|parent| parent.index(number)).collect();
                (parents.into_iter().collect(), date)
            };
            nodes.into_iter().enumerate().map(wire).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Dates are drawn at random: clocks are as wrong as they can be.
        #[test]
        fn bases_are_the_common_ancestors_that_are_below_no_other(commits in graph()) {
            let (repository, ids) = history(&commits);
            let view = repository.vault().view();
            let all = closures(&commits);
            for one in 0..commits.len() {
                for two in 0..commits.len() {
                    let common: BTreeSet<usize> = all[one].intersection(&all[two]).copied().collect();
                    let is_best = |c: &&usize| !common.iter().any(|d| d != *c && all[*d].contains(c));
                    let best: BTreeSet<ObjectId> = common.iter().filter(is_best).map(|&c| ids[c]).collect();
                    let found = merge_bases(&view.catalog, ids[one], ids[two]).unwrap();
                    let count = found.len();
                    prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), best.clone());
                    prop_assert_eq!(count, best.len());
                    let is_below = is_ancestor(&view.catalog, ids[one], ids[two]).unwrap();
                    prop_assert_eq!(is_below, all[two].contains(&one));
                }
            }
        }
    }

    #[test]
    fn only_what_lies_between_is_read() {
        let mut commits: Vec<(Vec<usize>, i64)> = vec![(vec![], 0)];
        commits.extend((1..1000).map(|n| (vec![n - 1], i64::try_from(n).unwrap())));
        commits.push((vec![997], 2000));
        let (repository, ids) = history(&commits);
        let view = repository.vault().view();
        let mut graph = Painted::new(&view.catalog);
        assert_eq!(graph.paint_down(&[ids[1000]], &[ids[999]]).unwrap(), [ids[997]]);
        assert!(graph.nodes.len() < 8, "{} commits were read", graph.nodes.len());
    }
}
