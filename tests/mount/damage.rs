//! A damaged pack under a mount: the file it holds fails, and nothing else does.

use std::fs;
use std::path::Path;

use super::desk;
use super::kernel::{Mount, can_mount, is_running};
use super::views::View;
use crate::cli::{Desk, entries};

#[test]
fn a_damaged_file_cannot_be_read_and_the_others_can() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.commit_file("victim.bin", super::noise(77, 2_000_000));
    let newest = change_newest_pack(&desk, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0);
    });
    let mount = Mount::with(&desk, "mnt", "main", &["--no-passthrough"]);
    for _ in 0..2 {
        let error = fs::read(mount.path.join("victim.bin")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{error}");
        for (name, content) in super::sample() {
            assert!(fs::read(mount.path.join(name)).unwrap() == content, "{name}");
        }
    }
    assert!(is_running(mount.pid()));
    let log = fs::read_to_string(desk.home_file("hubvault/mount.log")).unwrap();
    assert!(log.contains("victim.bin") && log.contains(&newest), "{log}");
    mount.end();
}

/// Also where a path can mean something else a moment later, and files are known by number.
#[test]
fn what_is_damaged_is_named_in_mounts_that_move() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.commit_file("victim.bin", super::noise(77, 2_000_000));
    change_newest_pack(&desk, |bytes| bytes[1_000_000..1_000_064].fill(0));
    let log = || fs::read_to_string(desk.home_file("hubvault/mount.log")).unwrap();
    for (options, top) in [(&[][..], "branches/main/"), (&["--follow", "main"][..], "")] {
        let (_view, _) = View::new(&desk, "mnt", &[&["--no-passthrough"], options].concat());
        let before = log().len();
        let error = fs::read(desk.path("mnt").join(format!("{top}victim.bin"))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{error}");
        assert!(log()[before..].contains("victim.bin@main"), "{top}: {}", log());
    }
}

/// A kernel that reads by itself checks no hash; what it can be kept from is a file of another length.
#[test]
fn a_truncated_pack_is_no_shorter_file_through_a_mount() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.commit_file("victim.bin", super::noise(77, 2_000_000));
    change_newest_pack(&desk, |bytes| bytes.truncate(1_500_000));
    let mount = Mount::new(&desk, "mnt", "main");
    for _ in 0..2 {
        let error = fs::read(mount.path.join("victim.bin")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{error}");
    }
    mount.end();
}

/// Nor when it is truncated after it was read once.
#[test]
fn a_pack_that_is_truncated_later_is_no_shorter_file_either() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let content = super::noise(77, 2_000_000);
    desk.commit_file("victim.bin", &content);
    let pack = desk.path("vault/packs").join(change_newest_pack(&desk, |_| ()));
    let mount = Mount::new(&desk, "mnt", "main");
    assert!(fs::read(mount.path.join("victim.bin")).unwrap() == content);
    fs::OpenOptions::new().write(true).open(&pack).unwrap().set_len(1_000).unwrap();
    match fs::read(mount.path.join("victim.bin")) {
        // Pages that the kernel holds may still be read; never fewer, and never others.
        Ok(bytes) => assert!(bytes == content, "{} bytes", bytes.len()),
        Err(error) => assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{error}"),
    }
    mount.end();
}

/// Changes the pack that was written last; answers its name.
fn change_newest_pack(desk: &Desk, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let packs = desk.path("vault/packs");
    let is_pack = |name: &String| Path::new(name).extension().is_some_and(|end| end == "pack");
    let modified = |name: &String| fs::metadata(packs.join(name)).unwrap().modified().unwrap();
    let newest = entries(&packs).into_iter().filter(is_pack).max_by_key(modified).unwrap();
    let mut bytes = fs::read(packs.join(&newest)).unwrap();
    change(&mut bytes);
    // Packs are read-only; only root could write into one.
    fs::remove_file(packs.join(&newest)).unwrap();
    fs::write(packs.join(&newest), bytes).unwrap();
    newest
}
