//! A damaged pack under a mount: the file it holds fails, and nothing else does.

use std::fs;
use std::path::Path;

use super::desk;
use super::kernel::{Mount, can_mount, is_running};
use crate::cli::entries;

#[test]
fn a_damaged_file_cannot_be_read_and_the_others_can() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.commit_file("victim.bin", super::noise(2_000_000, 77));
    let packs = desk.path("vault/packs");
    let newest = entries(&packs)
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "pack"));
    let newest =
        newest.max_by_key(|name| fs::metadata(packs.join(name)).unwrap().modified().unwrap()).unwrap();
    let mut bytes = fs::read(packs.join(&newest)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0);
    // Packs are read-only; only root could write into one.
    fs::remove_file(packs.join(&newest)).unwrap();
    fs::write(packs.join(&newest), bytes).unwrap();
    let mount = Mount::new(&desk, "mnt", "main");
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
