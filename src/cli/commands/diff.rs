//! `hv diff`

use std::io::Write as _;

use clap::Args;

use super::open;
use crate::cli::args::Cli;
use crate::cli::changes::{self, DiffFlags, Format, Look};
use crate::cli::failure::Failure;
use crate::cli::output::{JsonArray, stdout};
use crate::cli::pager::Screen;
use crate::cli::paths::or_path;
use crate::ops::diff::models::CommitChangeInfo;

/// Show what differs between two revisions
///
/// Texts are compared line by line, as `git diff` does; moved files are found. Safetensors files are compared tensor by
/// tensor. Of other binary or large files, and of texts over 8 MiB or a million lines, sizes and hashes are shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// `A B` or `A..B`; one revision alone is compared with the default branch
    #[arg(value_name = "REV", required = true, num_args = 1..=2)]
    revisions: Vec<String>,
    /// Only these files and what is in these folders
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<String>,
    #[command(flatten)]
    flags: DiffFlags,
}

/// The two sides of what was asked for.
fn sides(revisions: &[String]) -> Result<(&str, &str), Failure> {
    match revisions {
        [range] => match range.split_once("..") {
            Some((_, new)) if new.starts_with('.') => Err(Failure::usage(format!(
                "`{range}`: three dots are not understood here; give the two revisions to compare"
            ))),
            Some((old, new)) => {
                let or_head = |side| if str::is_empty(side) { "HEAD" } else { side };
                Ok((or_head(old), or_head(new)))
            }
            None => Ok((range, "HEAD")),
        },
        [old, new] => Ok((old, new)),
        _ => Err(Failure::usage("give one or two revisions")),
    }
}

pub(super) fn run(cli: &Cli, args: &DiffArgs) -> Result<(), Failure> {
    let (old, new) = sides(&args.revisions)?;
    let repository = open(cli)?;
    let comparison = repository.compare(Some(old), new, args.flags.options(&args.paths)?);
    let comparison = comparison.map_err(|error| or_path(&repository, error.into(), &args.revisions))?;
    let found = comparison.changes()?;
    if cli.json {
        let mut array = JsonArray::new(stdout());
        for change in &found {
            let diff = comparison.file(change)?;
            array.push(&CommitChangeInfo::new(&diff, args.flags.context, u64::MAX))?;
        }
        return array.finish();
    }
    let mut screen = Screen::paged(cli);
    let look = Look::of(&screen, args.flags.context);
    let format = args.flags.format().unwrap_or(Format::Patch);
    changes::show(&comparison, &found, format, look, &mut |line| {
        screen.write_all(line)?;
        Ok(screen.write_all(b"\n")?)
    })?;
    Ok(screen.finish()?)
}
