//! Files in and out: reading, downloads and detached views, uploads and patterns.

use std::fs;
use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hubvault::Repository;
use hubvault::ops::download::DownloadOptions;
use hubvault::ops::patterns::PathFilter;
use hubvault::ops::source::SharedReader;
use hubvault::ops::upload::FolderUpload;
use hubvault::ops::{AddSource, CommitOptions, OpsError, Progress};

use super::{Bench, add, noise, path};
use crate::cli::{Desk, entries};

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
    // What cannot be written cannot be removed either on Windows.
    #[cfg(windows)]
    {
        let mut permissions = fs::metadata(&pack).unwrap().permissions();
        permissions.set_readonly(false);
        fs::set_permissions(&pack, permissions).unwrap();
    }
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
fn a_download_holds_a_lease_as_long_as_it_takes() {
    let bench = Bench::new();
    let commit = bench.commit(&[add("f", "1"), add("g", "2")]).oid;
    let repository = &bench.repository;
    let seen = std::cell::Cell::new(0);
    let mut watch = |_: Progress<'_>| {
        let leases = repository.status().unwrap().leases;
        assert!(leases.len() == 1 && leases[0].commit == commit && leases[0].pid == 77, "{leases:?}");
        assert!(leases[0].purpose.starts_with("download "), "{leases:?}");
        seen.set(seen.get() + 1);
    };
    let options = DownloadOptions { pid: 77, ..DownloadOptions::default() };
    repository.hf_hub_download("f", &options, &bench.actor(), &mut watch).unwrap();
    let all = PathFilter::default();
    repository.snapshot_download(&all, &[], &options, &bench.actor(), &mut watch).unwrap();
    assert!(seen.get() >= 8);
    assert!(repository.status().unwrap().leases.is_empty());
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
    for inside in ["vault", "vault/new/folder", "vault/cache", "out/../vault/x", "nowhere/../vault/x"] {
        // Windows takes `..` off before it looks whether the folder is there.
        let goes_up = inside.starts_with("nowhere") && !cfg!(windows);
        let why = if goes_up { "without `..`" } else { "inside the vault" };
        desk.on(["snapshot", "--local-dir", inside]).fails(1, &[why]);
        desk.on(["download", "top.txt", "--local-dir", inside]).fails(1, &[why]);
    }
    assert!(!desk.path("vault/new").exists() && !desk.path("vault/x").exists());
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
    fs::remove_dir_all(desk.path("in")).unwrap();
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

/// Writes files below `in` and uploads that folder with these arguments; answers the report.
#[track_caller]
fn upload(desk: &Desk, args: &[&str]) -> serde_json::Value {
    desk.on([&["upload", "in", "--json"], args].concat()).json()
}

