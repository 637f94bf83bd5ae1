//! `hv merge`, `merge-base`, `revert` and `cherry-pick`, as typed.

use super::Desk;
use crate::seed::everything;

/// `main` and `side` from one commit that holds `f` and `g`.
fn fork(desk: &Desk) -> String {
    desk.commit_file("f", "f1\n");
    let base = desk.commit_file("g", "g1\n");
    desk.on(["branch", "side"]).ok();
    base
}

/// Commits one file on a branch.
fn put(desk: &Desk, branch: &str, path: &str, content: &str) -> String {
    let local = desk.write("put", content);
    desk.commit(["-r", branch, "--add", &format!("{path}={}", local.display())])
}

fn at(desk: &Desk, revision: &str) -> String {
    desk.on(["rev-parse", revision]).text()
}

#[test]
fn a_merge_says_what_it_did() {
    let desk = Desk::new();
    let base = fork(&desk);
    assert_eq!(desk.on(["merge", "side"]).text(), "Already up to date.");
    let ahead = put(&desk, "side", "h", "h1\n");
    let text = desk.on(["merge", "side"]).text();
    assert_eq!(text, format!("Updating {}..{}\nFast-forward", &base[..7], &ahead[..7]));
    assert_eq!(desk.head(), ahead);
    put(&desk, "side", "f", "f2\n");
    let main = put(&desk, "main", "g", "g2\n");
    let dry = desk.on(["merge", "side", "--dry-run"]).text();
    assert!(dry.contains("dry run"), "{dry}");
    assert_eq!(desk.head(), main);
    let text = desk.on(["merge", "side", "-m", "Both", "--description", "Why."]).text();
    let head = desk.head();
    assert_eq!(text, format!("Merge made by the 'ort' strategy.\nCreated commit {}.", &head[..7]));
    assert_eq!((at(&desk, "HEAD^1"), at(&desk, "HEAD^2")), (main, at(&desk, "side")));
    assert_eq!((desk.content(":f"), desk.content(":g")), (b"f2\n".to_vec(), b"g2\n".to_vec()));
    assert_eq!(desk.on(["log", "-n", "1", "--json"]).json()[0]["title"], "Both");
}

