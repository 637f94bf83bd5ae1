//! `hv branch`

use std::io::Write as _;

use clap::Args;
use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use super::reflog::short;
use super::tag::{chosen, warn_of_two};
use super::{hint, open, say};
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::pager::Screen;
use crate::cli::style::Paint;
use crate::cli::{identity, output};
use crate::ops::Actor;
use crate::ops::models::RefMove;

/// List, make, move, rename or delete branches
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub(in crate::cli) struct BranchArgs {
    /// Name of the branch to make, or to do something with; with --list, a pattern (`*` also matches `/`)
    name: Option<String>,
    /// Where it starts [default: the default branch]; with -m, its new name
    #[arg(value_name = "REV")]
    start: Option<String>,
    /// Show each branch's commit
    #[arg(short, long)]
    verbose: bool,
    /// List branches (what happens without a name anyway), all or those that match
    #[arg(short, long, conflicts_with_all = ["start", "action"])]
    list: bool,
    /// List only branches that have this commit in their history
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD", conflicts_with_all = ["start", "action"])]
    contains: Option<String>,
    /// Print the name of the default branch
    #[arg(long, conflicts_with = "name")]
    show_current: bool,
    /// Delete the branch, if the default branch has all its commits
    #[arg(short, long, requires = "name", conflicts_with = "start", group = "action")]
    delete: bool,
    /// Delete the branch, whoever has its commits
    #[arg(short = 'D', requires = "name", conflicts_with = "start", group = "action")]
    delete_anyway: bool,
    /// Rename the branch; with one name, rename the default branch
    #[arg(short = 'm', long = "move", requires = "name", group = "action")]
    rename: bool,
    /// Make the branch, or move it if it is there
    #[arg(short, long, requires = "name", group = "action")]
    force: bool,
    /// Make it the default branch: what `HEAD` is
    #[arg(long, requires = "name", conflicts_with = "start", group = "action")]
    default: bool,
}

pub(super) fn run(cli: &Cli, args: &BranchArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let is_listing = args.list || args.contains.is_some();
    let Some(name) = args.name.as_ref().filter(|_| !is_listing) else {
        return list(cli, args, &repository);
    };
    let actor = identity::actor()?;
    let start = args.start.as_deref();
    if args.delete || args.delete_anyway {
        let gone = repository.delete_branch(name, args.delete_anyway, &actor)?;
        return deleted(cli, &gone, &format!("Deleted branch {name} (was {}).", short(gone.old)));
    }
    if args.rename {
        return rename(cli, &repository, name, start, &actor);
    }
    if args.default {
        let transaction = repository.set_default_branch(name, &actor)?;
        if cli.json {
            return output::json(&json!({ "name": name, "transaction": transaction }));
        }
        say(&format!("The default branch is now {name}"))?;
        return hint(transaction);
    }
    if args.force {
        let moved = repository.force_branch(name, start, &actor)?;
        warn_of_two(cli, &repository, name)?;
        if cli.json {
            return output::json(&moved);
        }
        return hint(moved.transaction.filter(|_| moved.old.is_some()));
    }
    repository.create_branch(name, start, false, &actor)?;
    warn_of_two(cli, &repository, name)?;
    let made = repository.list_branches()?.into_iter().find(|branch| branch.name == *name);
    if cli.json { output::json(&made) } else { Ok(()) }
}

/// Says what was deleted.
pub(super) fn deleted(cli: &Cli, gone: &RefMove, line: &str) -> Result<(), Failure> {
    if cli.json {
        return output::json(gone);
    }
    say(line)?;
    hint(gone.transaction)
}

/// `-m OLD NEW`, or `-m NEW` for the default branch.
fn rename(
    cli: &Cli,
    repository: &Repository,
    first: &str,
    second: Option<&str>,
    actor: &Actor,
) -> Result<(), Failure> {
    let default = repository.default_branch()?;
    let (old, new) = second.map_or((default.as_str(), first), |new| (first, new));
    let moved = repository.rename_branch(old, new, actor)?;
    warn_of_two(cli, repository, new)?;
    if cli.json {
        return output::json(&moved);
    }
    hint(moved.transaction)
}

fn list(cli: &Cli, args: &BranchArgs, repository: &Repository) -> Result<(), Failure> {
    let default = repository.default_branch()?;
    if args.show_current {
        return if cli.json { output::json(&json!({ "name": default })) } else { say(&default) };
    }
    let (pattern, contains) = (args.name.as_deref(), args.contains.as_deref());
    let branches = chosen(repository, repository.list_branches()?, pattern, contains)?;
    if cli.json {
        return output::json(&branches);
    }
    let width = branches.iter().map(|branch| branch.name.width()).max().unwrap_or(0);
    let mut screen = Screen::paged(cli);
    for branch in branches {
        let is_default = branch.name == default;
        let gap = " ".repeat(if args.verbose { width - branch.name.width() } else { 0 });
        let name = output::printable(&branch.name);
        let name = if is_default { screen.style.paint(Paint::New, &name).into_owned() } else { name };
        let mark = if is_default { '*' } else { ' ' };
        if args.verbose {
            let snapshot = repository.snapshot(Some(&branch.git_ref))?;
            let title = output::printable(&snapshot.commit().title());
            writeln!(screen, "{mark} {name}{gap} {} {title}", branch.target_commit.short())?;
        } else {
            writeln!(screen, "{mark} {name}")?;
        }
    }
    Ok(screen.finish()?)
}
