//! Words of the command line that mean more than they say: sizes, dates, `A=B`, `MOUNTPOINT@REVISION`.
//!
//! Pure text to values; the clock and the time zone come in as arguments.

use std::ffi::OsString;

use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ZonedDateTime};

use crate::ops::{Compression, Timestamp};

/// `10MiB`, `1.5GB`, `4096`: binary units unless the unit says otherwise (`MB` is a million, `M` is `MiB`).
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = |base: u64, exponent: u32| Some(base.pow(exponent));
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => power(1024, 1),
        "m" | "mib" => power(1024, 2),
        "g" | "gib" => power(1024, 3),
        "t" | "tib" => power(1024, 4),
        "kb" => power(1000, 1),
        "mb" => power(1000, 2),
        "gb" => power(1000, 3),
        "tb" => power(1000, 4),
        _ => None,
    };
    let refuse = || format!("`{text}` is not a size; write bytes or for example 10MiB, 1GB");
    let unit = unit.ok_or_else(refuse)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(refuse);
    }
    // A fraction: at most six digits of it, in whole numbers.
    let (whole, fraction) =
        number.split_once('.').filter(|(_, f)| (1..=6).contains(&f.len())).ok_or_else(refuse)?;
    let digits: u128 = format!("{whole}{fraction:0<6}").parse().map_err(|_| refuse())?;
    u64::try_from(digits.saturating_mul(u128::from(unit)) / 1_000_000).map_err(|_| refuse())
}

/// A date as Git takes it: `1700000000 +0100`, `@1700000000`, ISO 8601 with or without a zone, RFC 2822.
pub(super) fn date(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(raw) = git_raw(text) {
        return Ok(raw);
    }
    // As Git writes it: a space before the offset.
    let joined = text.rsplit_once(' ').filter(|(_, offset)| offset.starts_with(['+', '-']));
    let joined = joined.map(|(time, offset)| format!("{time}{offset}"));
    let parsed: Option<ZonedDateTime> = text
        .parse::<ZonedDateTime>()
        .ok()
        .or_else(|| rfc2822::parse(text).ok())
        .or_else(|| with_offset(text))
        .or_else(|| with_offset(joined.as_deref()?))
        .or_else(|| text.parse::<DateTime>().ok()?.to_zoned_datetime(zone.clone()).ok())
        .or_else(|| text.parse::<jiff::civil::Date>().ok()?.to_zoned_datetime(zone.clone()).ok());
    parsed.map(|zoned| timestamp(&zoned)).ok_or_else(|| {
        format!(
            "`{text}` is not a date; write 2026-11-01T12:00:00+01:00, 2026-11-01 12:00, or `1700000000 +0100`"
        )
    })
}

/// How far back to keep: `now` (nothing), `never` (everything), a time as [`date`] takes it, or how long ago:
/// `2 weeks`, `36h`. Answers seconds since 1970; `None` for nothing.
pub(super) fn prune(text: &str, now: &ZonedDateTime) -> Result<Option<i64>, String> {
    match text.trim() {
        "now" => return Ok(None),
        "never" => return Ok(Some(i64::MIN)),
        _ => {}
    }
    if let Ok(span) = text.trim().parse::<jiff::Span>()
        && !span.is_negative()
        && let Ok(then) = now.checked_sub(span)
    {
        return Ok(Some(then.timestamp().as_second()));
    }
    date(text, now.time_zone()).map(|time| Some(time.seconds)).map_err(|_| {
        format!("`{text}` is no time to keep from; write now, never, 2weeks, 36h, or a date like 2026-11-01")
    })
}

fn git_raw(text: &str) -> Option<Timestamp> {
    let mut words = text.strip_prefix('@').unwrap_or(text).split(' ');
    let seconds = words.next()?.parse().ok()?;
    let offset = words.next();
    let offset_minutes = offset.map_or(Some(0), offset_minutes)?;
    (words.next().is_none() && (offset.is_some() || text.starts_with('@')))
        .then_some(Timestamp { seconds, offset_minutes })
}

fn offset_minutes(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number: i32 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    (number % 100 < 60).then_some(sign * (number / 100 * 60 + number % 100))
}

fn with_offset(text: &str) -> Option<ZonedDateTime> {
    let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text).ok()?;
    let offset = match pieces.offset()? {
        jiff::fmt::temporal::PiecesOffset::Numeric(numeric) => numeric.offset(),
        _ => jiff::tz::Offset::UTC,
    };
    let instant: Instant = text.parse().ok()?;
    Some(instant.to_zoned_datetime(offset.to_time_zone()))
}

/// An instant with its zone's offset, in whole seconds and minutes as Git keeps them.
pub(super) fn timestamp(zoned: &ZonedDateTime) -> Timestamp {
    Timestamp { seconds: zoned.timestamp().as_second(), offset_minutes: zoned.offset().seconds() / 60 }
}

/// The words of a command line, `log -3` written as `log -n3`, as Git takes it.
pub(super) fn counts(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut takes_count, mut after_options) = (false, false);
    let spelled = words.map(|word| {
        takes_count |= word == "log" || word == "reflog";
        after_options |= word == "--";
        let digits = word.to_str().and_then(|word| word.strip_prefix('-'));
        match digits {
            Some(digits) if takes_count && !after_options && is_number(digits) => {
                OsString::from(format!("-n{digits}"))
            }
            _ => word,
        }
    });
    spelled.collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The two sides of `LEFT=RIGHT`.
pub(super) fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left, right)),
        _ => Err(format!("{option} takes two sides joined by `=`, not `{text}`")),
    }
}

