//! How far long work is: one bar on a terminal, a plain line now and then when standard error goes elsewhere, a line of
//! JSON each second with `--json`; and Ctrl-C, which asks the work to end instead of cutting it off.
//!
//! All of it goes to standard error, so that standard output stays the report. Short work says nothing but on a terminal.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hubvault_platform::process::{Termination, TerminationGuard, ignored_terminations, on_termination};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{bytes, json_line, printable};
use crate::Repository;
use crate::ops::{Phase, Progress};
use crate::snapshot::StoreError;

/// Time between two plain lines, and until the first.
const LINES: Duration = Duration::from_secs(10);
/// Time between two lines of JSON, and until the first.
const EVENTS: Duration = Duration::from_secs(1);
/// How long work that was asked to end may go on, for example waiting for another process.
const GRACE: Duration = Duration::from_secs(3);
/// Signals this process was started to ignore. Asked once: what was watched is not ignored any more.
static IGNORED: OnceLock<Vec<Termination>> = OnceLock::new();
/// What the program exits with after Ctrl-C, as shells say it.
pub(super) const INTERRUPTED: u8 = 130;

/// What is known of the work.
#[derive(Debug, Default)]
struct Account {
    /// Files begun; none where the work is not told file by file.
    files: Option<u64>,
    total_files: Option<u64>,
    bytes: u64,
    total_bytes: Option<u64>,
    /// When counting began anew; none while it has not.
    counted_from: Option<Instant>,
    /// The file at hand; none while there is a phase.
    path: String,
    phase: Option<Phase>,
}

impl Account {
    fn tell(&mut self, now: Instant, progress: Progress<'_>) {
        match progress {
            Progress::Found { files, bytes } => {
                (self.files, self.total_files) = (None, Some(files));
                (self.bytes, self.total_bytes) = (0, Some(bytes));
                self.counted_from = Some(now);
            }
            Progress::File(path) => {
                self.files = Some(self.files.unwrap_or(0) + 1);
                (self.path, self.phase) = (path.display().to_string(), None);
            }
            Progress::Read(bytes) => self.bytes += bytes,
            Progress::Phase(phase) => (self.path, self.phase) = (String::new(), Some(phase)),
        }
    }

    /// What is at hand, in words that drive no terminal.
    fn doing(&self) -> String {
        let doing = match self.phase {
            None => &self.path,
            Some(Phase::Looking) => "looking for what there is to do",
            Some(Phase::Waiting) => "waiting for a commit that is being made",
            Some(Phase::Storing) => "storing",
            Some(Phase::Collecting) => "freeing what nothing needs",
            Some(Phase::Publishing) => "publishing",
        };
        printable(doing).replace('\n', "\\n")
    }

    /// `1.00 GiB of 4.00 GiB (25 %), 100.00 MiB/s, 31 s left: model.safetensors`. `counting` is for how long bytes have been
    /// counted.
    fn line(&self, counting: Duration) -> String {
        let doing = self.doing();
        if (self.bytes, self.total_bytes) == (0, None) && !doing.is_empty() {
            return doing;
        }
        let rate = u128::from(self.bytes) * 1000 / counting.as_millis().max(1);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        let total = self.total_bytes.filter(|total| *total > 0);
        let share = total.map_or_else(String::new, |total| {
            format!(" of {} ({} %)", bytes(total), u128::from(self.bytes) * 100 / u128::from(total))
        });
        let left = total.and_then(|total| total.saturating_sub(self.bytes).checked_div(rate));
        let left = left.map_or_else(String::new, |left| format!(", {left} s left"));
        let colon = if doing.is_empty() { "" } else { ": " };
        format!("{}{share}, {}/s{left}{colon}{doing}", bytes(self.bytes), bytes(rate))
    }

    fn event(&self, elapsed: Duration) -> Value {
        json!({ "progress": {
            "files": self.files, "total_files": self.total_files,
            "bytes": self.bytes, "total_bytes": self.total_bytes,
            "path": Some(&self.path).filter(|path| !path.is_empty()), "phase": self.phase,
            "seconds": elapsed.as_secs_f64(),
        } })
    }
}

/// Where it is shown.
#[derive(Debug)]
enum Screen {
    Terminal(ProgressBar),
    /// Lines of text, or of JSON.
    Lines {
        json: bool,
        begun: Instant,
        shown: Instant,
    },
}

/// Shows how far one piece of work is.
#[derive(Debug)]
struct Bar {
    account: RefCell<Account>,
    screen: RefCell<Screen>,
    /// Turns Ctrl-C into a request.
    _watch: Option<TerminationGuard>,
}

