//! Which commit last changed each path: `git log -1 -- PATH`, for many paths in one walk.
//!
//! A path is followed from commit to the first parent that has the same entry there; where no parent has, that commit
//! changed it. All wanted paths are followed together: between two commits only folders that differ are read, so the
//! cost is that of the changes on the way, not of the paths times the history. What a listing found is kept in the
//! vault's disposable cache (`table`), so that the next one walks only what is new. A table is believed when it is whole
//! and the trees agree with a sample of it. This file knows commits and trees; not how a listing is shown.

mod table;

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use self::table::Tables;
use super::Snapshot;
use super::error::SnapshotError;
use super::tree_diff::join;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::{Commit, Mode, Tree, TreeEntry};

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// Everything in this folder, or everything below it: what is found is kept for the next time.
    Folder {
        /// Path of the folder; empty for the root.
        path: &'a str,
        /// Whether everything below it is wanted.
        recursive: bool,
    },
    /// Some paths.
    Paths,
}

/// Commits and trees that are kept decoded: a commit's parent is the next commit, and its trees the next trees.
const DECODED: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not zero");

/// Answers of a table that are compared with the trees before it is believed. All would cost what the walk does.
const SAMPLE: usize = 16;

/// A walk over fewer commits is not worth keeping.
const WORTH_KEEPING: usize = 16;

/// The commit that last changed each of `wanted` (path and entry, as they are in the snapshot), in that order.
///
/// # Errors
/// What reading commits and trees on the way can meet: history that is damaged gives no answer rather than a wrong one.
pub fn last_changes(
    snapshot: &Snapshot,
    wanted: &[(Vec<u8>, TreeEntry)],
    scope: Scope<'_>,
) -> Result<Vec<ObjectId>, SnapshotError> {
    let catalog = &snapshot.view.catalog;
    let tables = Tables::find(catalog.media(), scope, wanted.iter().map(|(path, _)| &path[..]));
    let mut walk = Walk::new(catalog, wanted, tables);
    walk.reach(snapshot.id, (0..wanted.len()).collect())?;
    while let Some((_, _, id)) = walk.pending.pop() {
        walk.step(id)?;
    }
    // Every path ends at a commit without a parent that has it, if nowhere before.
    let answers: Vec<ObjectId> = walk.answers.iter().map(|answer| answer.unwrap_or(snapshot.id)).collect();
    if walk.steps >= WORTH_KEEPING {
        let paths = wanted.iter().map(|(path, _)| &path[..]);
        walk.tables.keep(catalog.media(), scope, snapshot.id, paths.zip(answers.iter().copied()));
    }
    Ok(answers)
}

/// Numbers into the wanted paths.
type Group = HashSet<usize>;

struct Walk<'a> {
    objects: Objects<'a>,
    wanted: &'a [(Vec<u8>, TreeEntry)],
    numbers: HashMap<&'a [u8], usize>,
    /// Folders in which, or below which, something is wanted.
    folders: HashSet<&'a [u8]>,
    answers: Vec<Option<ObjectId>>,
    /// Paths that have been followed to a commit and no further.
    groups: HashMap<ObjectId, Group>,
    /// Commits with a group, newest first, so that paths that parted at a merge go on together.
    pending: BinaryHeap<(i64, std::cmp::Reverse<usize>, ObjectId)>,
    steps: usize,
    tables: Tables,
}

impl<'a> Walk<'a> {
    fn new(catalog: &'a Catalog, wanted: &'a [(Vec<u8>, TreeEntry)], tables: Tables) -> Self {
        let mut folders: HashSet<&[u8]> = HashSet::new();
        for (path, _) in wanted {
            let mut folder = parent(path);
            while folders.insert(folder) && !folder.is_empty() {
                folder = parent(folder);
            }
        }
        Self {
            objects: Objects { catalog, commits: LruCache::new(DECODED), trees: LruCache::new(DECODED) },
            wanted,
            numbers: wanted.iter().enumerate().map(|(number, (path, _))| (&path[..], number)).collect(),
            folders,
            answers: vec![None; wanted.len()],
            groups: HashMap::new(),
            pending: BinaryHeap::new(),
            steps: 0,
            tables,
        }
    }

    /// Follows a group to a commit, where it meets those that are there already.
    fn reach(&mut self, id: ObjectId, group: Group) -> Result<(), SnapshotError> {
        if group.is_empty() {
            return Ok(());
        }
        let Some(there) = self.groups.get_mut(&id) else {
            let time = self.objects.commit(id)?.committer.time().seconds;
            self.pending.push((time, std::cmp::Reverse(self.pending.len()), id));
            self.groups.insert(id, group);
            return Ok(());
        };
        // The smaller into the larger.
        let (mut larger, smaller) = if there.len() < group.len() {
            (group, std::mem::take(there))
        } else {
            (std::mem::take(there), group)
        };
        larger.extend(smaller);
        *there = larger;
        Ok(())
    }

