//! Whether a commit changed some paths: what is there, compared by id, looking only at the folders on the way.
//!
//! Knows trees; not which commit is whose parent.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::Mode;
use crate::store::path::RepoPath;

/// Trees whose answer is remembered: parents are asked again when it is their turn.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not zero");

/// What is at each path: `None` for nothing.
pub(super) type Found = Arc<[Option<(Mode, ObjectId)>]>;

/// The paths a history is limited to.
#[derive(Debug)]
pub(super) struct PathHistory {
    paths: Vec<RepoPath>,
    known: LruCache<ObjectId, Found>,
}

impl PathHistory {
    pub(super) fn new(paths: &[RepoPath]) -> Self {
        Self { paths: paths.to_vec(), known: LruCache::new(REMEMBERED) }
    }

    /// What a root tree has at the paths.
    pub(super) fn look(&mut self, catalog: &Catalog, root: ObjectId) -> Result<Found, StoreError> {
        if let Some(found) = self.known.get(&root) {
            return Ok(Arc::clone(found));
        }
        let found: Found =
            self.paths.iter().map(|path| entry(catalog, root, path)).collect::<Result<_, _>>()?;
        self.known.put(root, Arc::clone(&found));
        Ok(found)
    }
}

fn entry(catalog: &Catalog, root: ObjectId, path: &RepoPath) -> Result<Option<(Mode, ObjectId)>, StoreError> {
    let mut at = (Mode::Directory, root);
    for name in path.components() {
        if at.0 != Mode::Directory {
            return Ok(None);
        }
        match catalog.tree(at.1)?.find(name.as_bytes()) {
            Some(entry) => at = (entry.mode, entry.id),
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}
