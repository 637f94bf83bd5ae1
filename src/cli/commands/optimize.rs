//! `hv optimize`

use clap::Args;

use super::{open_to_write, say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::progress::watched;
use crate::cli::{identity, output, parse};
use crate::ops::Compression;
use crate::ops::optimize::{OptimizeOptions, OptimizeReport, OptimizedFile};
use crate::ops::patterns::PathFilter;

/// Files listed on a screen; `--json` has them all.
const LISTED: usize = 20;

/// Store files that are in the vault in less space, or as they are again
///
/// No id changes and nothing is lost: the content is stored again, and what that replaces is freed, unless a mount
/// still reads it (then `hv gc` frees it later). `max` makes weights smaller; they are then no longer read by the kernel
/// itself, and more slowly. `none` makes large files plain files of the vault again, which kernels read at full speed.
/// Others can read and commit meanwhile. A second run finds nothing to do. Files that cannot be read whole are left as
/// they are and named, and the exit code is 5.
#[derive(Debug, Args)]
pub(in crate::cli) struct OptimizeArgs {
    /// Revisions whose files are stored again [default: everything branches and tags lead to]
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// How to store them: max, auto (what shrinks well) or none
    #[arg(long, value_name = "HOW", default_value = "max", value_parser = parse::compression)]
    compression: Compression,
    /// Leave what the newest commit of a branch uses as it is
    #[arg(long)]
    keep_latest: bool,
    /// Only files that match (`*` also matches `/`, `DIR/` is all below DIR)
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// No files that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Only say what would be done, going by samples
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(cli: &Cli, args: &OptimizeArgs) -> Result<(), Failure> {
    let repository = open_to_write(cli)?;
    let options = OptimizeOptions {
        revisions: args.revisions.clone(),
        filter: PathFilter::new(&args.include, &args.exclude),
        keep_latest: args.keep_latest,
        compression: args.compression,
        dry_run: args.dry_run,
        list_limit: if cli.json { usize::MAX } else { LISTED },
        batch: None,
    };
    let actor = identity::actor()?;
    let report = watched(cli.json, &repository, |progress| repository.optimize(&options, &actor, progress))?;
    if cli.json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    if report.findings.is_empty() { Ok(()) } else { Err(Failure::reported("damaged")) }
}

fn show(report: &OptimizeReport) -> Result<(), Failure> {
    report.files.iter().try_for_each(file)?;
    let left = report.file_count.saturating_sub(report.files.len() as u64);
    if left > 0 {
        say(&format!("  and {left} more files"))?;
    }
    if report.optimized_pack_count == 0 && !report.findings.is_empty() {
        say("nothing was stored again")?;
    } else if report.optimized_pack_count == 0 {
        say(&format!(
            "nothing to do: packs are stored as well as they can be ({} looked at)",
            report.pack_count
        ))?;
    } else {
        let (before, after) = (output::bytes(report.before_size), output::bytes(report.after_size));
        let (would, about) = if report.dry_run { ("would take", "about ") } else { ("now take", "") };
        say(&format!(
            "packs that are worth it ({} of {}) {would} {about}{after} instead of {before} ({})",
            report.optimized_pack_count,
            report.pack_count,
            share(report)
        ))?;
    }
    if report.reclaimed_size != 0 {
        let verb = if report.reclaimed_size < 0 { "grew" } else { "shrank" };
        say(&format!("the vault {verb} by {}", output::bytes(report.reclaimed_size.unsigned_abs())))?;
    }
    for finding in &report.findings {
        say(&format!("damaged: {}", finding.problem))?;
        for affected in &finding.affects {
            say(&format!("  left out {affected}"))?;
        }
        if finding.more > 0 {
            say(&format!("  and {} more", finding.more))?;
        }
    }
    report.notes.iter().try_for_each(|note| tell(&format!("note: {note}")))
}

/// How much less or more it is.
fn share(report: &OptimizeReport) -> String {
    let tenths = |bytes: u64| u128::from(bytes) * 1000 / u128::from(report.before_size.max(1));
    let (per_mille, word) = match report.before_size.checked_sub(report.after_size) {
        Some(saved) => (tenths(saved), "less"),
        None => (tenths(report.after_size - report.before_size), "more"),
    };
    format!("{}.{} % {word}", per_mille / 10, per_mille % 10)
}

fn file(file: &OptimizedFile) -> Result<(), Failure> {
    let path = output::path(&file.path);
    let before = output::bytes(file.before_size);
    match file.after_size {
        Some(after) => say(&format!("  {before:>10} -> {:>10}  {path}", output::bytes(after))),
        None => say(&format!("  {before:>10}  {path}")),
    }
}
