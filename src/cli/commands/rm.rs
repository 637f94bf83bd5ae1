//! `hv rm`

use clap::Args;

use super::commit::{How, show};
use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::cli::paths::{Use, repo_path};
use crate::ops::CommitOperation;

/// Remove files and folders from a branch, in one commit
///
/// Earlier revisions keep them.
#[derive(Debug, Args)]
pub(in crate::cli) struct RmArgs {
    /// What to remove; a folder goes with all that is in it
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    how: How,
}

pub(super) fn run(cli: &Cli, args: &RmArgs) -> Result<(), Failure> {
    let operations: Result<Vec<_>, Failure> = args
        .paths
        .iter()
        .map(|path| Ok(CommitOperation::Delete { path_in_repo: repo_path(path, Use::Remove)? }))
        .collect();
    let message = match args.paths.as_slice() {
        [path] => format!("Delete {path} with hubvault"),
        paths => format!("Delete {} files and folders with hubvault", paths.len()),
    };
    let options = args.how.options(&message)?;
    let outcome = open(cli)?.create_commit(&operations?, &options, &identity::actor()?, &mut |_| ())?;
    show(cli, &outcome, args.how.author_flag())
}
