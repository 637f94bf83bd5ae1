//! `hv reflog`

use std::io::Write;

use clap::Args;

use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{JsonArray, printable, stdout};
use crate::ops::ObjectId;

/// Show where a branch or tag was, newest first
///
/// Every change is kept, also of branches and tags that are gone. `REF@{1}` is where REF was one change ago, and
/// `REF@{yesterday}` where it was then: both name commits wherever a revision is taken.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReflogArgs {
    /// Branch or tag, by its short or full name [default: the default branch]
    #[arg(value_name = "REF")]
    name: Option<String>,
    /// Show at most this many changes
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
}

pub(super) fn run(cli: &Cli, args: &ReflogArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let reflog = repository.reflog(args.name.as_deref().unwrap_or("HEAD"))?;
    let shown = match args.name.as_deref() {
        Some(name) if name.starts_with("refs/") => name.to_owned(),
        _ => reflog.name().short().to_owned(),
    };
    let entries = reflog.take(args.max_count.unwrap_or(usize::MAX));
    let mut out = stdout();
    if cli.json {
        let mut array = JsonArray::new(out);
        for entry in entries {
            array.push(&entry?)?;
        }
        return array.finish();
    }
    for (number, entry) in entries.enumerate() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // What could be read is shown before the error.
                out.flush()?;
                return Err(error.into());
            }
        };
        let message = printable(&entry.message).replace('\n', " ");
        writeln!(out, "{} {}@{{{number}}}: {message}", short(entry.new_head), printable(&shown))?;
    }
    Ok(out.flush()?)
}

/// The first digits of an id; zeros for a ref that does not exist, as in Git.
pub(super) fn short(id: Option<ObjectId>) -> String {
    id.map_or_else(|| "0".repeat(7), |id| id.short())
}
