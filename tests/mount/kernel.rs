//! A vault through a real mount made by the built program.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{desk, noise, sample};
use crate::cli::{Desk, HV, Run, entries};

/// Whether anything can be mounted here. In CI it must; elsewhere a loud word is enough.
pub(crate) fn can_mount() -> bool {
    let can = Path::new("/dev/fuse").exists();
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(can || !in_ci, "there is no /dev/fuse, and in CI the mount must be tested");
    if !can {
        eprintln!("\n**** SKIPPED: there is no /dev/fuse, nothing was mounted and NOTHING WAS TESTED ****\n");
    }
    can
}

/// A mount made by `hv mount`; ended when dropped.
pub(crate) struct Mount<'a> {
    desk: &'a Desk,
    pub(crate) path: PathBuf,
    pub(crate) about: Value,
}

impl<'a> Mount<'a> {
    /// Mounts a revision on a new folder.
    #[track_caller]
    pub(crate) fn new(desk: &'a Desk, folder: &str, revision: &str) -> Self {
        Self::with(desk, folder, revision, &[])
    }

    /// The same with more options.
    #[track_caller]
    pub(crate) fn with(desk: &'a Desk, folder: &str, revision: &str, options: &[&str]) -> Self {
        let path = desk.path(folder);
        fs::create_dir_all(&path).unwrap();
        let words = ["mount", "vault", folder, "--revision", revision, "--json"];
        let about = desk.hv(words.iter().chain(options)).json();
        Self { desk, path, about }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.about["pid"].as_u64().unwrap()
    }

    /// Ends it, which must work.
    #[track_caller]
    pub(crate) fn end(self) {
        self.desk.hv([Path::new("umount"), &self.path]).ok();
        assert_eq!(entries(&self.path), Vec::<String>::new());
        let pid = self.pid();
        until("the serving process ends", || !is_running(pid));
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        self.desk.hv([Path::new("umount"), Path::new("--force"), &self.path]);
    }
}

pub(crate) fn is_running(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kills a process when dropped.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(ended.is_ok());
    }
}

#[track_caller]
fn same_as_sample(folder: &Path) {
    for (name, content) in sample() {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().len(), content.len() as u64);
        assert!(fs::read(folder.join(name)).unwrap() == content, "{name}");
    }
}

#[test]
fn it_returns_when_ready_and_serves_in_the_background() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let run = desk.hv(["mount", "vault", "mnt@main"]).ok();
    let head = desk.head();
    assert_eq!(run.out, format!("main at {} is mounted on {}\n", &head[..7], desk.path("mnt").display()));
    same_as_sample(&desk.path("mnt"));
    assert_eq!(fs::read_link(desk.path("mnt/link")).unwrap(), Path::new("a/b/c/d/deep.txt"));
    assert_eq!(fs::read(desk.path("mnt/link")).unwrap(), b"deep");
    assert_eq!(Command::new(desk.path("mnt/run.sh")).status().unwrap().code(), Some(7));
    assert!(desk.hv(["umount", "mnt"]).ok().out.is_empty());
    assert_eq!(entries(&desk.path("mnt")), Vec::<String>::new());
    desk.hv(["umount", "mnt"]).fails(1, &["nothing of hubvault is mounted at mnt"]);
}

#[test]
fn two_revisions_at_once_and_a_commit_changes_neither() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let first = desk.head();
    let replaced = noise(9, 500_000);
    let second = desk.commit_file("big.bin", &replaced);
    let old = Mount::new(&desk, "old", "HEAD~1");
    let new = Mount::new(&desk, "new", "main");
    assert_eq!((&old.about["commit"], &new.about["commit"]), (&first.into(), &second.into()));
    let inode = |mount: &Mount<'_>, name: &str| fs::metadata(mount.path.join(name)).unwrap().ino();
    let open = File::open(new.path.join("big.bin")).unwrap();
    desk.commit(["--delete", "big.bin", "--delete", "twins"]);
    same_as_sample(&old.path);
    assert!(fs::read(new.path.join("big.bin")).unwrap() == replaced);
    assert!(io::read_to_string(File::open(new.path.join("twins/two.txt")).unwrap()).unwrap() == "same");
    let mut buffer = vec![0; 1000];
    open.read_exact_at(&mut buffer, 250_000).unwrap();
    assert!(buffer == replaced[250_000..251_000]);
    drop(open);
    assert_eq!(inode(&old, "big.bin"), inode(&new, "big.bin"));
    assert_ne!(inode(&new, "one.txt"), inode(&new, "twins/two.txt"));
    old.end();
    new.end();
}

