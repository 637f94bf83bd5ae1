//! `hv cherry-pick` and `hv revert`

use clap::Args;

use super::settle::{SettleArgs, show_conflicts, warn_of_limit};
use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output};
use crate::ops::replay::{ReplayOptions, ReplayResult, ReplayStatus};

/// Do on a branch what a commit elsewhere did
///
/// Author, author date and message stay those of the commit.
#[derive(Debug, Args)]
pub(in crate::cli) struct CherryPickArgs {
    /// Add a line to the message that says which commit it was
    #[arg(short = 'x')]
    record_origin: bool,
    #[command(flatten)]
    replay: ReplayArgs,
}

/// Undo on a branch what a commit did
///
/// The commit stays in the history; a new one takes its change back.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevertArgs {
    #[command(flatten)]
    replay: ReplayArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// The commit
    revision: String,
    /// Branch to change [default: the default branch]
    #[arg(short, long, value_name = "BRANCH", visible_short_alias = 'r')]
    target: Option<String>,
    /// For a merge commit: the parent its change is seen from, counted from 1
    #[arg(short, long, value_name = "PARENT")]
    mainline: Option<usize>,
    /// The message, instead of Git's
    #[arg(long, value_name = "MSG")]
    message: Option<String>,
    /// Commit only if the branch is at this commit; a conflict otherwise
    #[arg(long, value_name = "REV")]
    parent: Option<String>,
    /// Commit even when nothing changes
    #[arg(long)]
    allow_empty: bool,
    #[command(flatten)]
    settle: SettleArgs,
}

pub(super) fn cherry_pick(cli: &Cli, args: &CherryPickArgs) -> Result<(), Failure> {
    let options = ReplayOptions { record_origin: args.record_origin, ..args.replay.options()? };
    let result = open(cli)?.cherry_pick(&args.replay.revision, &options, &identity::actor()?)?;
    let mut words = vec!["cherry-pick"];
    words.extend(args.record_origin.then_some("-x"));
    show(cli, &args.replay, &result, &words)
}

pub(super) fn revert(cli: &Cli, args: &RevertArgs) -> Result<(), Failure> {
    let options = args.replay.options()?;
    let result = open(cli)?.revert(&args.replay.revision, &options, &identity::actor()?)?;
    show(cli, &args.replay, &result, &["revert"])
}

impl ReplayArgs {
    fn options(&self) -> Result<ReplayOptions, Failure> {
        Ok(ReplayOptions {
            landing: self.settle.landing(
                self.target.as_deref(),
                self.parent.as_deref(),
                self.message.clone(),
            )?,
            mainline: self.mainline,
            record_origin: false,
            allow_empty: self.allow_empty,
        })
    }
}

fn show(cli: &Cli, args: &ReplayArgs, result: &ReplayResult, words: &[&str]) -> Result<(), Failure> {
    let failed = result.status == ReplayStatus::Conflict;
    if cli.json {
        output::json(result)?;
        return if failed { Err(Failure::reported("conflict")) } else { Ok(()) };
    }
    warn_of_limit(result.renames_limited)?;
    if failed {
        let mainline = args.mainline.map(|number| number.to_string());
        let mut words = [words, &[&args.revision]].concat();
        for (option, value) in [
            ("--target", args.target.as_deref()),
            ("-m", mainline.as_deref()),
            ("--message", args.message.as_deref()),
            ("--parent", args.parent.as_deref()),
        ] {
            words.extend(value.into_iter().flat_map(|value| [option, value]));
        }
        words.extend(args.allow_empty.then_some("--allow-empty"));
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        return Err(show_conflicts(cli, &result.conflicts, &words, &args.settle)?);
    }
    let title = result.commit.as_ref().map(|commit| &*commit.title).unwrap_or_default();
    match result.status {
        ReplayStatus::Committed if result.dry_run => {
            say(&format!("{title}: would be committed without conflicts (dry run: nothing was written)"))
        }
        ReplayStatus::Committed => {
            say(&format!("[{} {}] {title}", result.target_revision, result.head_after.short()))
        }
        _ => say(&format!("nothing to change: {} already is as it would be", result.target_revision)),
    }
}
