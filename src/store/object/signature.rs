//! Who and when, as one line of a commit or tag: `Name <email> 1700000000 +0100`.
//!
//! Exists because Git is strict in what it writes and lenient in what it reads: a new line is cleaned as Git's
//! `ident.c` cleans it, an old line is kept byte for byte and only looked at through `split_ident_line`'s eyes,
//! so odd names from old repositories keep their ids. It must not know the clock, the environment or config.

use std::borrow::Cow;
use std::ops::Range;

use thiserror::Error;

/// A moment and the clock it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00 UTC, never negative in what Git writes.
    pub seconds: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i32,
}

impl Timestamp {
    /// As its maker's clock showed it, in the words of `strftime`; `@SECONDS` when no calendar has it.
    pub fn format(self, how: &str) -> String {
        let zoned = jiff::Timestamp::from_second(self.seconds).ok().and_then(|instant| {
            let offset = jiff::tz::Offset::from_seconds(self.offset_minutes.checked_mul(60)?).ok()?;
            Some(instant.to_zoned_datetime(offset.to_time_zone()))
        });
        zoned.map_or_else(|| format!("@{}", self.seconds), |zoned| zoned.strftime(how).to_string())
    }
}

/// Why a name, an email and a time make no signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// Nothing is left of the name once Git's rules have cleaned it.
    #[error("the name `{0}` has no usable character: give a name with letters or digits")]
    EmptyName(String),
    /// Git ends a text at NUL.
    #[error("the name or email contains a NUL byte: remove it")]
    Nul,
    /// The text is not of the form `Name <email>`.
    #[error("`{0}` is not of the form `Name <email>`")]
    Form(String),
    /// Git's commit format holds no such moment.
    #[error("the time {0} s at {1} min from UTC cannot be recorded: use 0 s or later, offset under 24 h")]
    Time(i64, i32),
}

/// Who did something and when. Equal exactly when the bytes Git hashes are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    line: Vec<u8>,
    name: Range<usize>,
    email: Range<usize>,
    time: Timestamp,
}

impl Signature {
    /// Cleans name and email as Git does (`<`, `>`, newlines; spaces and punctuation at the ends).
    /// An empty email is fine; an empty name, a NUL byte or an impossible time is an error.
    pub fn new(name: &str, email: &str, time: Timestamp) -> Result<Self, IdentityError> {
        if name.contains('\0') || email.contains('\0') {
            return Err(IdentityError::Nul);
        }
        if time.seconds < 0 || time.offset_minutes.unsigned_abs() >= 24 * 60 {
            return Err(IdentityError::Time(time.seconds, time.offset_minutes));
        }
        let (clean_name, clean_email) = (without_crud(name), without_crud(email));
        if clean_name.is_empty() {
            return Err(IdentityError::EmptyName(name.chars().take(80).collect()));
        }
        let sign = if time.offset_minutes < 0 { '-' } else { '+' };
        let offset = time.offset_minutes.unsigned_abs();
        let (hours, minutes) = (offset / 60, offset % 60);
        let line = format!("{clean_name} <{clean_email}> {} {sign}{hours:02}{minutes:02}", time.seconds);
        let name = 0..clean_name.len();
        let email = name.end + 2..name.end + 2 + clean_email.len();
        Ok(Self { line: line.into_bytes(), name, email, time })
    }

    /// Reads what follows `author `, `committer ` or `tagger `, as leniently as Git: only `<` and `>` are
    /// needed; a time that cannot be read counts as zero. `None` for anything else, a newline or a NUL.
    pub fn decode(line: &[u8]) -> Option<Self> {
        if line.iter().any(|byte| matches!(byte, b'\n' | 0)) {
            return None;
        }
        let open = line.iter().position(|&byte| byte == b'<')?;
        let close = open + line[open..].iter().position(|&byte| byte == b'>')?;
        let last = line.iter().rposition(|&byte| byte == b'>')?;
        let name = 0..line[..open].trim_ascii_end().len();
        let time = decode_time(&line[last + 1..]).unwrap_or_default();
        Some(Self { line: line.to_vec(), name, email: open + 1..close, time })
    }

    /// The exact bytes of the line, after the header's name.
    pub fn encode(&self) -> &[u8] {
        &self.line
    }

    /// The name for people; bytes that are not UTF-8 are replaced.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.line[self.name.clone()])
    }

    /// The email for people, without brackets; bytes that are not UTF-8 are replaced.
    pub fn email(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.line[self.email.clone()])
    }

    /// When.
    pub const fn time(&self) -> Timestamp {
        self.time
    }
}

/// Splits `Name <email>` as a person types it into name and email; both are cleaned by [`Signature::new`].
pub fn parse_identity(text: &str) -> Result<(String, String), IdentityError> {
    let refuse = || IdentityError::Form(text.chars().take(80).collect());
    let (name, rest) = text.split_once('<').ok_or_else(refuse)?;
    let (email, rest) = rest.split_once('>').ok_or_else(refuse)?;
    if !rest.trim().is_empty() || email.contains('<') {
        return Err(refuse());
    }
    if without_crud(name).is_empty() {
        return Err(IdentityError::EmptyName(name.chars().take(80).collect()));
    }
    Ok((name.trim().to_owned(), email.trim().to_owned()))
}

