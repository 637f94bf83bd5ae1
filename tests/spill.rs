//! The accident: how much of a commit is held in memory, or that a folder was stored as soon as it was left, shows in the
//! vault that comes of it.
//!
//! The oracle is a vault, byte for byte, into which the same files go one by one from memory, with nothing moved to `tmp/`
//! and no folder left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::patterns::Pattern;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
};
use hubvault::store::media::Media;
use hubvault::store::media::memory::MemoryMedia;
use proptest::prelude::*;

/// Files by their path.
type Files = BTreeMap<String, Vec<u8>>;

/// A step of a commit.
#[derive(Debug, Clone)]
enum Step {
    /// These files of a local folder, put into this one (empty: the root).
    Add(String, Files),
    Delete(String),
    Copy(String, String),
    DeleteMatching(String, String),
}

fn actor(n: usize) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 0 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&n.to_le_bytes());
    Actor { signature: Signature::new("A", "a@x", time).unwrap(), nonce }
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

/// The steps as operations; with `folders`, files come from local folders there.
fn operations(steps: &[Step], folders: Option<&Path>) -> Vec<CommitOperation> {
    let mut operations = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Add(into, files) => {
                let whole = |inside: &str| {
                    if into.is_empty() { path(inside) } else { path(&format!("{into}/{inside}")) }
                };
                let Some(folder) = folders.map(|folders| folders.join(at.to_string())) else {
                    operations.extend(files.iter().map(|(inside, bytes)| CommitOperation::Add {
                        path_in_repo: Some(whole(inside)),
                        source: AddSource::Bytes(bytes.clone()),
                    }));
                    continue;
                };
                for (inside, bytes) in files {
                    let file = folder.join(inside);
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, bytes).unwrap();
                }
                let path_in_repo = (!into.is_empty()).then(|| path(into));
                operations.push(CommitOperation::Add { path_in_repo, source: AddSource::Local(folder) });
            }
            Step::Delete(what) => operations.push(CommitOperation::Delete { path_in_repo: path(what) }),
            Step::Copy(from, to) => operations.push(CommitOperation::Copy {
                source: path(from),
                src_revision: None,
                path_in_repo: path(to),
            }),
            Step::DeleteMatching(folder, pattern) => operations.push(CommitOperation::DeleteMatching {
                folder: (!folder.is_empty()).then(|| path(folder)),
                patterns: vec![Pattern::new(pattern)],
            }),
        }
    }
    operations
}

/// What is in a vault after these commits, how each of them went, and how many files went to `tmp/` on the way.
fn vault(
    commits: &[Vec<Step>],
    held: usize,
    from_folders: bool,
) -> (BTreeMap<String, Vec<u8>>, Vec<String>, usize) {
    let media = MemoryMedia::new();
    let options = InitOptions { large_file_threshold: 500, ..InitOptions::default() };
    Repository::init_on(Arc::new(media.clone()) as Arc<dyn Media>, &options, &actor(0)).unwrap();
    let mut outcomes = Vec::new();
    for (n, steps) in (1..).zip(commits) {
        let folders = tempfile::tempdir().unwrap();
        let operations = operations(steps, from_folders.then(|| folders.path()));
        let repository = Repository::open_on(Arc::new(media.clone()) as Arc<dyn Media>).unwrap();
        repository.vault().hold_at_most(held);
        let options = CommitOptions { message: n.to_string(), ..CommitOptions::default() };
        let done = repository.create_commit(&operations, &options, &actor(n), &mut |_| ());
        outcomes.push(done.map_or_else(|error| error.code().to_owned(), |done| format!("{done:?}")));
    }
    let runs = media.operations().iter().filter(|step| step.starts_with("create tmp/")).count();
    (media.files(), outcomes, runs)
}

fn check(commits: &[Vec<Step>]) -> usize {
    let (expected, outcomes, least) = vault(commits, usize::MAX, false);
    let mut most = 0;
    for held in [0, 1000, usize::MAX] {
        let (files, same, runs) = vault(commits, held, true);
        assert_eq!(same, outcomes, "with {held} bytes held");
        let differ: Vec<_> =
            files.keys().chain(expected.keys()).filter(|k| files.get(*k) != expected.get(*k)).collect();
        assert!(differ.is_empty(), "with {held} bytes held: {differ:?}");
        most = most.max(runs - least);
    }
    most
}

fn names() -> impl Strategy<Value = String> {
    // In the order of paths `a-b` lies between the file `a` and what is in a folder `a`. What differs by case only is one file
    // to some systems' folders, and these come from folders.
    let names = ["a", "a-b", "a.b", "b", "c", "A"];
    let names = if cfg!(target_os = "linux") { &names[..] } else { &names[..5] };
    prop::collection::vec(prop::sample::select(names.to_vec()), 1..4).prop_map(|names| names.join("/"))
}

/// Files of which none is where another one needs a folder.
fn files() -> impl Strategy<Value = Files> {
    prop::collection::btree_map(names(), (0u8..6, 0usize..900), 1..20).prop_map(|files| {
        let is_folder = |name: &str| files.keys().any(|other| other.starts_with(&format!("{name}/")));
        let kept = files.iter().filter(|(name, _)| !is_folder(name));
        kept.map(|(name, (byte, len))| (name.clone(), vec![*byte; *len])).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let folder = || prop_oneof![Just(String::new()), names()];
    prop_oneof![
        6 => (folder(), files()).prop_map(|(into, files)| Step::Add(into, files)),
        1 => names().prop_map(Step::Delete),
        1 => (names(), names()).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => (folder(), names()).prop_map(|(folder, name)| Step::DeleteMatching(folder, format!("*{}", &name[..1]))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_held_in_memory_does_not_show_in_the_vault(
        commits in prop::collection::vec(prop::collection::vec(step(), 1..4), 1..5),
    ) {
        check(&commits);
    }
}

/// One folder of files, each `n` telling what it is.
fn folder(count: usize, n: u8) -> Step {
    let file = |at: usize| (format!("d{}/f{at}", at % 7), vec![n; at % 5 * 100 + usize::from(n)]);
    Step::Add("x".to_owned(), (0..count).map(file).collect())
}

#[test]
fn indexes_that_are_taken_over_are_the_same() {
    // The eighth commit takes over the indexes of seven, of which each has something new of the same files.
    let commits: Vec<_> = (1..10).map(|n| vec![folder(60, n)]).collect();
    assert!(check(&commits) > 1000);
}

#[test]
fn a_folder_that_a_later_step_comes_back_to_is_stored_once() {
    let first = folder(30, 1);
    let into = |into: &str, n| Step::Add(into.to_owned(), Files::from([("f1".to_owned(), vec![n])]));
    for later in [
        vec![into("x/d1", 9)],
        vec![into("x", 9)],
        vec![into("", 9)],
        vec![into("x/d1/deep", 9), Step::Delete("x/d1/deep".to_owned())],
        vec![Step::Delete("x/d2/f2".to_owned())],
        vec![Step::Copy("x/d3/f3".to_owned(), "y".to_owned())],
        vec![Step::Copy("x/d3".to_owned(), "x/d4/z".to_owned())],
        vec![Step::DeleteMatching("x/d5".to_owned(), "*f5".to_owned())],
    ] {
        let steps = [vec![first.clone()], later].concat();
        check(&[steps.clone(), vec![into("other", 1)], steps]);
    }
}
