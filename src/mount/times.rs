//! When each file was last changed, folder by folder: what `--mtime=last-change` shows.
//!
//! History is walked once for a folder, when the first of its files is asked for; the walk's result is kept in the
//! vault's disposable cache by `snapshot::last_change`, so that the next mount walks only what is new. Knows commits and
//! folders, no node numbers.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use lru::LruCache;

use super::content::time_of;
use crate::snapshot::last_change::{Scope, last_changes};
use crate::snapshot::{ObjectId, Snapshot, SnapshotError, Tree};

/// Folders whose times are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

type OfFolder = Arc<HashMap<Vec<u8>, SystemTime>>;

/// Times of one revision's files.
#[derive(Debug)]
pub(super) struct Times(Mutex<LruCache<Vec<u8>, OfFolder>>);

impl Default for Times {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Times {
    /// When what is called `name` in the folder `path` was last changed; `None` when history does not say.
    pub(super) fn of(
        &self,
        snapshot: &Snapshot,
        path: &[u8],
        tree: &Tree,
        name: &[u8],
    ) -> Option<SystemTime> {
        if let Some(times) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return times.get(name).copied();
        }
        let times = Arc::new(walk(snapshot, path, tree).unwrap_or_else(|error| {
            tracing::warn!(%error, folder = %String::from_utf8_lossy(path), "files show the commit's time");
            HashMap::new()
        }));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(path.to_vec(), Arc::clone(&times));
        times.get(name).copied()
    }
}

fn walk(
    snapshot: &Snapshot,
    path: &[u8],
    tree: &Tree,
) -> Result<HashMap<Vec<u8>, SystemTime>, SnapshotError> {
    let full = |name: &[u8]| if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() };
    let wanted: Vec<_> = tree.entries().iter().map(|entry| (full(&entry.name), entry.clone())).collect();
    let scope =
        std::str::from_utf8(path).map_or(Scope::Paths, |path| Scope::Folder { path, recursive: false });
    let commits = last_changes(snapshot, &wanted, scope)?;
    let mut known: HashMap<ObjectId, SystemTime> = HashMap::new();
    let mut times = HashMap::with_capacity(wanted.len());
    for (entry, id) in tree.entries().iter().zip(commits) {
        let time = match known.get(&id) {
            Some(time) => *time,
            None => time_of(snapshot.commit_of(id)?.committer.time().seconds),
        };
        known.insert(id, time);
        times.insert(entry.name.clone(), time);
    }
    Ok(times)
}
