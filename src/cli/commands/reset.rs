//! `hv reset`

use clap::Args;

use super::{hint, open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output};

/// Move a branch to another commit
///
/// Commits that the branch leaves can still be read by their ids, or as BRANCH@{1}, until `hv gc` removes what is
/// old; `hv undo` takes the move back.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResetArgs {
    /// Where to
    revision: String,
    /// Branch to move [default: the default branch]
    #[arg(short = 'r', long, value_name = "BRANCH")]
    branch: Option<String>,
}

pub(super) fn run(cli: &Cli, args: &ResetArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let branch = args.branch.clone().map_or_else(|| repository.default_branch(), Ok)?;
    let moved = repository.reset_ref(&branch, &args.revision, &identity::actor()?)?;
    if cli.json {
        return output::json(&moved);
    }
    let snapshot = repository.snapshot(Some(&moved.git_ref))?;
    let title = snapshot.commit().title();
    let name = if branch == repository.default_branch()? { "HEAD" } else { &branch };
    say(&format!("{name} is now at {} {title}", snapshot.id().short()))?;
    hint(moved.transaction)
}
