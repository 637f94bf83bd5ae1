//! Files in and out: reading, downloads and detached views, uploads and patterns.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use hubvault::Repository;

use crate::cli::{Desk, entries};
use crate::hostile::noise;

/// Downloads one file without a folder; answers where it is.
#[track_caller]
fn download(desk: &Desk, path: &str) -> PathBuf {
    desk.on(["download", path]).text().into()
}

fn mtime(path: &Path) -> std::time::SystemTime {
    fs::symlink_metadata(path).unwrap().modified().unwrap()
}

/// Paths of all files and links below a folder, without what downloads remember there.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
            if name == ".cache/hubvault" {
                continue;
            }
            if fs::symlink_metadata(&path).unwrap().is_dir() { pending.push(path) } else { found.push(name) }
        }
    }
    found.sort();
    found
}

fn library(desk: &Desk) -> Repository {
    Repository::open(&desk.path("vault")).unwrap()
}

#[test]
fn s26_reading_what_is_missing_or_a_folder_is_not_found() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    desk.on(["download", "absent"]).fails(3, &["absent"]);
    desk.on(["download", "d/f/x"]).fails(3, &["d/f/x"]);
    let repository = library(&desk);
    assert_eq!(repository.read_bytes("absent", None).unwrap_err().code(), "entry-not-found");
    assert_eq!(repository.read_bytes("d", None).unwrap_err().code(), "is-a-directory");
    assert_eq!(repository.read_bytes("d/f", Some("nowhere")).unwrap_err().code(), "revision-not-found");
}

#[test]
fn s27_a_range_is_exactly_the_slice() {
    let desk = Desk::new();
    // Stored whole; compressed; inline; of several extents.
    let text: Vec<u8> = noise(3, 900_000).iter().map(|byte| b'0' + byte % 10).collect();
    let mut edited = noise(1, 2_500_000);
    let files = [("whole", edited.clone()), ("text", text), ("small", noise(4, 5000)), ("empty", Vec::new())];
    for (name, content) in &files {
        desk.commit_file(name, content);
    }
    edited.splice(1_200_000..1_200_010, noise(5, 3000));
    desk.commit_file("edited", &edited);
    let repository = library(&desk);
    for (name, content) in files.iter().map(|(name, content)| (*name, content)).chain([("edited", &edited)]) {
        let len = content.len() as u64;
        let places = [0, 1, 4095, 65_536, 131_073, 1_199_999, len / 2, len.saturating_sub(1), len, len + 9];
        for start in places {
            for length in [0, 1, 300, 70_000, 1_300_000, u64::MAX] {
                let from = usize::try_from(start.min(len)).unwrap();
                let to = usize::try_from(start.saturating_add(length).min(len)).unwrap().max(from);
                let read = repository.read_range(name, start, length, None).unwrap();
                assert!(read == content[from..to], "{name} {start}+{length}");
            }
        }
        assert!(repository.read_bytes(name, None).unwrap() == *content, "{name}");
    }
}

#[test]
fn s28_a_range_needs_only_the_chunks_it_touches() {
    let desk = Desk::new();
    let content = noise(2, 4_000_000);
    desk.commit_file("weights", &content);
    let packs = desk.path("vault/packs");
    let pack = entries(&packs).into_iter().find(|name| name.ends_with(".pack")).unwrap();
    let pack = packs.join(pack);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[3_000_000] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let repository = library(&desk);
    assert!(repository.read_range("weights", 1000, 2_500_000, None).unwrap() == content[1000..2_501_000]);
    assert!(
        repository.read_range("weights", 3_500_000, 400_000, None).unwrap() == content[3_500_000..3_900_000]
    );
    assert_eq!(repository.read_range("weights", 2_999_999, 5, None).unwrap_err().code(), "damaged");
    // A download of it fails, and leaves nothing under its name.
    desk.on(["download", "weights", "--local-dir", "out"]).fails(5, &["weights"]);
    assert_eq!(tree(&desk.path("out")), Vec::<String>::new());
}

#[test]
fn s29_an_open_file_reads_and_seeks_and_that_is_all() {
    let desk = Desk::new();
    desk.commit_file("f", "0123456789");
    let mut file = library(&desk).open_file("f", None).unwrap();
    let mut text = String::new();
    file.seek(SeekFrom::End(-4)).unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), file.size()), ("6789", 10));
    assert_eq!(file.seek(SeekFrom::Start(3)).unwrap(), 3);
    assert!(file.seek(SeekFrom::Current(-4)).is_err());
    let mut one = [0];
    file.read_exact(&mut one).unwrap();
    assert_eq!(one, *b"3");
    assert_eq!(file.seek(SeekFrom::Start(1 << 40)).unwrap(), 1 << 40);
    assert_eq!(file.read(&mut one).unwrap(), 0);
}