/// Paths of the files below a folder, in it.
fn below(desk: &Desk, folder: &str) -> Vec<String> {
    let prefix = format!("{folder}/");
    desk.files("HEAD").iter().filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[test]
fn s07_bytes_a_path_and_a_reader_give_the_same_content() {
    let bench = Bench::new();
    for content in [b"small".to_vec(), Vec::new(), noise(1, 2_000_000)] {
        fs::write(bench.path("local"), &content).unwrap();
        let reader = Arc::new(Mutex::new(Cursor::new(content.clone())));
        reader.lock().unwrap().set_position(3);
        let sources = [
            ("bytes", AddSource::Bytes(content.clone())),
            ("path", AddSource::Local(bench.path("local"))),
            ("reader", AddSource::Reader(SharedReader::share(&reader))),
        ];
        for (name, source) in sources {
            let done = bench.repository.upload_file(
                source,
                &path(name),
                &CommitOptions::default(),
                &bench.actor(),
                &mut |_| (),
            );
            let done = done.unwrap();
            assert_eq!(done.commit.commit_message, format!("Upload {name} with hubvault"));
            let urls = [done.commit_url.unwrap(), done.url.unwrap()];
            assert!(
                urls[0].starts_with("file:///") && urls[0].ends_with(&format!("#commit={}", done.commit.oid))
            );
            assert!(urls[1].ends_with(&format!("#blob=main:{name}")), "{urls:?}");
        }
        assert_eq!(reader.lock().unwrap().position(), 3);
        let snapshot = bench.repository.snapshot(None).unwrap();
        let ids = ["bytes", "path", "reader"].map(|name| snapshot.entry(name).unwrap().id);
        assert!(ids[0] == ids[1] && ids[1] == ids[2]);
        assert!(bench.repository.read_bytes("reader", None).unwrap() == content);
        let all = [add("bytes", "next"), add("path", "next"), add("reader", "next")];
        bench.commit(&all);
    }
}

#[test]
fn s14_files_and_folders_are_copied_from_another_revision_as_they_were() {
    let desk = Desk::new();
    desk.commit_file("d/f", "old");
    let old = desk.commit_file("d/sub/g", "g");
    desk.commit_file("d/f", "new");
    desk.on(["rm", "d/sub", "-m", "x"]).ok();
    desk.commit([
        "--copy",
        &format!("{old}:d=restored"),
        "--copy",
        "d/f=here",
        "--copy",
        &format!("{old}:d/f=d/f"),
    ]);
    assert_eq!(desk.files("HEAD"), ["d/f", "here", "restored/f", "restored/sub/g"]);
    assert_eq!((desk.content(":d/f"), desk.content(":here")), (b"old".to_vec(), b"new".to_vec()));
    let id = |target: &str| desk.on(["rev-parse", target]).text();
    assert_eq!(id("HEAD:restored"), id(&format!("{old}:d")));
    desk.refused(["--copy", "nowhere:d=x"], 3, &["nowhere"]);
    desk.refused(["--copy", &format!("{old}:absent=x")], 3, &["absent"]);
    desk.on(["rm", "d", "-m", "x"]).ok();
    assert_eq!(desk.files("HEAD"), ["here", "restored/f", "restored/sub/g"]);
}

#[test]
fn s43_a_folder_keeps_its_layout_and_patterns_choose() {
    let desk = Desk::new();
    for name in
        ["a.txt", "b.bin", "data/c.txt", "data/x/d.bin", ".git/config", "data/.git/HEAD", ".gitignore"]
    {
        desk.write(&format!("in/{name}"), name);
    }
    for name in [".cache/huggingface/x", ".cache/hubvault/manifest", ".cache/other"] {
        desk.write(&format!("in/{name}"), name);
    }
    let all = [".cache/other", ".gitignore", "a.txt", "b.bin", "data/c.txt", "data/x/d.bin"];
    let report = upload(&desk, &[]);
    assert_eq!(report["commit_message"], "Upload folder using hubvault");
    assert!(report["url"].as_str().unwrap().ends_with("#tree=main:"), "{report}");
    assert_eq!(report["skipped"].as_array().unwrap().len(), 4, "{report}");
    assert_eq!(desk.files("HEAD"), all);
    upload(&desk, &["some/where", "--include", "*.txt", "--include", "data/", "--exclude", "*.bin"]);
    assert_eq!(below(&desk, "some/where"), ["a.txt", "data/c.txt"]);
    desk.on(["upload", "in", "--include", "*.none"]).fails(4, &["no file", "in"]);
    desk.on(["upload", "in/a.txt", "--include", "*"]).fails(2, &["not a folder"]);
    desk.on(["upload", "in/a.txt"]).ok();
    desk.on(["upload", "in/a.txt", "under/another.name"]).ok();
    assert_eq!(desk.content(":under/another.name"), b"a.txt");
    let before = desk.head();
    assert_eq!(upload(&desk, &[])["committed"], false);
    assert_eq!(desk.head(), before);
    assert_eq!(upload(&desk, &["--allow-empty"])["committed"], true);
}

#[test]
fn s44_what_delete_patterns_match_goes_unless_it_is_uploaded_again() {
    let desk = Desk::new();
    for name in ["t/old.bin", "t/keep.bin", "t/x/deep.bin", "t/note.txt", "other.bin"] {
        desk.commit_file(name, "1");
    }
    desk.commit_file("t/.gitattributes", "*.x filter=lfs\n");
    fs::remove_dir_all(desk.path("in")).unwrap();
    desk.write("in/keep.bin", "1");
    desk.write("in/new.bin", "2");
    let commits = desk.on(["log", "--oneline"]).text().lines().count();
    upload(&desk, &["t", "--delete", "*.bin", "--delete", ".git*"]);
    assert_eq!(
        desk.files("HEAD"),
        ["other.bin", "t/.gitattributes", "t/keep.bin", "t/new.bin", "t/note.txt"]
    );
    assert_eq!(desk.on(["log", "--oneline"]).text().lines().count(), commits + 1);
    upload(&desk, &["t", "--include", "none", "--delete", "note.txt"]);
    assert_eq!(desk.files("HEAD"), ["other.bin", "t/.gitattributes", "t/keep.bin", "t/new.bin"]);
    upload(&desk, &["fresh", "--delete", "*"]);
    assert_eq!(below(&desk, "fresh"), ["keep.bin", "new.bin"]);
}

#[test]
fn s45_a_large_folder_is_one_commit() {
    let bench = Bench::new();
    for n in 0..300 {
        fs::create_dir_all(bench.path(&format!("in/{}", n % 7))).unwrap();
        fs::write(bench.path(&format!("in/{}/{n}", n % 7)), n.to_string()).unwrap();
    }
    let head = bench.head();
    let upload = FolderUpload { folder: bench.path("in"), ..FolderUpload::default() };
    let done =
        bench.repository.upload_large_folder(&upload, &CommitOptions::default(), &bench.actor(), &mut |_| ());
    let done = done.unwrap();
    assert_eq!(done.commit.commit_message, "Upload large folder using hubvault");
    assert_eq!((done.commit.files, bench.repository.rev_parse("HEAD~1").unwrap().to_string()), (300, head));
    assert_eq!(bench.repository.read_bytes("3/199", None).unwrap(), b"199");
}

#[test]
fn s46_a_folder_that_is_missing_or_none_is_a_wrong_argument() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "1").unwrap();
    let try_folder = |folder: &str| {
        let upload = FolderUpload { folder: bench.path(folder), ..FolderUpload::default() };
        let options = CommitOptions::default();
        bench.repository.upload_folder(&upload, &options, &bench.actor(), &mut |_| ()).unwrap_err()
    };
    for folder in ["absent", "file"] {
        assert_eq!(try_folder(folder).python_class(), "ValueError");
    }
    fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(try_folder("empty").python_class(), "ConflictError");
    let source = AddSource::Local(bench.path("empty"));
    let options = CommitOptions::default();
    let error = bench.repository.upload_file(source, &path("x"), &options, &bench.actor(), &mut |_| ());
    assert_eq!(error.unwrap_err().python_class(), "ValueError");
}

#[test]
fn deleting_a_file_or_a_folder_takes_it_at_its_word() {
    let bench = Bench::new();
    bench.commit(&[add("f", "1"), add("d/g", "2"), add("d/h", "3")]);
    let options = CommitOptions::default();
    let code = |error: OpsError| error.code();
    let delete_file = |name: &str| bench.repository.delete_file(&path(name), &options, &bench.actor());
    let delete_folder = |name: &str| bench.repository.delete_folder(&path(name), &options, &bench.actor());
    for name in ["d", "absent", "f/x"] {
        assert_eq!(delete_file(name).map_err(code).unwrap_err(), "entry-not-found");
    }
    for name in ["f", "absent", "d/g"] {
        assert_eq!(delete_folder(name).map_err(code).unwrap_err(), "entry-not-found");
    }
    let done = delete_file("f").unwrap();
    assert_eq!(done.commit.commit_message, "Delete f with hubvault");
    assert_eq!(done.url, done.commit_url);
    assert_eq!(delete_folder("d").unwrap().commit.commit_message, "Delete folder d with hubvault");
    let snapshot = bench.repository.snapshot(None).unwrap();
    assert!(snapshot.list(snapshot.root().id).unwrap().is_empty());
}
