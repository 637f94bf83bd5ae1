//! The same history made by Git and by us looks the same in `log`, `ls-tree` and `rev-parse`.
//!
//! With the same files, names and times both make the same ids, so whole outputs can be compared.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::{Desk, HV, Run};

/// A vault and a Git repository (`work`, which is also what is committed) with equal histories.
struct Pair(Desk);

impl Pair {
    fn new() -> Self {
        let pair = Self(Desk::bare());
        pair.git(0, &["init", "--quiet", "--initial-branch=main", "work"]).ok();
        pair.git(0, &["-C", "work", "commit", "--quiet", "--allow-empty", "-m", "Initial commit"]).ok();
        pair.run(HV, 0, &["init", "vault"]).ok();
        pair
    }

    fn run(&self, program: &str, minute: i64, args: &[&str]) -> Run {
        let mut command = self.0.command(program);
        let zone = ["+0000", "+0530", "-0230", "+1400", "-1100"][usize::try_from(minute).unwrap() % 5];
        let date = format!("{} {zone}", 1_700_000_000 + minute * 86_460);
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Zo\u{eb} Q. <odd>")
                .env(format!("GIT_{role}_EMAIL"), "z@q");
        }
        command.args(args).output().unwrap().into()
    }

    fn git(&self, minute: i64, args: &[&str]) -> Run {
        let settings = ["-c", "core.quotePath=false", "-c", "core.abbrev=7", "-c", "commit.gpgSign=false"];
        self.run("git", minute, &[&settings, args].concat())
    }

    /// Commits all that is in `work` to both.
    fn commit(&self, minute: i64, message: &str) {
        self.git(minute, &["-C", "work", "add", "--all"]).ok();
        self.git(minute, &["-C", "work", "commit", "--quiet", "--allow-empty", "-m", message]).ok();
        let base =
            ["-C", "vault", "commit", "--keep-links", "--allow-empty", "-m", message, "--add", ".=work"];
        let deleted =
            self.git(0, &["-C", "work", "diff", "--name-only", "--diff-filter=D", "HEAD~", "HEAD"]).ok().out;
        let deletions: Vec<String> = deleted.lines().map(|path| format!("--delete={path}")).collect();
        let args: Vec<&str> = base.into_iter().chain(deletions.iter().map(String::as_str)).collect();
        self.run(HV, minute, &args).ok();
    }

    #[track_caller]
    fn same(&self, git: &[&str], hv: &[&str]) {
        let theirs = self.git(0, &[&["-C", "work"], git].concat()).ok().out;
        assert_eq!(self.0.on(hv).ok().out, theirs, "git {git:?}, hv {hv:?}");
        assert!(!theirs.is_empty());
    }
}

