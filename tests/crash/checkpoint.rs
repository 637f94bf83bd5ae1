//! The accident: a checkpoint, which is only a shortcut, is lost or torn, and takes the vault's state with it.
//!
//! Why a checkpoint's syncs may fail: whatever becomes of the file, what the vault says is the fold of its log.
//! Losing one is not even noticed; a damaged one is reported, and changes nothing.

use hubvault::store::index;
use hubvault::store::log::scan;
use hubvault::store::log::state::State;

use super::workloads::{vault_before, without_files};
use super::{MemoryMedia, NEXT, add, commit, complaints, look, noise, open};

fn checkpoints(media: &MemoryMedia) -> Vec<String> {
    media.files().into_keys().filter(|path| path.ends_with(".checkpoint")).collect()
}

/// Transaction 200 comes next. Of the checkpoints at 64, 128 and 192 the one at 128 is read where none of the newest
/// transactions brought any file, and the last one where one did.
fn vaults() -> [MemoryMedia; 2] {
    let (without, with) = (vault_before(200), vault_before(199));
    commit(&open(&with).unwrap(), "content", &[add("b", b"b".to_vec())], 199).unwrap();
    [&without, &with].iter().for_each(|media| assert_eq!(checkpoints(media).len(), 3));
    [without, with]
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
    for whole in vaults() {
        losing_checkpoints_changes_nothing(&whole);
    }
}

fn losing_checkpoints_changes_nothing(whole: &MemoryMedia) {
    let expected = look(whole).unwrap();
    let all = checkpoints(whole);
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
    let tried: usize = vaults().iter().map(tearing_checkpoints_changes_nothing).sum();
    println!("{tried} damaged checkpoints");
    assert!(tried >= 2 * 63);
}

fn tearing_checkpoints_changes_nothing(whole: &MemoryMedia) -> usize {
    let expected = look(whole).unwrap();
    let mut tried = 0;
    for path in checkpoints(whole) {
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
    tried
}

/// A state, without what only says how it was read.
fn state(media: &MemoryMedia) -> State {
    open(media).unwrap().vault().view().state.clone()
}

/// The same by all of the log, without any checkpoint.
fn fold(media: &MemoryMedia) -> State {
    let tail = scan::tail(media, None).unwrap();
    let mut state = State::default();
    tail.records.iter().for_each(|(record, checksum)| state.fold(record, *checksum));
    state.next = tail.next;
    state
}

/// The accident: a vault is copied while somebody commits, so that newest records lack their index. A checkpoint says
/// what they say, and must not be believed then.
#[test]
fn a_checkpoint_does_not_hide_that_newest_records_lack_their_files() {
    // Of the sixteen commits, some come after the checkpoint at 128; or all before it, and after it what has no files.
    let (mut fewer, mut all) = (0, 0);
    for commits in [120..136, 110..126] {
        let whole = vault_before(commits.start);
        for n in commits.clone() {
            commit(&open(&whole).unwrap(), "content", &[add(&format!("f{n}"), noise(n, 9))], n).unwrap();
        }
        without_files(&open(&whole).unwrap(), commits.end..136);
        let records = scan::tail(&whole, None).unwrap().records;
        let indexes: Vec<String> = records
            .iter()
            .rev()
            .filter_map(|(record, _)| record.index)
            .map(index::path_of)
            .take(16)
            .collect();
        for lost in 0..indexes.len() {
            // All newest ones are lost, or all of these but one, whose commit then says that the others counted.
            for kept in (0..=lost).map(Some).chain([None]) {
                let media = whole.settled();
                let gone = (0..=lost).filter(|&at| Some(at) != kept);
                gone.for_each(|at| drop(media.remove_file(&indexes[at])));
                let expected = fold(&media);
                assert!(state(&media) == expected, "{lost} newest indexes are lost, but for {kept:?}");
                if expected.tip.unwrap().seq == 135 { all += 1 } else { fewer += 1 }
            }
        }
    }
    assert!(fewer > 32 && all > 16, "{fewer} fell back, {all} did not");
}