    /// Finds what a commit changed of the paths that lead to it, and follows the others to its parents.
    fn step(&mut self, id: ObjectId) -> Result<(), SnapshotError> {
        let Some(mut group) = self.groups.remove(&id) else { return Ok(()) };
        self.look_up(id, &mut group)?;
        if group.is_empty() {
            return Ok(());
        }
        self.steps += 1;
        let commit = self.objects.commit(id)?;
        for &parent in &commit.parents {
            let old = self.objects.commit(parent)?.tree;
            let mut changed = Group::new();
            self.changed(b"", commit.tree, Some(old), &group, &mut changed)?;
            group.retain(|number| !changed.contains(number));
            self.reach(parent, std::mem::replace(&mut group, changed))?;
            if group.is_empty() {
                break;
            }
        }
        for number in group {
            self.answers[number] = Some(id);
        }
        Ok(())
    }

    /// Those of `group` whose entry in the tree `new` is not in the tree `old`.
    fn changed(
        &mut self,
        folder: &[u8],
        new: ObjectId,
        old: Option<ObjectId>,
        group: &Group,
        changed: &mut Group,
    ) -> Result<(), SnapshotError> {
        if Some(new) == old {
            return Ok(());
        }
        let new = self.objects.tree(new)?;
        let old = old.map_or_else(|| Ok(Arc::new(Tree::empty())), |old| self.objects.tree(old))?;
        let mut before = old.entries();
        for entry in new.entries() {
            let skipped = before.iter().take_while(|other| other.git_cmp(entry) == Ordering::Less).count();
            before = &before[skipped..];
            let same_name = before.first().filter(|other| other.git_cmp(entry) == Ordering::Equal);
            if same_name.is_some_and(|other| (other.mode, other.id) == (entry.mode, entry.id)) {
                continue;
            }
            let path = join(folder, &entry.name);
            if let Some(number) = self.numbers.get(&path[..])
                && group.contains(number)
            {
                changed.insert(*number);
            }
            if entry.mode == Mode::Directory && self.folders.contains(&path[..]) {
                let below = same_name.filter(|other| other.mode == Mode::Directory).map(|other| other.id);
                self.changed(&path, entry.id, below, group, changed)?;
            }
        }
        Ok(())
    }

    /// Takes what a table says of paths that lead to commit `id`, if the trees agree with a sample of it.
    fn look_up(&mut self, id: ObjectId, group: &mut Group) -> Result<(), SnapshotError> {
        for table in self.tables.at(self.objects.catalog.media(), id) {
            let wanted = self.wanted;
            let known = |&number: &usize| Some((number, table.get(&wanted[number].0)?));
            let known: Vec<(usize, ObjectId)> = group.iter().filter_map(known).collect();
            let mut agree = true;
            for &(number, answer) in known.iter().step_by(known.len().div_ceil(SAMPLE).max(1)) {
                let (path, entry) = &wanted[number];
                agree &= self.objects.changes(answer, path, entry)?;
            }
            if agree {
                for (number, answer) in known {
                    self.answers[number] = Some(answer);
                    group.remove(&number);
                }
            }
        }
        Ok(())
    }
}

/// The folder a path is in.
fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(b"", |at| &path[..at])
}

/// Commits and trees, some of them kept decoded.
struct Objects<'a> {
    catalog: &'a Catalog,
    commits: LruCache<ObjectId, Arc<Commit>>,
    trees: LruCache<ObjectId, Arc<Tree>>,
}

impl Objects<'_> {
    fn commit(&mut self, id: ObjectId) -> Result<Arc<Commit>, SnapshotError> {
        if let Some(commit) = self.commits.get(&id) {
            return Ok(Arc::clone(commit));
        }
        let commit = Arc::new(self.catalog.commit(id)?);
        self.commits.put(id, Arc::clone(&commit));
        Ok(commit)
    }

    fn tree(&mut self, id: ObjectId) -> Result<Arc<Tree>, SnapshotError> {
        if let Some(tree) = self.trees.get(&id) {
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(self.catalog.tree(id)?);
        self.trees.put(id, Arc::clone(&tree));
        Ok(tree)
    }

    /// Whether commit `id` made `path` what it is: it has this entry there, and no parent has.
    fn changes(&mut self, id: ObjectId, path: &[u8], entry: &TreeEntry) -> Result<bool, SnapshotError> {
        // What a table names may be anything.
        let Ok(commit) = self.commit(id) else { return Ok(false) };
        if !self.has(commit.tree, path, entry)? {
            return Ok(false);
        }
        for &parent in &commit.parents {
            let tree = self.commit(parent)?.tree;
            if self.has(tree, path, entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&mut self, root: ObjectId, path: &[u8], entry: &TreeEntry) -> Result<bool, SnapshotError> {
        let (mut mode, mut id) = (Mode::Directory, root);
        for name in path.split(|&byte| byte == b'/') {
            if mode != Mode::Directory {
                return Ok(false);
            }
            match self.tree(id)?.find(name) {
                Some(found) => (mode, id) = (found.mode, found.id),
                None => return Ok(false),
            }
        }
        Ok((mode, id) == (entry.mode, entry.id))
    }
}
