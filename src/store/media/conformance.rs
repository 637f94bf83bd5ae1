//! One suite of behaviour for every medium: what a program can see without a crash is the same on a disk and in
//! memory, or tests in memory would say nothing about disks.
//!
//! It uses the trait alone and must not know which medium it runs on.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::disk::DiskMedia;
use super::memory::MemoryMedia;
use super::{LockMode, Media, Wait};

fn on_each(check: fn(&dyn Media)) {
    let folder = tempfile::tempdir().unwrap();
    check(&DiskMedia::open(folder.path()));
    check(&MemoryMedia::new());
}

fn put(media: &dyn Media, path: &str, bytes: &[u8]) {
    let mut sink = media.create(path).unwrap();
    sink.write_all(bytes).unwrap();
    sink.sync().unwrap();
}

fn get(media: &dyn Media, path: &str) -> Vec<u8> {
    let file = media.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn names(media: &dyn Media, path: &str) -> Vec<String> {
    let mut names = media.list(path).unwrap();
    names.sort();
    names
}

#[test]
fn a_file_is_written_synced_published_and_read() {
    on_each(|media| {
        for folder in ["tmp", "packs", "packs/ab"] {
            media.create_dir(folder).unwrap();
        }
        put(media, "tmp/1", b"hello world");
        media.publish("tmp/1", "packs/ab/1").unwrap();
        for folder in ["tmp", "packs/ab", "packs", ""] {
            media.sync_dir(folder).unwrap();
        }
        assert_eq!(get(media, "packs/ab/1"), b"hello world");
        assert_eq!(media.len("packs/ab/1").unwrap(), Some(11));
        assert_eq!(media.len("tmp/1").unwrap(), None);
        assert_eq!(names(media, ""), ["packs", "tmp"]);
        assert!(names(media, "tmp").is_empty());
        assert_eq!(names(media, "packs/ab"), ["1"]);
    });
}

#[test]
fn reading_is_by_position_and_never_short() {
    on_each(|media| {
        put(media, "file", b"0123456789");
        let file = media.open("file").unwrap();
        let mut buffer = [0; 4];
        file.read_exact_at(&mut buffer, 6).unwrap();
        assert_eq!(&buffer, b"6789");
        file.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"0123");
        for offset in [7, 10, 11, u64::from(u32::MAX)] {
            assert_eq!(file.read_exact_at(&mut buffer, offset).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
        file.read_exact_at(&mut [], 99).unwrap();
        assert_eq!((file.len(), file.is_empty()), (10, false));
        put(media, "empty", b"");
        assert!(media.open("empty").unwrap().is_empty());
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    on_each(|media| {
        put(media, "file", b"still here");
        let file = media.open("file").unwrap();
        media.remove("file").unwrap();
        let mut bytes = [0; 10];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"still here");
        // Wine and older versions of Windows let go of the name only now.
        drop(file);
        assert_eq!(media.open("file").unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn nothing_is_ever_replaced() {
    on_each(|media| {
        media.create_dir("folder").unwrap();
        put(media, "old", b"old");
        put(media, "new", b"new");
        assert_eq!(media.create("old").unwrap_err().kind(), ErrorKind::AlreadyExists);
        for taken in ["old", "folder"] {
            assert_eq!(media.publish("new", taken).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!((get(media, "old"), get(media, "new")), (b"old".to_vec(), b"new".to_vec()));
        media.create_dir("folder").unwrap();
        assert!(media.create_dir("old").is_err());
    });
}

#[test]
fn what_is_absent_is_not_found() {
    on_each(|media| {
        let not_found = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::NotFound);
        not_found(media.open("absent").unwrap_err());
        not_found(media.open("no/folder").unwrap_err());
        not_found(media.create("no/folder").unwrap_err());
        not_found(media.publish("absent", "other").unwrap_err());
        not_found(media.remove("absent").unwrap_err());
        not_found(media.create_dir("no/folder").unwrap_err());
        not_found(media.list("absent").unwrap_err());
        not_found(media.lock("no/lock", LockMode::Shared, Wait::No).unwrap_err());
        assert_eq!(media.len("absent").unwrap(), None);
        assert_eq!(media.len("no/folder").unwrap(), None);
        put(media, "file", b"");
        not_found(media.publish("file", "no/folder").unwrap_err());
        assert_eq!(names(media, ""), ["file"]);
    });
}

#[test]
fn a_folder_is_no_file() {
    on_each(|media| {
        media.create_dir("folder").unwrap();
        assert!(media.open("folder").is_err());
        assert!(media.len("folder").is_err());
        assert!(media.remove("folder").is_err());
        assert!(media.lock("folder", LockMode::Shared, Wait::No).is_err());
        assert_eq!(names(media, ""), ["folder"]);
    });
}

#[test]
fn paths_that_leave_the_vault_are_refused() {
    on_each(|media| {
        for path in
            ["..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", "/", ".", "./a", "a\\b", "c:x", "a\0b"]
        {
            let refused =
                |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
            refused(media.open(path).unwrap_err());
            refused(media.create(path).unwrap_err());
            refused(media.publish(path, "to").unwrap_err());
            refused(media.remove(path).unwrap_err());
            refused(media.create_dir(path).unwrap_err());
            refused(media.sync_dir(path).unwrap_err());
            refused(media.list(path).unwrap_err());
            refused(media.len(path).unwrap_err());
            refused(media.lock(path, LockMode::Shared, Wait::No).unwrap_err());
        }
        put(media, "from", b"");
        assert_eq!(media.publish("from", "../to").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(media.open("").is_err() && media.create("").is_err() && media.remove("").is_err());
    });
}

#[test]
fn a_large_file_comes_back_whole() {
    on_each(|media| {
        let mut sink = media.create("file").unwrap();
        let mut source = std::io::repeat(7).take(1 << 20);
        assert_eq!(std::io::copy(&mut source, &mut sink).unwrap(), 1 << 20);
        sink.sync().unwrap();
        drop(sink);
        assert_eq!(get(media, "file"), vec![7; 1 << 20]);
    });
}

#[test]
fn shared_locks_go_together_and_an_exclusive_one_alone() {
    on_each(|media| {
        let try_lock = |mode| media.lock("lock", mode, Wait::No).unwrap();
        let first = try_lock(LockMode::Shared).unwrap();
        let second = try_lock(LockMode::Shared).unwrap();
        assert!(try_lock(LockMode::Exclusive).is_none());
        drop(first);
        assert!(try_lock(LockMode::Exclusive).is_none());
        drop(second);
        let alone = try_lock(LockMode::Exclusive).unwrap();
        assert!(try_lock(LockMode::Shared).is_none() && try_lock(LockMode::Exclusive).is_none());
        assert!(media.lock("other", LockMode::Exclusive, Wait::No).unwrap().is_some(), "locks are by name");
        drop(alone);
        assert!(try_lock(LockMode::Exclusive).is_some());
        assert_eq!(media.len("lock").unwrap(), Some(0));
    });
}

#[test]
fn waiting_ends_when_the_lock_is_released() {
    on_each(|media| {
        let released = AtomicBool::new(false);
        let held = media.lock("lock", LockMode::Exclusive, Wait::Forever).unwrap();
        std::thread::scope(|scope| {
            for mode in [LockMode::Shared, LockMode::Exclusive] {
                let released = &released;
                scope.spawn(move || {
                    let lock = media.lock("lock", mode, Wait::Forever).unwrap();
                    assert!(lock.is_some() && released.load(Ordering::SeqCst));
                });
            }
            std::thread::sleep(Duration::from_millis(50));
            released.store(true, Ordering::SeqCst);
            drop(held);
        });
    });
}
