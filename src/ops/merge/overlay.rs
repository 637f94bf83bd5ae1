//! Trees that are not stored, beside those that are: what a merge of common ancestors gives.
//!
//! Exists so that such a tree is read like any other and nothing is written for it. Also turns changed paths into
//! changed trees, reading and writing only folders on the way to them. Knows trees; not why they change.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use crate::snapshot::tree_diff::{Leaf, Trees};
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::{Mode, Tree, TreeEntry};
use crate::store::path::collision_key;

/// Stored trees and some that are not.
pub(in crate::ops) struct Overlay<'a> {
    /// Everything that is stored.
    pub(super) catalog: &'a Catalog,
    own: RefCell<HashMap<ObjectId, Tree>>,
}

impl Trees for Overlay<'_> {
    fn tree(&self, id: ObjectId) -> Result<Tree, StoreError> {
        match self.own.borrow().get(&id) {
            Some(tree) => Ok(tree.clone()),
            None => self.catalog.tree(id),
        }
    }
}

/// Two paths that are one on some systems: the one that is new, and the one in its way.
pub(super) type Clash = (Vec<u8>, Vec<u8>);

/// Paths with what is to be there, in order.
pub(super) type Changes<'c> = [(&'c [u8], Option<Leaf>)];

/// Takes a tree and answers its id.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&Tree) -> Result<ObjectId, StoreError>;

impl<'a> Overlay<'a> {
    pub(in crate::ops) fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, own: RefCell::new(HashMap::new()) }
    }

    /// Changes a tree and keeps the result here.
    pub(super) fn keep(&self, tree: ObjectId, changes: &Changes<'_>) -> Result<ObjectId, StoreError> {
        let mut write = |tree: &Tree| {
            let id = tree.id();
            self.own.borrow_mut().insert(id, tree.clone());
            Ok(id)
        };
        self.write(tree, changes, &mut write, &mut Vec::new())
    }

    /// Changes a tree; hands over every tree that is new, and tells which new names clash with others.
    pub(super) fn write(
        &self,
        tree: ObjectId,
        changes: &Changes<'_>,
        sink: Sink<'_>,
        clashes: &mut Vec<Clash>,
    ) -> Result<ObjectId, StoreError> {
        let changes: Vec<_> = changes.iter().map(|&(path, leaf)| (path, path, leaf)).collect();
        match self.folder(Some(tree), b"", &changes, sink, clashes)? {
            Some(id) => Ok(id),
            None => sink(&Tree::empty()),
        }
    }

    /// One folder. `changes`: the rest of the path from here, the whole of it, and what is to be there.
    fn folder(
        &self,
        id: Option<ObjectId>,
        at: &[u8],
        changes: &[(&[u8], &[u8], Option<Leaf>)],
        sink: Sink<'_>,
        clashes: &mut Vec<Clash>,
    ) -> Result<Option<ObjectId>, StoreError> {
        let old = id.map_or(Ok(Tree::empty()), |id| self.tree(id))?;
        let mut entries: BTreeMap<Vec<u8>, (Mode, ObjectId)> =
            old.into_entries().into_iter().map(|entry| (entry.name, (entry.mode, entry.id))).collect();
        let mut added = Vec::new();
        for (name, changes) in by_name(changes) {
            let known = entries.get(name).copied();
            let folder = known.filter(|(mode, _)| *mode == Mode::Directory).map(|(_, id)| id);
            let (own, below): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(rest, ..)| rest.is_empty());
            let folder = if below.is_empty() {
                folder
            } else {
                self.folder(folder, &join(at, name), &below, sink, clashes)?
            };
            let file = match own.first() {
                Some((.., leaf)) => leaf.map(|leaf| (leaf.mode, leaf.id)),
                None => known.filter(|(mode, _)| *mode != Mode::Directory),
            };
            match file.or(folder.map(|id| (Mode::Directory, id))) {
                Some(found) => {
                    if entries.insert(name.to_vec(), found).is_none() {
                        added.push(name.to_vec());
                    }
                }
                None => drop(entries.remove(name)),
            }
        }
        if !added.is_empty() {
            find_clashes(at, &entries, &added, clashes);
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let entries = entries.into_iter().map(|(name, (mode, id))| TreeEntry { name, mode, id });
        // Names come from valid trees; a name that is one all the same is damage.
        let tree = Tree::from_entries(entries.collect())
            .map_err(|source| StoreError::BadObject { id: id.unwrap_or(Tree::empty().id()), source })?;
        sink(&tree).map(Some)
    }
}

type Named<'c> = BTreeMap<&'c [u8], Vec<(&'c [u8], &'c [u8], Option<Leaf>)>>;

fn by_name<'c>(changes: &[(&'c [u8], &'c [u8], Option<Leaf>)]) -> Named<'c> {
    let mut found = Named::new();
    for &(rest, whole, leaf) in changes {
        let (name, below) = match rest.iter().position(|&byte| byte == b'/') {
            Some(slash) => (&rest[..slash], &rest[slash + 1..]),
            None => (rest, &b""[..]),
        };
        found.entry(name).or_default().push((below, whole, leaf));
    }
    found
}

pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn find_clashes(
    at: &[u8],
    entries: &BTreeMap<Vec<u8>, (Mode, ObjectId)>,
    added: &[Vec<u8>],
    clashes: &mut Vec<Clash>,
) {
    let key = |name: &[u8]| collision_key(&String::from_utf8_lossy(name));
    let mut known: HashMap<String, Vec<&[u8]>> = HashMap::new();
    for name in entries.keys() {
        known.entry(key(name)).or_default().push(name);
    }
    for name in added {
        let same = known.get(&key(name)).map(Vec::as_slice).unwrap_or_default();
        if let Some(other) = same.iter().find(|other| **other != &name[..]) {
            clashes.push((join(at, name), join(at, other)));
        }
    }
}
