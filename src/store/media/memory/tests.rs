//! The memory medium keeps the rules of the trait, no more and no less: what it must lose can be lost, what it
//! must keep is kept in every state, and each control of a test does what it says.

use std::collections::BTreeSet;

use super::*;
use crate::store::media::{Media, Wait};

/// The whole life of a published file, `tmp/1` becoming `log/1`.
fn publish_protocol(media: &MemoryMedia) -> io::Result<()> {
    let mut sink = media.create("tmp/1")?;
    sink.write_all(b"abcdefgh")?;
    sink.sync()?;
    media.publish("tmp/1", "log/1")?;
    media.sync_dir("log")?;
    media.sync_dir("tmp")
}

fn prepared() -> MemoryMedia {
    let media = MemoryMedia::new();
    media.create_dir("tmp").unwrap();
    media.create_dir("log").unwrap();
    media.sync_dir("").unwrap();
    media
}

/// What `path` may hold after a crash now.
fn outcomes(media: &MemoryMedia, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    media.after_crash(10_000).iter().map(|state| state.files().remove(path)).collect()
}

/// States, at any crash point of the protocol, in which the file is neither absent nor complete, or is absent
/// after the protocol has said that it is done.
fn violations(skip: impl Fn(&str, SyncKind) -> bool + Send + Copy + 'static) -> Vec<String> {
    let whole = prepared();
    publish_protocol(&whole).unwrap();
    let mut found = Vec::new();
    for step in 3..=whole.steps() {
        let media = prepared();
        media.skip_syncs(skip);
        media.crash_at(step);
        let done = publish_protocol(&media).is_ok();
        assert_eq!(done, step == whole.steps());
        for state in media.after_crash(10_000) {
            match state.files().get("log/1") {
                Some(bytes) if bytes == b"abcdefgh" => {}
                None if !done => {}
                other => found.push(format!("{:?}: {other:?}", media.operations().last())),
            }
        }
    }
    found
}

#[test]
fn with_all_syncs_a_published_file_is_absent_or_complete() {
    assert_eq!(violations(|_, _| false), Vec::<String>::new());
}

#[test]
fn without_the_file_sync_an_incomplete_file_is_found() {
    let found = violations(|_, kind| kind == SyncKind::File);
    assert!(found.iter().any(|text| text.contains("Some([])")), "{found:?}");
    assert!(found.iter().any(|text| text.contains("Some([97, 98, 99, 100])")), "{found:?}");
    assert!(found.iter().any(|text| text.contains("Some([0, 0, 0, 0, 0, 0, 0, 0])")), "{found:?}");
}

#[test]
fn without_the_folder_sync_a_lost_file_is_found() {
    let found = violations(|path, kind| kind == SyncKind::Dir && path == "log");
    assert!(found.iter().all(|text| text.contains("None")) && !found.is_empty(), "{found:?}");
}

#[test]
fn without_the_sync_of_the_folders_parent_the_folder_is_lost() {
    let media = MemoryMedia::new();
    media.create_dir("tmp").unwrap();
    media.create_dir("log").unwrap();
    publish_protocol(&media).unwrap();
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from([None, Some(b"abcdefgh".to_vec())]));
    media.sync_dir("").unwrap();
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from([Some(b"abcdefgh".to_vec())]));
}

#[test]
fn both_names_of_an_unsynced_move_are_kept_or_lost_each_on_its_own() {
    let media = prepared();
    let mut sink = media.create("tmp/1").unwrap();
    sink.write_all(b"x").unwrap();
    sink.sync().unwrap();
    media.sync_dir("tmp").unwrap();
    media.publish("tmp/1", "log/1").unwrap();
    let states: BTreeSet<Vec<String>> =
        media.after_crash(100).iter().map(|state| state.files().into_keys().collect()).collect();
    let expected: [&[&str]; 4] = [&[], &["log/1"], &["log/1", "tmp/1"], &["tmp/1"]];
    let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
    assert_eq!(states, BTreeSet::from(expected));
}

#[test]
fn an_unsynced_removal_may_come_undone() {
    let media = prepared();
    publish_protocol(&media).unwrap();
    media.remove("log/1").unwrap();
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from([None, Some(b"abcdefgh".to_vec())]));
    media.sync_dir("log").unwrap();
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from([None]));
}

#[test]
fn only_the_synced_part_of_a_file_is_sure() {
    let media = prepared();
    let mut sink = media.create("log/1").unwrap();
    sink.write_all(b"ab").unwrap();
    sink.sync().unwrap();
    sink.write_all(b"cd").unwrap();
    media.sync_dir("log").unwrap();
    let expected = [b"ab".as_slice(), b"abc", b"ab\0\0", b"abcd"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from(expected));
}

#[test]
fn survivors_are_healthy_durable_copies() {
    let media = prepared();
    publish_protocol(&media).unwrap();
    media.crash_at(media.steps());
    assert!(media.create("tmp/2").is_err());
    let states = media.after_crash(100);
    assert_eq!(states.len(), 1);
    let copy = &states[0];
    assert_eq!((copy.steps(), copy.after_crash(100).len()), (0, 1));
    copy.corrupt("log/1", |bytes| bytes[0] ^= 0xff).unwrap();
    copy.create("tmp/2").unwrap();
    assert_eq!(media.files(), BTreeMap::from([("log/1".to_owned(), b"abcdefgh".to_vec())]));
}

