//! Noise, and good files with noise in them, through every decoder of the log's files and of an index's rows.
//!
//! What is refused must be refused quietly; what is accepted from changed bytes can only be what was written.
//! Sizes a file claims must not be believed before they are checked.

use hubvault::store::frame::{self, FrameError};
use hubvault::store::index::format::{Extent, TRAILER, Trailer};
use hubvault::store::index::{ChunkRow, FileRow, LookupRow, ObjectRow, PackRow, Row};
use hubvault::store::lease::Lease;
use hubvault::store::log::record::{CHECKPOINT, Checkpoint, RECORD, Record};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::vault::{MARKER, MARKER_KIND, Settings};
use proptest::prelude::*;

use super::{copy, open, small};

fn decode_all(bytes: &[u8]) -> usize {
    let decoded = [
        frame::decode::<Record>(RECORD, bytes).is_ok(),
        frame::decode::<Checkpoint>(CHECKPOINT, bytes).is_ok(),
        frame::decode::<Settings>(MARKER_KIND, bytes).is_ok(),
        frame::decode::<Lease>("lease", bytes).is_ok(),
    ];
    decoded.into_iter().filter(|decoded| *decoded).count()
}

fn row<R: Row + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Some(row) = R::decode(&bytes[..R::LEN]) {
        let mut out = Vec::new();
        row.encode(&mut out);
        assert_eq!(out.len(), R::LEN);
        assert_eq!(R::decode(&out), Some(row));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise_is_no_frame(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(decode_all(&bytes), 0);
    }

    #[test]
    fn a_header_that_lies_is_refused(
        version in any::<u32>(), length in any::<u64>(), body in "\\PC{0,60}", good in any::<bool>(),
    ) {
        let sum = blake3::hash(if good { body.as_bytes() } else { b"" }).to_hex();
        for kind in [RECORD, CHECKPOINT, MARKER_KIND, "lease"] {
            let file = format!("hubvault-{kind} {version} {length} {sum}\n{body}\n");
            prop_assert_eq!(decode_all(file.as_bytes()), 0);
            let file = format!("hubvault-{kind} 1 {} {sum}\n{body}\n", body.len());
            prop_assert_eq!(decode_all(file.as_bytes()), 0);
        }
    }

    #[test]
    fn consistent_checksums_do_not_make_json_a_record(json in r#"[\[\]{}":,a-z0-9-]{0,80}"#) {
        let value: Result<serde_json::Value, _> = serde_json::from_str(&json);
        if let Ok(value) = value {
            decode_all(&frame::encode(RECORD, &value).0);
        }
        let sum = blake3::hash(json.as_bytes()).to_hex();
        decode_all(format!("hubvault-record 1 {} {sum}\n{json}\n", json.len()).as_bytes());
    }

    #[test]
    fn rows_decode_to_themselves_or_not_at_all(bytes in prop::array::uniform32(any::<u8>()), tail in prop::array::uniform32(any::<u8>())) {
        let bytes = [bytes, tail].concat();
        row::<PackRow>(&bytes);
        row::<ChunkRow>(&bytes);
        row::<LookupRow>(&bytes);
        row::<FileRow>(&bytes);
        row::<Extent>(&bytes);
        row::<ObjectRow>(&bytes);
    }

    #[test]
    fn a_trailer_never_points_beyond_its_file(
        numbers in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..200, Just(u64::MAX)], 14),
        blocks in any::<u32>(), len in any::<u64>(),
    ) {
        let sections = std::array::from_fn(|at| (numbers[at * 2], numbers[at * 2 + 1]));
        let bytes = Trailer { sections, block_count: blocks }.encode();
        let bytes: [u8; TRAILER] = bytes.try_into().unwrap();
        if let Ok(trailer) = Trailer::decode(&bytes, len) {
            prop_assert!(trailer.sections_end() <= len);
            prop_assert!(u64::from(trailer.block_count) * 16 <= len);
        }
    }
}

#[test]
fn deeply_nested_json_is_refused() {
    let json = "[".repeat(1 << 20);
    let sum = blake3::hash(json.as_bytes()).to_hex();
    let file = format!("hubvault-record 1 {} {sum}\n{json}\n", json.len());
    assert!(matches!(frame::decode::<Record>(RECORD, file.as_bytes()), Err(FrameError::Damaged(_))));
}

/// A record of a healthy vault under numbers and names that nobody would give.
#[test]
fn numbers_in_the_log_that_lead_nowhere_end_the_search() {
    let healthy = small();
    let record = healthy.files()["log/000000/000000003.record"].clone();
    let plant = |media: &MemoryMedia, path: &str| {
        use hubvault::store::media::Media;
        let folder = path.rsplit_once('/').unwrap().0;
        media.create_dir(folder).unwrap();
        std::io::Write::write_all(&mut media.create(path).unwrap(), &record).unwrap();
    };
    let quiet = [
        "log/000000/18446744073709551615.record",
        "log/000000/+00000099.record",
        "log/000000/99.record",
        "log/000000/000000099.record.record",
        "log/18446744073709551615/000000001.record",
        "log/18446744073709551/18446744073709551615.checkpoint",
        "log/+00001/000001000.record",
        "log/x/000001000.record",
    ];
    for path in quiet {
        let media = copy(&healthy);
        plant(&media, path);
        let repository = open(&media).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(repository.verify(true, &mut |_| ()).unwrap().ok, "{path}");
        repository.create_branch("on-top", None, false, &super::actor()).unwrap();
    }
    // A number we could have given, far away: reported without counting up to it.
    for path in ["log/000000/000000999.record", "log/28147497671/28147497671000.record"] {
        let media = copy(&healthy);
        plant(&media, path);
        let error = open(&media).unwrap_err().to_string();
        assert!(error.contains("log/"), "{path}: {error}");
    }
}

#[test]
fn a_marker_with_absurd_settings_harms_nobody() {
    let healthy = small();
    let id = "00".repeat(16);
    for json in [
        format!(r#"{{"vault_id":"{id}","created":-9223372036854775808,"large_file_threshold":0}}"#),
        format!(
            r#"{{"vault_id":"{id}","created":9223372036854775807,"large_file_threshold":18446744073709551615}}"#
        ),
    ] {
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let media = copy(&healthy);
        media.corrupt(MARKER, |bytes| *bytes = frame::encode(MARKER_KIND, &value).0).unwrap();
        let repository = open(&media).unwrap();
        super::commit(&repository, None, &[super::add("x", "x"), super::add("y", "")]);
        assert!(repository.verify(true, &mut |_| ()).unwrap().ok);
    }
}
