//! What is said on standard error beside a failure: warnings, hints, and that somebody else is waited for.
//!
//! A line of text, or with `--json` a line of JSON. Knows how a notice looks, not when there is reason for one.

use std::fmt::Debug;
use std::io::Write as _;

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::failure::Failure;
use super::output::{json_line, printable};

/// Prints a line to standard error.
pub(super) fn tell(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stderr(), "{}", printable(line))?)
}

/// Prints a warning, about a file of the vault or about none.
pub(super) fn warning(as_json: bool, file: Option<&str>, detail: &str) -> Result<(), Failure> {
    match file {
        _ if as_json => tell(&json_line(&json!({ "warning": { "file": file, "detail": detail } }))),
        Some(file) => tell(&format!("warning: {file}: {detail}")),
        None => tell(&format!("warning: {detail}")),
    }
}

/// What the library says while it waits: it knows nobody to tell, and logs it under this name.
const WAITING: &str = "hubvault::waiting";

/// Says that somebody is waited for as the program says other things.
struct Waiting {
    as_json: bool,
}

/// What an event is about.
#[derive(Default)]
struct About {
    file: String,
    detail: String,
}

impl Visit for About {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.detail = format!("{value:?}"),
            "file" => self.file = format!("{value:?}"),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "file" {
            value.clone_into(&mut self.file);
        }
    }
}

impl<S: Subscriber> Layer<S> for Waiting {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() != WAITING {
            return;
        }
        let mut about = About::default();
        event.record(&mut about);
        let told =
            if self.as_json { warning(true, Some(&about.file), &about.detail) } else { tell(&about.detail) };
        // Nobody is left to tell, and the work goes on.
        drop(told);
    }
}

/// Diagnostics for those who ask: `HUBVAULT_LOG=debug`. What users must know is printed, not logged.
pub(super) fn start_logging(as_json: bool) {
    let filter = EnvFilter::try_from_env("HUBVAULT_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let all = tracing_subscriber::registry().with(Waiting { as_json }).with(log.with_filter(filter));
    if let Err(error) = all.try_init() {
        tracing::debug!(%error, "logging was started before");
    }
}