#[test]
fn s30_an_older_revision_keeps_its_bytes() {
    let desk = Desk::new();
    let old = desk.commit_file("f", "old");
    desk.commit_file("f", "new!");
    let repository = library(&desk);
    assert_eq!(repository.read_bytes("f", Some(&old)).unwrap(), b"old");
    assert_eq!(repository.read_bytes("f", None).unwrap(), b"new!");
    assert_eq!(fs::read(desk.on(["download", "f", "-r", &old]).text()).unwrap(), b"old");
    assert_eq!(fs::read(download(&desk, "f")).unwrap(), b"new!");
}

#[test]
fn s47_a_path_ends_as_in_the_repository_and_the_second_time_nothing_is_written() {
    let desk = Desk::new();
    desk.commit_file("models/a/weights.bin", noise(1, 600_000));
    let first = download(&desk, "models/a/weights.bin");
    assert!(first.ends_with("models/a/weights.bin") && first.is_absolute(), "{}", first.display());
    let written = mtime(&first);
    assert_eq!(download(&desk, "models/a/weights.bin"), first);
    // The same content in another commit and on another branch is the same copy.
    desk.on(["branch", "dev"]).ok();
    desk.commit_file("other", "1");
    assert_eq!(download(&desk, "models/a/weights.bin"), first);
    let again = desk.on(["download", "models/a/weights.bin", "-r", "dev", "--json"]).json();
    assert_eq!((&again["written"], &again["unchanged"]), (&0.into(), &1.into()));
    assert_eq!(mtime(&first), written);
    assert_eq!(entries(&desk.path("vault/cache/files")).len(), 1);
}

/// Ways to spoil a copy. Each leaves a file of the same length or none.
fn spoil(path: &Path, way: usize) {
    let content = fs::read(path).unwrap();
    match way {
        0 => fs::write(path, vec![b'x'; content.len()]).unwrap(),
        1 => fs::remove_file(path).unwrap(),
        2 => fs::write(path, &content[..content.len() / 2]).unwrap(),
        3 => {
            fs::remove_file(path).unwrap();
            fs::create_dir_all(path.join("sub")).unwrap();
        }
        4 => {
            // An edit that hides: the same length, and the time set back.
            let before = mtime(path);
            fs::write(path, vec![b'y'; content.len()]).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }
        #[cfg(unix)]
        5 => {
            let elsewhere = path.with_file_name("elsewhere");
            fs::write(&elsewhere, vec![b'z'; content.len()]).unwrap();
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(&elsewhere, path).unwrap();
        }
        #[cfg(unix)]
        6 => {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        _ => {}
    }
}

#[test]
fn s48_a_spoiled_copy_hurts_nobody_and_is_restored() {
    let desk = Desk::new();
    desk.commit_file("d/f", "content of f");
    for way in 0..8 {
        for folder in [None, Some("out")] {
            let args =
                ["download", "d/f"].into_iter().chain(folder.iter().flat_map(|dir| ["--local-dir", dir]));
            let args: Vec<&str> = args.collect();
            let path = desk.path(&desk.on(&args).text());
            // Twice, so that what is remembered is settled.
            desk.on(&args).ok();
            spoil(&path, way);
            assert_eq!(library(&desk).read_bytes("d/f", None).unwrap(), b"content of f");
            assert_eq!(desk.on(["verify", "--full", "--json"]).json()["ok"], true);
            desk.on(&args).ok();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert!(metadata.is_file(), "{way}");
            #[cfg(unix)]
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111, 0, "{way}");
            assert_eq!(fs::read(&path).unwrap(), b"content of f", "{way}");
        }
    }
}

#[test]
fn s48_the_same_for_a_snapshot_which_holds_nothing_else() {
    let desk = Desk::new();
    desk.commit_file("d/f", "content of f");
    desk.commit_file("d/sub/g", "g");
    let folder = PathBuf::from(desk.on(["snapshot"]).text());
    for way in 0..8 {
        spoil(&folder.join("d/f"), way);
        fs::create_dir_all(folder.join("mine/deep")).unwrap();
        fs::write(folder.join("d/stranger"), "1").unwrap();
        assert_eq!(PathBuf::from(desk.on(["snapshot"]).text()), folder);
        assert_eq!(tree(&folder), ["d/f", "d/sub/g"], "{way}");
        assert_eq!(fs::read(folder.join("d/f")).unwrap(), b"content of f");
        assert_eq!(entries(&folder), ["d"]);
    }
}

