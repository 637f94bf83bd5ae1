//! `hv verify`

use clap::Args;

use super::{open, say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::progress::watched;
use crate::ops::verify::VerifyReport;

/// Check that everything is there and unchanged
///
/// What is damaged is named with the files it affects and the refs that lead to them; everything else goes on working. To mend
/// it, put the damaged file of the vault back from any copy of the vault (files in `packs/` and `log/` never change), or
/// commit the affected files again with --rehash, and run `hv gc --prune=now`. Checkpoints can be deleted.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Hash every stored byte again
    #[arg(long)]
    full: bool,
}

pub(super) fn run(cli: &Cli, args: &VerifyArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let report = watched(cli.json, &repository, |progress| repository.verify(args.full, progress))?;
    if cli.json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    if report.ok { Ok(()) } else { Err(Failure::reported("damaged")) }
}

fn show(report: &VerifyReport) -> Result<(), Failure> {
    let kind = if report.full { "Full" } else { "Quick" };
    let result = if report.ok { "OK" } else { "failed" };
    say(&format!(
        "{kind} verification {result}{}",
        if report.full { "" } else { " (--full reads content too)" }
    ))?;
    say(&format!("Checked refs: {}", report.checked_refs.join(", ")))?;
    say(&format!(
        "Checked {}, {}, {}, {} of content",
        output::count(report.transactions, "transaction"),
        output::count(report.commits, "commit"),
        output::count(report.files, "file"),
        output::bytes(report.bytes)
    ))?;
    for warning in &report.warnings {
        tell(&format!("warning: {warning}"))?;
    }
    // What is damaged may be what names them.
    if report.ok && !report.leftovers.is_empty() {
        tell(&format!(
            "{} with {} that nothing needs any longer: `hv gc` frees them",
            output::count(report.leftovers.len() as u64, "file"),
            output::bytes(report.leftover_bytes)
        ))?;
    }
    for finding in &report.findings {
        say(&format!("damaged: {}", finding.problem))?;
        for affected in &finding.affects {
            say(&format!("  affects {affected}"))?;
        }
        if finding.affects.is_empty() {
            let more = if finding.in_pack { "; `hv gc --prune=now` takes it away" } else { "" };
            say(&format!("  affects no file{more}"))?;
        }
        if !finding.refs.is_empty() {
            say(&format!("  in the history of {}", finding.refs.join(", ")))?;
        }
        if finding.more > 0 {
            say(&format!("  and {} more", finding.more))?;
        }
    }
    if report.findings.iter().any(|finding| !finding.affects.is_empty()) {
        say("Of files that you still have, `hv commit --rehash` stores again what is damaged here")?;
    }
    Ok(())
}
