//! Merges against `git merge-tree`: the same tree when both are clean, a conflict exactly where Git has one, at the same
//! paths. Git is told to merge whole files (`* -merge`) and not to guess at renamed folders, as this does.

use std::collections::BTreeSet;

use hubvault::ops::merge::{
    ConflictType, FastForward, Favor, Landing, MergeConflict, MergeOptions, MergeResult, MergeStatus,
    Resolution,
};
use hubvault::ops::{ObjectId, RepoPath};
use hubvault::snapshot::Mode;
use proptest::prelude::*;
use proptest::sample::Index;

use super::Git;
use super::renames::{content, mode};
use super::workshop::{Files, Workshop};

/// What is done to a branch between two commits.
#[derive(Debug, Clone)]
enum Edit {
    Put(usize, Mode, Vec<u8>),
    /// Appends a line: mostly still the same file.
    Append(Index, u8),
    Rewrite(Index, Vec<u8>),
    Delete(Index),
    Rename(Index, usize),
    RenameAndAppend(Index, usize, u8),
    /// Moves everything below a folder.
    RenameFolder(usize, usize),
    Mode(Index, Mode),
}

/// Some are folders of others.
const PATHS: [&str; 14] =
    ["a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/f", "g/a", "g/b", "g/h/i", "h", "h/a", "z.txt"];
const FOLDERS: [&str; 6] = ["d", "g", "h", "n", "n/m", "d/e"];

fn edit() -> impl Strategy<Value = Edit> {
    let path = || 0..PATHS.len();
    let folder = || 0..FOLDERS.len();
    prop_oneof![
        3 => (path(), mode(), content()).prop_map(|(path, mode, bytes)| Edit::Put(path, mode, bytes)),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, n)| Edit::Append(at, n)),
        1 => (any::<Index>(), content()).prop_map(|(at, bytes)| Edit::Rewrite(at, bytes)),
        2 => any::<Index>().prop_map(Edit::Delete),
        3 => (any::<Index>(), path()).prop_map(|(at, to)| Edit::Rename(at, to)),
        3 => (any::<Index>(), path(), any::<u8>()).prop_map(|(at, to, n)| Edit::RenameAndAppend(at, to, n)),
        1 => (folder(), folder()).prop_map(|(from, to)| Edit::RenameFolder(from, to)),
        1 => (any::<Index>(), mode()).prop_map(|(at, mode)| Edit::Mode(at, mode)),
    ]
}

/// Puts a file, and takes away what cannot be beside it.
fn put(files: &mut Files, path: &str, file: (Mode, Vec<u8>)) {
    files.retain(|other, _| {
        !other.starts_with(&format!("{path}/")) && !path.starts_with(&format!("{other}/"))
    });
    files.insert(path.to_owned(), file);
}

impl Edit {
    fn apply(&self, files: &mut Files, salt: &str) {
        let paths: Vec<String> = files.keys().cloned().collect();
        let pick = |at: &Index| if paths.is_empty() { None } else { Some(at.get(&paths).clone()) };
        let append = |file: &mut (Mode, Vec<u8>), n: u8| {
            if file.0 != Mode::Symlink {
                file.1.extend_from_slice(format!("\nappended {n} {salt}").as_bytes());
            }
        };
        match self {
            Self::Put(at, mode, bytes) => {
                // Nothing is equal by chance: which of two equal files was renamed is anybody's guess.
                let bytes = [&bytes[..], format!("\n{salt} {}", PATHS[*at]).as_bytes()].concat();
                put(files, PATHS[*at], (*mode, bytes));
            }
            Self::Append(at, n) => {
                if let Some(file) = pick(at).and_then(|path| files.get_mut(&path)) {
                    append(file, *n);
                }
            }
            Self::Rewrite(at, bytes) => {
                if let Some(file) = pick(at).and_then(|path| files.get_mut(&path)) {
                    file.1 = [&bytes[..], salt.as_bytes()].concat();
                }
            }
            Self::Delete(at) => drop(pick(at).map(|path| files.remove(&path))),
            Self::Rename(at, to) => {
                if let Some(file) = pick(at).and_then(|path| files.remove(&path)) {
                    put(files, PATHS[*to], file);
                }
            }
            Self::RenameAndAppend(at, to, n) => {
                if let Some(mut file) = pick(at).and_then(|path| files.remove(&path)) {
                    append(&mut file, *n);
                    put(files, PATHS[*to], file);
                }
            }
            Self::RenameFolder(from, to) => {
                let start = format!("{}/", FOLDERS[*from]);
                for path in paths.iter().filter(|path| path.starts_with(&start)) {
                    if let Some(file) = files.remove(path) {
                        put(files, &format!("{}/{}", FOLDERS[*to], &path[start.len()..]), file);
                    }
                }
            }
            Self::Mode(at, mode) => {
                if let Some(file) = pick(at).and_then(|path| files.get_mut(&path))
                    && (file.0 == Mode::Symlink) == (*mode == Mode::Symlink)
                {
                    file.0 = *mode;
                }
            }
        }
    }
}

