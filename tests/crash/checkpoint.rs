//! The accident: a checkpoint, which is only a shortcut, is lost or torn, and takes the vault's state with it.
//!
//! Why a checkpoint's syncs may fail: whatever becomes of the file, what the vault says is the fold of its log.
//! Losing one is not even noticed; a damaged one is reported, and changes nothing.

use super::workloads::vault_before;
use super::{MemoryMedia, NEXT, add, commit, complaints, look, open};

fn checkpoints(media: &MemoryMedia) -> Vec<String> {
    media.files().into_keys().filter(|path| path.ends_with(".checkpoint")).collect()
}

/// Transaction 200 comes next: of the checkpoints at 64, 128 and 192 the one at 128 is read.
fn vault() -> MemoryMedia {
    let media = vault_before(200);
    assert_eq!(checkpoints(&media).len(), 3);
    media
}

fn works(media: &MemoryMedia, seq: u64, what: &str) {
    let before = look(media).unwrap().unwrap();
    let repository = open(media).unwrap();
    commit(&repository, "next", &[add("next", b"next".to_vec())], NEXT).unwrap();
    let after = look(media).unwrap().unwrap();
    let (old, new) = (&before.refs["refs/heads/main"], &after.refs["refs/heads/main"]);
    assert_eq!(after.histories[new][1..], before.histories[old], "{what}");
    assert_eq!(open(media).unwrap().vault().view().state.tip.unwrap().seq, seq, "{what}");
}

#[test]
fn lost_checkpoints_change_nothing() {
    let whole = vault();
    let expected = look(&whole).unwrap();
    let all = checkpoints(&whole);
    for lost in 0_usize..1 << all.len() {
        let media = whole.settled();
        for (_, path) in all.iter().enumerate().filter(|(n, _)| lost >> n & 1 == 1) {
            media.remove_file(path).unwrap();
        }
        assert!(look(&media).unwrap() == expected, "without {lost:b}");
        assert_eq!(complaints(&open(&media).unwrap(), true), None, "without {lost:b}");
        works(&media, 200, "lost");
    }
}

#[test]
fn torn_checkpoints_are_reported_and_change_nothing() {
    let whole = vault();
    let expected = look(&whole).unwrap();
    let mut tried = 0;
    for path in checkpoints(&whole) {
        let len = whole.files()[&path].len();
        let cuts = (0..len).step_by(len / 7).flat_map(|at| [(at, None), (at, Some(0)), (at, Some(0xff))]);
        for (at, fill) in cuts {
            let media = whole.settled();
            let tear = |bytes: &mut Vec<u8>| match fill {
                None => bytes.truncate(at),
                Some(0) => bytes[at..].fill(0),
                Some(bits) => bytes[at] ^= bits,
            };
            media.corrupt(&path, tear).unwrap();
            let what = format!("{path} at {at}: {fill:?}");
            assert!(look(&media).unwrap() == expected, "{what}");
            let repository = open(&media).unwrap();
            let report = repository.verify(false, &mut |_| ()).unwrap();
            assert!(!report.ok && report.findings.iter().all(|f| f.problem.contains(&path)), "{what}");
            works(&media, 200, &what);
            tried += 1;
        }
    }
    println!("{tried} damaged checkpoints");
    assert!(tried >= 63);
}
