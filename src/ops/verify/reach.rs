//! Which refs lead to what is damaged, once it is known that something is.
//!
//! The walk meets each thing once, by way of the first ref that leads to it. Here every ref is followed to everything it
//! leads to; what an object leads to is found once and remembered. Nothing of content is read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use crate::ops::error::OpsError;
use crate::snapshot::resolve;
use crate::store::StoreError;
use crate::store::id::ObjectId;
use crate::store::interrupt::Interrupt;
use crate::store::object::Mode;
use crate::store::vault::View;

/// Numbers of findings.
type Findings = Rc<BTreeSet<usize>>;

/// Commits and trees to be looked at.
#[derive(Clone, Copy)]
enum Thing {
    Commit(ObjectId),
    Tree(ObjectId),
}

/// What is behind each object that was looked at.
pub(super) struct Reach<'a> {
    view: &'a View,
    /// The findings about blobs and trees.
    hurt: &'a HashMap<ObjectId, BTreeSet<usize>>,
    /// The findings by what they say: what cannot be read is known by that.
    by_problem: &'a dyn Fn(&str) -> Option<usize>,
    interrupt: &'a Interrupt,
    known: HashMap<ObjectId, Findings>,
    /// What was looked at: a forged commit can lead to itself.
    entered: HashSet<ObjectId>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(
        view: &'a View,
        hurt: &'a HashMap<ObjectId, BTreeSet<usize>>,
        by_problem: &'a dyn Fn(&str) -> Option<usize>,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { view, hurt, by_problem, interrupt, known: HashMap::new(), entered: HashSet::new() }
    }

    /// Numbers of the findings that the history of what a ref points at leads to.
    pub(super) fn of(&mut self, id: ObjectId) -> Result<Findings, OpsError> {
        let commit = match resolve::peeled(self.view, id) {
            Ok(commit) => commit,
            Err(error) => return Ok(self.unreadable(&error.to_string())),
        };
        let mut pending = vec![Thing::Commit(commit)];
        while let Some(&thing) = pending.last() {
            self.interrupt.check()?;
            let (Thing::Commit(id) | Thing::Tree(id)) = thing;
            if self.known.contains_key(&id) {
                pending.pop();
                continue;
            }
            let (leads_to, own) = match self.look(thing) {
                Ok(found) => found,
                Err(error) => (Vec::new(), self.unreadable(&error.to_string())),
            };
            self.entered.insert(id);
            let before = pending.len();
            pending.extend(
                leads_to.iter().filter(|(Thing::Commit(id) | Thing::Tree(id))| !self.entered.contains(id)),
            );
            if pending.len() == before {
                let all =
                    leads_to.iter().filter_map(|(Thing::Commit(id) | Thing::Tree(id))| self.known.get(id));
                let all = all.fold(own, union);
                self.known.insert(id, all);
            }
        }
        Ok(self.known.get(&commit).cloned().unwrap_or_default())
    }

    fn unreadable(&self, problem: &str) -> Findings {
        Rc::new((self.by_problem)(problem).into_iter().collect())
    }

    /// What a thing leads to, and the findings about it and its files.
    fn look(&self, thing: Thing) -> Result<(Vec<Thing>, Findings), StoreError> {
        match thing {
            Thing::Commit(id) => {
                let commit = self.view.catalog.commit(id)?;
                let parents = commit.parents.iter().map(|&parent| Thing::Commit(parent));
                Ok((parents.chain([Thing::Tree(commit.tree)]).collect(), Findings::default()))
            }
            Thing::Tree(id) => {
                let mut own: BTreeSet<usize> = self.hurt.get(&id).into_iter().flatten().copied().collect();
                if !own.is_empty() {
                    // It may be why what is in it was not looked at.
                    return Ok((Vec::new(), Rc::new(own)));
                }
                let mut folders = Vec::new();
                for entry in self.view.catalog.tree(id)?.entries() {
                    if entry.mode == Mode::Directory {
                        folders.push(Thing::Tree(entry.id));
                    } else {
                        own.extend(self.hurt.get(&entry.id).into_iter().flatten());
                    }
                }
                Ok((folders, Rc::new(own)))
            }
        }
    }
}

/// Both of them; a set that has all of the other is not made again: a long history has the same one over and over.
fn union(one: Findings, other: &Findings) -> Findings {
    if one.is_superset(other) {
        one
    } else if other.is_superset(&one) {
        Rc::clone(other)
    } else {
        Rc::new(&*one | &**other)
    }
}
