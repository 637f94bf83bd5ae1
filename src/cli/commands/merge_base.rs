//! `hv merge-base`

use clap::Args;
use serde_json::json;

use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;

/// Find the best common ancestor of two revisions
///
/// Exits with 1 and prints nothing when there is none.
#[derive(Debug, Args)]
pub(in crate::cli) struct MergeBaseArgs {
    /// One revision
    #[arg(value_name = "REV")]
    one: String,
    /// Another one
    #[arg(value_name = "REV")]
    two: String,
    /// Print all of them: criss-cross merges leave several
    #[arg(short, long)]
    all: bool,
    /// Say by the exit code whether the first is an ancestor of the second (0: yes, 1: no)
    #[arg(long, conflicts_with = "all")]
    is_ancestor: bool,
}

pub(super) fn run(cli: &Cli, args: &MergeBaseArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    // Both exit with 1 and no words, as in Git.
    let no = || Err(Failure::reported("not-related"));
    if args.is_ancestor {
        let is_ancestor = repository.is_ancestor(&args.one, &args.two)?;
        if cli.json {
            output::json(&json!({ "is_ancestor": is_ancestor }))?;
        }
        return if is_ancestor { Ok(()) } else { no() };
    }
    let mut bases = repository.merge_bases(&args.one, &args.two)?;
    if !args.all {
        bases.truncate(1);
    }
    if cli.json {
        output::json(&bases)?;
    } else {
        bases.iter().try_for_each(|base| say(&base.to_string()))?;
    }
    if bases.is_empty() { no() } else { Ok(()) }
}
