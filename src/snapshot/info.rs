//! Size and hash of files, looked up by their blob ids: what a listing shows, without any content being read.

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

impl Snapshot {
    /// Size and hash of a file or symlink, without reading it.
    pub fn info(&self, entry: &TreeEntry) -> Result<FileInfo, SnapshotError> {
        let (sha256, pointer) = self.view.catalog.blob(entry.id)?;
        FileInfo::new(sha256, pointer, self.view.catalog.file_size(sha256)?)
    }

    /// As [`Self::info`] for each of many. The lookups are made in the order of the tables they are in, where
    /// neighbours are found together.
    pub fn infos<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e TreeEntry>,
    ) -> Vec<Result<FileInfo, SnapshotError>> {
        let catalog = &self.view.catalog;
        let ids: Vec<ObjectId> = entries.into_iter().map(|entry| entry.id).collect();
        let blobs = in_order(&ids, |id| id.as_bytes(), |sorted| catalog.blobs(sorted));
        let known: Vec<Sha256> = blobs.iter().flatten().map(|(sha256, _)| *sha256).collect();
        let mut sizes = in_order(&known, |id| id.as_bytes(), |sorted| catalog.file_sizes(sorted)).into_iter();
        let info = |blob: Result<(Sha256, bool), StoreError>| {
            let (sha256, pointer) = blob?;
            let size = sizes.next().transpose()?.flatten();
            FileInfo::new(sha256, pointer, size)
        };
        blobs.into_iter().map(info).collect()
    }
}

impl FileInfo {
    fn new(sha256: Sha256, pointer: bool, size: Option<u64>) -> Result<Self, SnapshotError> {
        let size = size.ok_or(StoreError::MissingContent(sha256))?;
        let pointer_size = pointer.then(|| Pointer { sha256, size }.encode().len() as u64);
        Ok(Self { sha256, size, pointer_size })
    }
}

/// Asks in ascending order of the keys; the answers come in the order they were given in.
fn in_order<K: Copy, A>(
    keys: &[K],
    bytes: impl for<'k> Fn(&'k K) -> &'k [u8],
    ask: impl FnOnce(&[K]) -> Vec<A>,
) -> Vec<A> {
    let leading = |key: &K| bytes(key).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut order: Vec<(u64, usize)> = keys.iter().enumerate().map(|(at, key)| (leading(key), at)).collect();
    order.sort_unstable();
    let sorted: Vec<K> = order.iter().map(|&(_, at)| keys[at]).collect();
    let mut answers: Vec<Option<A>> = keys.iter().map(|_| None).collect();
    for ((_, at), answer) in order.into_iter().zip(ask(&sorted)) {
        answers[at] = Some(answer);
    }
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_asked_for_in_order_and_answered_in_place() {
        let keys = [5, 1, 9, 1, 3].map(|n| [n; 8]);
        let ask = |sorted: &[[u8; 8]]| {
            assert_eq!(sorted, [1, 1, 3, 5, 9].map(|n| [n; 8]));
            sorted.iter().map(|key| key[0] * 10).collect()
        };
        assert_eq!(in_order(&keys, |key| key, ask), [50, 10, 90, 10, 30]);
    }
}
