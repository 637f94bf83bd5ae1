//! `hv status`

use std::io::{IsTerminal as _, Write as _};

use super::{open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{self, count, printable};
use crate::cli::style::{Paint, Style};

pub(super) fn run(cli: &Cli) -> Result<(), Failure> {
    let repository = open(cli)?;
    let status = repository.status()?;
    if cli.json {
        return output::json(&status);
    }
    let style = Style::new(cli.color, std::io::stdout().is_terminal());
    let branch = printable(&status.default_branch);
    let (branch, head) = (style.paint(Paint::New, &branch), status.head.short());
    let (head, title) = (style.paint(Paint::Commit, &head), printable(&status.head_title));
    writeln!(std::io::stdout(), "On branch {branch}\n  at {head} {title}")?;
    say(&format!("Vault {}", status.vault.unwrap_or_default()))?;
    say(&format!(
        "  {}, {}, {}; files of {} and more are LFS pointers to Git",
        count(status.branches as u64, "branch"),
        count(status.tags as u64, "tag"),
        count(status.transaction, "transaction"),
        output::bytes(status.large_file_threshold)
    ))?;
    for lease in &status.leases {
        say(&format!("  in use by process {}: {} at {}", lease.pid, lease.purpose, lease.commit.short()))?;
    }
    Ok(())
}