#[test]
fn s49_an_export_mirrors_the_layout_and_stays_out_of_the_vault() {
    let desk = Desk::new();
    desk.commit_file("a/b/c.txt", "c");
    desk.commit_file("top.txt", "t");
    let path = desk.on(["download", "a/b/c.txt", "--local-dir", "out"]).text();
    assert_eq!(Path::new(&path), Path::new("out").join("a").join("b").join("c.txt"));
    assert_eq!(desk.on(["snapshot", "--local-dir", "out"]).text(), "out");
    assert_eq!(tree(&desk.path("out")), ["a/b/c.txt", "top.txt"]);
    for inside in ["vault", "vault/new/folder", "vault/cache", "out/../vault/x"] {
        desk.on(["snapshot", "--local-dir", inside]).fails(1, &["inside the vault"]);
        desk.on(["download", "top.txt", "--local-dir", inside]).fails(1, &["inside the vault"]);
    }
    assert!(!desk.path("vault/new").exists());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(desk.path("vault/cache"), desk.path("door")).unwrap();
        for inside in ["door", "door/new"] {
            desk.on(["snapshot", "--local-dir", inside]).fails(1, &["inside the vault"]);
        }
    }
}

#[test]
fn s50_a_snapshot_is_exactly_the_revision() {
    let desk = Desk::new();
    desk.write("in/keep.txt", "keep");
    desk.write("in/gone/deep/old.txt", "old");
    desk.write("in/turns", "a file");
    desk.write("in/folder/turns", "1");
    desk.commit(["--add", ".=in"]);
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    desk.write("out/mine.txt", "mine");
    desk.write("out/gone/mine too", "mine");
    let kept = mtime(&desk.path("out/keep.txt"));
    desk.on(["rm", "gone", "turns", "folder", "-m", "x"]).ok();
    desk.commit_file("turns/into", "a folder");
    desk.commit_file("folder", "a file");
    let report = desk.on(["snapshot", "--local-dir", "out", "--json"]).json();
    let wanted = ["folder", "gone/mine too", "keep.txt", "mine.txt", "turns/into"];
    assert_eq!(tree(&desk.path("out")), wanted, "{report}");
    assert_eq!(
        (&report["written"], &report["unchanged"], &report["removed"]),
        (&2.into(), &1.into(), &3.into())
    );
    assert!(!desk.path("out/gone/deep").exists());
    assert_eq!(mtime(&desk.path("out/keep.txt")), kept);
    // What was made one's own stays.
    desk.write("out/keep.txt", "edited");
    desk.on(["rm", "keep.txt", "-m", "x"]).ok();
    let run = desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert!(run.err.contains("keep.txt"), "{}", run.err);
    assert_eq!(fs::read(desk.path("out/keep.txt")).unwrap(), b"edited");
}

#[test]
fn s50_a_snapshot_can_be_part_of_a_revision() {
    let desk = Desk::new();
    for name in ["a.txt", "b.bin", "data/c.txt", "data/sub/d.bin"] {
        desk.commit_file(name, name);
    }
    let taken = |args: &[&str]| {
        let folder = desk.on([&["snapshot"], args].concat()).text();
        tree(Path::new(&folder))
    };
    assert_eq!(taken(&["--include", "*.txt"]), ["a.txt", "data/c.txt"]);
    assert_eq!(taken(&["--include", "data/"]), ["data/c.txt", "data/sub/d.bin"]);
    assert_eq!(taken(&["--include", "*.bin", "--include", "a*", "--exclude", "data/*"]), ["a.txt", "b.bin"]);
    assert_eq!(taken(&["--exclude", "*"]), Vec::<String>::new());
    let folder = desk.on(["download", "data/sub", "a.txt"]).text();
    assert_eq!(tree(Path::new(&folder)), ["a.txt", "data/sub/d.bin"]);
    desk.on(["download", "data/sub", "nowhere"]).fails(3, &["nowhere"]);
}

#[test]
fn s51_what_is_remembered_wrongly_is_said_and_made_anew() {
    let desk = Desk::new();
    desk.commit_file("f", "content");
    for text in ["", "not what was written", "{\"hubvault_view\":1,\"clock\":9e9}\n", "[]\n[]\n"] {
        for (args, manifest) in [
            (&["snapshot", "--local-dir", "out"][..], desk.path("out/.cache/hubvault/manifest")),
            (&["download", "f"], PathBuf::new()),
        ] {
            desk.on(args).ok();
            let manifest = if manifest.as_os_str().is_empty() {
                let views = desk.path("vault/cache/views");
                views.join(&entries(&views)[0]).join("manifest")
            } else {
                manifest
            };
            fs::write(&manifest, text).unwrap();
            let run = desk.on(args).ok();
            assert!(run.err.contains("warning") && run.err.contains("manifest"), "{run:#?}");
            assert!(desk.on(args).ok().err.is_empty());
        }
    }
}
