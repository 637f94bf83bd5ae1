//! `hv log`

use clap::Args;
use serde::Serialize;

use super::open;
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::changes::{self, DiffFlags};
use crate::cli::commits::{Page, Shown};
use crate::cli::failure::Failure;
use crate::cli::output::{JsonArray, stdout};
use crate::cli::pager::Screen;
use crate::cli::paths::or_path;
use crate::cli::when;
use crate::ops::diff::models::CommitChangeInfo;
use crate::ops::diff::{Comparison, DiffOptions, FileChange};
use crate::ops::history::describe;
use crate::ops::log::{LogEntry, LogOptions, Pattern};
use crate::ops::models::GitCommitInfo;

/// Show history, newest first
///
/// With paths after `--`, only commits that change what is there: a merge that brought nothing new for them is passed
/// through to the side it took. Patterns are regular expressions as `grep -E` has them.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(in crate::cli) struct LogArgs {
    /// Where to start [default: the default branch]; `A..B` for what leads to B and not to A, `^A` for "not A"
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Only commits that change these files, or what is in these folders
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<String>,
    /// Start at every branch and tag
    #[arg(long)]
    all: bool,
    /// Show at most this many commits; `-N` is short for `-n N`
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
    /// Leave out this many commits first
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    skip: usize,
    /// One line per commit
    #[arg(long)]
    oneline: bool,
    /// Draw how lines of history part and meet; reads all of the history first
    #[arg(long)]
    graph: bool,
    /// Follow only the first parent of merges
    #[arg(long)]
    first_parent: bool,
    /// Leave out merges
    #[arg(long, conflicts_with = "merges")]
    no_merges: bool,
    /// Show only merges
    #[arg(long)]
    merges: bool,
    /// Only commits from this time on: a date, or for example `2 weeks ago`
    #[arg(long, alias = "after", value_name = "DATE")]
    since: Option<String>,
    /// Only commits up to this time
    #[arg(long, alias = "before", value_name = "DATE")]
    until: Option<String>,
    /// Only commits whose author, `Name <email>`, matches
    #[arg(long, value_name = "PATTERN")]
    author: Vec<String>,
    /// Only commits with a matching line in the message
    #[arg(long, value_name = "PATTERN")]
    grep: Vec<String>,
    /// Patterns match upper and lower case alike
    #[arg(short = 'i', long)]
    regexp_ignore_case: bool,
    /// Patterns are plain texts
    #[arg(short = 'F', long)]
    fixed_strings: bool,
    /// Show the oldest of them first
    #[arg(long, conflicts_with = "graph")]
    reverse: bool,
    #[command(flatten)]
    flags: DiffFlags,
}

/// A commit with what it changed, when that was asked for.
#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    commit: GitCommitInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<CommitChangeInfo>>,
}

impl LogArgs {
    fn options(&self, cli: &Cli) -> Result<LogOptions, Failure> {
        let now = jiff::ZonedDateTime::now();
        let moment = |text: &Option<String>| {
            let text = text.as_deref();
            let not_a_time =
                |text| Failure::usage(format!("`{text}` is neither a date nor a time like `2 weeks ago`"));
            text.map(|text| when::instant(text, &now).ok_or_else(|| not_a_time(text))).transpose()
        };
        let patterns = |texts: &[String]| -> Result<Vec<Pattern>, Failure> {
            let pattern = |text: &String| Pattern::new(text, self.regexp_ignore_case, self.fixed_strings);
            Ok(texts.iter().map(pattern).collect::<Result<_, _>>()?)
        };
        Ok(LogOptions {
            revisions: self.revisions.clone(),
            all: self.all,
            max_count: self.max_count,
            skip: self.skip,
            first_parent: self.first_parent,
            min_parents: if self.merges { 2 } else { 0 },
            max_parents: self.no_merges.then_some(1),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            authors: patterns(&self.author)?,
            messages: patterns(&self.grep)?,
            paths: changes::limits(&self.paths)?,
            topological: self.graph && !cli.json,
            reverse: self.reverse,
        })
    }

    /// What a commit changed. A merge is compared with its first parent only when no other is followed.
    fn changes(
        &self,
        repository: &Repository,
        entry: &LogEntry,
        options: &DiffOptions,
    ) -> Result<Option<(Comparison, Vec<FileChange>)>, Failure> {
        if self.flags.format().is_none() || (entry.parents.len() > 1 && !self.first_parent) {
            return Ok(None);
        }
        let parent = entry.parents.first().map(ToString::to_string);
        let comparison = repository.compare(parent.as_deref(), &entry.id.to_string(), options.clone())?;
        let changes = comparison.changes()?;
        Ok(Some((comparison, changes)))
    }
}

pub(super) fn run(cli: &Cli, args: &LogArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let log = repository.log(&args.options(cli)?);
    let log = log.map_err(|error| or_path(&repository, error.into(), &args.revisions))?;
    let options = args.flags.options(&args.paths)?;
    if cli.json {
        let mut array = JsonArray::new(stdout());
        for entry in log {
            let entry = entry?;
            let changes = args.changes(&repository, &entry, &options)?.map(|(comparison, changes)| {
                let info = |change| -> Result<_, Failure> {
                    Ok(CommitChangeInfo::new(&comparison.file(change)?, args.flags.context, u64::MAX))
                };
                changes.iter().map(info).collect::<Result<Vec<_>, _>>()
            });
            let commit = describe(entry.id, &entry.commit);
            array.push(&Item { commit, changes: changes.transpose()? })?;
        }
        return array.finish();
    }
    let mut screen = Screen::paged(cli);
    let page = Page::new(&mut screen, &args.flags, args.flags.format());
    let mut page = page.oneline(args.oneline).graph(args.graph);
    for entry in log {
        let entry = entry?;
        let changes = args.changes(&repository, &entry, &options)?;
        let shown = changes.as_ref().map(|(comparison, changes)| Shown {
            comparison,
            changes: &changes[..],
            note: None,
        });
        page.commit(entry.id, &entry.commit, &entry.parents, entry.drawn_parents, shown.as_ref())?;
    }
    Ok(screen.finish()?)
}