/// Does work on a vault and shows how far it is. It ends by itself when it is asked to: after Ctrl-C or another signal to
/// end, at the latest after some seconds, or at the second signal.
pub(super) fn watched<T>(
    json: bool,
    repository: &Repository,
    work: impl FnOnce(&mut dyn FnMut(Progress<'_>)) -> T,
) -> T {
    let bar = Bar::new(json, repository);
    work(&mut |event| bar.tell(event))
}

impl Bar {
    fn new(json: bool, repository: &Repository) -> Self {
        let interrupt = repository.vault().interrupt().clone();
        let ignored = IGNORED.get_or_init(ignored_terminations);
        let mut asked = false;
        let watch = on_termination(move |signal| {
            if ignored.contains(&signal) {
                return;
            }
            if std::mem::replace(&mut asked, true) {
                end_now(json);
            }
            interrupt.request();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                end_now(json);
            });
        });
        let screen = if json || !stderr().is_terminal() {
            let now = Instant::now();
            Screen::Lines { json, begun: now, shown: now }
        } else {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style =
                "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} {wide_msg}";
            bar.set_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            Screen::Terminal(bar)
        };
        // Where there are no signals, Ctrl-C ends the process as ever.
        Self { account: RefCell::default(), screen: screen.into(), _watch: watch.ok() }
    }

    fn tell(&self, progress: Progress<'_>) {
        let now = Instant::now();
        self.account.borrow_mut().tell(now, progress);
        if let (Progress::Found { .. }, Screen::Terminal(bar)) = (progress, &*self.screen.borrow()) {
            bar.reset_eta();
        }
        self.show(now, matches!(progress, Progress::Phase(Phase::Waiting)));
    }

    /// `at_once` for what may be the last to be told for long.
    fn show(&self, now: Instant, at_once: bool) {
        let account = self.account.borrow();
        match &mut *self.screen.borrow_mut() {
            Screen::Terminal(bar) => {
                if let Some(total) = account.total_bytes {
                    bar.set_length(total);
                }
                bar.set_position(account.bytes);
                let doing = account.doing();
                if bar.message() != doing {
                    bar.set_message(doing);
                }
            }
            Screen::Lines { json, begun, shown } => {
                let pause = if *json { EVENTS } else { LINES };
                if !at_once && now.duration_since(*shown) < pause {
                    return;
                }
                *shown = now;
                let since = |begun| now.duration_since(begun);
                let line = if *json {
                    json_line(&account.event(since(*begun)))
                } else {
                    account.line(since(account.counted_from.unwrap_or(*begun)))
                };
                if let Err(error) = writeln!(stderr(), "{line}") {
                    tracing::debug!(%error, "nobody listens to how far it is");
                }
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Screen::Terminal(bar) = &*self.screen.borrow() {
            bar.finish_and_clear();
        }
    }
}

#[expect(clippy::exit, reason = "whoever is asked twice, or waits for others, can clear up nothing any more")]
fn end_now(json: bool) {
    let _code = Failure::from(StoreError::Interrupted).report(json);
    std::process::exit(INTERRUPTED.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            files: Some(3),
            total_files: Some(9),
            bytes: 1 << 30,
            total_bytes: Some(4 << 30),
            path: "a\nb\u{1b}".into(),
            ..Account::default()
        }
    }

    #[test]
    fn counting_begins_anew_with_what_was_found_and_files_are_counted_where_they_are_told() {
        let (begun, mut account) = (Instant::now(), Account::default());
        let later = begun + Duration::from_mins(10);
        account.tell(begun, Progress::Read(1 << 40));
        account.tell(later, Progress::Found { files: 2, bytes: 4 << 20 });
        account.tell(later, Progress::Read(2 << 20));
        assert_eq!((account.files, account.counted_from), (None, Some(later)));
        assert_eq!(account.event(Duration::ZERO)["progress"]["files"], Value::Null);
        account.tell(later, Progress::File("f".as_ref()));
        assert_eq!(account.files, Some(1));
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long_and_drives_no_terminal() {
        let text = "1.00 GiB of 4.00 GiB (25 %), 102.40 MiB/s, 30 s left: a\\nb\\u{1b}";
        assert_eq!(account().line(Duration::from_secs(10)), text);
        let unknown = Account { bytes: 1024, ..Account::default() };
        assert_eq!(unknown.line(Duration::from_secs(1)), "1.00 KiB, 1.00 KiB/s");
        let nothing = Account { total_bytes: Some(0), ..Account::default() };
        assert_eq!(nothing.line(Duration::ZERO), "0 B, 0 B/s");
    }

    #[test]
    fn an_event_says_the_same_in_json() {
        let event = account().event(Duration::from_millis(1500));
        let wanted = json!({ "files": 3, "total_files": 9, "bytes": 1_u64 << 30, "total_bytes": 4_u64 << 30,
            "path": "a\nb\u{1b}", "phase": null, "seconds": 1.5 });
        assert_eq!(event["progress"], wanted);
        assert_eq!(Account::default().event(Duration::ZERO)["progress"]["path"], Value::Null);
    }
}
