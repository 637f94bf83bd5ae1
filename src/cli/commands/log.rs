//! `hv log`

use std::io::Write;

use clap::Args;

use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::{JsonArray, printable, stdout, time};
use crate::ops::{Commit, ObjectId, history};

/// Show history, newest first
#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    /// Where to start [default: the default branch]
    revision: Option<String>,
    /// Show at most this many commits
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
    /// One line per commit
    #[arg(long)]
    oneline: bool,
}

pub(super) fn run(cli: &Cli, args: &LogArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let commits = repository.history(args.revision.as_deref())?.take(args.max_count.unwrap_or(usize::MAX));
    let mut out = stdout();
    if cli.json {
        let mut array = JsonArray::new(out);
        for commit in commits {
            let (id, commit) = commit?;
            array.push(&history::describe(id, &commit))?;
        }
        return array.finish();
    }
    for (number, commit) in commits.enumerate() {
        let (id, commit) = commit?;
        if args.oneline {
            writeln!(out, "{} {}", id.short(), printable(&commit.title()))?;
        } else {
            if number > 0 {
                writeln!(out)?;
            }
            block(&mut out, id, &commit)?;
        }
    }
    Ok(out.flush()?)
}

/// A line with its tabs as spaces, in columns of eight: what follows is indented, as in Git.
fn without_tabs(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for (number, piece) in line.split('\t').enumerate() {
        if number > 0 {
            let column = text.chars().count();
            text.extend(std::iter::repeat_n(' ', 8 - column % 8));
        }
        text.push_str(piece);
    }
    text
}

/// A commit as `git log` shows it.
fn block(out: &mut impl Write, id: ObjectId, commit: &Commit) -> Result<(), Failure> {
    writeln!(out, "commit {id}")?;
    if commit.parents.len() > 1 {
        let parents: Vec<String> = commit.parents.iter().map(ObjectId::short).collect();
        writeln!(out, "Merge: {}", parents.join(" "))?;
    }
    let author = &commit.author;
    writeln!(out, "Author: {} <{}>", printable(&author.name()), printable(&author.email()))?;
    writeln!(out, "Date:   {}\n", time(author.time()))?;
    for line in String::from_utf8_lossy(&commit.message).trim_end().lines() {
        writeln!(out, "    {}", printable(&without_tabs(line)))?;
    }
    Ok(())
}
