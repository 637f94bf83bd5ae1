//! `hv squash`

use clap::Args;

use super::gc::{PruneArgs, show as show_gc};
use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::progress::watched;
use crate::cli::{identity, output};
use crate::ops::OpsError;
use crate::ops::squash::{SquashOptions, SquashReport};

/// Let a branch's history begin anew
///
/// The commits from the root on are made again without what came before, with the same files, authors, messages
/// and times. The old ones can be undone to for 14 days; `--prune=now` frees them at once, unless another branch,
/// a tag or a reader needs them.
#[derive(Debug, Args)]
pub(in crate::cli) struct SquashArgs {
    /// The branch [default: the default branch]
    branch: Option<String>,
    /// First commit to keep [default: only the newest]
    #[arg(long, value_name = "REV")]
    root: Option<String>,
    /// Title of the new first commit [default: its own]
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// The rest of its message
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Free nothing now
    #[arg(long, conflicts_with_all = ["prune", "prune_cache"])]
    no_gc: bool,
    #[command(flatten)]
    prune: PruneArgs,
}

pub(super) fn run(cli: &Cli, args: &SquashArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let branch = match &args.branch {
        Some(branch) => branch.clone(),
        None => repository.default_branch()?,
    };
    let options = SquashOptions {
        root_revision: args.root.clone(),
        commit_message: args.message.clone(),
        commit_description: args.description.clone(),
        gc: if args.no_gc { None } else { Some(args.prune.options(cli, false)?) },
    };
    let actor = identity::actor()?;
    let done = watched(cli.json, &repository, |progress| {
        repository.squash_history(&branch, &options, &actor, progress)
    });
    let squashed = match &done {
        Ok(report) => Some(report),
        Err(OpsError::OnlySquashed { report, .. }) => Some(&**report),
        Err(_) => None,
    };
    if let Some(report) = squashed {
        if cli.json { output::json(report)? } else { show(report)? }
    }
    Ok(done.map(drop)?)
}

fn show(report: &SquashReport) -> Result<(), Failure> {
    let name = output::ref_name(&report.ref_name);
    if report.transaction.is_none() {
        say(&format!("nothing to squash: the history of {name} is like this already"))?;
    } else {
        say(&format!(
            "{name} was {} and is {}: {} made again, {} dropped",
            report.old_head.short(),
            report.new_head.short(),
            output::count(report.rewritten_commit_count, "commit"),
            report.dropped_ancestor_count
        ))?;
    }
    if !report.blocking_refs.is_empty() {
        say(&format!("old history stays for {}", report.blocking_refs.join(", ")))?;
    }
    report.gc_report.as_ref().map_or(Ok(()), show_gc)
}
