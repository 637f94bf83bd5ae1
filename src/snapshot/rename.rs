//! Which of the files that went away came back under another name.
//!
//! Follows Git's `diffcore-rename`: equal blobs first, preferring one of the same name; then files of one name at 75 %
//! and more; then the most similar pairs of what is left, down to 50 %. Works on the list `tree_diff` gives, in its
//! order, and turns it into the list `git diff -M` prints. Knows what similarity is worth; not how it is measured
//! (`similarity`), nor what anybody does with a rename.

mod search;

use std::collections::{HashMap, HashSet};

use self::search::Search;
use super::error::SnapshotError;
pub use super::similarity::MAX_SCORE;
use super::tree_diff::{Change, Leaf};
use crate::store::catalog::Catalog;
use crate::store::object::Mode;

/// A file at a path, on one side of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileAt {
    /// Path from the root, as stored.
    pub path: Vec<u8>,
    /// What is there.
    pub leaf: Leaf,
}

impl FileAt {
    /// The path as text; bytes that are not UTF-8 are replaced.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// What happened to a file. Git's letters, without `C`: copies are not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// There is only a new side.
    Added,
    /// There is only an old side.
    Deleted,
    /// Content or executable bit differ.
    Modified,
    /// A file became a symlink, or the other way round.
    TypeChanged,
    /// Old and new side are at different paths.
    Renamed {
        /// Per cent of the content that is on both sides, 50 to 100.
        similarity: u8,
    },
}

impl ChangeKind {
    /// The letter of `git diff --name-status`.
    pub const fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Deleted => 'D',
            Self::Modified => 'M',
            Self::TypeChanged => 'T',
            Self::Renamed { .. } => 'R',
        }
    }

    /// The letter with what Git puts after it: `R087`.
    pub fn status(self) -> String {
        match self {
            Self::Renamed { similarity } => format!("R{similarity:03}"),
            other => other.letter().to_string(),
        }
    }
}

/// A file that differs. At least one side is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileChange {
    /// What happened.
    pub kind: ChangeKind,
    /// What was there.
    pub old: Option<FileAt>,
    /// What is there.
    pub new: Option<FileAt>,
}

impl FileChange {
    /// Where it is now; where it was, if it is gone.
    pub fn path(&self) -> &[u8] {
        self.new.as_ref().or(self.old.as_ref()).map_or(&[], |file| &file.path)
    }

    /// Two files, wherever they are, as one that changed; `None` when they are the same.
    pub fn between(old: FileAt, new: FileAt) -> Option<Self> {
        let kind = kind_of(Some(old.leaf), Some(new.leaf));
        (old.leaf != new.leaf).then_some(Self { kind, old: Some(old), new: Some(new) })
    }
}

fn kind_of(old: Option<Leaf>, new: Option<Leaf>) -> ChangeKind {
    let is_link = |leaf: Leaf| leaf.mode == Mode::Symlink;
    match (old, new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Deleted,
        (Some(old), Some(new)) if is_link(old) != is_link(new) => ChangeKind::TypeChanged,
        _ => ChangeKind::Modified,
    }
}

impl From<Change> for FileChange {
    fn from(change: Change) -> Self {
        let kind = kind_of(change.old, change.new);
        let at = |leaf: Option<Leaf>| leaf.map(|leaf| FileAt { path: change.path.clone(), leaf });
        let (old, new) = (at(change.old), at(change.new));
        Self { kind, old, new }
    }
}

/// How renames are looked for.
#[derive(Debug, Clone, Copy)]
pub struct RenameOptions {
    /// Least score of a rename, of [`MAX_SCORE`]: 30,000 is half. [`MAX_SCORE`] asks for equal files only.
    pub minimum: u16,
    /// When more than this many files on each side would have to be compared with each other (the geometric mean
    /// counts), they are not: renames of equal files and of files that kept their name are still found. 0: no limit.
    pub limit: usize,
    /// Whether an empty file can have been renamed.
    pub empty: bool,
}

