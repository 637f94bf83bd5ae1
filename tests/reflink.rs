//! A file system that shares blocks between files (XFS here, on a loop device): content goes into a vault and out of it
//! without being copied, and nothing that happens to a source or a copy reaches the vault.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::Desk;
use crate::samples::noise;

const MIB: u64 = 1 << 20;

/// A new XFS, mounted as long as this lives.
struct Xfs {
    path: PathBuf,
}

impl Xfs {
    /// `None` where there is no right, no device or no `mkfs.xfs` for it.
    fn mount(desk: &Desk) -> Option<Self> {
        let image = desk.path("image");
        fs::File::create(&image).unwrap().set_len(512 * MIB).unwrap();
        let path = desk.path("xfs");
        fs::create_dir(&path).unwrap();
        let made =
            Command::new("mkfs.xfs").arg("-q").arg(&image).status().is_ok_and(|status| status.success());
        let mount = || Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&path).output().unwrap();
        if !rustix::process::geteuid().is_root() || !made || !mount().status.success() {
            eprintln!("\n**** SKIPPED: needs root, a loop device and mkfs.xfs (package xfsprogs) ****\n");
            return None;
        }
        Some(Self { path })
    }

    /// Bytes in use once everything is written.
    fn used(&self) -> u64 {
        rustix::fs::syncfs(fs::File::open(&self.path).unwrap()).unwrap();
        let about = rustix::fs::statvfs(&self.path).unwrap();
        (about.f_blocks - about.f_bfree) * about.f_frsize
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg(&self.path).status();
        assert!(std::thread::panicking() || ended.unwrap().success());
    }
}

#[test]
fn content_goes_in_and_out_without_being_copied() {
    let desk = Desk::new();
    let Some(xfs) = Xfs::mount(&desk) else { return };
    let content = noise(9, 48 << 20);
    let source = xfs.path.join("source.bin");
    fs::write(&source, &content).unwrap();
    desk.hv(["init", "xfs/vault"]).ok();
    let commit = |path: &Path, message: &str| {
        let add = format!("weights.bin={}", path.display());
        desk.hv(["-C", "xfs/vault", "commit", "-m", message, "--add", &add]).ok();
    };
    let before = xfs.used();
    commit(&source, "first");
    let grown = xfs.used() - before;
    assert!(grown < 4 * MIB, "{grown} bytes for a file of {}", content.len());

    // The source is its owner's: what becomes of it is not what was committed.
    let mut file = fs::OpenOptions::new().write(true).open(&source).unwrap();
    file.seek(SeekFrom::Start(20 * MIB)).unwrap();
    file.write_all(b"changed").unwrap();
    drop(file);
    let before = xfs.used();
    commit(&source, "second");
    let grown = xfs.used() - before;
    assert!(grown < 4 * MIB, "{grown} bytes for an edit of 7");
    let mut changed = content.clone();
    changed[20 << 20..][..7].copy_from_slice(b"changed");
    let cat =
        |revision: &str| desk.hv(["-C", "xfs/vault", "cat", &format!("{revision}:weights.bin")]).ok().bytes;
    assert!(cat("main~1") == content && cat("main") == changed);

    // And so is a copy.
    let before = xfs.used();
    desk.hv(["-C", "xfs/vault", "download", "--revision", "main~1", "weights.bin", "--local-dir", "xfs/out"])
        .ok();
    let grown = xfs.used() - before;
    assert!(grown < 4 * MIB, "{grown} bytes for a copy of {}", content.len());
    let copy = xfs.path.join("out/weights.bin");
    assert!(fs::read(&copy).unwrap() == content);
    fs::write(&copy, b"spoiled").unwrap();
    assert!(cat("main~1") == content);
    desk.hv(["-C", "xfs/vault", "verify", "--full"]).ok();

    // From another file system it is copied.
    desk.write("elsewhere.bin", noise(10, 2 << 20));
    commit(&desk.path("elsewhere.bin"), "third");
    assert!(cat("main") == noise(10, 2 << 20));
}
