//! `hv du`

use clap::Args;
use serde_json::json;

use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output};
use crate::ops::overview::StorageOverview;
use crate::ops::usage::{PathUsage, RevisionUsage};

/// Show where the space goes
///
/// Without arguments: the vault's folder, and what could be freed. With a revision: what it takes up and how much
/// of that for itself alone, and the same for each path in it.
#[derive(Debug, Args)]
pub(in crate::cli) struct DuArgs {
    /// Revision to look at
    #[arg(conflicts_with = "revision_option")]
    revision: Option<String>,
    /// Revision to look at
    #[arg(short = 'r', long = "revision", value_name = "REV", id = "revision_option")]
    revision_option: Option<String>,
    /// Folder of the revision whose entries are listed [default: the root]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Every branch and tag
    #[arg(long, conflicts_with_all = ["revision", "revision_option", "path"])]
    all: bool,
}

pub(super) fn run(cli: &Cli, args: &DuArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    if args.all {
        let found = repository.ref_usage()?;
        return if cli.json { output::json(&found) } else { revisions(&found) };
    }
    let revision = args.revision.as_deref().or(args.revision_option.as_deref());
    if revision.is_some() || args.path.is_some() {
        let whole = repository.revision_usage(revision)?;
        let paths = repository.path_usage(revision, args.path.as_deref().unwrap_or_default())?;
        if cli.json {
            return output::json(&json!({ "revision": whole, "paths": paths }));
        }
        revisions(&[whole])?;
        return self::paths(&paths);
    }
    let overview = repository.get_storage_overview(&identity::reader()?)?;
    if cli.json { output::json(&overview) } else { show(&overview) }
}

fn row(cells: [&str; 4], name: &str) -> Result<(), Failure> {
    let [a, b, c, d] = cells;
    say(format!("{a:>11} {b:>11} {c:>11} {d:>11}  {name}").trim_end())
}

fn revisions(found: &[RevisionUsage]) -> Result<(), Failure> {
    row(["logical", "stored", "unique", "shared"], "revision")?;
    found.iter().try_for_each(|usage| {
        let sizes = [usage.logical_size, usage.stored_size, usage.unique_size, usage.shared_size];
        let sizes = sizes.map(output::bytes);
        let name = format!(
            "{} ({}, {})",
            usage.revision,
            usage.commit.short(),
            output::count(usage.file_count, "file")
        );
        row(sizes.each_ref().map(String::as_str), &name)
    })
}

fn paths(found: &[PathUsage]) -> Result<(), Failure> {
    row(["logical", "stored", "files", ""], "path")?;
    found.iter().try_for_each(|usage| {
        let (logical, stored) = (output::bytes(usage.logical_size), output::bytes(usage.stored_size));
        let end = if usage.kind == "directory" { "/" } else { "" };
        let name = format!("{}{end}", output::path(&usage.path));
        row([&logical, &stored, &usage.file_count.to_string(), ""], &name)
    })
}

fn show(overview: &StorageOverview) -> Result<(), Failure> {
    row(["size", "files", "can go", ""], "part")?;
    for section in overview.sections.iter().filter(|section| section.file_count > 0) {
        let (size, free) = (output::bytes(section.total_size), output::bytes(section.reclaimable_size));
        row([&size, &section.file_count.to_string(), &free, ""], section.name)?;
    }
    row([&output::bytes(overview.total_size), "", "", ""], "all together")?;
    let lines = [
        (overview.reachable_size, "for what branches and tags show now"),
        (overview.historical_retained_size, "for their past"),
        (overview.held_size, "for undoing and readers"),
        (overview.reclaimable_gc_size, "that `hv gc` frees"),
    ];
    for (bytes, what) in lines {
        say(&format!("{:>11} {what}", output::bytes(bytes)))?;
    }
    say(&format!(
        "{:>11} in different files; {} saved by keeping chunks once, {} by compression",
        output::bytes(overview.logical_size),
        output::bytes(overview.shared_size),
        output::bytes(overview.compression_saved_size)
    ))?;
    overview.recommendations.iter().try_for_each(|advice| say(&format!("hint: {advice}")))
}