impl RenameOptions {
    /// What `git diff -M` does: `diff.renameLimit` is 1000.
    pub const DIFF: Self = Self { minimum: MAX_SCORE / 2, limit: 1000, empty: true };
    /// What `git merge` does: `merge.renameLimit` is 7000.
    pub const MERGE: Self = Self { minimum: MAX_SCORE / 2, limit: 7000, empty: false };
}

/// A difference with its renames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renames {
    /// What differs, in the order of the new paths (of the old one for what is gone).
    pub changes: Vec<FileChange>,
    /// Whether there were more candidates than [`RenameOptions::limit`] allows, so that some may have been missed.
    pub limited: bool,
}

/// Pairs deletions with additions. `changes` must be in the order `tree_diff` gives them.
///
/// # Errors
/// What looking up and reading the files can meet.
pub fn find_renames(
    catalog: &Catalog,
    changes: Vec<Change>,
    options: &RenameOptions,
) -> Result<Renames, SnapshotError> {
    find_relevant_renames(catalog, changes, options, &Relevance::default())
}

/// What a merge knows of the other side, so that renames nobody asks for are not looked for.
#[derive(Default)]
pub(crate) struct Relevance<'a> {
    /// Whether it matters where a file that went away went; equal files are paired all the same.
    pub(crate) is_source: Option<&'a dyn Fn(&[u8]) -> bool>,
    /// Whether a folder went away: then files of one common name are looked for where its other files went.
    pub(crate) folder_gone: Option<&'a dyn Fn(&[u8]) -> bool>,
}

/// As [`find_renames`], for a merge.
pub(crate) fn find_relevant_renames(
    catalog: &Catalog,
    changes: Vec<Change>,
    options: &RenameOptions,
    relevance: &Relevance<'_>,
) -> Result<Renames, SnapshotError> {
    if search::is_pointless(&changes, options) {
        return Ok(Renames { changes: changes.into_iter().map(Into::into).collect(), limited: false });
    }
    let mut search = Search::new(catalog, &changes, options);
    search.pair_equal();
    let mut limited = false;
    if options.minimum < MAX_SCORE {
        search.pair_names(relevance)?;
        limited = !search.pair_similar(relevance)?;
    }
    let found: HashMap<usize, (usize, u16)> = search.pairs().collect();
    drop(search);
    Ok(Renames { changes: apply(changes, &found), limited })
}

