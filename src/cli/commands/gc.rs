//! `hv gc`

use clap::Args;
use jiff::{Timestamp as Instant, ZonedDateTime};

use super::{open, say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::progress::watched;
use crate::cli::{identity, output, parse};
use crate::ops::gc::{GcOptions, GcReport};

/// Files and commits listed on a screen; `--json` has them all.
const LISTED: usize = 20;

/// Free what nothing needs any more
///
/// What no branch, tag or reader reaches goes, except what branches and tags pointed at in the last 14 days. Other
/// commands can read meanwhile; commits wait.
#[derive(Debug, Args)]
pub(in crate::cli) struct GcArgs {
    /// Only say what would go
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    prune: PruneArgs,
}

/// How much is to go; shared with `hv squash`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PruneArgs {
    /// Keep what branches and tags pointed at since then: `2weeks`, a date, or `now` to keep nothing and also
    /// rewrite whatever has anything dead in it [default: 2weeks]
    #[arg(long, value_name = "TIME")]
    prune: Option<String>,
    /// Empty the vault's cache as well
    #[arg(long)]
    prune_cache: bool,
}

impl PruneArgs {
    /// What they say; everything is listed for a report in JSON.
    pub(super) fn options(&self, cli: &Cli, dry_run: bool) -> Result<GcOptions, Failure> {
        let mut options = GcOptions::usual(&identity::reader()?);
        if let Some(text) = &self.prune {
            let since = parse::prune(text, &ZonedDateTime::now()).map_err(Failure::usage)?;
            options.keep_since = since;
            options.thorough = since.is_none();
        }
        let list_limit = if cli.json { usize::MAX } else { LISTED };
        Ok(GcOptions { dry_run, prune_cache: self.prune_cache, list_limit, ..options })
    }
}

pub(super) fn run(cli: &Cli, args: &GcArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let options = args.prune.options(cli, args.dry_run)?;
    let actor = identity::actor()?;
    let report = watched(cli.json, &repository, |progress| repository.gc(&options, &actor, progress))?;
    if cli.json { output::json(&report) } else { show(&report) }
}

/// Shows what went, or would go.
pub(super) fn show(report: &GcReport) -> Result<(), Failure> {
    let verb = if report.dry_run { "would free" } else { "freed" };
    for commit in &report.commits {
        say(&format!("  commit {} {}", commit.oid.short(), commit.title))?;
    }
    rest(report.commit_count, report.commits.len(), "commits")?;
    for file in &report.files {
        let path = output::path(&file.path);
        say(&format!("  {:>10}  {path}@{}", output::bytes(file.size), file.commit.short()))?;
    }
    rest(report.file_count, report.files.len(), "files")?;
    say(&format!(
        "{verb} {} ({} of content, {} of indexes, {} of cache, {} of leftovers) in {}",
        size(report.reclaimed_size),
        size(report.reclaimed_chunk_size),
        size(report.reclaimed_object_size),
        size(report.reclaimed_cache_size),
        size(report.reclaimed_temporary_size),
        output::count(report.removed_file_count, "file"),
    ))?;
    for holder in report.held.iter().filter(|holder| holder.size > 0) {
        let until = holder.until.and_then(|until| Instant::from_second(until).ok());
        let until = match (until, holder.pid) {
            (Some(until), _) => {
                format!("until {} (`--prune=now` frees it)", until.strftime("%Y-%m-%d %H:%M"))
            }
            (None, Some(pid)) => format!("while process {pid} reads it"),
            (None, None) => "until then".to_owned(),
        };
        say(&format!("  {} stays for {} {until}", output::bytes(holder.size), holder.by))?;
    }
    if report.tolerated_size > 0 {
        let bytes = output::bytes(report.tolerated_size);
        say(&format!("  {bytes} of dead bytes stay among live ones (`--prune=now` frees them)"))?;
    }
    report.notes.iter().try_for_each(|note| tell(&format!("note: {note}")))
}

fn rest(count: u64, shown: usize, what: &str) -> Result<(), Failure> {
    let left = count.saturating_sub(shown as u64);
    if left > 0 { say(&format!("  and {left} more {what}")) } else { Ok(()) }
}

/// Bytes for people, also when there are more than before.
fn size(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", output::bytes(bytes.unsigned_abs()))
}
