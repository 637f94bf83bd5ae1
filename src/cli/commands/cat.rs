//! `hv cat`

use std::io::Write as _;
use std::ops::Range;

use clap::Args;

use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::snapshot::resolve::split_path;

/// Write a file's content to standard output
#[derive(Debug, Args)]
pub(in crate::cli) struct CatArgs {
    /// Revision and path; without a revision, of the default branch
    #[arg(value_name = "[REV:]PATH")]
    target: String,
    /// Only LEN bytes from START on (fewer at the end of the file); LEN may be left out
    #[arg(long, value_name = "START:LEN", value_parser = range)]
    range: Option<Range<u64>>,
}

/// `START:LEN` or `START:`, in bytes.
fn range(text: &str) -> Result<Range<u64>, String> {
    let refuse = || format!("`{text}` is not START:LEN, both in bytes");
    let (start, len) = text.split_once(':').ok_or_else(refuse)?;
    let start: u64 = start.parse().map_err(|_| refuse())?;
    let len: u64 = if len.is_empty() { u64::MAX } else { len.parse().map_err(|_| refuse())? };
    Ok(start..start.saturating_add(len))
}

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;

pub(super) fn run(cli: &Cli, args: &CatArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let (revision, path) = match split_path(&args.target) {
        (revision, Some(path)) => (revision, path),
        // A revision is no path, unless it is written as one: `:main`.
        (word, None) => match repository.rev_parse(word).map_err(Failure::from) {
            Err(failure) if failure.is("revision-not-found") => ("", word),
            found => {
                found?;
                return Err(Failure::usage(format!(
                    "`{word}` is a revision: write {word}:PATH, or :{word} for the file of that name"
                )));
            }
        },
    };
    let revision = Some(revision).filter(|revision| !revision.is_empty());
    let purpose = format!("cat {path}");
    let (snapshot, _lease) =
        repository.leased_snapshot(revision, &identity::reader()?, &purpose, std::process::id())?;
    let file = snapshot.open_path(path)?;
    let mut out = std::io::stdout().lock();
    let mut buffer = vec![0; BUFFER];
    let Range { start: mut at, end } = args.range.clone().unwrap_or(0..u64::MAX);
    loop {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(BUFFER);
        let n = file.read_at(at, &mut buffer[..wanted])?;
        if n == 0 {
            return Ok(out.flush()?);
        }
        out.write_all(&buffer[..n])?;
        at += n as u64;
    }
}
