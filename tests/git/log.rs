//! `hv log` against `git log`, byte for byte: order, graphs, ranges, filters and the history of paths, on random
//! histories with merges of two and more, equal times and clocks that ran backwards.

use std::process::Command;

use hubvault::snapshot::Mode;
use proptest::prelude::*;
use tempfile::TempDir;

use super::Git;
use super::workshop::{Files, Workshop};
use crate::cli::HV;

const PATHS: [&str; 5] = ["a", "d/x", "d/e/y", "e", "d-x"];

/// A commit: which earlier ones it follows, when it was made, and what it changes.
#[derive(Debug, Clone)]
struct Step {
    parents: Vec<prop::sample::Index>,
    minutes: i64,
    changes: Vec<(usize, u8)>,
}

fn step() -> impl Strategy<Value = Step> {
    let parents = prop_oneof![
        1 => prop::collection::vec(any::<prop::sample::Index>(), 0..1),
        12 => prop::collection::vec(any::<prop::sample::Index>(), 1..2),
        7 => prop::collection::vec(any::<prop::sample::Index>(), 2..3),
        2 => prop::collection::vec(any::<prop::sample::Index>(), 3..6),
    ];
    let minutes = prop_oneof![6 => 1..3_i64, 2 => Just(0_i64), 1 => -3..0_i64];
    let changes = prop::collection::vec((0..PATHS.len(), 0..3_u8), 0..3);
    (parents, minutes, changes).prop_map(|(parents, minutes, changes)| Step { parents, minutes, changes })
}

