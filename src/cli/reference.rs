//! The command reference (`docs/cli.md`) and the manual pages, made from the same words as `--help`.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::args::Cli;

/// The whole command line as Markdown; a test keeps `docs/cli.md` equal to it.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Commands\n\nMade from the program's own help by a test (`tests/cli/reference.rs`); do not edit.\n\
         `hubvault` and `hv` are the same program.\n",
    );
    let mut top = command();
    section(&mut text, "hv", &mut top);
    for mut sub in top.get_subcommands().cloned().collect::<Vec<_>>() {
        section(&mut text, &format!("hv {}", sub.get_name()), &mut sub);
    }
    text
}

/// The grammar with a fixed width, so that the reference does not depend on a terminal.
pub(super) fn command() -> clap::Command {
    let mut command = Cli::command().term_width(100);
    command.build();
    command
}

fn section(text: &mut String, name: &str, command: &mut clap::Command) {
    let help = command.clone().term_width(100).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing to a string cannot fail.
    let written = write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    debug_assert!(written.is_ok());
}
