//! `hv merge`

use clap::Args;

use super::settle::{SettleArgs, show_conflicts, warn_of_limit};
use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity::AuthorFlag;
use crate::cli::message::Message;
use crate::cli::{identity, output};
use crate::ops::merge::{FastForward, MergeOptions, MergeResult, MergeStatus};

/// Bring the history of another revision into a branch
///
/// Files are merged whole: who changed a file wins over who did not, and renames are followed. Where both sides changed
/// a file, nothing is committed and the command says how to finish: run it again with --ours, --theirs, --resolve or
/// --delete for each path.
#[derive(Debug, Args)]
pub(in crate::cli) struct MergeArgs {
    /// What to merge
    #[arg(value_name = "REV")]
    source: String,
    /// Branch to merge into [default: the default branch]
    #[arg(short, long, value_name = "BRANCH", visible_short_alias = 'r', visible_alias = "revision")]
    target: Option<String>,
    #[command(flatten)]
    message: Message,
    /// Merge only if the branch is at this commit; a conflict otherwise
    #[arg(long, value_name = "REV")]
    parent: Option<String>,
    /// Refuse to make a merge commit: only move the branch along
    #[arg(long, conflicts_with = "no_ff")]
    ff_only: bool,
    /// Make a merge commit even where moving the branch along would do
    #[arg(long)]
    no_ff: bool,
    /// Merge histories that have no commit in common
    #[arg(long)]
    allow_unrelated_histories: bool,
    #[command(flatten)]
    settle: SettleArgs,
}

pub(super) fn run(cli: &Cli, args: &MergeArgs) -> Result<(), Failure> {
    let options = MergeOptions {
        landing: args.settle.landing(args.target.as_deref(), args.parent.as_deref(), args.message.text()?)?,
        commit_description: args.message.description.clone(),
        author: Some(identity::author(None, None)?),
        fast_forward: match (args.ff_only, args.no_ff) {
            (true, _) => FastForward::Only,
            (_, true) => FastForward::Never,
            _ => FastForward::Auto,
        },
        allow_unrelated: args.allow_unrelated_histories,
    };
    let repository = open(cli)?;
    let result = repository.merge(&args.source, &options, &identity::actor()?)?;
    if cli.json {
        output::json(&result)?;
        if result.status == MergeStatus::Conflict {
            return Err(Failure::reported("conflict"));
        }
    } else {
        warn_of_limit(result.renames_limited)?;
        show(cli, args, &result)?;
    }
    let is_made = result.status == MergeStatus::Merged && !result.dry_run;
    if is_made { identity::warn_of_nobody(cli.json, AuthorFlag::Absent) } else { Ok(()) }
}

fn show(cli: &Cli, args: &MergeArgs, result: &MergeResult) -> Result<(), Failure> {
    match result.status {
        MergeStatus::AlreadyUpToDate => say("Already up to date."),
        MergeStatus::FastForward => {
            let (from, to) = (result.target_head_before.short(), result.head_after.short());
            say(&format!("Updating {from}..{to}"))?;
            say(if result.dry_run { "Fast-forward (dry run: nothing was written)" } else { "Fast-forward" })
        }
        MergeStatus::Merged if result.dry_run => {
            say("A merge commit would be made without conflicts (dry run: nothing was written).")
        }
        MergeStatus::Merged => {
            say("Merge made by the 'ort' strategy.")?;
            say(&format!("Created commit {}.", result.head_after.short()))
        }
        MergeStatus::Conflict => {
            let mut words = vec!["merge".to_owned(), args.source.clone()];
            for (option, value) in [("--target", &args.target), ("--parent", &args.parent)] {
                words.extend(value.iter().flat_map(|value| [option.to_owned(), value.clone()]));
            }
            words.extend(args.message.words());
            for (given, word) in
                [(args.no_ff, "--no-ff"), (args.allow_unrelated_histories, "--allow-unrelated-histories")]
            {
                words.extend(given.then(|| word.to_owned()));
            }
            Err(show_conflicts(cli, &result.conflicts, &words, &args.settle)?)
        }
    }
}