/// `strbuf_addstr_without_crud` of Git's `ident.c`.
fn without_crud(text: &str) -> String {
    let crud = |c: char| c <= ' ' || matches!(c, ',' | ':' | ';' | '<' | '>' | '"' | '\\' | '\'');
    text.trim_matches(crud).replace(['\n', '<', '>'], "")
}

/// The tail of `split_ident_line`: ` 1700000000 +0100`; `None` where Git would show no date.
fn decode_time(text: &[u8]) -> Option<Timestamp> {
    let (seconds, rest) = digits(text.trim_ascii_start())?;
    let (sign, rest) = rest.trim_ascii_start().split_first()?;
    let (zone, _) = digits(rest).filter(|_| matches!(sign, b'+' | b'-'))?;
    let seconds = seconds.unwrap_or(0);
    let zone = zone.and_then(|zone| i32::try_from(zone).ok()).unwrap_or(0);
    let minutes = zone / 100 * 60 + zone % 100;
    Some(Timestamp { seconds, offset_minutes: if *sign == b'-' { -minutes } else { minutes } })
}

/// One or more leading digits as a number (`None` inside when it does not fit), and what follows.
fn digits(text: &[u8]) -> Option<(Option<i64>, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (end > 0).then(|| (std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: Timestamp = Timestamp { seconds: 1_700_000_000, offset_minutes: 60 };

    #[test]
    fn a_new_line_is_cleaned_as_git_cleans_it() {
        let signature = Signature::new(" .Ann <B>\n O'Neil, ", "<ann@example.org>", NOON).unwrap();
        assert_eq!(signature.encode(), b".Ann B O'Neil <ann@example.org> 1700000000 +0100");
        assert_eq!((&*signature.name(), &*signature.email()), (".Ann B O'Neil", "ann@example.org"));
        assert_eq!(Signature::decode(signature.encode()), Some(signature));
        let west = Timestamp { seconds: 0, offset_minutes: -210 };
        assert_eq!(Signature::new("A", "", west).unwrap().encode(), b"A <> 0 -0330");
    }

    #[test]
    fn what_cannot_be_recorded_is_refused() {
        for name in ["", " ", "<>", "\"'", ",;"] {
            assert!(matches!(Signature::new(name, "e", NOON), Err(IdentityError::EmptyName(_))), "{name:?}");
        }
        assert_eq!(Signature::new("a\0b", "e", NOON), Err(IdentityError::Nul));
        for (seconds, offset_minutes) in [(-1, 0), (0, 1440), (0, -1440), (0, i32::MIN)] {
            assert!(Signature::new("A", "e", Timestamp { seconds, offset_minutes }).is_err());
        }
    }

    #[test]
    fn odd_lines_from_old_repositories_keep_their_bytes() {
        let cases: [(&[u8], &str, &str, Timestamp); 6] = [
            (b"A <a@b> 12 -0000", "A", "a@b", Timestamp { seconds: 12, offset_minutes: 0 }),
            (b" <a@b> 12 +051800", "", "a@b", Timestamp { seconds: 12, offset_minutes: 518 * 60 }),
            (b"\xe9ric <e>> 1  +0130", "\u{fffd}ric", "e", Timestamp { seconds: 1, offset_minutes: 90 }),
            (b"A<a>", "A", "a", Timestamp::default()),
            (b"A <a> 99999999999999999999 +0100", "A", "a", Timestamp { seconds: 0, offset_minutes: 60 }),
            (b"A <a> Mon Jan 1", "A", "a", Timestamp::default()),
        ];
        for (line, name, email, time) in cases {
            let signature = Signature::decode(line).unwrap();
            assert_eq!((&*signature.name(), &*signature.email(), signature.time()), (name, email, time));
            assert_eq!(signature.encode(), line);
        }
        for line in
            [&b"A a 1 +0000"[..], b"A <a 1 +0000", b"A > < 1 +0000", b"A <a>\n 1 +0000", b"A\0 <a> 1 +0"]
        {
            assert_eq!(Signature::decode(line), None);
        }
    }

    #[test]
    fn an_identity_is_a_name_and_an_email_in_brackets() {
        assert_eq!(parse_identity(" Ann  <a@b> "), Ok(("Ann".into(), "a@b".into())));
        for text in ["Ann", "Ann <a", "Ann <a> b", "<a@b>", "Ann <<a>"] {
            assert!(parse_identity(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_made_or_read_is_written_back(name in "\\PC{0,12}", email in "\\PC{0,12}", line in prop::collection::vec(any::<u8>(), 0..40), seconds in 0..i64::MAX, offset_minutes in -1439..1440) {
            if let Ok(signature) = Signature::new(&name, &email, Timestamp { seconds, offset_minutes }) {
                prop_assert_eq!(Signature::decode(signature.encode()), Some(signature));
            }
            let odd = [name.as_bytes(), b"<", email.as_bytes(), b">", &line].concat();
            if let Some(signature) = Signature::decode(&odd) {
                prop_assert_eq!(signature.encode(), odd);
            }
        }
    }
}
