//! Whole histories: random commits on two branches, beside a model made of maps; then every object of the vault is
//! given to real git, which must compute the same ids, accept the repository, and list what the model holds.
//!
//! Prevents a tree or commit that is right on its own and wrong in a history: an empty folder left behind, a file
//! that should have gone, an order of parents. Knows the public API; must not look into packs or indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
};
use hubvault::snapshot::SnapshotError;
use hubvault::snapshot::tree_diff::{Leaf, tree_diff};
use hubvault::store::media::memory::MemoryMedia;
use proptest::prelude::*;

use super::Git;
use super::export::export;

/// What a branch holds, by path.
type Model = BTreeMap<String, Vec<u8>>;

/// A change, with paths as numbers into a few names, so that changes meet each other.
#[derive(Debug, Clone)]
enum Change {
    Add(usize, Vec<u8>),
    Delete(usize),
    Copy(usize, usize),
}

const PATHS: [&str; 10] =
    ["a", "b.txt", "d/a", "d/b", "d/e/f", "d/e/g", "dx/a", "d-x/a", "größe/ü", "z/y/x/w/v"];

fn change() -> impl Strategy<Value = Change> {
    let content = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        3 => (0..PATHS.len(), content).prop_map(|(at, content)| Change::Add(at, content)),
        1 => (0..PATHS.len()).prop_map(Change::Delete),
        1 => (0..PATHS.len(), 0..PATHS.len()).prop_map(|(from, to)| Change::Copy(from, to)),
    ]
}

impl Change {
    fn operation(&self) -> CommitOperation {
        let path = |at: usize| RepoPath::new(PATHS[at]).unwrap();
        match self {
            Self::Add(at, bytes) => CommitOperation::Add {
                path_in_repo: Some(path(*at)),
                source: AddSource::Bytes(bytes.clone()),
            },
            Self::Delete(at) => CommitOperation::Delete { path_in_repo: path(*at) },
            Self::Copy(from, to) => {
                CommitOperation::Copy { source: path(*from), src_revision: None, path_in_repo: path(*to) }
            }
        }
    }

    /// Whether it can be applied, and if so the model after it.
    fn apply(&self, model: &mut Model) -> bool {
        let name = |at: usize| PATHS[at].to_owned();
        match self {
            Self::Add(at, bytes) => drop(model.insert(name(*at), bytes.clone())),
            Self::Delete(at) => return model.remove(PATHS[*at]).is_some(),
            Self::Copy(from, to) => match model.get(PATHS[*from]).cloned() {
                Some(bytes) => drop(model.insert(name(*to), bytes)),
                None => return false,
            },
        }
        true
    }
}

fn actor(step: usize) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000 + i64::try_from(step).unwrap() * 60, offset_minutes: 60 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&(step as u64 + 1).to_le_bytes());
    Actor { signature: Signature::new("A U Thor", "author@example.org", time).unwrap(), nonce }
}

/// A vault with the history, and what each branch should hold.
fn build(commits: &[(bool, Vec<Change>)]) -> (Repository, [Model; 2]) {
    let media = Arc::new(MemoryMedia::new());
    let (repository, _) = Repository::init_on(media, &InitOptions::default(), &actor(0)).unwrap();
    repository.create_branch("side", None, false, &actor(1)).unwrap();
    let mut models = [Model::new(), Model::new()];
    for (step, (side, changes)) in (2..).zip(commits) {
        let mut after = models[usize::from(*side)].clone();
        let fits = changes.iter().all(|change| change.apply(&mut after));
        let options = CommitOptions {
            message: format!("step {step}"),
            revision: Some(if *side { "side" } else { "main" }.to_owned()),
            ..CommitOptions::default()
        };
        let operations: Vec<_> = changes.iter().map(Change::operation).collect();
        let outcome = repository.create_commit(&operations, &options, &actor(step), &mut |_| ());
        assert_eq!(outcome.is_ok(), fits, "{changes:?}: {outcome:?}");
        if fits {
            assert_eq!(outcome.unwrap().committed, after != models[usize::from(*side)]);
            models[usize::from(*side)] = after;
        }
    }
    (repository, models)
}

fn check_listing(git: &Git, branch: &str, model: &Model) {
    let listed = git.text(&["ls-tree", "-r", "-z", "--name-only", branch], b"");
    let listed: BTreeSet<&str> = listed.split('\0').filter(|name| !name.is_empty()).collect();
    assert_eq!(listed, model.keys().map(String::as_str).collect());
    for (path, content) in model {
        assert_eq!(&git.ok(&["cat-file", "blob", &format!("{branch}:{path}")], b""), content, "{path}");
    }
}

/// `tree_diff` of every commit against the first one's tree, as `git diff-tree` prints it.
fn check_differences(git: &Git, repository: &Repository) {
    let view = repository.vault().view();
    let commits: Vec<_> = repository.history(Some("side")).unwrap().map(Result::unwrap).collect();
    let (base, base_commit) = repository.history(Some("main")).unwrap().next().unwrap().unwrap();
    for (id, commit) in commits {
        let mut ours = String::new();
        let side = |leaf: Option<Leaf>| {
            leaf.map_or(("000000".to_owned(), "0".repeat(40)), |l| {
                (l.mode.octal().to_owned(), l.id.to_string())
            })
        };
        tree_diff::<SnapshotError>(
            &view.catalog,
            b"",
            Some(base_commit.tree),
            Some(commit.tree),
            &mut |change| {
                let ((old_mode, old), (new_mode, new)) = (side(change.old), side(change.new));
                let status = if change.old.is_none() {
                    'A'
                } else if change.new.is_none() {
                    'D'
                } else {
                    'M'
                };
                ours += &format!(":{old_mode} {new_mode} {old} {new} {status}\0{}\0", change.path());
                Ok(true)
            },
        )
        .unwrap();
        let git = git.ok(&["diff-tree", "-r", "-z", "--no-renames", &base.to_string(), &id.to_string()], b"");
        assert_eq!(ours, String::from_utf8(git).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_history_exported_object_by_object_is_gits(
        commits in prop::collection::vec((any::<bool>(), prop::collection::vec(change(), 1..5)), 1..12)
    ) {
        let (repository, models) = build(&commits);
        let git = Git::new();
        export(&git, &repository);
        git.ok(&["fsck", "--strict", "--full"], b"");
        for (branch, model) in ["main", "side"].iter().zip(&models) {
            check_listing(&git, branch, model);
        }
        check_differences(&git, &repository);
        let report = repository.verify(true, &mut |_| ()).unwrap();
        prop_assert!(report.ok && report.warnings.is_empty(), "{report:?}");
    }
}
