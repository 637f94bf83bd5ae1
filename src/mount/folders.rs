//! Folders kept decoded: a listing comes in many calls, and names are looked up one by one.
//!
//! Bounded by what they hold, not by their number: one folder can have ten files or a million. The sizes of a folder's
//! files are looked up together when it is listed, in the order of the tables they are in. Knows folders and sizes; not
//! which node is which.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use lru::LruCache;

use crate::snapshot::{Mode, ObjectId, Snapshot, SnapshotError, Tree, TreeEntry};

/// Most folders.
const FOLDERS: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");
/// Most entries of all of them together, some 100 bytes each; one folder is kept however many it has.
const ENTRIES: usize = 64_000;

/// Sizes looked up together: a bound on the memory it takes.
const TOGETHER: usize = 16 << 10;

/// A decoded folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) tree: Arc<Tree>,
    sizes: Vec<OnceLock<Box<[Option<u64>]>>>,
}

impl Folder {
    fn new(tree: Tree) -> Self {
        let sizes = tree.entries().chunks(TOGETHER).map(|_| OnceLock::new()).collect();
        Self { tree: Arc::new(tree), sizes }
    }

    /// Whether sizes of its files were looked up.
    pub(super) fn is_measured(&self) -> bool {
        self.sizes.first().is_none_or(|sizes| sizes.get().is_some())
    }

    /// The size of the file or link that is number `at` of the folder, looked up with its neighbours; `None` when it
    /// cannot be found: who asks for this one alone is told why.
    pub(super) fn size(&self, snapshot: &Snapshot, at: usize) -> Option<u64> {
        let (part, within) = (at / TOGETHER, at % TOGETHER);
        if self.sizes.get(part)?.get().is_none() {
            measure(snapshot, &[(self, part)]);
        }
        self.sizes.get(part)?.get()?.get(within).copied().flatten()
    }

    /// The entries that are looked up together.
    fn part(&self, part: usize) -> &[TreeEntry] {
        self.tree.entries().chunks(TOGETHER).nth(part).unwrap_or_default()
    }
}

/// Looks up the sizes of the first files of many folders together.
pub(super) fn measure_all(snapshot: &Snapshot, folders: &[Arc<Folder>]) {
    let fresh = folders.iter().filter(|folder| !folder.is_measured());
    measure(snapshot, &fresh.map(|folder| (&**folder, 0)).collect::<Vec<_>>());
}

fn measure(snapshot: &Snapshot, parts: &[(&Folder, usize)]) {
    let is_file = |entry: &TreeEntry| entry.mode != Mode::Directory;
    let all = parts.iter().flat_map(|(folder, part)| folder.part(*part)).filter(|entry| is_file(entry));
    let mut found = snapshot.infos(all);
    for (folder, part) in parts {
        let mut size = |entry| is_file(entry).then(|| found.next()?.ok()).flatten().map(|info| info.size);
        let sizes: Box<[_]> = folder.part(*part).iter().map(&mut size).collect();
        // Another thread may have been faster, with the same sizes.
        drop(folder.sizes[*part].set(sizes));
    }
}

/// Folders read last, shared by all revisions of a mount.
#[derive(Debug, Clone)]
pub(super) struct Folders(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    folders: LruCache<ObjectId, Arc<Folder>>,
    entries: usize,
}

impl Default for Folders {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept { folders: LruCache::new(FOLDERS), entries: 0 })))
    }
}

impl Folders {
    /// The folder, read when it is not kept.
    pub(super) fn get(
        &self,
        id: ObjectId,
        read: impl FnOnce(ObjectId) -> Result<Tree, SnapshotError>,
    ) -> Result<Arc<Folder>, SnapshotError> {
        if let Some(folder) = self.lock().folders.get(&id) {
            return Ok(Arc::clone(folder));
        }
        let folder = Arc::new(Folder::new(read(id)?));
        self.lock().keep(id, Arc::clone(&folder));
        Ok(folder)
    }

    /// No code panics while holding the lock, so a poisoned one is still sound.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, id: ObjectId, folder: Arc<Folder>) {
        let count = folder.tree.entries().len();
        self.entries += count;
        // Also one that went because there are too many, or that another thread was faster to keep.
        if let Some((_, old)) = self.folders.push(id, folder) {
            self.entries -= old.tree.entries().len();
        }
        while self.entries > ENTRIES && self.folders.len() > 1 {
            let Some((_, old)) = self.folders.pop_lru() else { break };
            self.entries -= old.tree.entries().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(count: usize) -> Tree {
        let entry = |n: usize| TreeEntry {
            name: format!("{n:07}").into_bytes(),
            mode: Mode::File,
            id: ObjectId::from_bytes([1; 20]),
        };
        Tree::from_entries((0..count).map(entry).collect()).unwrap()
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_entries_and_one_folder_of_any_size_is() {
        let folders = Folders::default();
        let id = |n: u8| ObjectId::from_bytes([n; 20]);
        for n in 0..8 {
            folders.get(id(n), |_| Ok(tree(20_000))).unwrap();
        }
        assert!(folders.lock().entries <= ENTRIES);
        folders.get(id(7), |_| panic!("is kept")).unwrap();
        folders.get(id(9), |_| Ok(tree(ENTRIES + 5))).unwrap();
        assert_eq!(folders.lock().folders.len(), 1);
        folders.get(id(9), |_| panic!("is kept")).unwrap();
        for n in 0..200 {
            folders.get(id(n), |_| Ok(tree(1))).unwrap();
        }
        let kept = folders.lock();
        let held: usize = kept.folders.iter().map(|(_, folder)| folder.tree.entries().len()).sum();
        assert_eq!(kept.entries, held);
    }
}
