//! `hv ls-tree`

use std::io::Write;

use clap::Args;

use super::open;
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{self, JsonArray, stdout};
use crate::ops::ObjectId;
use crate::ops::models::RepoEntry;
use crate::ops::tree::{describe, list_names, list_repo_tree};
use crate::snapshot::{Mode, Snapshot, SnapshotError, TreeEntry};

/// List what a folder of a revision holds
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
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
    /// Show the commit that last changed each entry, for a folder anything below it
    #[arg(long)]
    last_commit: bool,
}

pub(super) fn run(cli: &Cli, args: &LsTreeArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let snapshot = repository.snapshot(args.revision.as_deref())?;
    let path = args.path.as_deref().unwrap_or_default();
    if !cli.json && !args.long && !args.last_commit {
        return names(&snapshot, path, args);
    }
    let wanted = |item: &Result<RepoEntry, SnapshotError>| {
        let left_out = args.recursive && !args.trees;
        !(left_out && matches!(item, Ok(RepoEntry::Folder(_))))
    };
    let entries = if args.last_commit {
        expanded(&repository, &snapshot, path, args.recursive)?
    } else {
        entries(&snapshot, path, args.recursive)?
    };
    let entries = entries.filter(wanted);
    if cli.json {
        let mut array = JsonArray::new(stdout());
        for item in entries {
            array.push(&item?)?;
        }
        return array.finish();
    }
    let mut out = stdout();
    for item in entries {
        line(&mut out, &Shown::of(&item?, args))?;
    }
    Ok(out.flush()?)
}

/// One line of a listing.
struct Shown<'a> {
    mode: &'a str,
    folder: bool,
    id: ObjectId,
    /// Size column, with the space before it.
    size: String,
    path: &'a str,
    /// Last commit, with the tab before it.
    last: String,
}

impl<'a> Shown<'a> {
    /// An entry with what was asked for besides what Git shows.
    fn of(item: &'a RepoEntry, args: &LsTreeArgs) -> Self {
        let size = match item.size() {
            _ if !args.long => String::new(),
            Some(size) => format!(" {size:>7}"),
            None => "       -".to_owned(),
        };
        let last = item.last_commit().map_or_else(String::new, |last| {
            format!("\t{} {} {}", last.oid.short(), last.date, output::printable(&last.title))
        });
        let folder = matches!(item, RepoEntry::Folder(_));
        Self { mode: item.mode(), folder, id: item.oid(), size, path: item.path(), last }
    }

    fn name(path: &'a str, entry: &TreeEntry) -> Self {
        let (mode, folder) = (entry.mode.six_digits(), entry.mode == Mode::Directory);
        Self { mode, folder, id: entry.id, size: String::new(), path, last: String::new() }
    }
}

/// An entry as `git ls-tree` shows it. Put together by hand: a formatter per field is most of a long listing.
fn line(out: &mut impl Write, shown: &Shown<'_>) -> Result<(), Failure> {
    let kind = if shown.folder { " tree " } else { " blob " };
    let (id, path) = (shown.id.to_string(), output::path(shown.path));
    for part in [shown.mode, kind, &id, &shown.size, "\t", &path, &shown.last, "\n"] {
        out.write_all(part.as_bytes())?;
    }
    Ok(())
}

/// The listing without sizes, which the trees alone answer.
fn names(snapshot: &Snapshot, path: &str, args: &LsTreeArgs) -> Result<(), Failure> {
    let top = snapshot.entry(path)?;
    let mut out = stdout();
    if top.mode != Mode::Directory {
        line(&mut out, &Shown::name(path.trim_matches('/'), &top))?;
        return Ok(out.flush()?);
    }
    for item in list_names(snapshot, path, args.recursive)? {
        let (path, entry) = item?;
        if entry.mode != Mode::Directory || !args.recursive || args.trees {
            line(&mut out, &Shown::name(&path, &entry))?;
        }
    }
    Ok(out.flush()?)
}

pub(super) type Entries = Box<dyn Iterator<Item = Result<RepoEntry, SnapshotError>>>;

/// What is in a folder, with last commits, which are known all at once.
fn expanded(
    repository: &Repository,
    snapshot: &Snapshot,
    path: &str,
    recursive: bool,
) -> Result<Entries, Failure> {
    let revision = snapshot.id().to_string();
    let found = if snapshot.entry(path)?.mode == Mode::Directory {
        repository.list_repo_tree_expanded(Some(path), recursive, Some(&revision))?
    } else {
        repository.get_paths_info_expanded([path.trim_matches('/')], Some(&revision))?
    };
    Ok(Box::new(found.into_iter().map(Ok)))
}

/// What is in a folder; a file's own path gives that file, as Git does.
pub(super) fn entries(snapshot: &Snapshot, path: &str, recursive: bool) -> Result<Entries, SnapshotError> {
    let top = snapshot.entry(path)?;
    if top.mode == Mode::Directory {
        return Ok(Box::new(list_repo_tree(snapshot, path, recursive)?));
    }
    Ok(Box::new(std::iter::once(describe(snapshot, path.trim_matches('/').to_owned(), &top))))
}
