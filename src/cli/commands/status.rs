//! `hv status`

use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;

pub(super) fn run(cli: &Cli) -> Result<(), Failure> {
    let repository = open(cli)?;
    let status = repository.status()?;
    if cli.json {
        return output::json(&status);
    }
    say(&format!("On branch {}", status.default_branch))?;
    say(&format!("  at {} {}", status.head.short(), status.head_title))?;
    say(&format!("Vault {}", status.vault.unwrap_or_default()))?;
    say(&format!(
        "  {} branch(es), {} tag(s), {} transaction(s); files of {} and more are LFS pointers to Git",
        status.branches,
        status.tags,
        status.transaction,
        output::bytes(status.large_file_threshold)
    ))?;
    for lease in &status.leases {
        say(&format!("  in use by process {}: {} at {}", lease.pid, lease.purpose, lease.commit.short()))?;
    }
    Ok(())
}
