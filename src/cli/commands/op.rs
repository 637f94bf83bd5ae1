//! `hv op log` and `hv op show`

use std::io::Write;

use clap::{Args, Subcommand};

use super::open;
use super::reflog::short;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{self, JsonArray, one_line, stdout, time};
use crate::ops::transactions::{MovedRef, TransactionInfo};

/// Show what was done to the vault
#[derive(Debug, Args)]
pub(in crate::cli) struct OpArgs {
    #[command(subcommand)]
    command: OpCommand,
}

#[derive(Debug, Subcommand)]
enum OpCommand {
    /// List transactions, newest first
    ///
    /// Each is one thing that was done: its number, when, who, the command, and the branches and tags it moved.
    /// `hv undo NUMBER` takes one back.
    Log {
        /// Show at most this many
        #[arg(short = 'n', long, value_name = "N")]
        max_count: Option<usize>,
    },
    /// Show one transaction
    Show {
        /// Its number, as `hv op log` shows it
        #[arg(value_name = "NUMBER")]
        transaction: u64,
    },
}

pub(super) fn run(cli: &Cli, args: &OpArgs) -> Result<(), Failure> {
    match args.command {
        OpCommand::Log { max_count } => log(cli, max_count),
        OpCommand::Show { transaction } => show(cli, transaction),
    }
}

fn log(cli: &Cli, max_count: Option<usize>) -> Result<(), Failure> {
    let repository = open(cli)?;
    let transactions = repository.transactions().take(max_count.unwrap_or(usize::MAX));
    let mut out = stdout();
    if cli.json {
        let mut array = JsonArray::new(out);
        for transaction in transactions {
            array.push(&transaction?)?;
        }
        return array.finish();
    }
    for transaction in transactions {
        match transaction {
            Ok(transaction) => line(&mut out, &transaction)?,
            Err(error) => {
                out.flush()?;
                return Err(error.into());
            }
        }
    }
    Ok(out.flush()?)
}

/// A transaction on one line.
fn line(out: &mut impl Write, about: &TransactionInfo) -> Result<(), Failure> {
    let who = about.actor.rsplit_once(" <").map_or(&*about.actor, |(name, _)| name);
    let mut what: Vec<String> = about.refs.iter().map(moved).collect();
    what.extend(about.default_branch.iter().map(|name| format!("HEAD -> {name}")));
    let what = if what.is_empty() { "moved nothing".to_owned() } else { what.join(", ") };
    let line =
        format!("{:>5}  {}  {who}  {}: {what}", about.transaction, time(about.timestamp), about.command);
    Ok(writeln!(out, "{}", one_line(&line))?)
}

/// A ref and its move: `main 79149d6..8d3456c`.
fn moved(change: &MovedRef) -> String {
    let name = output::ref_name(&change.git_ref);
    match (change.old, change.new) {
        (None, Some(new)) => format!("{name} new at {}", new.short()),
        (Some(old), None) => format!("{name} deleted (was {})", old.short()),
        (old, new) => format!("{name} {}..{}", short(old), short(new)),
    }
}

fn show(cli: &Cli, number: u64) -> Result<(), Failure> {
    let about = open(cli)?.transaction(number)?;
    if cli.json {
        return output::json(&about);
    }
    let mut out = stdout();
    describe(&mut out, &about)?;
    Ok(out.flush()?)
}

/// A transaction on as many lines as it has parts, whatever those are.
fn describe(out: &mut impl Write, about: &TransactionInfo) -> Result<(), Failure> {
    writeln!(out, "Transaction {}: {}", about.transaction, one_line(&about.command))?;
    writeln!(out, "Actor:  {}", one_line(&about.actor))?;
    writeln!(out, "Date:   {}", time(about.timestamp))?;
    if about.pack_bytes > 0 {
        writeln!(out, "Packs:  {}", output::bytes(about.pack_bytes))?;
    }
    if let Some(name) = &about.default_branch {
        writeln!(out, "HEAD:   {}", one_line(name))?;
    }
    for change in &about.refs {
        writeln!(out, "\n{}", one_line(&change.git_ref))?;
        writeln!(out, "    {}", one_line(&moved(change)))?;
        writeln!(out, "    {}", one_line(&change.message))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_forges_no_line() {
        let about = TransactionInfo {
            transaction: 1,
            timestamp: crate::ops::Timestamp { seconds: 0, offset_minutes: 0 },
            actor: "E <e>\nDate:   never".to_owned(),
            command: "commit\nActor:  Ann <a@x>".to_owned(),
            refs: Vec::new(),
            default_branch: Some("main\nPacks:  none".to_owned()),
            pack_bytes: 0,
        };
        let mut out = Vec::new();
        describe(&mut out, &about).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 4);
    }
}
