//! `hv branch`

use clap::Args;
use serde_json::json;

use super::{open, say};
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output};

/// List branches, or make one
#[derive(Debug, Args)]
pub(in crate::cli) struct BranchArgs {
    /// Name of the branch to make
    name: Option<String>,
    /// Where it starts [default: the default branch]
    start: Option<String>,
    /// Show each branch's commit
    #[arg(short, long)]
    verbose: bool,
    /// Print the name of the default branch
    #[arg(long, conflicts_with = "name")]
    show_current: bool,
}

pub(super) fn run(cli: &Cli, args: &BranchArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let Some(name) = &args.name else { return list(cli, args, &repository) };
    repository.create_branch(name, args.start.as_deref(), false, &identity::actor()?)?;
    let made = repository.list_branches()?.into_iter().find(|branch| branch.name == *name);
    if cli.json { output::json(&made) } else { Ok(()) }
}

fn list(cli: &Cli, args: &BranchArgs, repository: &Repository) -> Result<(), Failure> {
    let default = repository.default_branch()?;
    if args.show_current {
        return if cli.json { output::json(&json!({ "name": default })) } else { say(&default) };
    }
    let branches = repository.list_branches()?;
    if cli.json {
        return output::json(&branches);
    }
    let width = branches.iter().map(|branch| branch.name.len()).max().unwrap_or(0);
    for branch in branches {
        let mark = if branch.name == default { '*' } else { ' ' };
        if args.verbose {
            let snapshot = repository.snapshot(Some(&branch.git_ref))?;
            let title = snapshot.commit().title();
            say(&format!("{mark} {:width$} {} {title}", branch.name, branch.target_commit.short()))?;
        } else {
            say(&format!("{mark} {}", branch.name))?;
        }
    }
    Ok(())
}