/// Commits for the workshop. New ones mostly follow recent ones, as in life.
fn history(steps: &[Step]) -> Vec<(Files, Vec<usize>, i64)> {
    let mut commits: Vec<(Files, Vec<usize>, i64)> = Vec::new();
    let mut seconds = 1_700_000_000;
    for step in steps {
        seconds += step.minutes * 60;
        let recent = commits.len().min(6);
        let mut parents: Vec<usize> = Vec::new();
        for parent in step.parents.iter().filter(|_| recent > 0) {
            let parent = commits.len() - 1 - parent.index(recent);
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        // As after merging: each path is what one of the parents has.
        let mut files = Files::new();
        for (number, &parent) in parents.iter().enumerate() {
            for (path, file) in &commits[parent].0 {
                if number == 0 || path.len() % 2 == 0 {
                    files.insert(path.clone(), file.clone());
                }
            }
        }
        for &(path, content) in &step.changes {
            if content == 0 {
                files.remove(PATHS[path]);
            } else {
                files.insert(PATHS[path].to_owned(), (Mode::File, format!("{content}\n").into_bytes()));
            }
        }
        commits.push((files, parents, seconds));
    }
    commits
}

fn hv(folder: &TempDir, args: &[String]) -> String {
    let output = Command::new(HV).arg("-C").arg(folder.path()).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a merge that is not excluded has a parent that is: Git decides which parents of it matter to a path before it
/// knows all that is excluded, and may leave out what came by the others.
fn joins_excluded(commits: &[(Files, Vec<usize>, i64)], excluded: usize) -> bool {
    let mut out = vec![false; commits.len()];
    out[excluded] = true;
    for at in (0..=excluded).rev() {
        if out[at] {
            commits[at].1.iter().for_each(|&parent| out[parent] = true);
        }
    }
    let joins = |(at, (_, parents, _)): (usize, &(Files, Vec<usize>, i64))| {
        !out[at] && parents.len() > 1 && parents.iter().any(|&parent| out[parent])
    };
    commits.iter().enumerate().any(joins)
}

/// Whether all lines of `part` are in `all`, in their order.
fn is_within(part: &str, all: &str) -> bool {
    let mut all = all.lines();
    part.lines().all(|line| all.any(|other| other == line))
}

fn check(cases: &[&str], steps: &[Step]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let vault = TempDir::new_in(&folder).unwrap();
    let mut workshop = Workshop::at(vault.path());
    let commits = history(steps);
    workshop.commits(&commits);
    let git = Git::new();
    workshop.export(&git);
    // The vault has a first commit that git was not given.
    let all = (0..commits.len()).map(|n| format!("c{n}"));
    let all: Vec<String> = all.collect();
    let last = commits.len() - 1;
    let until = commits[last].2 - 300;
    // With clocks that ran backwards, Git takes what leads to an old commit for old as well once it sorts by topology.
    let went_back = steps.iter().any(|step| step.minutes < 0);
    let is_comparable = |case: &&&str| !(went_back && case.contains("--graph") && case.contains("--since"));
    for case in cases.iter().filter(is_comparable) {
        let words = case.split_whitespace().flat_map(|word| match word {
            "ALL" => all.clone(),
            "NEW" => vec![format!("c{last}")],
            "RANGE" => vec![format!("c{}..c{last}", last / 2)],
            "NOT" => vec![format!("^c{}", last / 3), format!("c{last}"), format!("c{}", last - 1)],
            word => vec![word.replace("TIME", &format!("@{until}"))],
        });
        let words: Vec<String> = words.collect();
        let ours = hv(&vault, &[&["log".to_owned()][..], &words].concat());
        let settings = ["-c", "core.abbrev=7", "-c", "core.quotePath=false", "log"];
        let git_words: Vec<&str> = settings.into_iter().chain(words.iter().map(String::as_str)).collect();
        let theirs = String::from_utf8(git.ok(&git_words, b"")).unwrap();
        let excluded =
            [("RANGE", last / 2), ("NOT", last / 3)].into_iter().find(|(word, _)| case.contains(word));
        if case.contains(" -- ") && excluded.is_some_and(|(_, excluded)| joins_excluded(&commits, excluded)) {
            let is_less = case.contains("--graph") || is_within(&theirs, &ours);
            prop_assert!(is_less, "{}\ngit:\n{}\nhv:\n{}", case, theirs, ours);
            continue;
        }
        prop_assert_eq!(&theirs, &ours, "{}\ngit:\n{}\nhv:\n{}", case, theirs, ours);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn graphs_are_gits(steps in prop::collection::vec(step(), 2..40)) {
        check(&[
            "--oneline --graph ALL",
            "--oneline --graph NEW",
            "--oneline --graph RANGE",
            "--oneline --graph NOT",
            "--graph ALL",
            "--graph --stat ALL",
            "--oneline --graph --name-status ALL",
            "--oneline --graph --first-parent ALL",
            "--oneline --graph -n 5 ALL",
            "--oneline --graph --color=always ALL",
            "--oneline --graph --until=TIME ALL",
            "--oneline --graph --since=TIME ALL",
            "--oneline --graph --no-merges ALL",
            "--oneline --graph --grep=[1-4] ALL",
        ], &steps)?;
    }

    #[test]
    fn orders_and_filters_are_gits(steps in prop::collection::vec(step(), 2..40)) {
        check(&[
            "ALL",
            "--oneline NEW",
            "--oneline RANGE",
            "--oneline NOT",
            "--oneline --first-parent ALL",
            "--oneline --reverse -n 7 ALL",
            "--oneline --skip=3 -n 4 ALL",
            "--oneline --merges ALL",
            "--oneline --no-merges ALL",
            "--oneline --until=TIME ALL",
            "--oneline --since=TIME ALL",
            "--oneline --author=thor -i ALL",
            "--oneline --grep=[13]$ --grep=^commit.2 ALL",
            "-p ALL",
            "--stat NEW",
            "--oneline --shortstat NEW",
            "--first-parent --name-status NEW",
            "--oneline --numstat RANGE",
        ], &steps)?;
    }

    #[test]
    fn histories_of_paths_are_gits(steps in prop::collection::vec(step(), 2..40)) {
        check(&[
            "--oneline ALL -- a",
            "--oneline NEW -- d",
            "--oneline NEW -- d/e",
            "ALL -- a d/x",
            "--oneline --first-parent NEW -- a",
            "--oneline RANGE -- d",
            "--oneline NOT -- e",
            "--stat ALL -- d",
            "--oneline ALL -- nothing",
            "--oneline --graph ALL -- a",
            "--oneline --graph NEW -- d",
            "--oneline --graph RANGE -- d/e",
            "--graph --stat ALL -- a e",
        ], &steps)?;
    }
}
