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
use crate::snapshot::resolve::split_path;

/// Show what differs between two revisions
///
/// Texts are compared line by line, as `git diff` does; moved files are found. Safetensors files are compared tensor by
/// tensor. Of other binary or large files, and of texts over 8 MiB or a million lines, sizes and hashes are shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// `A B` or `A..B`; one revision alone is compared with the default branch. `A:PATH B:PATH` are two files
    #[arg(value_name = "REV", required = true, num_args = 1..=2)]
    revisions: Vec<String>,
    /// Only these files and what is in these folders
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<String>,
    #[command(flatten)]
    flags: DiffFlags,
}

/// The two files of what was asked for, when it is `REV:PATH`.
fn files(args: &DiffArgs) -> Result<Option<(String, String)>, Failure> {
    let (paths, words): (Vec<_>, Vec<_>) =
        args.revisions.iter().map(|word| (split_path(word).1, word.clone())).unzip();
    match (paths.as_slice(), words.as_slice()) {
        ([None] | [None, None], _) => Ok(None),
        _ if !args.paths.is_empty() => {
            Err(Failure::usage("REV:PATH names a file already: leave out what follows the `--`"))
        }
        ([Some(path)], [old]) => Ok(Some((old.clone(), format!("HEAD:{path}")))),
        ([Some(_), Some(_)], [old, new]) => Ok(Some((old.clone(), new.clone()))),
        _ => Err(Failure::usage("a file is compared with a file: write REV:PATH twice, or neither time")),
    }
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
    let options = args.flags.options(&args.paths)?;
    let files = files(args)?;
    let repository = open(cli)?;
    let (comparison, found) = if let Some((old, new)) = files {
        let (comparison, change) = repository.compare_files(&old, &new, options)?;
        (comparison, change.into_iter().collect())
    } else {
        let (old, new) = sides(&args.revisions)?;
        let comparison = repository.compare(Some(old), new, options);
        let comparison = comparison.map_err(|error| or_path(&repository, error.into(), &args.revisions))?;
        let found = comparison.changes()?;
        (comparison, found)
    };
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
