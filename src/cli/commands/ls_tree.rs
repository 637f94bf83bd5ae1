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
use crate::ops::tree::{describe, list_infos, list_names, list_repo_tree};
use crate::snapshot::resolve::split_path;
use crate::snapshot::{Mode, Snapshot, SnapshotError, TreeEntry};

/// List what a folder of a revision holds
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub(in crate::cli) struct LsTreeArgs {
    /// Revision to list [default: the default branch]; of `REV:DIR` names are shown as seen from there
    #[arg(value_name = "REV[:DIR]")]
    revision: Option<String>,
    /// Folder or file to list [default: all there is]
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
    let (revision, below) = args.revision.as_deref().map_or((None, None), |text| {
        let (revision, below) = split_path(text);
        (Some(revision).filter(|revision| !revision.is_empty()), below)
    });
    let snapshot = repository.snapshot(revision)?;
    let below = below.unwrap_or_default().trim_matches('/');
    snapshot.folder(below)?;
    let path = match args.path.as_deref().unwrap_or_default() {
        path if below.is_empty() => path.to_owned(),
        path => format!("{below}/{path}"),
    };
    if !cli.json && !args.last_commit && snapshot.entry(&path)?.mode == Mode::Directory {
        return folder(&snapshot, below, &path, args);
    }
    let wanted = |item: &Result<RepoEntry, SnapshotError>| {
        let left_out = args.recursive && !args.trees;
        !(left_out && matches!(item, Ok(RepoEntry::Folder(_))))
    };
    let entries = if args.last_commit {
        expanded(&repository, &snapshot, &path, args.recursive)?
    } else {
        entries(&snapshot, &path, args.recursive)?
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
        let item = item?;
        let shown = Shown::of(&item, args);
        line(&mut out, &Shown { path: seen_from(below, shown.path), ..shown })?;
    }
    Ok(out.flush()?)
}

/// The size column.
enum Size {
    NotAsked,
    Folder,
    Bytes(u64),
}

impl Size {
    fn of(size: Option<u64>) -> Self {
        size.map_or(Self::Folder, Self::Bytes)
    }
}

/// One line of a listing.
struct Shown<'a> {
    mode: &'a str,
    folder: bool,
    id: ObjectId,
    size: Size,
    path: &'a str,
    /// Last commit, with the tab before it.
    last: String,
}

impl<'a> Shown<'a> {
    /// An entry with what was asked for besides what Git shows.
    fn of(item: &'a RepoEntry, args: &LsTreeArgs) -> Self {
        let size = if args.long { Size::of(item.size()) } else { Size::NotAsked };
        let last = item.last_commit().map_or_else(String::new, |last| {
            format!("\t{} {} {}", last.oid.short(), last.date, output::printable(&last.title))
        });
        let folder = matches!(item, RepoEntry::Folder(_));
        Self { mode: item.mode(), folder, id: item.oid(), size, path: item.path(), last }
    }

    /// An entry of a tree.
    fn name(path: &'a str, entry: &TreeEntry, size: Size) -> Self {
        let (mode, folder) = (entry.mode.six_digits(), entry.mode == Mode::Directory);
        Self { mode, folder, id: entry.id, size, path, last: String::new() }
    }
}

/// A path as seen from a folder it is in.
fn seen_from<'a>(folder: &str, path: &'a str) -> &'a str {
    let rest = if folder.is_empty() { None } else { path.strip_prefix(folder) };
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}

/// An entry as `git ls-tree` shows it. Put together by hand: a formatter per field is most of a long listing.
fn line(out: &mut impl Write, shown: &Shown<'_>) -> Result<(), Failure> {
    let kind: &[u8] = if shown.folder { b" tree " } else { b" blob " };
    let (id, path) = (shown.id.hex(), output::path(shown.path));
    let mut digits = [b' '; 21];
    let size = match shown.size {
        Size::NotAsked => &[],
        Size::Folder => b"       -".as_slice(),
        Size::Bytes(size) => right_aligned(size, &mut digits),
    };
    for part in [shown.mode.as_bytes(), kind, &id, size, b"\t", path.as_bytes(), shown.last.as_bytes(), b"\n"]
    {
        out.write_all(part)?;
    }
    Ok(())
}

/// A space and the number, in seven columns or as many as it takes.
fn right_aligned(mut number: u64, columns: &mut [u8; 21]) -> &[u8] {
    let mut first = columns.len();
    while number > 0 || first == columns.len() {
        first -= 1;
        columns[first] = b"0123456789"[usize::try_from(number % 10).unwrap_or_default()];
        number /= 10;
    }
    &columns[first.min(columns.len() - 7) - 1..]
}

/// The listing of a folder as the trees have it: without sizes they alone answer.
fn folder(snapshot: &Snapshot, below: &str, path: &str, args: &LsTreeArgs) -> Result<(), Failure> {
    let mut out = stdout();
    let is_shown = |entry: &TreeEntry| entry.mode != Mode::Directory || !args.recursive || args.trees;
    if args.long {
        for item in list_infos(snapshot, path, args.recursive)? {
            let (path, entry, info) = item?;
            if is_shown(&entry) {
                line(
                    &mut out,
                    &Shown::name(seen_from(below, &path), &entry, Size::of(info.map(|info| info.size))),
                )?;
            }
        }
    } else {
        for item in list_names(snapshot, path, args.recursive)? {
            let (path, entry) = item?;
            if is_shown(&entry) {
                line(&mut out, &Shown::name(seen_from(below, &path), &entry, Size::NotAsked))?;
            }
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

#[cfg(test)]
mod tests {
    use super::right_aligned;

    #[test]
    fn sizes_have_seven_columns_or_as_many_as_they_take() {
        for number in [0, 7, 999_999, 1_000_000, 12_345_678, u64::MAX] {
            let columns = right_aligned(number, &mut [b' '; 21]).to_vec();
            assert_eq!(String::from_utf8(columns).unwrap(), format!(" {number:>7}"));
        }
    }
}
