//! Whether output has colours, and which: Git's.
//!
//! Colours are for terminals. `NO_COLOR` and `HUBVAULT_NO_COLOR`, set to anything, take every escape away; `--color`
//! decides over both. Escapes come from here only, never from what a vault holds.

use std::borrow::Cow;
use std::env;

use clap::ValueEnum;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// In every output
    Always,
    /// On a terminal
    Auto,
    /// In none
    Never,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// A commit's id.
    Commit,
    /// What is said about a file.
    Meta,
    /// Where a hunk is.
    Hunk,
    /// A line that went.
    Old,
    /// A line that came, or where one is.
    New,
    /// A line of a graph, by its number.
    Branch(usize),
}

/// Colours or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    colour: bool,
}

/// Colours of a graph's lines, in the order Git gives them out.
const BRANCHES: [&str; 12] =
    ["31", "32", "33", "34", "35", "36", "1;31", "1;32", "1;33", "1;34", "1;35", "1;36"];

impl Style {
    /// No colours at all.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { colour: false };

    /// What `--color` and the environment say of an output that is a terminal or not.
    pub(super) fn new(when: When, is_terminal: bool) -> Self {
        let colour = match when {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && allowed(),
        };
        Self { colour }
    }

    /// Text in its colour.
    pub(super) fn paint(self, paint: Paint, text: &str) -> Cow<'_, str> {
        if !self.colour || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let code = match paint {
            Paint::Commit => "33",
            Paint::Meta => "1",
            Paint::Hunk => "36",
            Paint::Old => "31",
            Paint::New => "32",
            Paint::Branch(number) => BRANCHES[number % BRANCHES.len()],
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[m"))
    }
}

/// Whether the environment allows colours on a terminal.
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub(super) fn allowed() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR")
        && !is_set("HUBVAULT_NO_COLOR")
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_asked_for() {
        assert_eq!(Style::new(When::Auto, false), Style::PLAIN);
        assert_eq!(Style::new(When::Never, true), Style::PLAIN);
        assert_eq!(Style::new(When::Always, false).paint(Paint::Old, "x"), "\u{1b}[31mx\u{1b}[m");
        assert_eq!(Style::PLAIN.paint(Paint::Old, "x"), "x");
    }
}
