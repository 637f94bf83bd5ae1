//! `hv rev-parse`

use clap::Args;

use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;

/// Print the id of what a revision names
#[derive(Debug, Args)]
pub(in crate::cli) struct RevParseArgs {
    /// A revision, `REV^{tree}` or `REV:PATH` (`:PATH` is in the default branch)
    #[arg(required = true)]
    revision: Vec<String>,
    /// Print only the first seven digits
    #[arg(long)]
    short: bool,
}

pub(super) fn run(cli: &Cli, args: &RevParseArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let ids =
        args.revision.iter().map(|revision| repository.rev_parse(revision)).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<_> = ids.iter().map(|id| if args.short { id.short() } else { id.to_string() }).collect();
    if cli.json { output::json(&ids) } else { ids.iter().try_for_each(|id| say(id)) }
}
