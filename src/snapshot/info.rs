//! Size and hash of files, looked up by their blob ids: what a listing shows, without any content being read.

use std::collections::HashMap;

use super::{ObjectId, Snapshot, SnapshotError, TreeEntry};
use crate::store::StoreError;
use crate::store::id::Sha256;
use crate::store::pointer::Pointer;

/// What an entry's blob id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Length of the content in bytes.
    pub size: u64,
    /// Length of the LFS pointer that stands for it in Git, for files that have one.
    pub pointer_size: Option<u64>,
}

/// What is known of files, in the order they were asked for; see [`Snapshot::infos`].
#[derive(Debug, Default)]
pub struct Infos {
    found: std::vec::IntoIter<(Sha256, bool)>,
    sizes: std::vec::IntoIter<Option<u64>>,
    /// What could not be looked up, by place.
    failed: HashMap<usize, SnapshotError>,
    at: usize,
}

impl Iterator for Infos {
    type Item = Result<FileInfo, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ((sha256, pointer), size) = (self.found.next()?, self.sizes.next()?);
        let failed = if self.failed.is_empty() { None } else { self.failed.remove(&self.at) };
        self.at += 1;
        Some(failed.map_or_else(|| FileInfo::new(sha256, pointer, size), Err))
    }
}

impl Snapshot {
    /// Size and hash of a file or symlink, without reading it.
    pub fn info(&self, entry: &TreeEntry) -> Result<FileInfo, SnapshotError> {
        let (sha256, pointer) = self.view.catalog.blob(entry.id)?;
        FileInfo::new(sha256, pointer, self.view.catalog.file_size(sha256)?)
    }

    /// As [`Self::info`] for each of many, in their order. The lookups are made in the order of the tables they are
    /// in, where neighbours are found together.
    pub fn infos<'e>(&self, entries: impl IntoIterator<Item = &'e TreeEntry>) -> Infos {
        let catalog = &self.view.catalog;
        let ids: Vec<ObjectId> = entries.into_iter().map(|entry| entry.id).collect();
        // One narrow table for each answer: they are filled in another order than they are read in.
        let (mut found, mut failed) = (vec![(Sha256::from_bytes([0; 32]), false); ids.len()], HashMap::new());
        catalog.blobs(ascending(&ids, |id| id.as_bytes()), |at, blob| match blob {
            Ok(blob) => found[at] = blob,
            Err(error) => drop(failed.insert(at, error.into())),
        });
        let mut sizes = vec![None; ids.len()];
        let hashes = ascending(&found, |(sha256, _)| sha256.as_bytes()).map(|(at, (sha256, _))| (at, sha256));
        catalog.file_sizes(hashes, |at, size| match size {
            Ok(size) => sizes[at] = size,
            Err(error) => drop(failed.entry(at).or_insert(error.into())),
        });
        Infos { found: found.into_iter(), sizes: sizes.into_iter(), failed, at: 0 }
    }
}

impl FileInfo {
    fn new(sha256: Sha256, pointer: bool, size: Option<u64>) -> Result<Self, SnapshotError> {
        let size = size.ok_or(StoreError::MissingContent(sha256))?;
        let pointer_size = pointer.then(|| Pointer { sha256, size }.encode().len() as u64);
        Ok(Self { sha256, size, pointer_size })
    }
}

/// The keys in ascending order of their leading bytes, each with its place.
fn ascending<K: Copy>(keys: &[K], bytes: impl Fn(&K) -> &[u8]) -> impl Iterator<Item = (usize, K)> {
    let leading = |key: &K| bytes(key).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut order: Vec<(u64, usize)> = keys.iter().enumerate().map(|(at, key)| (leading(key), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| (at, keys[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_asked_for_in_ascending_order_with_their_places() {
        let keys = [5, 1, 9, 1, 3].map(|n| [n; 8]);
        let found: Vec<(usize, u8)> = ascending(&keys, |key| key).map(|(at, key)| (at, key[0])).collect();
        assert_eq!(found, [(1, 1), (3, 1), (4, 3), (0, 5), (2, 9)]);
    }
}
