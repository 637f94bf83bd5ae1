//! The grammar of the command line: what every command shares, and which commands there are. Doc comments are
//! the help; each command's own words, and what they mean, are in its file in `commands`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::commands;
use super::style::When;

/// A versioned repository for large files, in one folder
///
/// A vault keeps every committed version of your models and datasets, each byte once. Commit files with
/// `hv commit`, look at history with `hv log`, and read any version as a folder with `hv mount`.
#[derive(Debug, Parser)]
#[command(name = "hv", version, arg_required_else_help = true)]
#[command(after_help = "Start here:
  hv init vault                              make a vault
  hv -C vault commit -m 'First' ./my-model   commit a folder
  hv mount vault /mnt/models@main            read it as a folder
  hv umount /mnt/models

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict (somebody committed first),
5 damaged vault, 6 mounting is not possible here, 130 interrupted.")]
pub(super) struct Cli {
    // Not clap's `env`: it takes a variable for a word of the command line, and shows it in every usage line.
    #[arg(
        short = 'C',
        long = "vault",
        global = true,
        value_name = "DIR",
        help = "The vault's folder [env: HUBVAULT_DIR] [default: .]"
    )]
    pub(super) given: Option<PathBuf>,
    /// The same after the variable was asked.
    #[arg(skip)]
    pub(super) vault: PathBuf,
    /// Report as JSON on standard output; errors, warnings and progress as lines of JSON on standard error
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Use colours: always, never, or on a terminal
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(super) color: When,
    /// Don't show long output through a pager
    #[arg(long, global = true)]
    pub(super) no_pager: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(commands::init::InitArgs),
    Commit(commands::commit::CommitArgs),
    Log(commands::log::LogArgs),
    Diff(commands::diff::DiffArgs),
    Show(commands::show::ShowArgs),
    Ls(commands::ls::LsArgs),
    LsTree(commands::ls_tree::LsTreeArgs),
    Cat(commands::cat::CatArgs),
    Download(commands::download::DownloadArgs),
    Snapshot(commands::snapshot::SnapshotArgs),
    Export(commands::export::ExportArgs),
    Upload(commands::upload::UploadArgs),
    Rm(commands::rm::RmArgs),
    /// Show where the vault stands, and who is using it
    Status,
    Branch(commands::branch::BranchArgs),
    Tag(commands::tag::TagArgs),
    Reset(commands::reset::ResetArgs),
    Reflog(commands::reflog::ReflogArgs),
    Op(commands::op::OpArgs),
    Undo(commands::undo::UndoArgs),
    Merge(commands::merge::MergeArgs),
    MergeBase(commands::merge_base::MergeBaseArgs),
    CherryPick(commands::replay::CherryPickArgs),
    Revert(commands::replay::RevertArgs),
    RevParse(commands::rev_parse::RevParseArgs),
    Verify(commands::verify::VerifyArgs),
    Du(commands::du::DuArgs),
    Dedup(commands::dedup::DedupArgs),
    Gc(commands::gc::GcArgs),
    Settings(commands::settings::SettingsArgs),
    Optimize(commands::optimize::OptimizeArgs),
    Squash(commands::squash::SquashArgs),
    Mount(commands::mount::MountArgs),
    /// List what is mounted on this machine
    Mounts,
    Umount(commands::umount::UmountArgs),
    Completions(commands::manual::CompletionsArgs),
    Man(commands::manual::ManArgs),
}