/// A commit: whose files it starts from, another parent perhaps, and what is done.
type Step = (Index, Option<Index>, Vec<Edit>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = (any::<Index>(), Just(None), prop::collection::vec(edit(), 6..16));
    let other = prop_oneof![1 => Just(None), 1 => any::<Index>().prop_map(Some)];
    let step = (any::<Index>(), other, prop::collection::vec(edit(), 0..5));
    (first, prop::collection::vec(step, 4..9))
        .prop_map(|(first, steps)| std::iter::once(first).chain(steps).collect())
}

fn build(steps: &[Step]) -> Vec<(Files, Vec<usize>, i64)> {
    let mut commits: Vec<(Files, Vec<usize>, i64)> = Vec::new();
    for (number, (from, other, edits)) in steps.iter().enumerate() {
        let mut parents: Vec<usize> = Vec::new();
        let mut files = Files::new();
        if number > 0 {
            parents.push(from.index(number));
            files = commits[parents[0]].0.clone();
            if let Some(other) = other.map(|other| other.index(number)).filter(|other| *other != parents[0]) {
                parents.push(other);
                // Something of the other side.
                for (path, file) in commits[other].0.clone().into_iter().step_by(2) {
                    put(&mut files, &path, file);
                }
            }
        }
        edits.iter().for_each(|edit| edit.apply(&mut files, &format!("{number}")));
        commits.push((files, parents, 1_700_000_000 + i64::try_from(number).unwrap() * 100));
    }
    commits
}

/// What Git says of one merge.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Clean(String),
    Conflict(BTreeSet<String>),
}

/// A merge that is not made, onto one of the branches.
fn onto(ours: usize) -> Landing {
    Landing { target_revision: Some(format!("c{ours}")), dry_run: true, ..Landing::default() }
}

/// The same, also where a merge commit would not be needed.
fn options(landing: Landing) -> MergeOptions {
    let fast_forward = FastForward::Never;
    MergeOptions { landing, fast_forward, allow_unrelated: true, ..MergeOptions::default() }
}

/// Every conflict can be settled: by a side for all, and by a choice for each; and by nothing else.
fn check_settling(workshop: &mut Workshop, (ours, theirs): (usize, usize), conflicts: &[MergeConflict]) {
    let path = |text: &str| RepoPath::new(text).unwrap();
    let base = onto(ours);
    let each = |resolution: &Resolution| {
        let named: BTreeSet<&str> = conflicts.iter().map(|c| &*c.paths[0]).collect();
        named.into_iter().map(|at| (path(at), resolution.clone())).collect::<Vec<_>>()
    };
    let choices = [
        options(Landing { favor: Some(Favor::Ours), ..base.clone() }),
        options(Landing { resolutions: each(&Resolution::Ours), ..base.clone() }),
        options(Landing { favor: Some(Favor::Theirs), ..base.clone() }),
        options(Landing { resolutions: each(&Resolution::Theirs), ..base.clone() }),
        options(Landing { resolutions: each(&Resolution::Delete), ..base.clone() }),
        options(Landing { resolutions: each(&Resolution::Bytes(b"settled".to_vec())), ..base.clone() }),
    ];
    let source = format!("c{theirs}");
    let mut trees = Vec::new();
    for options in choices {
        let actor = workshop.actor();
        let result = workshop.repository.merge(&source, &options, &actor).unwrap();
        // A file that is put where others have a folder takes it away only when it is the file that is in the way.
        let is_open = |c: &MergeConflict| c.conflict_type == ConflictType::FileDirectory;
        assert!(
            result.status == MergeStatus::Merged || conflicts.iter().any(is_open),
            "{:?} {:?}: {:#?}",
            options.landing.resolutions,
            options.landing.favor,
            result.conflicts
        );
        trees.push(result.tree);
    }
    assert_eq!((trees[0], trees[2]), (trees[1], trees[3]), "a side for all is that side for each");
    let stray = options(Landing { resolutions: vec![(path("no/conflict"), Resolution::Ours)], ..base });
    let actor = workshop.actor();
    assert!(workshop.repository.merge(&source, &stray, &actor).is_err());
}

