//! `hv dedup`

use clap::Args;

use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::ops::sharing::SharingSide;

/// Show how much two revisions, folders or files share
///
/// What both need is stored once. Sizes are bytes of chunks as they are stored.
#[derive(Debug, Args)]
pub(in crate::cli) struct DedupArgs {
    /// The first revision, or REV:PATH
    #[arg(value_name = "REV[:PATH]")]
    left: String,
    /// The second revision, or REV:PATH
    #[arg(value_name = "REV[:PATH]")]
    right: String,
}

pub(super) fn run(cli: &Cli, args: &DedupArgs) -> Result<(), Failure> {
    let found = open(cli)?.sharing(&args.left, &args.right)?;
    if cli.json {
        return output::json(&found);
    }
    row("logical", "stored", "shared", "only here", "")?;
    for side in [&found.left, &found.right] {
        show(side, found.shared_size)?;
    }
    Ok(())
}

fn show(side: &SharingSide, shared: u64) -> Result<(), Failure> {
    let percent = (shared * 100).checked_div(side.stored_size).unwrap_or(0);
    let name = format!("{} ({percent} % shared)", output::path(&side.name));
    let [logical, stored, shared, unique] =
        [side.logical_size, side.stored_size, shared, side.unique_size].map(output::bytes);
    row(&logical, &stored, &shared, &unique, &name)
}

fn row(logical: &str, stored: &str, shared: &str, unique: &str, name: &str) -> Result<(), Failure> {
    say(format!("{logical:>11} {stored:>11} {shared:>11} {unique:>11}  {name}").trim_end())
}