#[test]
fn too_many_states_are_sampled_and_each_single_loss_is_among_them() {
    let media = prepared();
    for name in 0..20 {
        media.create(&format!("log/{name}")).unwrap();
    }
    let counts: Vec<usize> = media.after_crash(200).iter().map(|state| state.files().len()).collect();
    assert!(counts.len() > 150 && counts.len() <= 200, "{}", counts.len());
    assert_eq!(counts.iter().filter(|count| **count == 19).count(), 20);
    assert!(counts.contains(&0) && counts.contains(&20) && counts.contains(&1));
    let again: Vec<usize> = media.after_crash(200).iter().map(|state| state.files().len()).collect();
    assert_eq!(counts, again);
}

#[test]
fn after_the_crash_point_everything_fails() {
    let media = prepared();
    publish_protocol(&media).unwrap();
    let file = media.open("log/1").unwrap();
    let mut sink = media.create("tmp/2").unwrap();
    media.crash_at(media.steps());
    assert_eq!(media.len("log/1").unwrap(), Some(8), "not yet");
    assert!(sink.write_all(b"1234").is_err());
    assert_eq!(media.files()["tmp/2"], b"12", "the write that the crash hit");
    assert_eq!(sink.sync().unwrap_err().to_string(), "simulated crash");
    let mut byte = [0];
    assert!(file.read_exact_at(&mut byte, 0).is_err());
    assert!(media.open("log/1").is_err() && media.len("log/1").is_err() && media.list("").is_err());
    assert!(media.lock("lock", LockMode::Shared, Wait::No).is_err());
    assert_eq!(media.operations().last().unwrap(), "write tmp/2 +4");
}

#[test]
fn a_crash_wakes_who_waits_for_a_lock() {
    let media = MemoryMedia::new();
    let _held = media.lock("lock", LockMode::Exclusive, Wait::No).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| media.lock("lock", LockMode::Shared, Wait::Forever).map(|_| ()));
        std::thread::sleep(std::time::Duration::from_millis(20));
        media.crash_at(0);
        assert!(media.create("x").is_err());
        assert!(waiter.join().unwrap().is_err());
    });
}

#[test]
fn an_ordered_failure_happens_once_and_changes_nothing() {
    let media = prepared();
    media.fail_at(3, io::ErrorKind::PermissionDenied);
    assert_eq!(media.create("tmp/1").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert!(media.files().is_empty());
    publish_protocol(&media).unwrap();
}

#[test]
fn bytes_whose_sync_failed_are_lost_even_if_a_later_sync_succeeds() {
    let media = prepared();
    let mut sink = media.create("log/1").unwrap();
    sink.write_all(b"x").unwrap();
    media.fail_at(media.steps(), io::ErrorKind::Other);
    assert!(sink.sync().is_err());
    sink.sync().unwrap();
    media.sync_dir("log").unwrap();
    assert!(outcomes(&media, "log/1").contains(&Some(b"".to_vec())));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let media = prepared();
    let mut sink = media.create("tmp/1").unwrap();
    media.full_after(5);
    assert_eq!(sink.write_all(b"abcdefgh").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(media.files()["tmp/1"], b"abcde");
    media.full_after(3);
    sink.write_all(b"fgh").unwrap();
    sink.sync().unwrap();
    assert!(sink.write_all(b"i").is_err());
}

#[test]
fn damage_is_durable_and_leaves_no_trace() {
    let media = prepared();
    publish_protocol(&media).unwrap();
    let steps = media.steps();
    let open = media.open("log/1").unwrap();
    media.corrupt("log/1", |bytes| bytes.truncate(2)).unwrap();
    assert!(open.read_exact_at(&mut [0; 8], 0).is_err(), "an open file sees it");
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from([Some(b"ab".to_vec())]));
    media.remove_file("log/1").unwrap();
    assert_eq!(outcomes(&media, "log/1"), BTreeSet::from([None]));
    assert_eq!(media.corrupt("log/1", Vec::clear).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(media.steps(), steps);
}

#[test]
fn the_trace_reads_like_the_protocol() {
    let media = prepared();
    publish_protocol(&media).unwrap();
    assert_eq!(media.operations()[..3], ["create_dir tmp", "create_dir log", "sync_dir ."]);
    assert_eq!(
        media.operations()[3..],
        [
            "create tmp/1",
            "write tmp/1 +8",
            "sync tmp/1",
            "publish tmp/1 -> log/1",
            "sync_dir log",
            "sync_dir tmp"
        ]
    );
    assert!(format!("{media:?}").contains("log/1"));
}

#[test]
fn clones_are_one_medium_and_locks_hold_between_them() {
    let media = MemoryMedia::new();
    let clone = media.clone();
    let held = media.lock("lock", LockMode::Exclusive, Wait::No).unwrap();
    assert!(clone.lock("lock", LockMode::Shared, Wait::No).unwrap().is_none());
    drop(held);
    assert!(clone.lock("lock", LockMode::Shared, Wait::No).unwrap().is_some());
    assert_eq!(clone.steps(), 0, "a lock is no step");
    assert_eq!(media.after_crash(10).len(), 1, "and its file no change");
}

#[test]
fn a_killed_process_leaves_what_it_did_not_sync_and_a_settled_copy_has_nothing_to_lose() {
    let media = prepared();
    let sink = media.create("log/1");
    sink.unwrap().write_all(b"x").unwrap();
    let _held = media.lock("lock", LockMode::Exclusive, Wait::No).unwrap();
    media.crash_at(media.steps());
    assert!(media.create("log/2").is_err());
    let killed = media.after_kill();
    assert!(killed.lock("lock", LockMode::Exclusive, Wait::No).unwrap().is_some());
    assert_eq!(killed.files()["log/1"], b"x");
    assert!(killed.after_crash(100).iter().any(|state| !state.files().contains_key("log/1")));
    let settled = killed.settled();
    killed.sync_dir("log").unwrap();
    assert_eq!(settled.after_crash(100).len(), 1);
    assert_eq!(settled.files()["log/1"], b"x");
}