/// Git's verdicts on pairs of branches, by one program.
fn theirs(git: &Git, pairs: &[(usize, usize)]) -> Vec<Verdict> {
    std::fs::write(git.path().join(".git/info/attributes"), "* -merge\n").unwrap();
    let input: Vec<_> = pairs.iter().map(|(ours, theirs)| format!("c{ours} c{theirs}\n")).collect();
    let args = ["-c", "merge.directoryRenames=false", "merge-tree", "--write-tree", "--name-only"];
    let args = [&args[..], &["--no-messages", "--allow-unrelated-histories", "--stdin"]].concat();
    let output = String::from_utf8(git.ok(&args, input.concat().as_bytes())).unwrap();
    let mut fields = output.split('\0');
    let mut verdicts = Vec::new();
    for (ours, theirs) in pairs {
        let clean = fields.next().unwrap() == "1";
        let tree = fields.next().unwrap().to_owned();
        let paths: BTreeSet<String> =
            fields.by_ref().take_while(|field| !field.is_empty()).map(str::to_owned).collect();
        // A file that makes room for a folder gets the name of its branch.
        let plain = |path: &String| {
            let path = path
                .split_once(&format!("~c{ours}"))
                .or_else(|| path.split_once(&format!("~c{theirs}")))
                .map_or(&path[..], |(path, _)| path);
            path.to_owned()
        };
        verdicts.push(if clean {
            Verdict::Clean(tree)
        } else {
            Verdict::Conflict(paths.iter().map(plain).collect())
        });
    }
    verdicts
}

fn ours(
    workshop: &mut Workshop,
    (ours, theirs): (usize, usize),
    commits: &[ObjectId],
) -> (Verdict, MergeResult) {
    let options = options(onto(ours));
    let actor = workshop.actor();
    let result = workshop.repository.merge(&format!("c{theirs}"), &options, &actor).unwrap();
    assert_eq!((result.target_head_before, result.source_head), (commits[ours], commits[theirs]));
    let verdict = match result.status {
        MergeStatus::Conflict => {
            Verdict::Conflict(result.conflicts.iter().flat_map(|conflict| conflict.paths.clone()).collect())
        }
        _ => Verdict::Clean(result.tree.unwrap().to_string()),
    };
    (verdict, result)
}

/// Where a file that one side renamed, and both changed, comes to a path where the other side added what it then is, Git
/// says CONFLICT, ends as if there were none, and keeps one side's change. Here it is a conflict.
fn git_drops_a_change(git: &Verdict, ours: &MergeResult) -> bool {
    let is_such = |conflict: &MergeConflict| {
        conflict.conflict_type == ConflictType::RenameAdd
            && conflict.base_oid.is_some()
            && conflict.target_oid == conflict.source_oid
    };
    matches!(git, Verdict::Clean(_)) && !ours.conflicts.is_empty() && ours.conflicts.iter().all(is_such)
}

#[test]
fn a_renamed_file_that_both_changed_conflicts_with_the_same_file_added() {
    let text = |end: &str| ("a line that stays\n".repeat(20) + end).into_bytes();
    let files = |list: &[(&str, Vec<u8>)]| -> Files {
        list.iter().map(|(path, bytes)| ((*path).to_owned(), (Mode::File, bytes.clone()))).collect()
    };
    let wanted = [
        (files(&[("c", text(""))]), vec![], 1_700_000_000),
        (files(&[("b", text("ours\n"))]), vec![0], 1_700_000_100),
        (files(&[("b", text("ours\n")), ("c", text("theirs\n"))]), vec![0], 1_700_000_200),
    ];
    let mut workshop = Workshop::new();
    let commits = workshop.commits(&wanted);
    let git = Git::new();
    workshop.export(&git);
    for pair in [(1, 2), (2, 1)] {
        let verdict = theirs(&git, &[pair]).remove(0);
        let (ours, result) = ours(&mut workshop, pair, &commits);
        assert_eq!(ours, Verdict::Conflict(["b".to_owned()].into()));
        assert!(verdict == ours || git_drops_a_change(&verdict, &result), "{verdict:?} {result:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merges_are_gits(steps in steps()) {
        let wanted = build(&steps);
        let mut workshop = Workshop::new();
        let commits = workshop.commits(&wanted);
        let git = Git::new();
        workshop.export(&git);
        let all = 0..wanted.len();
        let pairs: Vec<_> = all.clone().flat_map(|a| all.clone().map(move |b| (a, b))).collect();
        for (pair, theirs) in pairs.iter().zip(theirs(&git, &pairs)) {
            let (ours, result) = ours(&mut workshop, *pair, &commits);
            if !git_drops_a_change(&theirs, &result) {
                prop_assert_eq!(&ours, &theirs, "{:?} {:#?}", pair, result);
            }
            if result.status == MergeStatus::Conflict {
                check_settling(&mut workshop, *pair, &result.conflicts);
            }
        }
    }
}
