//! How values look on a screen: sizes, times, names that must not move the cursor, and JSON arrays as they come.

use std::borrow::Cow;
use std::io::{self, StdoutLock, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::ops::Timestamp;
use crate::ops::diff::quote::{misleads, quoted};

/// Standard output, locked and buffered.
pub(super) fn stdout() -> io::BufWriter<StdoutLock<'static>> {
    io::BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// JSON on one line in which nothing drives a terminal: the standard demands escapes only below U+0020.
struct Tame;

impl serde_json::ser::Formatter for Tame {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for piece in fragment.split_inclusive(misleads) {
            let text = piece.trim_end_matches(misleads);
            out.write_all(text.as_bytes())?;
            piece[text.len()..].chars().try_for_each(|c| write!(out, "\\u{:04x}", u32::from(c)))?;
        }
        Ok(())
    }
}

fn write_json(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    Ok(value.serialize(&mut serde_json::Serializer::with_formatter(out, Tame))?)
}

/// Prints one value as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = stdout();
    write_json(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// One value as a line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    // Only what cannot be JSON fails, such as a map whose keys are no strings.
    let written = write_json(&mut line, value);
    debug_assert!(written.is_ok());
    String::from_utf8(line).unwrap_or_default()
}

/// A JSON array written element by element.
pub(super) struct JsonArray<W: Write> {
    out: W,
    separator: &'static str,
}

impl<W: Write> JsonArray<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, separator: "[" }
    }

    pub(super) fn push(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.out.write_all(self.separator.as_bytes())?;
        self.separator = ",\n";
        write_json(&mut self.out, value)
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if self.separator == "[" {
            self.out.write_all(b"[")?;
        }
        writeln!(self.out, "]")?;
        Ok(self.out.flush()?)
    }
}

/// Text without control characters and marks of direction: a name or a message from a vault must not drive the
/// terminal, nor be shown in another order than it is in.
pub(super) fn printable(text: &str) -> String {
    escaped(text, |c| misleads(c) && c != '\n' && c != '\t')
}

/// One line of a file without control characters but tabs.
pub(super) fn tame(line: &str) -> String {
    escaped(line, |c| c.is_control() && c != '\t')
}

/// Text with some of its characters as they are written in a string of Rust.
fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The same on one line: a line feed must not forge another one.
pub(super) fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// A path as Git prints it: quoted when it has quotes, backslashes, control characters or marks of direction.
pub(super) fn path(text: &str) -> Cow<'_, str> {
    quoted(text)
}

/// The name of a branch, or what a ref is called after `refs/`.
pub(super) fn ref_name(full: &str) -> &str {
    full.strip_prefix("refs/heads/").or_else(|| full.strip_prefix("refs/")).unwrap_or(full)
}

/// Bytes for people: `12.3 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A time as `git log` shows it: `Mon Nov 23 14:29:27 2026 +0100`.
pub(super) fn time(time: Timestamp) -> String {
    time.format("%a %b %-d %H:%M:%S %Y %z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_as_in_git() {
        let at = Timestamp { seconds: 1_795_444_167, offset_minutes: 90 };
        assert_eq!(time(at), "Mon Nov 23 15:59:27 2026 +0130");
        assert_eq!(time(Timestamp { seconds: i64::MAX, offset_minutes: 0 }), format!("@{}", i64::MAX));
    }

    #[test]
    fn nothing_from_a_vault_drives_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(path("a\nb"), "\"a\\nb\"");
        assert_eq!(printable("a\u{202e}b\u{2066}\u{200f}"), "a\\u{202e}b\\u{2066}\\u{200f}");
        assert_eq!(path("\u{202e}txt.a"), "\"\\342\\200\\256txt.a\"");
        assert_eq!(one_line("a\nActor: b"), "a Actor: b");
        assert_eq!(path("dir/a b.txt"), "dir/a b.txt");
    }

    #[test]
    fn json_drives_no_terminal_and_says_the_same() {
        let text = "a\u{1b}[31m\u{9b}\u{7f}\u{7f}b\"\\\u{fc}\u{202e}";
        let line = json_line(&text);
        assert!(!line.contains(misleads), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn json_arrays_are_whole_when_empty_too() {
        let mut out = Vec::new();
        JsonArray::new(&mut out).finish().unwrap();
        assert_eq!(out, b"[]\n");
    }
}
