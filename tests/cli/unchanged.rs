//! Files that were committed before and have not changed: not read again, and never taken for unchanged when they
//! are not.

#![cfg(unix)]

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Desk;

/// Large enough that it is asked whether it was seen.
const SIZE: usize = 2 << 20;

fn commit(desk: &Desk, options: &[&str]) -> Value {
    // What is touched in the tick in which a commit begins is read the next time too.
    std::thread::sleep(Duration::from_millis(40));
    desk.on([&["commit", "--json", "-m", "m", "data"], options].concat()).json()
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("data/large", vec![1; SIZE]);
    desk.write("data/small", "small");
    assert_eq!(commit(&desk, &[])["unchanged_files"], 0);
    desk
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let desk = desk();
    let again = commit(&desk, &[]);
    assert_eq!((&again["unchanged_files"], &again["files"]), (&2.into(), &2.into()));
    assert_eq!((&again["committed"], &again["new_bytes"]), (&false.into(), &0.into()));
    assert_eq!(commit(&desk, &["--rehash"])["unchanged_files"], 0);
    let upload =
        |more: &[&str]| desk.on([&["upload", "data", "data", "-m", "m", "--json"], more].concat()).json();
    assert_eq!(upload(&[])["unchanged_files"], 2);
    assert_eq!(upload(&["--rehash"])["unchanged_files"], 0);
    // Under another name, and after the vault was moved.
    fs::rename(desk.path("data"), desk.path("moved")).unwrap();
    fs::rename(desk.path("moved"), desk.path("data")).unwrap();
    fs::rename(desk.path("vault"), desk.path("other")).unwrap();
    fs::rename(desk.path("other"), desk.path("vault")).unwrap();
    assert_eq!(commit(&desk, &[])["unchanged_files"], 2);
    let text = desk.on(["commit", "-m", "m", "data"]).ok().err;
    assert!(text.contains("2 files (2 unchanged, not read), 2.00 MiB: 0 B new"), "{text}");
}

#[test]
fn an_edit_of_the_same_size_with_its_time_set_back_is_noticed() {
    let desk = desk();
    let path = desk.path("data/large");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = vec![1; SIZE];
    bytes[SIZE / 2] = 2;
    fs::write(&path, &bytes).unwrap();
    File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    let outcome = commit(&desk, &[]);
    assert_eq!((&outcome["unchanged_files"], &outcome["committed"]), (&1.into(), &true.into()));
    assert_eq!(desk.content(":data/large"), bytes);
}

#[test]
fn edits_right_after_a_commit_and_replaced_files_are_noticed() {
    let desk = desk();
    let path = desk.path("data/large");
    for round in 2..8 {
        // No pause: often within one tick of the clock.
        let mut bytes = vec![1; SIZE];
        bytes[0] = round;
        if round % 2 == 0 {
            fs::write(&path, &bytes).unwrap();
        } else {
            fs::write(desk.path("new"), &bytes).unwrap();
            fs::rename(desk.path("new"), &path).unwrap();
        }
        desk.on(["commit", "-m", "m", "data"]).ok();
        assert_eq!(desk.content(":data/large")[0], round);
    }
}

#[test]
fn a_file_of_the_future_is_never_taken_for_unchanged() {
    let desk = desk();
    let path = desk.path("data/large");
    let later = SystemTime::now() + Duration::from_hours(1);
    File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_times(FileTimes::new().set_modified(later))
        .unwrap();
    for _ in 0..2 {
        assert_eq!(commit(&desk, &[])["unchanged_files"], 1, "the other one");
    }
}

/// Whoever can write a row of it can have other bytes committed.
#[test]
fn a_cache_that_others_can_write_is_not_believed() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let desk = desk();
    let path = fs::read_dir(desk.path("vault/cache")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(commit(&desk, &[])["unchanged_files"], 2);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(commit(&desk, &[])["unchanged_files"], 0);
    if rustix::process::geteuid().is_root() {
        desk.on(["gc", "--prune-cache"]).ok();
        assert_eq!(commit(&desk, &[])["unchanged_files"], 0);
        for entry in fs::read_dir(desk.path("vault/cache")).unwrap() {
            chown(entry.unwrap().path(), Some(65534), None).unwrap();
        }
        assert_eq!(commit(&desk, &[])["unchanged_files"], 0);
    }
}

#[test]
fn a_cache_that_is_damaged_missing_or_somebody_elses_is_ignored() {
    let desk = desk();
    let cache = || fs::read_dir(desk.path("vault/cache")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(cache().count(), 1);
    let path = cache().next().unwrap();
    let good = fs::read(&path).unwrap();
    let (mut torn, mut zeros) = (good.clone(), good.clone());
    torn.truncate(good.len() / 2 + 3);
    zeros.fill(0);
    for bad in [torn, zeros, vec![0xff; 100_000], Vec::new()] {
        fs::write(&path, bad).unwrap();
        assert!(commit(&desk, &["--rehash"])["committed"] == false);
        desk.on(["verify", "--full"]).ok();
    }
    fs::remove_dir_all(desk.path("vault/cache")).unwrap();
    assert_eq!(commit(&desk, &[])["unchanged_files"], 0);
    assert_eq!(commit(&desk, &[])["unchanged_files"], 2, "made again");
    // The same cache beside a vault that does not have the content.
    desk.hv(["init", "empty"]).ok();
    let name = cache().next().unwrap();
    let target = desk.path("empty/cache").join(name.file_name().unwrap());
    fs::copy(&name, target).unwrap();
    let outcome = desk.hv(["-C", "empty", "commit", "--json", "-m", "m", "data"]).json();
    assert_eq!((&outcome["unchanged_files"], &outcome["committed"]), (&0.into(), &true.into()));
}
