//! Words and screens: the `hv` program.
//!
//! The only part with a terminal, a clock, an environment and a home folder: it hands time, identity and
//! randomness down as arguments and turns answers into text or JSON. It decides nothing about vaults, and
//! knows nothing of how they are stored.

mod args;
mod changes;
mod commands;
mod commits;
mod diffstat;
mod failure;
mod git_words;
mod graph;
mod identity;
mod memory;
mod message;
mod notices;
mod output;
mod pager;
mod parse;
mod paths;
mod progress;
mod reference;
mod style;
mod table;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};
use jiff::ZonedDateTime;

pub use git_words::git_words;
pub use reference::markdown as reference;

use self::args::Cli;
use self::failure::Failure;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let colours = if style::allowed() { ColorChoice::Auto } else { ColorChoice::Never };
    let typed = when::Typed::default();
    let grammar = when::in_arguments(Cli::command().color(colours), &ZonedDateTime::now(), &typed);
    let matches = match grammar.try_get_matches_from(parse::counts(std::env::args_os())) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    let mut cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    cli.vault = cli.given.clone().or_else(vault_of_environment).unwrap_or_else(|| ".".into());
    notices::start_logging(cli.json);
    match commands::run(&cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = failure.advised(&cli.command).in_vault(&cli.vault);
            failure.reworded(|message| typed.restore(message)).report(cli.json)
        }
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    let as_json = std::env::args_os().any(|word| word == "--json");
    let words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
    if let Some(answer) = git_words::answer(error, words) {
        return Failure::usage(answer).report(as_json);
    }
    if as_json && error.use_stderr() {
        return Failure::usage(error.render().to_string().trim()).report(true);
    }
    // clap says whether this is help (0) or a mistake (2), and where it goes.
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
fn vault_of_environment() -> Option<PathBuf> {
    std::env::var_os("HUBVAULT_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}
