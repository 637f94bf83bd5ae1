//! The one framing of every JSON file in a vault: a header line that says kind, version, length and checksum.
//!
//! ```text
//! hubvault-record 1 412 9f86d081... 5feceb66\n    kind, version, bytes of JSON, BLAKE3 of those, check of this line
//! {"seq":12,...}\n
//! ```
//!
//! The length comes first so that a file cut short (a torn write, an unfinished copy) can be told from one
//! whose bytes were changed: the first is treated as never written, the second is damage and always reported.
//! This file knows no kind in particular and does no I/O.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// BLAKE3 of a frame's JSON bytes; also links each log record to the one before.
pub type Checksum = super::id::Sha256;

/// Longest JSON that is read; a bound on what a hostile file can make us allocate.
pub const MAX_JSON: usize = 256 << 20;

/// The version of files that say nothing but what they always could; [`encode_as`] writes others.
pub const VERSION: u32 = 1;

/// The newest version of files of the log that is read: since vaults have a setting for compression.
pub(super) const LOG_VERSION: u32 = 2;

/// The newest version of files of a kind that is read.
fn newest(kind: &str) -> u32 {
    match kind {
        "record" | "checkpoint" => LOG_VERSION,
        _ => VERSION,
    }
}

/// Longer than any header line.
const MAX_HEADER: usize = 200;

/// Why a file is not a good frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The file ends early, or its tail is zeros: as after a write that never finished.
    Torn,
    /// The bytes are not those that were written.
    Damaged(&'static str),
    /// A later version of the format.
    Version(u32),
}

/// Encodes `value` as a file of `kind`; answers the bytes and the checksum of their JSON part.
pub fn encode<T: Serialize>(kind: &str, value: &T) -> (Vec<u8>, Checksum) {
    encode_as(VERSION, kind, value)
}

/// The same for a value that says what only readers of `version` know.
pub fn encode_as<T: Serialize>(version: u32, kind: &str, value: &T) -> (Vec<u8>, Checksum) {
    let json =
        serde_json::to_string(value).expect("vault models have string keys and no failing serialisers");
    let checksum = checksum(json.as_bytes());
    let header = format!("hubvault-{kind} {version} {} {checksum}", json.len());
    let file = format!("{header} {}\n{json}\n", header_check(&header));
    (file.into_bytes(), checksum)
}

/// Decodes a file of `kind`.
pub fn decode<T: DeserializeOwned>(kind: &str, file: &[u8]) -> Result<(T, Checksum), FrameError> {
    let torn_or = |detail| if ends_in_zeros(file) { FrameError::Torn } else { FrameError::Damaged(detail) };
    let Some(end) = file.iter().take(MAX_HEADER).position(|&byte| byte == b'\n') else {
        return Err(if is_part_of_header(file) {
            FrameError::Torn
        } else {
            torn_or("its header line is not readable")
        });
    };
    let (version, length, expected) =
        parse_header(kind, &file[..end]).ok_or_else(|| torn_or("its header line is not readable"))?;
    if version > newest(kind) {
        return Err(FrameError::Version(version));
    }
    let body = &file[end + 1..];
    if version == 0 {
        return Err(FrameError::Damaged("its header line is not readable"));
    }
    if body.len() < length.saturating_add(1) {
        // A whole body under a header that promises more: the header was changed, nothing is missing.
        let whole = body.split_last().is_some_and(|(&end, json)| end == b'\n' && checksum(json) == expected);
        return Err(if whole {
            FrameError::Damaged("its header says another length")
        } else {
            FrameError::Torn
        });
    }
    let (json, rest) = body.split_at(length);
    let found = checksum(json);
    if found == expected && rest.starts_with(b"\n") && rest.len() > 1 {
        return Err(FrameError::Damaged("something follows its end"));
    }
    if found != expected || rest != b"\n" {
        return Err(torn_or("its bytes do not match their checksum"));
    }
    let value = serde_json::from_slice(json)
        .map_err(|_| FrameError::Damaged("its JSON is not of the expected form"))?;
    Ok((value, found))
}

fn parse_header(kind: &str, line: &[u8]) -> Option<(u32, usize, Checksum)> {
    let (header, check) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
    if check != header_check(header) {
        return None;
    }
    let mut words = header.split(' ');
    let named = words.next()?.strip_prefix("hubvault-")? == kind;
    let version = words.next()?.parse().ok()?;
    let length = words.next()?.parse().ok().filter(|&length| length <= MAX_JSON)?;
    let checksum = words.next()?.parse().ok()?;
    (named && words.next().is_none()).then_some((version, length, checksum))
}

/// Guards the length: only a length that is certain can tell a file cut short from a changed one.
fn header_check(header: &str) -> String {
    checksum(header.as_bytes()).to_string()[..8].to_owned()
}

/// Whether a header line that was cut short could look like this.
fn is_part_of_header(file: &[u8]) -> bool {
    file.len() < MAX_HEADER && file.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b' ' | b'-'))
}

fn ends_in_zeros(file: &[u8]) -> bool {
    file.last().is_none_or(|&byte| byte == 0)
}

fn checksum(json: &[u8]) -> Checksum {
    Checksum::from_bytes(*blake3::hash(json).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        encode("record", &vec!["a", "b"]).0
    }

    #[test]
    fn round_trips() {
        let (file, sum) = encode("record", &vec!["a", "b"]);
        assert_eq!(decode::<Vec<String>>("record", &file), Ok((vec!["a".into(), "b".into()], sum)));
    }

    #[test]
    fn a_changed_header_does_not_pass_for_an_unfinished_write() {
        let text = String::from_utf8(sample()).unwrap();
        for (from, to) in [(" 9 ", " 8 "), (" 9 ", " 19 "), (" 1 9 ", " 0 9 "), ("]\n", "]\n\0\0")] {
            assert!(text.contains(from), "{text}");
            let changed = text.replacen(from, to, 1);
            let found = decode::<Vec<String>>("record", changed.as_bytes());
            assert!(matches!(found, Err(FrameError::Damaged(_))), "{from:?} to {to:?}: {found:?}");
        }
    }

    #[test]
    fn every_truncation_is_torn() {
        let file = sample();
        for end in 0..file.len() {
            assert_eq!(decode::<Vec<String>>("record", &file[..end]), Err(FrameError::Torn), "cut at {end}");
        }
    }

    #[test]
    fn a_zeroed_tail_is_torn() {
        let mut file = sample();
        let half = file.len() / 2;
        file[half..].fill(0);
        assert_eq!(decode::<Vec<String>>("record", &file), Err(FrameError::Torn));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let file = sample();
        for at in 0..file.len() {
            for bits in [0xff, 0x01, 0x80] {
                let mut bad = file.clone();
                bad[at] ^= bits;
                let found = decode::<Vec<String>>("record", &bad);
                assert!(matches!(found, Err(FrameError::Damaged(_))), "byte {at} ^ {bits:#x}: {found:?}");
            }
        }
    }

    #[test]
    fn another_kind_or_a_later_version_is_refused() {
        assert!(decode::<Vec<String>>("checkpoint", &sample()).is_err());
        let json = "[]";
        let header = format!("hubvault-record 3 {} {}", json.len(), checksum(json.as_bytes()));
        let later = format!("{header} {}\n{json}\n", header_check(&header));
        assert_eq!(decode::<Vec<String>>("record", later.as_bytes()), Err(FrameError::Version(3)));
    }
}