#[test]
fn random_reads_by_many_threads_are_the_committed_bytes() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    for name in ["big.bin", "large.safetensors", "zeros.bin"] {
        let content = &sample()[name];
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let file = File::open(mount.path.join(name)).unwrap();
                scope.spawn(move || {
                    for start in noise(thread, 400).chunks(4) {
                        let offset = u32::from_le_bytes(start.try_into().unwrap()) as usize % content.len();
                        let mut buffer = vec![0; (offset % 300_000).min(content.len() - offset)];
                        file.read_exact_at(&mut buffer, offset as u64).unwrap();
                        assert!(buffer == content[offset..offset + buffer.len()], "{name} {offset}");
                    }
                });
            }
        });
    }
    mount.end();
}

#[test]
fn nothing_can_be_written() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    let (file, new) = (mount.path.join("one.txt"), mount.path.join("new"));
    let refused = [
        ("write", fs::write(&file, "x")),
        ("create", File::create(&new).map(drop)),
        ("append", OpenOptions::new().append(true).open(&file).map(drop)),
        ("mkdir", fs::create_dir(&new)),
        ("unlink", fs::remove_file(&file)),
        ("rename", fs::rename(&file, &new)),
        ("hard link", fs::hard_link(&file, &new)),
        ("symlink", symlink("x", &new)),
    ];
    for (what, result) in refused {
        assert_eq!(result.expect_err(what).kind(), io::ErrorKind::ReadOnlyFilesystem, "{what}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"same");
    mount.end();
}

#[test]
fn a_folder_of_ten_thousand_lists_completely() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    for n in 0..10_000 {
        desk.write(&format!("in/many/{n:05}"), n.to_string());
    }
    desk.commit(["--add", ".=in"]);
    let mount = Mount::new(&desk, "mnt", "main");
    let names = entries(&mount.path.join("many"));
    assert!(names.iter().map(|name| name.parse::<usize>().unwrap()).eq(0..10_000));
    assert_eq!(fs::read(mount.path.join("many/07654")).unwrap(), b"7654");
    mount.end();
}

#[test]
fn the_vault_of_a_mount_is_named_as_for_other_commands() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.hv(["init", "v2"]).ok();
    fs::create_dir(desk.path("m1")).unwrap();
    let shown = |run: Run| {
        let about = run.json();
        desk.hv(["umount", "m1"]).ok();
        about["vault"].as_str().unwrap().to_owned()
    };
    let vault = |name: &str| desk.path(name).canonicalize().unwrap().display().to_string();
    let with_variable = |words: &[&str]| -> Run {
        let mut command = desk.command(HV);
        command.env("HUBVAULT_DIR", "v2").args(words).output().unwrap().into()
    };
    assert_eq!(shown(desk.on(["mount", "m1@main", "--json"])), vault("vault"));
    assert_eq!(shown(desk.on(["mount", "--json", "./vault/", "--follow", "main", "m1"])), vault("vault"));
    assert_eq!(shown(with_variable(&["mount", "m1@main", "--json"])), vault("v2"));
    assert_eq!(shown(with_variable(&["mount", "vault", "m1@main", "--json"])), vault("vault"));
    desk.hv(["-C", "v2", "mount", "vault", "m1"]).fails(2, &["two vaults are named", "`v2`", "`vault`"]);
    desk.hv(["mount", "m1@main"]).fails(3, &["there is no vault here"]);
    desk.hv(["mount", "-C", "v2"]).fails(2, &["[VAULT] <MOUNTPOINT[@REVISION]>"]);
    desk.hv(["mount"]).fails(2, &["[VAULT] <MOUNTPOINT[@REVISION]>"]);
}

#[test]
fn mounts_are_listed_with_their_vault_and_revision() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.on(["tag", "v1.0@rc"]).ok();
    let plain = Mount::new(&desk, "plain", "main");
    let odd = Mount::new(&desk, "sp ace@x", "v1.0@rc");
    let text = desk.hv(["mounts"]).ok().out;
    let vault = desk.path("vault").display().to_string();
    assert!(text.contains(&format!("{vault}@main on {}\n", plain.path.display())), "{text}");
    let listed = desk.hv(["mounts", "--json"]).json();
    let find = |mount: &Mount<'_>| -> (String, String) {
        let wanted = mount.path.display().to_string();
        let entry = listed.as_array().unwrap().iter().find(|entry| entry["mountpoint"] == wanted.as_str());
        let text = |key: &str| entry.unwrap()[key].as_str().unwrap().to_owned();
        (text("vault"), text("revision"))
    };
    assert_eq!(find(&plain), (vault.clone(), "main".to_owned()));
    assert_eq!(find(&odd), (vault, "v1.0@rc".to_owned()));
    plain.end();
    odd.end();
}

/// Runs `hv mount --foreground` and waits until it says it is ready.
pub(crate) fn foreground(desk: &Desk, target: &str) -> Guard {
    let mut command = desk.command(HV);
    command.args(["mount", "--foreground", "vault", target]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut lines = io::BufReader::new(child.stdout.take().unwrap());
    io::BufRead::read_line(&mut lines, &mut line).unwrap();
    assert!(line.contains(" is mounted on "), "{:?}", Run::from(child.wait_with_output().unwrap()));
    Guard(child)
}
