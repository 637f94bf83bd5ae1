//! Where long output goes: standard output, or a pager when that is a terminal, as Git does it.
//!
//! The pager is `HUBVAULT_PAGER`, `GIT_PAGER`, `PAGER` or `less`; an empty one or `cat` is none. A pager that is left early
//! is success. Knows processes and terminals, not what is shown.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use hubvault_platform::process::{self, TerminationGuard};

use super::args::Cli;
use super::output;
use super::style::Style;

/// Columns of an output that is no terminal, as in Git.
const COLUMNS: usize = 80;

/// An output for people to read.
#[derive(Debug)]
pub(super) struct Screen {
    target: Option<Target>,
    /// Its colours.
    pub(super) style: Style,
    /// Whether somebody looks at it: then nothing from a vault may drive the terminal.
    pub(super) is_terminal: bool,
    /// How wide it is.
    pub(super) columns: usize,
}

#[derive(Debug)]
enum Target {
    Stdout(BufWriter<StdoutLock<'static>>),
    Pager(BufWriter<ChildStdin>, Pager),
}

#[derive(Debug)]
struct Pager {
    child: Child,
    /// Ctrl-C is the pager's while it runs.
    _signals: Option<TerminationGuard>,
}

impl Screen {
    /// Standard output, with a pager before it when it is a terminal and `--no-pager` was not given.
    pub(super) fn paged(cli: &Cli) -> Self {
        let pager = if io::stdout().is_terminal() && !cli.no_pager { start() } else { None };
        Self::with(cli, pager)
    }

    fn with(cli: &Cli, pager: Option<Pager>) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let style = Style::new(cli.color, is_terminal);
        let columns = if is_terminal { terminal_columns() } else { COLUMNS };
        let pager = pager.and_then(|mut pager| Some((pager.child.stdin.take()?, pager)));
        let target = match pager {
            Some((stdin, pager)) => Target::Pager(BufWriter::new(stdin), pager),
            None => Target::Stdout(output::stdout()),
        };
        Self { target: Some(target), style, is_terminal, columns }
    }

    /// Ends the output, and waits until the reader has seen enough.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.close()
    }

    fn close(&mut self) -> io::Result<()> {
        match self.target.take() {
            None => Ok(()),
            Some(Target::Stdout(mut out)) => out.flush(),
            Some(Target::Pager(mut out, mut pager)) => {
                let flushed = out.flush();
                drop(out);
                pager.child.wait()?;
                flushed
            }
        }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Some(Target::Stdout(out)) => out.write(bytes),
            Some(Target::Pager(out, _)) => out.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Some(Target::Stdout(out)) => out.flush(),
            Some(Target::Pager(out, _)) => out.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Screen {
    /// When a command fails half-way: what follows is said after the pager is gone.
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::debug!(%error, "the output was not taken to its end");
        }
    }
}

/// Starts the pager that the environment names; `None` when there is none.
fn start() -> Option<Pager> {
    let mut command = command(&chosen()?)?;
    if variable("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    if variable("LV").is_none() {
        command.env("LV", "-c");
    }
    let child = command.stdin(Stdio::piped()).spawn();
    let child = child.inspect_err(|error| tracing::debug!(%error, "no pager")).ok()?;
    Some(Pager { child, _signals: process::on_termination(|_| ()).ok() })
}

#[expect(clippy::disallowed_methods, reason = "the pager is the user's choice")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

fn chosen() -> Option<OsString> {
    let named = ["HUBVAULT_PAGER", "GIT_PAGER", "PAGER"].into_iter().find_map(variable);
    let pager = named.unwrap_or_else(|| "less".into());
    (!pager.is_empty() && pager != "cat").then_some(pager)
}

/// A plain word is a program; anything else is the shell's to understand.
fn command(pager: &OsString) -> Option<Command> {
    let is_word = pager.to_str().is_some_and(|text| {
        text.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ':' | '\\'))
    });
    if is_word {
        return Some(Command::new(pager));
    }
    if cfg!(unix) {
        let mut command = Command::new("sh");
        command.arg("-c").arg(pager);
        return Some(command);
    }
    let text = pager.to_str()?;
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}

fn terminal_columns() -> usize {
    let named = variable("COLUMNS").and_then(|text| text.to_str()?.parse().ok()).filter(|&n| n > 0);
    named.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into())).unwrap_or(COLUMNS)
}
