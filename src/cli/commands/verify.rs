//! `hv verify`

use clap::Args;

use super::{open, say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::progress::watched;
use crate::ops::verify::VerifyReport;

/// Check that everything is there and unchanged
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
    say(&format!("{kind} verification {}", if report.ok { "OK" } else { "failed" }))?;
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
    for leftover in &report.leftovers {
        tell(&format!("warning: {leftover}"))?;
    }
    for finding in &report.findings {
        say(&format!("damaged: {}", finding.problem))?;
        for affected in &finding.affects {
            say(&format!("  affects {affected}"))?;
        }
        if finding.affects.is_empty() {
            say("  affects no file; if it is in a pack, `hv gc --prune=now` takes it away")?;
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
