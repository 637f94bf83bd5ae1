//! Times in revisions: `main@{yesterday}` becomes `main@{1793620800}` before any command sees it.
//!
//! The library has no clock and no time zone, so a word like `yesterday`, or a date without an offset, is made an
//! instant here. [`in_arguments`] does that for every argument that takes a revision: those whose value name says
//! `REV`, so that no command has to think of it. Text to text; now and the zone come in as an argument.

use std::sync::{Arc, Mutex, PoisonError};

use clap::builder::ValueParser;
use clap::{Arg, Command};
use jiff::{Span, ZonedDateTime};

use super::parse;

/// The times that were made instants, as they were typed: for messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Typed(Arc<Mutex<Vec<(String, String)>>>);

impl Typed {
    fn note(&self, typed: &str, instant: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((instant.to_owned(), typed.to_owned()));
    }

    /// A message with times as they were typed.
    pub(super) fn restore(&self, message: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(message.to_owned(), |text, (instant, typed)| text.replace(instant, typed))
    }
}

/// The grammar, with times in every revision argument made instants, and what was typed noted.
pub(super) fn in_arguments(command: Command, now: &ZonedDateTime, typed: &Typed) -> Command {
    command
        .mut_args(|arg| if takes_revision(&arg) { with_instants(arg, now, typed) } else { arg })
        .mut_subcommands(|sub| in_arguments(sub, now, typed))
}

fn takes_revision(arg: &Arg) -> bool {
    let names: Vec<String> = match arg.get_value_names() {
        Some(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
        None => vec![arg.get_id().as_str().to_uppercase()],
    };
    arg.get_action().takes_values() && names.iter().any(|name| name.contains("REV"))
}

fn with_instants(arg: Arg, now: &ZonedDateTime, typed: &Typed) -> Arg {
    let (now, typed) = (now.clone(), typed.clone());
    let is_target =
        arg.get_value_names().is_some_and(|names| names.iter().any(|n| n.starts_with("MOUNTPOINT")));
    let parser = move |text: &str| -> Result<String, String> {
        Ok(match parse::mount_target(text, None) {
            Ok((folder, Some(revision))) if is_target => {
                format!("{folder}@{}", instants(revision, &now, &typed))
            }
            _ if is_target => text.to_owned(),
            _ => instants(text, &now, &typed),
        })
    };
    arg.value_parser(ValueParser::new(parser))
}

/// Replaces each time in a revision (or `REV:PATH`, `REV..REV`) by its instant. What is no time stays as it is: the
/// library says what is wrong with it.
fn instants(text: &str, now: &ZonedDateTime, typed: &Typed) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("@{") {
        let Some(close) = rest[open..].find('}').map(|at| open + at) else { break };
        if rest[..open].contains(':') {
            // From here on it is a path.
            break;
        }
        done += &rest[..open];
        let when = match instant(&rest[open + 2..close], now) {
            Some(seconds) if seconds >= FIRST_INSTANT => format!("@{{{seconds}}}"),
            Some(seconds) => format!("@{{@{seconds}}}"),
            None => rest[open..=close].to_owned(),
        };
        if when != rest[open..=close] {
            typed.note(&rest[open..=close], &when);
        }
        done += &when;
        rest = &rest[close + 1..];
    }
    done + rest
}

/// Smaller numbers in braces count changes; as in Git.
const FIRST_INSTANT: i64 = 100_000_000;