#[test]
fn trees() {
    let pair = Pair::new();
    let desk = &pair.0;
    for (name, content) in [
        ("a", "1"),
        ("a.b", "2"),
        ("a-b/x", "3"),
        ("a/.keep-not", ""),
        ("dir with space/\u{fc}nicode \u{6f22}\u{5b57}.txt", "4"),
        ("deep/er/and/er/file", "12345"),
        ("deep/er/empty", ""),
        ("run.sh", "#!/bin/sh\n"),
        ("big", "x"),
    ] {
        if name != "a/.keep-not" {
            desk.write(&format!("work/{name}"), content);
        }
    }
    desk.write("work/big", vec![b'y'; 1_234_567]);
    fs::set_permissions(desk.path("work/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("nowhere/at all", desk.path("work/deep/dangling")).unwrap();
    symlink("er", desk.path("work/deep/folder")).unwrap();
    pair.commit(1, "all kinds");
    for flags in [&[][..], &["-l"], &["-r"], &["-r", "-l"], &["-r", "-t"], &["-r", "-t", "-l"]] {
        pair.same(&[&["ls-tree"], flags, &["HEAD"]].concat(), &[&["ls-tree"], flags, &["HEAD"]].concat());
    }
    pair.same(&["ls-tree", "-r", "HEAD", "deep/"], &["ls-tree", "-r", "HEAD", "deep/"]);
    pair.same(&["ls-tree", "HEAD", "deep/er/"], &["ls-tree", "HEAD", "deep/er/"]);
    pair.same(&["ls-tree", "-l", "HEAD", "run.sh"], &["ls-tree", "-l", "HEAD", "run.sh"]);
    for words in [
        &["ls-tree", "HEAD:deep"][..],
        &["ls-tree", "-r", "-l", "HEAD:deep"],
        &["ls-tree", "HEAD:deep", "er/"],
        &["ls-tree", "-r", "HEAD:"],
        &["rev-parse", "--short", "HEAD"],
    ] {
        pair.same(words, words);
    }
    for (old, new) in [("a", "a.b"), ("a", "run.sh"), ("deep/dangling", "a"), ("deep/er/empty", "a-b/x")] {
        let words = ["diff", &format!("HEAD:{old}"), &format!("HEAD:{new}")];
        pair.same(&words, &words);
    }
    for revision in
        ["HEAD", "HEAD^{tree}", "HEAD:deep/er", "HEAD:deep/er/empty", "HEAD~1", "HEAD^0", "@~^{tree}"]
    {
        pair.same(&["rev-parse", revision], &["rev-parse", revision]);
    }
}

#[test]
fn histories() {
    let pair = Pair::new();
    for (minute, message) in (1..).zip([
        "one line",
        "title\n\nbody of\nlines\n\nand more\n",
        "two\nline title\n\nbody",
        "tabs\n\n\tone\n\ta\tb\tc\n1234567\tx",
        "\u{fc}n\u{ef}c\u{f6}de \u{6f22}\u{5b57}\n\n- list\n  - deeper",
        "# not a comment\n\n# nor this",
        "trailing\n\nSigned-off-by: Z <z@q>\n",
    ]) {
        pair.0.write("work/f", minute.to_string());
        pair.commit(minute, message);
    }
    pair.same(&["rev-parse", "HEAD"], &["rev-parse", "HEAD"]);
    pair.same(&["log"], &["log"]);
    pair.same(&["log", "-n", "3", "HEAD~2"], &["log", "-n", "3", "HEAD~2"]);
    pair.same(&["log", "--oneline"], &["log", "--oneline"]);
}

#[test]
fn annotated_tags() {
    let pair = Pair::new();
    pair.git(3, &["-C", "work", "tag", "-a", "v1", "-m", "first\n\nwith a body"]).ok();
    pair.run(HV, 3, &["-C", "vault", "tag", "v1", "-m", "first\n\nwith a body"]).ok();
    for revision in ["v1", "v1^{commit}", "v1^{}", "v1^0", "v1~0", "v1^{tree}", "refs/tags/v1"] {
        pair.same(&["rev-parse", revision], &["rev-parse", revision]);
    }
    pair.git(4, &["-C", "work", "tag", "-a", "-f", "v1", "-m", "moved", "-m", "a\nparagraph"]).ok();
    pair.run(HV, 4, &["-C", "vault", "tag", "-f", "v1", "-m", "moved", "-m", "a\nparagraph"]).ok();
    for name in ["w/1", "w/2"] {
        pair.git(5, &["-C", "work", "tag", name]).ok();
        pair.run(HV, 5, &["-C", "vault", "tag", name]).ok();
        pair.git(5, &["-C", "work", "branch", &name.replace('w', "x")]).ok();
        pair.run(HV, 5, &["-C", "vault", "branch", &name.replace('w', "x")]).ok();
    }
    pair.0.write("message", "\ntitle\n\nbody of the file\n\n");
    for program in ["git", HV] {
        let folder = if program == "git" { "work" } else { "vault" };
        let file = if program == "git" { "../message" } else { "message" };
        pair.run(program, 6, &["-C", folder, "commit", "--allow-empty", "-m", "one", "-m", "two\nlines"])
            .ok();
        pair.run(program, 7, &["-C", folder, "commit", "--allow-empty", "-F", file]).ok();
    }
    for words in [
        &["tag"][..],
        &["rev-parse", "v1"],
        &["tag", "-l", "w*"],
        &["tag", "--contains", "HEAD~2"],
        &["branch", "--list", "x/*"],
        &["branch", "--contains", "HEAD~1"],
        &["branch", "--contains", "HEAD~2"],
        &["log"],
    ] {
        pair.same(words, words);
    }
}

#[test]
fn small_files_that_attributes_make_pointers_have_the_ids_of_git_lfs() {
    let pair = Pair::new();
    let lfs = pair.git(0, &["lfs", "version"]);
    if lfs.code != Some(0) {
        eprintln!("\n**** SKIPPED: git lfs is not installed, pointers were NOT compared ****\n");
        return;
    }
    pair.git(0, &["-C", "work", "lfs", "install", "--local"]).ok();
    pair.0.write("work/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    pair.0.write("work/sub/small.bin", "small");
    pair.0.write("work/sub/empty.bin", "");
    pair.0.write("work/other", "small");
    pair.commit(1, "pointers");
    pair.same(&["ls-tree", "-r", "HEAD"], &["ls-tree", "-r", "HEAD"]);
}
