//! Reverts and cherry-picks against `git revert` and `git cherry-pick`: the same trees, messages and authors.

use std::collections::BTreeSet;

use hubvault::ops::merge::Landing;
use hubvault::ops::replay::{ReplayOptions, ReplayStatus};
use hubvault::snapshot::Mode;

use super::Git;
use super::workshop::{Files, Workshop};

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, text)| ((*path).to_owned(), (Mode::File, text.as_bytes().to_vec()))).collect()
}

fn long(tail: &str) -> String {
    format!("{}{tail}\n", "a line that is long enough to count\n".repeat(20))
}

/// What a branch of git's is now: tree, message, author, author date; `None` when git stopped.
fn git_does(git: &Git, verb: &str, onto: &str, args: &[&str]) -> Option<String> {
    git.ok(&["checkout", "--quiet", "--force", "-B", "work", onto], b"");
    git.ok(&["clean", "-fdq"], b"");
    let settings = ["-c", "user.name=C", "-c", "user.email=c@x", "-c", "merge.directoryRenames=false"];
    let quiet: &[&str] = if verb == "revert" { &["--no-edit"] } else { &[] };
    let done = git.run(&[&settings[..], &[verb], quiet, args].concat(), b"");
    if !done.status.success() {
        git.run(&[verb, "--abort"], b"");
        git.run(&["reset", "--hard", "--quiet"], b"");
        return None;
    }
    let author = if verb == "revert" { "%an" } else { "%an %ae %at" };
    let shown = git.text(&["log", "-1", &format!("--format=%T%n{author}%n%B"), "work"], b"");
    Some(if verb == "revert" { shown.replacen("\nC\n", "\nA U Thor\n", 1) } else { shown })
}

fn we_do(workshop: &mut Workshop, verb: &str, onto: &str, args: &[&str]) -> Option<String> {
    let target = format!("w{}", workshop.actor().nonce[0]);
    let actor = workshop.actor();
    workshop.repository.create_branch(&target, Some(onto), false, &actor).unwrap();
    let mainline = args.iter().position(|arg| *arg == "-m").map(|at| args[at + 1].parse().unwrap());
    let options = ReplayOptions {
        landing: Landing { target_revision: Some(target.clone()), ..Landing::default() },
        mainline,
        record_origin: args.contains(&"-x"),
        ..ReplayOptions::default()
    };
    let (revision, actor) = (args.last().unwrap(), workshop.actor());
    let repository = &workshop.repository;
    let result = match verb {
        "revert" => repository.revert(revision, &options, &actor),
        _ => repository.cherry_pick(revision, &options, &actor),
    };
    let result = result.unwrap();
    if result.status != ReplayStatus::Committed {
        assert_eq!(result.head_after, result.target_head_before);
        return None;
    }
    let commit = repository.snapshot(Some(&target)).unwrap().commit().clone();
    let author = &commit.author;
    let who = if verb == "revert" {
        author.name().into_owned()
    } else {
        format!("{} {} {}", author.name(), author.email(), author.time().seconds)
    };
    let text = String::from_utf8(commit.message).unwrap();
    Some(format!("{}\n{who}\n{}", commit.tree, text.trim_end_matches('\n')))
}

#[test]
fn replays_are_gits() {
    let mut workshop = Workshop::new();
    let base = [("a", &*long("1")), ("d/b", "b1\n"), ("c", "c1\n")];
    let commits = [
        (files(&base), vec![]),
        // 1: a change with a new file. 2: a rename. 3: a change to what was renamed.
        (files(&[("a", &*long("1")), ("d/b", "b2\n"), ("c", "c1\n"), ("new", "n\n")]), vec![0]),
        (files(&[("moved/a", &*long("1")), ("d/b", "b1\n"), ("c", "c1\n")]), vec![0]),
        (files(&[("a", &*long("2")), ("d/b", "b1\n"), ("c", "c1\n")]), vec![0]),
        // 4: a merge of 1 and 3. 5: its child.
        (files(&[("a", &*long("2")), ("d/b", "b2\n"), ("c", "c1\n"), ("new", "n\n")]), vec![1, 3]),
        (files(&[("a", &*long("2")), ("d/b", "b3\n"), ("new", "n\n")]), vec![4]),
    ];
    let commits: Vec<_> = (1_700_000_000..)
        .step_by(50)
        .zip(commits)
        .map(|(time, (files, parents))| (files, parents, time))
        .collect();
    workshop.commits(&commits);
    let git = Git::new();
    workshop.export(&git);
    std::fs::write(git.path().join(".git/info/attributes"), "* -merge\n").unwrap();
    let mut stopped = BTreeSet::new();
    let cases: [(&str, &str, &[&str]); 16] = [
        ("cherry-pick", "c2", &["c1"]),
        ("cherry-pick", "c2", &["-x", "c3"]),
        ("cherry-pick", "c3", &["c2"]),
        ("cherry-pick", "c1", &["c5"]),
        ("cherry-pick", "c2", &["-m", "1", "c4"]),
        ("cherry-pick", "c2", &["-m", "2", "c4"]),
        ("cherry-pick", "c5", &["c1"]),
        ("cherry-pick", "c2", &["c0"]),
        ("revert", "c1", &["c1"]),
        ("revert", "c5", &["c1"]),
        ("revert", "c5", &["c3"]),
        ("revert", "c4", &["-m", "1", "c4"]),
        ("revert", "c5", &["-m", "2", "c4"]),
        ("revert", "c5", &["-m", "1", "c4"]),
        ("revert", "c3", &["c3"]),
        ("revert", "c2", &["c1"]),
    ];
    for (verb, onto, args) in cases {
        let theirs = git_does(&git, verb, onto, args);
        let ours = we_do(&mut workshop, verb, onto, args);
        assert_eq!(ours, theirs, "{verb} {args:?} onto {onto}");
        if ours.is_none() {
            stopped.insert((verb, onto, args));
        }
    }
    assert!((2..10).contains(&stopped.len()), "{stopped:?}");
}