/// A date, or a time before now, in seconds since 1970.
pub(super) fn instant(text: &str, now: &ZonedDateTime) -> Option<i64> {
    let words: Vec<&str> = text.split([' ', '.']).filter(|word| !word.is_empty()).collect();
    let before = |span: Span| now.checked_sub(span).ok().map(|then| then.timestamp().as_second());
    match *words.as_slice() {
        ["now"] => before(Span::new()),
        ["yesterday"] => before(Span::new().try_days(1).ok()?),
        [number, unit, "ago"] => {
            let number: i64 = number.parse().ok().filter(|&number| number >= 0)?;
            let span = Span::new();
            let span = match unit.strip_suffix('s').unwrap_or(unit) {
                "second" | "sec" => span.try_seconds(number),
                "minute" | "min" => span.try_minutes(number),
                "hour" => span.try_hours(number),
                "day" => span.try_days(number),
                "week" => span.try_weeks(number),
                "month" => span.try_months(number),
                "year" => span.try_years(number),
                _ => return None,
            };
            before(span.ok()?)
        }
        _ => parse::date(text, now.time_zone()).ok().map(|time| time.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use jiff::tz::{Offset, TimeZone};

    fn now() -> ZonedDateTime {
        let zone = TimeZone::fixed(Offset::from_hours(1).unwrap());
        jiff::Timestamp::from_second(1_800_000_000).unwrap().to_zoned_datetime(zone)
    }

    #[test]
    fn times_become_instants() {
        for (text, wanted) in [
            ("main@{now}", "main@{1800000000}"),
            ("@{yesterday}", "@{1799913600}"),
            ("main@{3.days.ago}~2", "main@{1799740800}~2"),
            ("main@{3 days ago}", "main@{1799740800}"),
            ("main@{1 hour ago}", "main@{1799996400}"),
            ("main@{90.minutes.ago}", "main@{1799994600}"),
            ("main@{2.weeks.ago}", "main@{1798790400}"),
            ("main@{2026-11-01}", "main@{1793487600}"),
            ("main@{2026-11-01 12:00}:d/f", "main@{1793530800}:d/f"),
            ("main@{2026-11-01 12:00:30}", "main@{1793530830}"),
            ("main@{2026-11-01T12:00+00:00}", "main@{1793534400}"),
            ("main@{2026-11-01 12:00Z}", "main@{1793534400}"),
            ("main@{now}..dev@{now}", "main@{1800000000}..dev@{1800000000}"),
            ("main@{1970-01-02 00:00Z}", "main@{@86400}"),
        ] {
            assert_eq!(instants(text, &now(), &Typed::default()), wanted, "{text}");
        }
        for same in
            ["main", "@{1}", "main@{1700000000}", "main@{soon}", "@{-1}", "@{", "HEAD:a@{now}/b", "@{}"]
        {
            assert_eq!(instants(same, &now(), &Typed::default()), same);
        }
        let typed = Typed::default();
        let made = instants("main@{3.days.ago}..dev@{now}", &now(), &typed);
        assert_eq!(typed.restore(&format!("`{made}` not found")), "`main@{3.days.ago}..dev@{now}` not found");
        assert_eq!(instant("99999999999 years ago", &now()), None);
    }

    /// Every argument that is a revision says `REV` in its value name: the others are listed here.
    #[test]
    fn no_argument_is_forgotten() {
        fn visit(command: &Command, path: &str, found: &mut Vec<String>) {
            for arg in command.get_arguments().filter(|arg| takes_revision(arg)) {
                found.push(format!("{path} {}", arg.get_id()));
            }
            for sub in command.get_subcommands() {
                visit(sub, &format!("{path} {}", sub.get_name()), found);
            }
        }
        let mut found = Vec::new();
        visit(&crate::cli::args::Cli::command(), "hv", &mut found);
        for argument in [
            "hv branch start",
            "hv cat target",
            "hv commit parent",
            "hv diff revisions",
            "hv log revisions",
            "hv ls revision",
            "hv show objects",
            "hv ls-tree revision",
            "hv merge source",
            "hv merge-base one",
            "hv merge-base two",
            "hv mount places",
            "hv mount revision",
            "hv reset revision",
            "hv rev-parse revision",
            "hv tag revision",
        ] {
            assert!(found.iter().any(|other| other == argument), "{argument} is not in {found:?}");
        }
    }
}
