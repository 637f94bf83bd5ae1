//! `hv snapshot`

use clap::Args;

use super::download::Choice;
use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;

/// Copy a whole revision out of the vault, and print the folder
///
/// The folder holds exactly the revision's files (those that are chosen). With `--local-dir` what else is in that folder
/// stays, and files of an earlier snapshot that are not in this one are removed, unless they were changed since.
#[derive(Debug, Args)]
pub(in crate::cli) struct SnapshotArgs {
    /// Revision to copy, as -r names it [default: the default branch]
    #[arg(value_name = "REV", conflicts_with = "revision")]
    named: Option<String>,
    #[command(flatten)]
    choice: Choice,
}

pub(super) fn run(cli: &Cli, args: &SnapshotArgs) -> Result<(), Failure> {
    args.choice.snapshot(cli, &open(cli)?, args.named.as_deref(), &[])
}
