//! `hv ls-tree`

use std::io::Write;

use clap::Args;

use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{self, JsonArray, stdout};
use crate::ops::models::TreeItem;
use crate::ops::tree::list_repo_tree;

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
    let each = |show: &mut dyn FnMut(&TreeItem) -> Result<(), Failure>| {
        list_repo_tree(&snapshot, path, args.recursive, &mut |item| {
            let left_out = args.recursive && !args.trees && item.kind == "directory";
            if left_out { Ok(()) } else { show(&item) }
        })
    };
    if cli.json {
        let mut array = JsonArray::new(stdout());
        each(&mut |item| array.push(item))?;
        return array.finish();
    }
    let mut out = stdout();
    each(&mut |item| line(&mut out, item, args.long))?;
    Ok(out.flush()?)
}

/// An entry as `git ls-tree` shows it.
fn line(out: &mut impl Write, item: &TreeItem, long: bool) -> Result<(), Failure> {
    let kind = if item.kind == "directory" { "tree" } else { "blob" };
    let path = output::path(&item.path);
    if long {
        let size = if item.kind == "directory" { "-".to_owned() } else { item.size.to_string() };
        writeln!(out, "{} {kind} {} {size:>7}\t{path}", item.mode, item.oid)?;
    } else {
        writeln!(out, "{} {kind} {}\t{path}", item.mode, item.oid)?;
    }
    Ok(())
}
