//! `hv ls-tree`

use std::io::Write;

use clap::Args;

use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{self, JsonArray, stdout};
use crate::ops::models::RepoEntry;
use crate::ops::tree::{describe, list_names, list_repo_tree};
use crate::snapshot::{Mode, Snapshot, SnapshotError, TreeEntry};

/// List what a folder of a revision holds
#[derive(Debug, Args)]
pub(in crate::cli) struct LsTreeArgs {
    /// Revision to list [default: the default branch]
    revision: Option<String>,
    /// Folder or file to list [default: the root]
    path: Option<String>,
    /// Everything below as well; folders themselves are left out, as Git does
    #[arg(short)]
    recursive: bool,
    /// With -r: show folders too
    #[arg(short)]
    trees: bool,
    /// Show sizes in bytes
    #[arg(short)]
    long: bool,
}

pub(super) fn run(cli: &Cli, args: &LsTreeArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let snapshot = repository.snapshot(args.revision.as_deref())?;
    let path = args.path.as_deref().unwrap_or_default();
    if !cli.json && !args.long {
        return names(&snapshot, path, args);
    }
    let wanted = |item: &Result<RepoEntry, SnapshotError>| {
        let left_out = args.recursive && !args.trees;
        !(left_out && matches!(item, Ok(RepoEntry::Folder(_))))
    };
    let entries = entries(&snapshot, path, args.recursive)?.filter(wanted);
    if cli.json {
        let mut array = JsonArray::new(stdout());
        for item in entries {
            array.push(&item?)?;
        }
        return array.finish();
    }
    let mut out = stdout();
    for item in entries {
        let item = item?;
        let size = item.size().map_or_else(|| "-".to_owned(), |size| size.to_string());
        let kind = if matches!(item, RepoEntry::Folder(_)) { "tree" } else { "blob" };
        let path = output::path(item.path());
        writeln!(out, "{} {kind} {} {size:>7}\t{path}", item.mode(), item.oid())?;
    }
    Ok(out.flush()?)
}

/// The listing without sizes, which the trees alone answer.
fn names(snapshot: &Snapshot, path: &str, args: &LsTreeArgs) -> Result<(), Failure> {
    let top = snapshot.entry(path)?;
    let mut out = stdout();
    if top.mode != Mode::Directory {
        name(&mut out, path.trim_matches('/'), &top)?;
        return Ok(out.flush()?);
    }
    for item in list_names(snapshot, path, args.recursive)? {
        let (path, entry) = item?;
        if entry.mode != Mode::Directory || !args.recursive || args.trees {
            name(&mut out, &path, &entry)?;
        }
    }
    Ok(out.flush()?)
}

/// An entry as `git ls-tree` shows it.
fn name(out: &mut impl Write, path: &str, entry: &TreeEntry) -> Result<(), Failure> {
    let kind = if entry.mode == Mode::Directory { "tree" } else { "blob" };
    Ok(writeln!(out, "{:0>6} {kind} {}\t{}", entry.mode.octal(), entry.id, output::path(path))?)
}

/// What is in a folder; a file's own path gives that file, as Git does.
pub(super) fn entries(
    snapshot: &Snapshot,
    path: &str,
    recursive: bool,
) -> Result<Box<dyn Iterator<Item = Result<RepoEntry, SnapshotError>>>, SnapshotError> {
    let top = snapshot.entry(path)?;
    if top.mode == Mode::Directory {
        return Ok(Box::new(list_repo_tree(snapshot, path, recursive)?));
    }
    Ok(Box::new(std::iter::once(describe(snapshot, path.trim_matches('/').to_owned(), &top))))
}
