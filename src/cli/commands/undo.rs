//! `hv undo`

use clap::Args;

use super::{hint, open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output};
use crate::ops::models::RefMove;

/// Take back what a transaction moved
///
/// Every branch and tag that the transaction moved goes back to where it was, in a new transaction; undoing that one
/// does it again. Refused when something else has moved one of them since. No content is removed.
#[derive(Debug, Args)]
pub(in crate::cli) struct UndoArgs {
    /// Number of the transaction, as `hv op log` shows it [default: the newest]
    #[arg(value_name = "NUMBER")]
    transaction: Option<u64>,
    /// Only say what would be put back
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(cli: &Cli, args: &UndoArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let actor = if args.dry_run { identity::reader()? } else { identity::actor()? };
    let outcome = repository.undo(args.transaction, args.dry_run, &actor)?;
    if cli.json {
        return output::json(&outcome);
    }
    let verb = if args.dry_run { "Would undo" } else { "Undid" };
    say(&format!("{verb} transaction {} ({})", outcome.undone, outcome.command))?;
    for moved in &outcome.refs {
        say(&format!("  {}", line(moved, args.dry_run)))?;
    }
    if let Some(name) = &outcome.default_branch {
        say(&format!("  HEAD -> {name}"))?;
    }
    hint(outcome.transaction)
}

fn line(moved: &RefMove, dry_run: bool) -> String {
    let name = output::ref_name(&moved.git_ref);
    match (moved.old, moved.new) {
        (Some(old), None) if dry_run => format!("{name} would be deleted (is at {})", old.short()),
        (Some(old), None) => format!("{name} deleted (was {})", old.short()),
        (_, Some(new)) if dry_run => format!("{name} would be at {}", new.short()),
        (_, Some(new)) => format!("{name} is at {}", new.short()),
        (None, None) => name.to_owned(),
    }
}
