//! Which refs lead to what is damaged, once it is known that something is.
//!
//! The walk meets each thing once, by way of the first ref that leads to it. Here every ref is followed to everything it
//! leads to; what an object leads to is found once and remembered. Nothing of content is read.

use std::collections::HashMap;
use std::ops::BitOrAssign;

use crate::ops::error::OpsError;
use crate::snapshot::resolve;
use crate::store::StoreError;
use crate::store::id::ObjectId;
use crate::store::interrupt::Interrupt;
use crate::store::object::Mode;
use crate::store::vault::View;

/// Findings by their numbers, in as little as every object of a long history can have: those from the last of these bits
/// on share it, so that where there are hundreds of findings, a ref may be named for one of them that leads to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Findings([u64; 4]);

impl Findings {
    const LAST: usize = 255;

    fn bit(finding: usize) -> (usize, u64) {
        let bit = finding.min(Self::LAST);
        (bit / 64, 1 << (bit % 64))
    }

    pub(super) fn insert(&mut self, finding: usize) {
        let (word, bit) = Self::bit(finding);
        self.0[word] |= bit;
    }

    pub(super) fn contains(self, finding: usize) -> bool {
        let (word, bit) = Self::bit(finding);
        self.0[word] & bit != 0
    }
}

impl BitOrAssign for Findings {
    fn bitor_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }
}

/// Commits and trees to be looked at.
#[derive(Debug, Clone, Copy)]
enum Thing {
    Commit(ObjectId),
    Tree(ObjectId),
}

/// Something that is being looked at.
struct Open {
    id: ObjectId,
    found: Findings,
    /// What it leads to and was not asked yet.
    rest: Vec<Thing>,
}

/// What is behind each object that was looked at.
pub(super) struct Reach<'a> {
    view: &'a View,
    /// The findings about blobs and trees.
    hurt: &'a HashMap<ObjectId, Findings>,
    /// The finding that says this: what cannot be read is known by that.
    by_problem: &'a dyn Fn(&str) -> Option<usize>,
    interrupt: &'a Interrupt,
    known: HashMap<ObjectId, Findings>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(
        view: &'a View,
        hurt: &'a HashMap<ObjectId, Findings>,
        by_problem: &'a dyn Fn(&str) -> Option<usize>,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { view, hurt, by_problem, interrupt, known: HashMap::new() }
    }

    /// The findings that the history of what a ref points at leads to.
    pub(super) fn of(&mut self, id: ObjectId) -> Result<Findings, OpsError> {
        let commit = match resolve::peeled(self.view, id) {
            Ok(commit) => commit,
            Err(error) => return Ok(self.unreadable(&error.to_string())),
        };
        if let Some(&known) = self.known.get(&commit) {
            return Ok(known);
        }
        // Ids are hashes of what leads on, so that nothing leads back to itself.
        let mut open = vec![self.look(Thing::Commit(commit))];
        let mut found = Findings::default();
        while let Some(top) = open.last_mut() {
            self.interrupt.check()?;
            if let Some(thing) = top.rest.pop() {
                let (Thing::Commit(id) | Thing::Tree(id)) = thing;
                match self.known.get(&id) {
                    Some(&known) => top.found |= known,
                    None => open.push(self.look(thing)),
                }
                continue;
            }
            (found, _) = (top.found, self.known.insert(top.id, top.found));
            open.pop();
            if let Some(above) = open.last_mut() {
                above.found |= found;
            }
        }
        Ok(found)
    }

    fn unreadable(&self, problem: &str) -> Findings {
        let mut found = Findings::default();
        (self.by_problem)(problem).into_iter().for_each(|finding| found.insert(finding));
        found
    }

    /// The findings about a thing and its files, and what it leads to.
    fn look(&self, thing: Thing) -> Open {
        let (Thing::Commit(id) | Thing::Tree(id)) = thing;
        let looked = match thing {
            Thing::Commit(id) => self.commit(id),
            Thing::Tree(id) => self.tree(id),
        };
        let (found, rest) = looked.unwrap_or_else(|error| (self.unreadable(&error.to_string()), Vec::new()));
        Open { id, found, rest }
    }

    fn commit(&self, id: ObjectId) -> Result<(Findings, Vec<Thing>), StoreError> {
        let commit = self.view.catalog.commit(id)?;
        let parents = commit.parents.iter().map(|&parent| Thing::Commit(parent));
        Ok((Findings::default(), parents.chain([Thing::Tree(commit.tree)]).collect()))
    }

    fn tree(&self, id: ObjectId) -> Result<(Findings, Vec<Thing>), StoreError> {
        if let Some(&found) = self.hurt.get(&id) {
            // It may be why what is in it was not looked at.
            return Ok((found, Vec::new()));
        }
        let (mut found, mut folders) = (Findings::default(), Vec::new());
        for entry in self.view.catalog.tree(id)?.entries() {
            if entry.mode == Mode::Directory {
                folders.push(Thing::Tree(entry.id));
            } else if let Some(&about) = self.hurt.get(&entry.id) {
                found |= about;
            }
        }
        Ok((found, folders))
    }
}
