//! Paths as they are typed: patterns, `REV:PATH` and paths in a revision's place are answered with what to write.

use super::Desk;

#[test]
fn a_pattern_where_a_path_is_taken_says_how_to_choose() {
    let desk = Desk::new();
    desk.commit_file("d/f.py", "1");
    let pattern = "is a pattern (no path has `*` or `?` in it)";
    let fails = |args: &[&str], advice: &str| desk.on(args).fails(2, &[pattern, advice]);
    fails(&["download", "d/*.py"], "use --include");
    fails(&["log", "--", "*.py"], "name them, or the folder they are in");
    fails(&["diff", "HEAD~", "HEAD", "--", "?.py"], "name them, or the folder they are in");
    fails(&["show", "--", "*.py"], "name them, or the folder they are in");
    fails(&["commit", "-m", "x", "--delete", "*.py"], "removes with --delete, by pattern");
    fails(&["rm", "d/*"], "hv upload FOLDER --delete PATTERN");
    fails(&["upload", "vault", "d*"], "use --include");
    fails(&["merge", "HEAD", "--ours", "*.py"], "-X ours or -X theirs");
    desk.on(["commit", "-m", "x", "*.py"]).fails(2, &["`*.py` is a pattern that matches nothing here"]);
    desk.on(["ls", "*.py"]).fails(3, &["`*.py` is not in HEAD; this takes a path, and no pattern"]);
    // What is there under such a name is still told that others cannot have it.
    if cfg!(unix) {
        desk.write("odd*", "1");
        desk.on(["commit", "-m", "x", "odd*"]).fails(2, &["contains `*`, which Windows cannot store"]);
    }
}

#[test]
fn a_revision_with_a_path_says_where_the_revision_goes() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    let fails = |args: &[&str], advice: &str| desk.on(args).fails(2, &["is REV:PATH", advice]);
    fails(&["download", "main:d/f"], "write `d/f` and use -r main");
    fails(&["log", "--", "main:d/f"], "`main -- d/f`");
    fails(&["rm", "main:d/f"], "write `d/f` and use -r main");
    fails(&["commit", "-m", "x", "--delete", "main:d"], "write `d` and use -r main");
    fails(&["upload", "vault", "main:d"], "write `d` and use -r main");
    fails(&["download", ":d/f"], "write `d/f`");
}

#[test]
fn a_path_where_a_revision_is_taken_says_how_to_mean_it() {
    let desk = Desk::new();
    let first = desk.commit_file("d/train.yaml", "1\n");
    desk.on(["rm", "d"]).ok();
    let advice = "to mean the path, write `-- d/train.yaml`";
    desk.on(["log", &first, "d/train.yaml"]).fails(3, &["`d/train.yaml` not found", advice]);
    desk.on(["diff", &first, "d/train.yaml"]).fails(3, &["`d/train.yaml` not found", advice]);
    // It is not there, and in no folder of that name either.
    for words in [&["log", "d/train.yaml"][..], &["log", &first, "nowhere"]] {
        let run = desk.on(words).fails(3, &["not found"]);
        assert!(!run.err.contains("to mean the path"), "{}", run.err);
    }
}

#[test]
fn what_is_no_revision_is_a_path_of_the_default_branch_for_cat() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    desk.commit_file("main", "2");
    assert_eq!(desk.on(["cat", "d/f"]).text(), "1");
    desk.on(["cat", "d/absent"]).fails(3, &["`d/absent` is not in HEAD"]);
    desk.on(["cat", "main"]).fails(2, &["`main` is a revision", "main:PATH", ":main"]);
    assert_eq!(desk.on(["cat", ":main"]).text(), "2");
}
