//! What hands that know Git type, and what they are answered.

use super::Desk;

#[test]
fn words_of_git_that_are_none_here_are_answered() {
    let desk = Desk::new();
    for (words, said) in [
        (&["checkout", "main"][..], ["hubvault has no `checkout`", "`hv snapshot` copies a revision out"]),
        (&["add", "."], ["hubvault has no `add`", "`hv commit` takes the files"]),
        (&["repack"], ["hubvault has no `repack`", "`hv optimize`"]),
        (&["merge", "--abort"], ["`hv merge` has no `--abort`", "nothing is left to abort"]),
        (&["commit", "--amend"], ["`hv commit` has no `--amend`", "`hv undo` takes the newest one back"]),
        (&["commit", "-am", "x"], ["`hv commit` has no `-a`", "there is no index"]),
        (&["reset", "--hard", "HEAD~"], ["`hv reset` has no `--hard`", "moves the branch"]),
        (&["help", "stash"], ["hubvault has no `stash`", "no working tree"]),
    ] {
        let run = desk.on(words).fails(2, &said);
        assert!(run.err.lines().count() == 1 && !run.err.contains("similar"), "{run:?}");
    }
    let json = desk.on(["--json", "clone"]).fails(2, &[]);
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(error["error"]["message"], "hubvault has no `clone`: copy the vault's folder");
    // What is none of Git's either is clap's to answer.
    desk.on(["comit"]).fails(2, &["similar", "commit"]);
    desk.on(["reset", "--harder"]).fails(2, &["unexpected argument"]);
}

#[test]
fn help_is_a_command_too() {
    let desk = Desk::bare();
    assert_eq!(desk.hv(["help"]).text(), desk.hv(["--help"]).text());
    assert_eq!(desk.hv(["help", "commit"]).text(), desk.hv(["commit", "--help"]).text());
    assert!(desk.hv(["help", "op", "log"]).text().contains("List transactions"));
}