/// Puts each pair in the place of its addition, and takes away its deletion.
fn apply(changes: Vec<Change>, found: &HashMap<usize, (usize, u16)>) -> Vec<FileChange> {
    let mut olds: HashMap<usize, FileAt> = HashMap::new();
    for &(old, _) in found.values() {
        let change = &changes[old];
        olds.extend(change.old.map(|leaf| (old, FileAt { path: change.path.clone(), leaf })));
    }
    let gone: HashSet<usize> = olds.keys().copied().collect();
    let mut result = Vec::with_capacity(changes.len() - gone.len());
    for (at, change) in changes.into_iter().enumerate() {
        if gone.contains(&at) {
            continue;
        }
        let mut change = FileChange::from(change);
        if let Some((old, score)) = found.get(&at) {
            change.old = olds.remove(old);
            let percent = u32::from(*score) * 100 / u32::from(MAX_SCORE);
            change.kind = ChangeKind::Renamed { similarity: u8::try_from(percent).unwrap_or(100) };
        }
        result.push(change);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Repository;
    use crate::ops::{
        Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
    };
    use crate::snapshot::tree_diff::tree_diff;
    use crate::store::id::ObjectId;
    use crate::store::media::memory::MemoryMedia;
    use crate::store::samples::noise;

    fn actor(step: u8) -> Actor {
        let signature = Signature::new("A", "a@x", Timestamp { seconds: 1, offset_minutes: 0 }).unwrap();
        Actor { signature, nonce: [step; 16] }
    }

    fn commit(repository: &Repository, step: u8, operations: Vec<(&str, Option<Vec<u8>>)>) -> ObjectId {
        let operations: Vec<_> = operations
            .into_iter()
            .map(|(path, bytes)| {
                let path_in_repo = RepoPath::new(path).unwrap();
                match bytes {
                    Some(bytes) => CommitOperation::Add {
                        path_in_repo: Some(path_in_repo),
                        source: AddSource::Bytes(bytes),
                    },
                    None => CommitOperation::Delete { path_in_repo },
                }
            })
            .collect();
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        repository.create_commit(&operations, &options, &actor(step), &mut |_| ()).unwrap();
        repository.snapshot(None).unwrap().commit().tree
    }

    fn statuses(
        repository: &Repository,
        old: ObjectId,
        new: ObjectId,
        options: &RenameOptions,
    ) -> Vec<String> {
        let view = repository.vault().view();
        let mut changes = Vec::new();
        tree_diff::<SnapshotError>(&view.catalog, b"", Some(old), Some(new), &mut |change| {
            changes.push(change);
            Ok(true)
        })
        .unwrap();
        let found = find_renames(&view.catalog, changes, options).unwrap();
        let show = |change: &FileChange| {
            format!("{} {}", change.kind.status(), String::from_utf8_lossy(change.path()))
        };
        let mut shown: Vec<_> = found.changes.iter().map(show).collect();
        shown.extend(found.limited.then(|| "limited".to_owned()));
        shown
    }

    #[test]
    fn large_files_are_compared_by_what_they_share_in_storage() {
        let options = InitOptions { large_file_threshold: 1 << 20, ..InitOptions::default() };
        let (repository, _) = Repository::init_on(Arc::new(MemoryMedia::new()), &options, &actor(0)).unwrap();
        let first = noise(7, 6 << 20);
        let old = commit(
            &repository,
            1,
            vec![("model.bin", Some(first.clone())), ("other", Some(noise(9, 5 << 20)))],
        );
        let mut second = first;
        second.splice(3 << 20..3 << 20, noise(8, 1 << 20));
        let unlike = noise(10, 5 << 20);
        let files =
            vec![("model.bin", None), ("v2.bin", Some(second)), ("other", None), ("unlike", Some(unlike))];
        let new = commit(&repository, 2, files);
        let found = statuses(&repository, old, new, &RenameOptions::DIFF);
        assert_eq!(found[0], "D other");
        assert_eq!(found[1], "A unlike");
        let similarity: u8 = found[2].strip_prefix('R').unwrap()[..3].parse().unwrap();
        // Six of seven MiB are the same; chunks at the seams are not.
        assert!((80..=86).contains(&similarity), "{found:?}");
    }

    #[test]
    fn beyond_the_limit_only_equal_files_and_kept_names_are_found() {
        let (repository, _) =
            Repository::init_on(Arc::new(MemoryMedia::new()), &InitOptions::default(), &actor(0)).unwrap();
        let text = |n| noise(n, 4000);
        let edited = |n| [&text(n)[..], b"more"].concat();
        let files =
            vec![("a", Some(text(1))), ("b", Some(text(2))), ("c", Some(text(3))), ("d", Some(text(4)))];
        let old = commit(&repository, 1, files);
        let gone = ["a", "b", "c", "d"].map(|path| (path, None));
        let came = vec![
            ("x/a", Some(edited(1))),
            ("x/p", Some(text(2))),
            ("x/q", Some(edited(3))),
            ("x/r", Some(edited(4))),
        ];
        let new = commit(&repository, 2, gone.into_iter().chain(came).collect());
        let all = statuses(&repository, old, new, &RenameOptions::DIFF);
        assert_eq!(all, ["R098 x/a", "R100 x/p", "R099 x/q", "R098 x/r"]);
        let few = statuses(&repository, old, new, &RenameOptions { limit: 1, ..RenameOptions::DIFF });
        assert_eq!(few, ["D c", "D d", "R098 x/a", "R100 x/p", "A x/q", "A x/r", "limited"]);
        let equal = RenameOptions { minimum: MAX_SCORE, ..RenameOptions::DIFF };
        let found = statuses(&repository, old, new, &equal);
        assert_eq!(found, ["D a", "D c", "D d", "A x/a", "R100 x/p", "A x/q", "A x/r"]);
    }
}
