//! Words of Git that `hv` has not, and what to type instead. `docs/compatibility.md` has the same rows; a test keeps them
//! equal (`tests/documents/compatibility.rs`).
//!
//! Knows Git's words and the command line's; nothing of vaults.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Error};

use super::args::Cli;

/// A command of Git that is none here, or options that one of ours has not.
struct Word {
    command: &'static str,
    /// Empty: the command itself.
    options: &'static [&'static str],
    answer: &'static str,
}

const fn command(command: &'static str, answer: &'static str) -> Word {
    Word { command, options: &[], answer }
}

const fn options(command: &'static str, options: &'static [&'static str], answer: &'static str) -> Word {
    Word { command, options, answer }
}

const WORDS: &[Word] = &[
    command("add", "there is no index: `hv commit` takes the files and folders it is given"),
    command("ls-files", "`hv ls` lists the files of a revision"),
    command("cat-file", "`hv cat` writes a file's bytes, `hv show` shows what an id or a name stands for"),
    command(
        "switch",
        "nothing is checked out: `hv branch NAME` makes a branch, `hv branch --default NAME` makes it what `HEAD` is",
    ),
    command(
        "checkout",
        "nothing is checked out: `hv snapshot` copies a revision out, `hv mount` shows it as a folder, `hv branch \
         --default NAME` makes another branch what `HEAD` is",
    ),
    command("restore", "`hv download` copies files of a revision out"),
    command("worktree", "`hv mount` shows any number of revisions at once, each as a folder"),
    command("rebase", "not here: `hv cherry-pick` and `hv reset` do its steps"),
    command("mv", "`hv commit --copy A=B --delete A` moves a file, in one commit"),
    command("stash", "there is no working tree, so there is nothing to put aside"),
    command(
        "clean",
        "there is no working tree, so there is nothing to clean; `hv gc` removes what nothing leads to",
    ),
    command("clone", "copy the vault's folder"),
    command("remote", "not here yet: a vault is copied as a folder"),
    command("push", "not here yet, to come with import and export: a vault is copied as a folder"),
    command("pull", "not here yet, to come with import and export: a vault is copied as a folder"),
    command("fetch", "not here yet, to come with import and export: a vault is copied as a folder"),
    command("repack", "`hv optimize` stores what is there in less space; ids and mounts stay as they are"),
    command("prune", "`hv gc` removes what nothing leads to"),
    command(
        "config",
        "`hv settings` is what a vault is set to; who commits is said with `git config user.name` and `user.email`, \
         `HUBVAULT_AUTHOR` or --author",
    ),
    command("fsck", "`hv verify` checks the vault"),
    command("count-objects", "`hv du` says what takes space, `hv dedup` what two revisions share"),
    command("archive", "`hv snapshot` copies a revision out, as a folder"),
    command("lfs", "`hv commit` makes large files LFS pointers by itself"),
    command("bisect", "not here: `hv mount` shows every commit of a vault as a folder"),
    command("blame", "not here: `hv log -- PATH` lists the commits that changed a file"),
    command("grep", "`hv mount` a revision, and use `grep` there"),
    options(
        "commit",
        &["--amend"],
        "a commit never changes: `hv undo` takes the newest one back, then `hv commit` again",
    ),
    options(
        "commit",
        &["-a", "--all"],
        "there is no index: `hv commit` takes the files and folders it is given",
    ),
    options(
        "merge",
        &["--abort", "--quit"],
        "a merge that meets conflicts commits nothing, so nothing is left to abort; `hv undo` takes back one that was made",
    ),
    options(
        "merge",
        &["--continue"],
        "`hv merge` again, with --ours, --theirs, --resolve or --delete for each path in conflict",
    ),
    options(
        "cherry-pick",
        &["--abort", "--continue"],
        "conflicts commit nothing: `hv cherry-pick` again, with --ours, --theirs, --resolve or --delete for each path",
    ),
    options(
        "revert",
        &["--abort", "--continue"],
        "conflicts commit nothing: `hv revert` again, with --ours, --theirs, --resolve or --delete for each path",
    ),
    options(
        "reset",
        &["--hard", "--soft", "--mixed"],
        "there is no working tree and no index: `hv reset` without it moves the branch, and that is all there is to do",
    ),
    options("diff", &["--cached", "--staged"], "there is no index: `hv diff` compares revisions"),
    options(
        "branch",
        &["-a", "--all", "-r", "--remotes"],
        "there are no remotes: `hv branch` lists all branches",
    ),
];

/// Git's words, as code, with the answer: the rows of the documentation.
pub fn git_words() -> Vec<(String, &'static str)> {
    let row = |word: &Word| {
        let mut names = vec![format!("`git {}`", word.command)];
        if let Some((first, others)) = word.options.split_first() {
            names = vec![format!("`git {} {first}`", word.command)];
            names.extend(others.iter().map(|option| format!("`{option}`")));
        }
        (names.join(", "), word.answer)
    };
    WORDS.iter().map(row).collect()
}

/// What to say instead of an error of the grammar, when a word of Git is what is wrong.
pub(super) fn answer(error: &Error, words: impl Iterator<Item = String>) -> Option<String> {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = said(ContextKind::InvalidSubcommand)?;
            let word = WORDS.iter().find(|word| word.options.is_empty() && word.command == typed)?;
            Some(format!("hubvault has no `{typed}`: {}", word.answer))
        }
        ErrorKind::UnknownArgument => {
            let typed = said(ContextKind::InvalidArg)?;
            let ours = Cli::command();
            let command = words.into_iter().find(|word| ours.find_subcommand(word).is_some())?;
            let fits = |word: &&Word| word.command == command && word.options.contains(&&*typed);
            let word = WORDS.iter().find(fits)?;
            Some(format!("`hv {command}` has no `{typed}`: {}", word.answer))
        }
        _ => None,
    }
}
