//! Size and hash of files, looked up by their blob ids: what a listing shows, without any content being read.

use super::{Snapshot, SnapshotError, TreeEntry};
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
        self.sized(sha256, pointer)
    }

    /// As [`Self::info`] for each of many. The lookups are made in the order of the tables they are in: neighbours
    /// are then in memory already.
    pub fn infos<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e TreeEntry>,
    ) -> Vec<Result<FileInfo, SnapshotError>> {
        let ids = entries.into_iter().map(|entry| entry.id).collect();
        let blobs = in_order_of(ids, |id| *id, |id| self.view.catalog.blob(id));
        let content = |blob: &Result<(Sha256, bool), StoreError>| blob.as_ref().ok().map(|found| found.0);
        in_order_of(blobs, content, |blob| {
            blob.map_or_else(|e| Err(e.into()), |(id, lfs)| self.sized(id, lfs))
        })
    }

    fn sized(&self, sha256: Sha256, pointer: bool) -> Result<FileInfo, SnapshotError> {
        let size = self.view.catalog.file_size(sha256)?;
        let size = size.ok_or(StoreError::MissingContent(sha256))?;
        let pointer_size = pointer.then(|| Pointer { sha256, size }.encode().len() as u64);
        Ok(FileInfo { sha256, size, pointer_size })
    }
}

/// Asks the questions in the order of their keys; the answers come in the order of the questions.
fn in_order_of<Q, K: Ord, A>(questions: Vec<Q>, key: impl Fn(&Q) -> K, ask: impl Fn(Q) -> A) -> Vec<A> {
    let mut asked: Vec<(usize, Q)> = questions.into_iter().enumerate().collect();
    asked.sort_unstable_by_key(|(_, question)| key(question));
    let mut answered: Vec<(usize, A)> = asked.into_iter().map(|(at, question)| (at, ask(question))).collect();
    answered.sort_unstable_by_key(|(at, _)| *at);
    answered.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_in_order_and_answered_in_place() {
        let asked = std::cell::RefCell::new(Vec::new());
        let answers = in_order_of(
            vec![5, 1, 9, 1, 3],
            |n| *n,
            |n| {
                asked.borrow_mut().push(n);
                n * 10
            },
        );
        assert_eq!(asked.into_inner(), [1, 1, 3, 5, 9]);
        assert_eq!(answers, [50, 10, 90, 10, 30]);
    }
}