/// At the last `@` that is not part of `@{...}`; `MNT@{1}` is short for `MNT@@{1}`.
fn split_at_sign(target: &str) -> Option<(&str, &str)> {
    let suffix = target.strip_suffix('}').and_then(|text| text.rfind("@{")).unwrap_or(target.len());
    match target[..suffix].rfind('@') {
        Some(at) => Some((&target[..at], &target[at + 1..])),
        None if suffix < target.len() => Some(target.split_at(suffix)),
        None => None,
    }
}

/// A mount point and, after its last `@`, a revision.
pub(super) fn mount_target<'a>(
    target: &'a str,
    revision: Option<&'a str>,
) -> Result<(&'a str, Option<&'a str>), String> {
    if revision.is_some() {
        return Ok((target, revision));
    }
    match split_at_sign(target) {
        None => Ok((target, None)),
        Some(("", _)) => Err(format!("`{target}` names no folder before the `@`")),
        Some((_, "")) => Err(format!(
            "`{target}` names no revision after the `@`; for a folder whose name has an `@`, use --revision"
        )),
        Some((mountpoint, revision)) => Ok((mountpoint, Some(revision))),
    }
}

/// `none`, `auto` or `max`.
pub(super) fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "none" => Ok(Compression::None),
        "auto" => Ok(Compression::Auto),
        "max" => Ok(Compression::Max),
        _ => Err("it is none, auto or max".to_owned()),
    }
}

/// The word that [`compression`] reads.
pub(super) fn compression_word(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Auto => "auto",
        Compression::Max => "max",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("10MiB"), Ok(10 << 20));
        assert_eq!(size("10m"), Ok(10 << 20));
        assert_eq!(size("1.5GB"), Ok(1_500_000_000));
        assert_eq!(size("4096"), Ok(4096));
        for bad in ["", "MiB", "ten", "1x", "-1", "99999999999999999999", "1.2.3", "18446744073709551615k"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates() {
        let utc = TimeZone::UTC;
        let at = |seconds, offset_minutes| Ok(Timestamp { seconds, offset_minutes });
        assert_eq!(date("1700000000 +0130", &utc), at(1_700_000_000, 90));
        assert_eq!(date("@1700000000", &utc), at(1_700_000_000, 0));
        assert_eq!(date("2023-11-14T22:13:20Z", &utc), at(1_700_000_000, 0));
        assert_eq!(date("2023-11-14T23:13:20+01:00", &utc), at(1_700_000_000, 60));
        assert_eq!(date("2023-11-14 23:13:20 +0100", &utc), at(1_700_000_000, 60));
        assert_eq!(date("2023-11-14 22:13:20", &utc), at(1_700_000_000, 0));
        assert_eq!(date("Tue, 14 Nov 2023 22:13:20 +0000", &utc), at(1_700_000_000, 0));
        assert_eq!(date("2023-11-14", &utc), at(1_699_920_000, 0));
        for bad in ["", "yesterday", "1700000000", "1700000000 +1", "2023-13-01"] {
            assert!(date(bad, &utc).is_err(), "{bad}");
        }
    }

    #[test]
    fn prune_times() {
        let now = Instant::from_second(1_700_000_000).unwrap().to_zoned_datetime(TimeZone::UTC);
        assert_eq!(prune("now", &now), Ok(None));
        assert_eq!(prune("never", &now), Ok(Some(i64::MIN)));
        for two_weeks in ["2 weeks", "2w", "14d", "14days", "336h"] {
            assert_eq!(prune(two_weeks, &now), Ok(Some(1_700_000_000 - 14 * 86400)), "{two_weeks}");
        }
        assert_eq!(prune("2023-11-14", &now), Ok(Some(1_699_920_000)));
        for bad in ["", "soon", "-3d", "3"] {
            assert!(prune(bad, &now).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_as_git_takes_them() {
        let spelled = |words: &str| {
            let words = counts(words.split(' ').map(OsString::from));
            words.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(spelled("hv -C v log -1 --oneline"), "hv -C v log -n1 --oneline");
        assert_eq!(spelled("hv reflog -12"), "hv reflog -n12");
        for same in ["hv log - -- -1", "hv log --skip 1 -n 2 -x1 -1x", "hv cat -1", "hv rm -- log -1"] {
            assert_eq!(spelled(same), same);
        }
    }

    #[test]
    fn mount_targets() {
        assert_eq!(mount_target("/mnt/a", None), Ok(("/mnt/a", None)));
        assert_eq!(mount_target("/mnt/a@b@v1/x", None), Ok(("/mnt/a@b", Some("v1/x"))));
        assert_eq!(mount_target("/mnt/a@b", Some("v1")), Ok(("/mnt/a@b", Some("v1"))));
        assert_eq!(mount_target("/mnt/a@main@{1}", None), Ok(("/mnt/a", Some("main@{1}"))));
        assert_eq!(mount_target("/mnt/a@@{1}", None), Ok(("/mnt/a", Some("@{1}"))));
        assert_eq!(mount_target("/mnt/a@{1}", None), Ok(("/mnt/a", Some("@{1}"))));
        assert_eq!(mount_target("/mnt/{a}", None), Ok(("/mnt/{a}", None)));
        assert_eq!(mount_target("/mnt/a@main@{@5}", None), Ok(("/mnt/a", Some("main@{@5}"))));
        assert!(mount_target("/mnt/a@", None).is_err());
        assert!(mount_target("@main", None).is_err());
    }
}
