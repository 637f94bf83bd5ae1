//! `hv ls`

use std::io::Write as _;

use clap::Args;

use super::ls_tree::entries;
use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{JsonArray, bytes, path, stdout};
use crate::cli::pager::Screen;
use crate::cli::table;
use crate::ops::models::RepoEntry;
use crate::snapshot::resolve::split_path;

/// List files for people to read; `hv ls-tree` is for programs
#[derive(Debug, Args)]
pub(in crate::cli) struct LsArgs {
    /// Folder or file; `REV:PATH` in another revision
    #[arg(value_name = "[REV:]PATH")]
    target: Option<String>,
    /// Revision to list [default: the default branch]
    #[arg(short, long, value_name = "REV")]
    revision: Option<String>,
    /// Show mode, size and id
    #[arg(short, long)]
    long: bool,
    /// Everything below as well
    #[arg(short = 'R', long)]
    recursive: bool,
}

pub(super) fn run(cli: &Cli, args: &LsArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let target = args.target.as_deref().unwrap_or_default();
    let (revision, at) = match (args.revision.as_deref(), split_path(target)) {
        (Some(revision), _) => (revision, target),
        (None, (revision, Some(at))) => (revision, at),
        (None, (_, None)) => ("", target),
    };
    let snapshot = repository.snapshot(Some(revision).filter(|revision| !revision.is_empty()))?;
    let at = if matches!(at, "." | "./") { "" } else { at };
    let mut entries = entries(&snapshot, at, args.recursive)?;
    if cli.json {
        let mut array = JsonArray::new(stdout());
        entries.try_for_each(|item| array.push(&item?))?;
        return array.finish();
    }
    let mut screen = Screen::paged(cli);
    if args.recursive {
        // As they come: a table would have to wait for the last of a million files.
        for item in entries {
            let item = item?;
            if matches!(item, RepoEntry::File(_)) {
                let line = if args.long { row(&item, at).join("  ") } else { name(&item, at) };
                writeln!(screen, "{line}")?;
            }
        }
        return Ok(screen.finish()?);
    }
    let mut items = entries.collect::<Result<Vec<_>, _>>()?;
    items.sort_by(|a, b| a.path().cmp(b.path()));
    if args.long {
        let rows: Vec<_> = items.iter().map(|item| row(item, at)).collect();
        table::lines(&rows, &[2]).iter().try_for_each(|line| writeln!(screen, "{line}"))?;
    } else {
        items.iter().try_for_each(|item| writeln!(screen, "{}", name(item, at)))?;
    }
    Ok(screen.finish()?)
}

/// The name as seen from a folder, with `/` after folders and `@` after symlinks.
fn name(item: &RepoEntry, folder: &str) -> String {
    let prefix = format!("{}/", folder.trim_matches('/'));
    let short = item.path().strip_prefix(&prefix).unwrap_or(item.path());
    let mark = match item.mode() {
        "040000" => "/",
        "120000" => "@",
        _ => "",
    };
    path(&format!("{short}{mark}")).into_owned()
}

/// Kind, id, size, LFS and name.
fn row(item: &RepoEntry, folder: &str) -> [String; 5] {
    let kind = match item.mode() {
        "040000" => "folder",
        "120000" => "link",
        "100755" => "program",
        _ => "file",
    };
    let size = item.size().map_or_else(|| "-".to_owned(), bytes);
    let lfs = if matches!(item, RepoEntry::File(file) if file.lfs.is_some()) { "lfs" } else { "-" };
    [kind.to_owned(), item.oid().short(), size, lfs.to_owned(), name(item, folder)]
}