#[test]
fn a_conflict_writes_nothing_and_says_how_to_finish() {
    let desk = Desk::new();
    fork(&desk);
    put(&desk, "side", "f", "theirs\n");
    put(&desk, "side", "g", "theirs\n");
    put(&desk, "side", "new file", "theirs\n");
    put(&desk, "main", "f", "ours\n");
    put(&desk, "main", "new file", "ours\n");
    desk.on(["commit", "-m", "x", "--delete", "g"]).ok();
    let (head, before) = (desk.head(), everything(&desk.path("vault")));
    let run = desk.on(["merge", "side"]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert_eq!(
        run.out,
        "CONFLICT (modify/modify): f: ours and theirs both changed it\n\
         CONFLICT (delete/modify): g: ours deleted it, theirs changed it\n\
         CONFLICT (add/add): new file: ours and theirs both added it, differently\n\
         Automatic merge failed; no commit was created.\n"
    );
    let example = "  hv -C vault merge side --ours f --theirs g --resolve 'new file=LOCAL_FILE'\n";
    assert!(run.err.contains(example), "{}", run.err);
    assert_eq!(desk.head(), head);
    assert_eq!(everything(&desk.path("vault")), before, "not one file of the vault is touched");
    // What the example says, done.
    let local = desk.write("LOCAL_FILE", "mine\n");
    let resolve = format!("new file={}", local.display());
    desk.on(["merge", "side", "--ours", "f", "--theirs", "g", "--resolve", &resolve]).ok();
    assert_eq!(desk.content(":f"), b"ours\n");
    assert_eq!(desk.content(":g"), b"theirs\n");
    assert_eq!(desk.content(":new file"), b"mine\n");
    assert_eq!((at(&desk, "HEAD^1"), at(&desk, "HEAD^2")), (head, at(&desk, "side")));
    assert_eq!(desk.on(["merge", "side"]).text(), "Already up to date.");
}

/// The words of the line that says how to finish.
fn example(run: &super::Run) -> String {
    run.err.lines().find_map(|line| line.strip_prefix("  hv -C vault ")).unwrap().to_owned()
}

#[test]
fn what_was_said_is_said_again_and_every_path_is_named() {
    let desk = Desk::new();
    let paths: Vec<String> = (0..9).map(|n| format!("p{n}")).collect();
    for path in &paths {
        desk.commit_file(path, "base");
    }
    desk.on(["branch", "side"]).ok();
    desk.on(["branch", "into"]).ok();
    for path in &paths {
        put(&desk, "side", path, "side");
        put(&desk, "into", path, "into");
    }
    let said = ["merge", "side", "-r", "into", "-m", "a b", "-m", "c", "--theirs", "p0"];
    let run = desk.on(said);
    assert_eq!(run.code, Some(4));
    let again = example(&run);
    let begin =
        "merge side --target into -m 'a b' -m c --theirs p0 --ours p1 --theirs p2 --resolve p3=LOCAL_FILE";
    assert!(again.starts_with(begin), "{again}");
    assert!(paths.iter().all(|path| again.contains(path.as_str())) && !again.contains("..."), "{again}");
    // Followed as it stands, it ends there.
    desk.write("LOCAL_FILE", "mine");
    let words: Vec<&str> = again.split(' ').collect();
    let words: Vec<String> = words.join(" ").replace("'a b'", "a_b").split(' ').map(str::to_owned).collect();
    desk.on(words).ok();
    assert!(desk.on(["log", "-n1", "into"]).text().contains("a_b\n    \n    c"));
    assert_eq!(desk.content("into:p0"), b"side");
    // The same of a commit that is picked.
    let run = desk.on(["cherry-pick", "side", "-r", "main", "--message", "picked", "--allow-empty"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    put(&desk, "main", "p1", "main");
    let picked = put(&desk, "side", "p1", "side again");
    let run = desk.on(["revert", &picked, "--message", "back", "-r", "main"]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert_eq!(example(&run), format!("revert {picked} --target main --message back --ours p1"));
}

#[test]
fn resolutions_must_fit_the_conflicts() {
    let desk = Desk::new();
    fork(&desk);
    put(&desk, "side", "f", "theirs\n");
    put(&desk, "main", "f", "ours\n");
    let head = desk.head();
    desk.on(["merge", "side", "--ours", "f", "--theirs", "g"]).fails(2, &["`g`", "nothing was committed"]);
    desk.on(["merge", "side", "--ours", "f", "--delete", "f"]).fails(2, &["two different ways", "`f`"]);
    desk.on(["merge", "side", "--resolve", "f=missing"]).fails(1, &["missing"]);
    desk.on(["merge", "side", "--resolve", "f"]).fails(2, &["--resolve"]);
    assert_eq!(desk.head(), head);
    desk.on(["merge", "side", "--delete", "f"]).ok();
    assert_eq!(desk.files("HEAD"), ["g"]);
    assert_eq!(at(&desk, "HEAD^1"), head);
}

#[test]
fn a_favoured_side_settles_what_is_left() {
    let desk = Desk::new();
    fork(&desk);
    for branch in ["main", "side"] {
        put(&desk, branch, "f", &format!("{branch}\n"));
        put(&desk, branch, "g", &format!("{branch}\n"));
    }
    desk.on(["merge", "side", "-X", "theirs", "--ours", "f"]).ok();
    assert_eq!((desk.content(":f"), desk.content(":g")), (b"main\n".to_vec(), b"side\n".to_vec()));
}

#[test]
fn renames_carry_changes_along_and_can_be_settled() {
    let desk = Desk::new();
    let long = "a line that is long enough to count\n".repeat(20);
    desk.commit_file("old", &long);
    desk.on(["branch", "side"]).ok();
    put(&desk, "side", "old", &format!("{long}and more\n"));
    desk.on(["commit", "-m", "rename", "--copy", "old=new", "--delete", "old"]).ok();
    desk.on(["merge", "side"]).ok();
    assert_eq!(desk.files("HEAD"), ["new"]);
    assert_eq!(desk.content(":new"), format!("{long}and more\n").into_bytes());
    // Both sides rename one file.
    desk.on(["branch", "third"]).ok();
    desk.on(["commit", "-m", "rename", "--copy", "new=ours", "--delete", "new"]).ok();
    desk.on(["commit", "-m", "rename", "-r", "third", "--copy", "new=theirs", "--delete", "new"]).ok();
    let run = desk.on(["merge", "third"]);
    assert_eq!(run.code, Some(4));
    assert!(run.out.starts_with("CONFLICT (rename/rename): ours: "), "{}", run.out);
    let found = desk.on(["merge", "third", "--json"]);
    assert_eq!(found.code, Some(4));
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found["status"], "conflict");
    assert_eq!(found["conflicts"][0]["conflict_type"], "rename/rename");
    assert_eq!(found["conflicts"][0]["related_path"], "theirs");
    desk.on(["merge", "third", "--theirs", "theirs"]).ok();
    assert_eq!(desk.files("HEAD"), ["theirs"]);
}

#[test]
fn only_branches_that_are_where_they_should_be_move() {
    let desk = Desk::new();
    let base = fork(&desk);
    put(&desk, "side", "h", "1");
    put(&desk, "main", "i", "1");
    desk.on(["merge", "side", "--parent", &base]).fails(4, &["main", &base]);
    desk.on(["merge", "side", "--target", &base]).fails(2, &["not a branch"]);
    desk.on(["merge", "side", "--target", "nowhere"]).fails(3, &["nowhere"]);
    desk.on(["merge", "nothing"]).fails(3, &["nothing"]);
    desk.on(["merge", "side", "--ff-only"]).fails(4, &["--ff-only"]);
    desk.on(["branch", "copy", &base]).ok();
    desk.on(["merge", "side", "--target", "refs/heads/copy", "--no-ff"]).ok();
    assert_eq!(at(&desk, "copy^1"), base);
    assert_eq!(at(&desk, "copy^2"), at(&desk, "side"));
}

#[test]
fn merge_bases_are_printed() {
    let desk = Desk::new();
    let base = fork(&desk);
    put(&desk, "side", "h", "1");
    put(&desk, "main", "i", "1");
    assert_eq!(desk.on(["merge-base", "main", "side"]).text(), base);
    assert_eq!(desk.on(["merge-base", "main", "side", "--all", "--json"]).json(), serde_json::json!([base]));
    desk.on(["merge-base", "--is-ancestor", &base, "side"]).ok();
    let run = desk.on(["merge-base", "--is-ancestor", "side", "main"]);
    assert_eq!((run.code, &*run.out, &*run.err), (Some(1), "", ""));
    desk.on(["merge-base", "main", "nothing"]).fails(3, &["nothing"]);
}

#[test]
fn commits_are_picked_and_reverted() {
    let desk = Desk::new();
    fork(&desk);
    let env =
        [("GIT_AUTHOR_NAME", "Ann"), ("GIT_AUTHOR_EMAIL", "ann@x"), ("GIT_AUTHOR_DATE", "1700000000 +0100")];
    let local = desk.write("put", "f2\n");
    let add = format!("f={}", local.display());
    desk.on_with(&env, &["commit", "-r", "side", "-m", "Change f", "--add", &add]).ok();
    let picked = at(&desk, "side");
    put(&desk, "main", "g", "g2\n");
    let text = desk.on(["cherry-pick", "-x", "side"]).text();
    assert!(text.starts_with("[main ") && text.ends_with("] Change f"), "{text}");
    let shown = &desk.on(["log", "-n", "1", "--json"]).json()[0];
    assert_eq!(shown["message"], format!("(cherry picked from commit {picked})"));
    assert_eq!(shown["authors"][0]["user"], "Ann");
    assert_eq!((desk.content(":f"), desk.content(":g")), (b"f2\n".to_vec(), b"g2\n".to_vec()));
    let text = desk.on(["cherry-pick", "side"]).text();
    assert!(text.starts_with("nothing to change: main"), "{text}");
    let head = desk.head();
    desk.on(["revert", "HEAD"]).ok();
    assert_eq!(desk.content(":f"), b"f1\n");
    let shown = &desk.on(["log", "-n", "1", "--json"]).json()[0];
    assert_eq!(shown["title"], "Revert \"Change f\"");
    assert_eq!(shown["message"], format!("This reverts commit {head}."));
    let run = desk.on(["revert", "side~1", "--target", "side"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    desk.on(["merge", "side", "-X", "ours"]).ok();
    desk.on(["revert", "HEAD"]).fails(2, &["merge", "-m 1"]);
    desk.on(["revert", "HEAD", "-m", "3"]).fails(2, &["2 parent"]);
    desk.on(["revert", "HEAD", "-m", "1", "--allow-empty"]).ok();
    put(&desk, "main", "f", "later\n");
    let run = desk.on(["revert", &head]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.out.ends_with("Automatic revert failed; no commit was created.\n"), "{}", run.out);
    assert!(run.err.contains(&format!("  hv -C vault revert {head} --ours f\n")), "{}", run.err);
    desk.on(["revert", &head, "--theirs", "f"]).ok();
    assert_eq!(desk.content(":f"), b"f1\n");
}
