//! One file per command: its words, the one use case it calls, and how the answer is shown.

pub(super) mod branch;
pub(super) mod cat;
pub(super) mod commit;
pub(super) mod dedup;
pub(super) mod diff;
pub(super) mod download;
pub(super) mod du;
pub(super) mod export;
pub(super) mod gc;
pub(super) mod init;
pub(super) mod log;
pub(super) mod ls;
pub(super) mod ls_tree;
pub(super) mod manual;
pub(super) mod merge;
pub(super) mod merge_base;
pub(super) mod mount;
mod mount_view;
pub(super) mod op;
pub(super) mod optimize;
pub(super) mod reflog;
pub(super) mod replay;
pub(super) mod reset;
pub(super) mod rev_parse;
pub(super) mod rm;
pub(super) mod settings;
mod settle;
pub(super) mod show;
pub(super) mod snapshot;
pub(super) mod squash;
pub(super) mod status;
pub(super) mod tag;
pub(super) mod umount;
pub(super) mod undo;
pub(super) mod upload;
pub(super) mod verify;

use std::io::Write as _;

use clap::ArgMatches;
use serde_json::json;

use super::args::{Cli, Command};
use super::failure::Failure;
use super::identity;
use super::output::{json_line, printable};
use crate::Repository;

/// Runs the command that was asked for.
pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<(), Failure> {
    match &cli.command {
        Command::Init(args) => init::run(cli, args),
        Command::Commit(args) => commit::run(cli, args, matches),
        Command::Diff(args) => diff::run(cli, args),
        Command::Show(args) => show::run(cli, args),
        Command::Ls(args) => ls::run(cli, args),
        Command::Log(args) => log::run(cli, args),
        Command::LsTree(args) => ls_tree::run(cli, args),
        Command::Cat(args) => cat::run(cli, args),
        Command::Download(args) => download::run(cli, args),
        Command::Snapshot(args) => snapshot::run(cli, args),
        Command::Export(args) => export::run(cli, args),
        Command::Upload(args) => upload::run(cli, args),
        Command::Rm(args) => rm::run(cli, args),
        Command::Status => status::run(cli),
        Command::Branch(args) => branch::run(cli, args),
        Command::Tag(args) => tag::run(cli, args),
        Command::Reset(args) => reset::run(cli, args),
        Command::Reflog(args) => reflog::run(cli, args),
        Command::Op(args) => op::run(cli, args),
        Command::Undo(args) => undo::run(cli, args),
        Command::RevParse(args) => rev_parse::run(cli, args),
        Command::Merge(args) => merge::run(cli, args),
        Command::MergeBase(args) => merge_base::run(cli, args),
        Command::CherryPick(args) => replay::cherry_pick(cli, args),
        Command::Revert(args) => replay::revert(cli, args),
        Command::Verify(args) => verify::run(cli, args),
        Command::Du(args) => du::run(cli, args),
        Command::Dedup(args) => dedup::run(cli, args),
        Command::Squash(args) => squash::run(cli, args),
        Command::Gc(args) => gc::run(cli, args),
        Command::Settings(args) => settings::run(cli, args),
        Command::Optimize(args) => optimize::run(cli, args),
        Command::Mount(args) => mount::run(cli, args),
        Command::Mounts => umount::list(cli),
        Command::Umount(args) => umount::run(cli, args),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::pages(args),
    }
}

/// Opens the vault of `-C`, and says what was passed over while opening it.
fn open(cli: &Cli) -> Result<Repository, Failure> {
    let repository = Repository::open(&cli.vault).map_err(|error| located(cli, error.into()))?;
    warn_of_passed_over(cli, &repository)?;
    Ok(repository)
}

/// As [`open`], for a command that will write: who writes is found out meanwhile.
fn open_to_write(cli: &Cli) -> Result<Repository, Failure> {
    identity::ask_early();
    open(cli)
}

/// Says what was passed over when the vault was opened.
fn warn_of_passed_over(cli: &Cli, repository: &Repository) -> Result<(), Failure> {
    repository.warnings().iter().try_for_each(|warning| warn(cli, Some(&warning.file), &warning.detail))
}

/// Warns on standard error, perhaps of a file of the vault.
fn warn(cli: &Cli, file: Option<&str>, detail: &str) -> Result<(), Failure> {
    match file {
        _ if cli.json => tell(&json_line(&json!({ "warning": { "file": file, "detail": detail } }))),
        Some(file) => tell(&format!("warning: {file}: {detail}")),
        None => tell(&format!("warning: {detail}")),
    }
}

/// A failure to open, with the folder that was tried.
fn located(cli: &Cli, failure: Failure) -> Failure {
    failure.at(&cli.vault)
}

/// Prints a line to standard error.
fn tell(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stderr(), "{}", printable(line))?)
}

/// Prints a line to standard output.
fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{}", printable(line))?)
}

/// Says on standard error how to take back what a transaction did; nothing when there was none.
fn hint(transaction: Option<u64>) -> Result<(), Failure> {
    transaction.map_or(Ok(()), |number| tell(&format!("hint: `hv undo {number}` takes this back")))
}
