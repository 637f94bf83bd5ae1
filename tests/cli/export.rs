//! `hv export --hf-cache`: the layout, what is reused, what was wrong before, and a cache prepared by an enemy.
//!
//! That `huggingface_hub` reads such a cache is asked of the real one, in `tests/e2e/hf_cache`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::Digest as _;

use super::{Desk, HV, Run, entries, feed};
use crate::samples::noise;

const REPO: &str = "cache/models--team--net";

/// Exports into `cache`.
fn export(desk: &Desk, revision: &str, more: &[&str]) -> Run {
    let args = ["export", revision, "cache", "--hf-cache", "--repo-id", "team/net"];
    desk.on(args.iter().chain(more))
}

/// The blobs of the cache: names and content.
fn blobs(desk: &Desk) -> BTreeMap<String, Vec<u8>> {
    let folder = desk.path(REPO).join("blobs");
    entries(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn git_id(desk: &Desk, content: &[u8]) -> String {
    let mut git = desk.command("git");
    git.args(["hash-object", "--stdin"]);
    feed(git, content).text()
}

fn sha256(content: &[u8]) -> String {
    sha2::Sha256::digest(content).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Every file below a folder, by its path, as reading through links shows it.
fn shown(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(at) = pending.pop() {
        for name in entries(&folder.join(&at)) {
            let path = at.join(name);
            if folder.join(&path).is_dir() {
                pending.push(path);
            } else {
                found.insert(path.display().to_string(), fs::read(folder.join(&path)).unwrap());
            }
        }
    }
    found
}

/// A vault with a small, a large and an executable file, twice the same content, and symlinks of every kind.
fn desk() -> (Desk, String) {
    let desk = Desk::bare();
    desk.hv(["init", "vault", "--large-file-threshold", "1000"]).ok();
    desk.write("in/config.json", "{}");
    desk.write("in/same/deep/config.json", "{}");
    desk.write("in/weights.bin", noise(1, 5000));
    let run = desk.write("in/bin/run", "#!/bin/sh\n");
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../weights.bin", desk.path("in/bin/weights")).unwrap();
    symlink("same/deep", desk.path("in/folder")).unwrap();
    symlink("../../../../../../etc/passwd", desk.path("in/outside")).unwrap();
    symlink("/etc/passwd", desk.path("in/absolute")).unwrap();
    symlink("nowhere", desk.path("in/dangling")).unwrap();
    let head = desk.commit(["--keep-links", "--add", ".=in"]);
    (desk, head)
}

#[test]
fn a_revision_becomes_blobs_links_and_a_ref() {
    let (desk, head) = desk();
    let run = export(&desk, "main", &[]).ok();
    let snapshot = desk.path(REPO).join("snapshots").join(&head);
    assert_eq!(
        run.out.trim_end(),
        Path::new("cache/models--team--net/snapshots").join(&head).to_str().unwrap()
    );
    for left_out in ["`outside`", "`absolute`", "`dangling`"] {
        assert!(run.err.contains(&format!("{left_out} is left out")), "{}", run.err);
    }
    let weights = noise(1, 5000);
    let run = b"#!/bin/sh\n".to_vec();
    let wanted =
        [(git_id(&desk, b"{}"), b"{}".to_vec()), (git_id(&desk, &run), run), (sha256(&weights), weights)];
    assert_eq!(blobs(&desk), BTreeMap::from(wanted.clone()));
    for (name, _) in &wanted {
        let blob = fs::symlink_metadata(desk.path(REPO).join("blobs").join(name)).unwrap();
        assert!(
            blob.is_file() && blob.nlink() == 1 && blob.mode() & 0o777 == 0o644,
            "{name} {:o}",
            blob.mode()
        );
    }
    let link = |name: &str| fs::read_link(snapshot.join(name)).unwrap().display().to_string();
    let [config, _, weights] = wanted.map(|(name, _)| name);
    assert_eq!(link("config.json"), format!("../../blobs/{config}"));
    assert_eq!(link("same/deep/config.json"), format!("../../../../blobs/{config}"));
    assert_eq!(link("bin/weights"), format!("../../../blobs/{weights}"));
    assert_eq!(link("folder"), "same/deep");
    let names = [
        "bin/run",
        "bin/weights",
        "config.json",
        "folder/config.json",
        "same/deep/config.json",
        "weights.bin",
    ];
    assert_eq!(shown(&snapshot).into_keys().collect::<Vec<_>>(), names);
    assert_eq!(fs::read_to_string(desk.path(REPO).join("refs/main")).unwrap(), head);
    assert_eq!(entries(&desk.path(REPO)), [".cache", "blobs", "refs", "snapshots"]);
    let notes = entries(&desk.path(REPO).join(".cache/hubvault"));
    assert_eq!(notes, [".gitignore", "export.lock", "lock", "manifest"]);
}

#[test]
fn the_next_revision_adds_only_what_is_new() {
    let (desk, first) = desk();
    assert_eq!(export(&desk, "main", &["--json"]).json()["written"], 3);
    let again = export(&desk, "main", &["--json"]).json();
    assert_eq!((&again["written"], &again["unchanged"]), (&0.into(), &3.into()));
    desk.commit_file("config.json", "{\"hidden\": 1}");
    let next = export(&desk, "main", &["--json"]).json();
    assert_eq!((&next["written"], &next["unchanged"]), (&1.into(), &3.into()), "{next}");
    let head = next["oid"].as_str().unwrap();
    assert_eq!(fs::read_to_string(desk.path(REPO).join("refs/main")).unwrap(), head);
    for (commit, content) in [(first.as_str(), "{}"), (head, "{\"hidden\": 1}")] {
        let file = desk.path(REPO).join("snapshots").join(commit).join("config.json");
        assert_eq!(fs::read_to_string(file).unwrap(), content);
    }
}

#[test]
fn names_that_loaders_ask_for() {
    let (desk, head) = desk();
    desk.on(["tag", "v1.0"]).ok();
    desk.on(["branch", "team/a"]).ok();
    let refs = |desk: &Desk| shown(&desk.path(REPO).join("refs")).into_keys().collect::<Vec<_>>();
    export(&desk, &head, &[]).ok();
    assert!(!desk.path(REPO).join("refs").exists(), "an id is no name");
    export(&desk, "v1.0", &[]).ok();
    export(&desk, "team/a", &[]).ok();
    export(&desk, "HEAD", &[]).ok();
    assert_eq!(refs(&desk), ["main", "team/a", "v1.0"]);
    export(&desk, "main~0", &["--ref", "stable", "--ref", "main"]).ok();
    assert_eq!(refs(&desk), ["main", "stable", "team/a", "v1.0"]);
    export(&desk, "main", &["--ref", "team"]).fails(1, &["refs/team"]);
    for bad in ["../main", "a..b", "", "a//b", "/etc", "-x", "a.lock"] {
        export(&desk, "main", &[&format!("--ref={bad}")]).fails(2, &[]);
    }
    assert_eq!(refs(&desk), ["main", "stable", "team/a", "v1.0"]);
}

#[test]
fn repositories_are_named_as_on_the_hub() {
    let (desk, _) = desk();
    let with = |id: &str, more: &[&str]| {
        desk.on(["export", "main", "other", "--hf-cache", "--repo-id", id].iter().chain(more))
    };
    for bad in ["", "/", "a/b/c", "../x", "a/..", "a--b", "-a", "a.", "a b", "a/", "/a", "ä", &"x".repeat(97)]
    {
        with(bad, &[]).fails(2, &["repo"]);
    }
    assert!(!desk.path("other").exists());
    with("gpt2", &[]).ok();
    with("ns/data.set_1", &["--repo-type", "dataset"]).ok();
    with("ns/demo", &["--repo-type", "space"]).ok();
    assert_eq!(
        entries(&desk.path("other")),
        ["datasets--ns--data.set_1", "models--gpt2", "spaces--ns--demo"]
    );
    desk.on(["export", "main", "other", "--repo-id", "a"]).fails(2, &["--hf-cache"]);
    desk.on(["export", "main", "vault/cache", "--hf-cache", "--repo-id", "a"])
        .fails(1, &["inside the vault"]);
}

#[test]
fn without_a_folder_it_is_the_cache_of_huggingface_hub() {
    let (desk, _) = desk();
    let into = |variables: &[(&str, &Path)]| {
        let variables: Vec<_> =
            variables.iter().map(|(name, path)| (*name, path.to_str().unwrap())).collect();
        PathBuf::from(desk.on_with(&variables, &["export", "main", "--hf-cache", "--repo-id", "a"]).text())
    };
    let [hub, home] = ["hub", "home"].map(|name| desk.path(name));
    assert!(into(&[("HF_HUB_CACHE", &hub), ("HF_HOME", &home)]).starts_with(hub.join("models--a")));
    assert!(into(&[("HF_HOME", &home)]).starts_with(home.join("hub/models--a")));
    let cache = desk.home_file("").join("huggingface/hub/models--a");
    assert!(into(&[]).starts_with(&cache));
}

#[test]
fn a_blob_that_is_not_what_it_should_be_is_replaced() {
    let (desk, head) = desk();
    export(&desk, "main", &[]).ok();
    let wanted = blobs(&desk);
    let snapshot = desk.path(REPO).join("snapshots").join(&head);
    let files = shown(&snapshot);
    desk.write("outside", "not yours");
    for (name, content) in &wanted {
        let blob = desk.path(REPO).join("blobs").join(name);
        let mut other = content.clone();
        other[0] ^= 1;
        fs::write(&blob, &other).unwrap();
        assert_eq!(export(&desk, "main", &["--json"]).json()["written"], 1, "another content of that length");
        fs::write(&blob, &content[1..]).unwrap();
        export(&desk, "main", &[]).ok();
        fs::remove_file(&blob).unwrap();
        symlink(desk.path("outside"), &blob).unwrap();
        export(&desk, "main", &[]).ok();
        assert_eq!(blobs(&desk), wanted);
        assert!(fs::symlink_metadata(&blob).unwrap().is_file());
    }
    // A snapshot of `huggingface_hub` holds what was asked for so far; what else is in it is not ours.
    fs::remove_file(snapshot.join("config.json")).unwrap();
    fs::remove_file(snapshot.join("weights.bin")).unwrap();
    symlink(desk.path("outside"), snapshot.join("weights.bin")).unwrap();
    fs::write(snapshot.join("mine"), "mine").unwrap();
    export(&desk, "main", &[]).ok();
    let mut now = shown(&snapshot);
    assert_eq!(now.remove("mine").unwrap(), b"mine");
    assert_eq!(now, files);
    assert_eq!(fs::read(desk.path("outside")).unwrap(), b"not yours");
}

#[test]
fn a_folder_that_is_a_link_is_refused_and_nothing_is_written_behind_it() {
    for name in [
        "",
        "blobs",
        "snapshots",
        "snapshots/COMMIT",
        "snapshots/COMMIT/bin",
        "refs",
        ".cache",
        ".cache/hubvault",
    ] {
        let (desk, head) = desk();
        export(&desk, "main", &[]).ok();
        let name = name.replace("COMMIT", &head);
        let at = if name.is_empty() { desk.path(REPO) } else { desk.path(REPO).join(&name) };
        fs::remove_dir_all(&at).unwrap();
        fs::create_dir(desk.path("outside")).unwrap();
        symlink(desk.path("outside"), &at).unwrap();
        export(&desk, "main", &[]).fails(1, &["cache/models--team--net", &name]);
        assert!(entries(&desk.path("outside")).is_empty() && at.is_symlink(), "{name}");
    }
    // The folder itself is the user's choice.
    let (desk, _) = desk();
    fs::create_dir(desk.path("elsewhere")).unwrap();
    symlink(desk.path("elsewhere"), desk.path("cache")).unwrap();
    export(&desk, "main", &[]).ok();
    // The vault cannot be reached as a cache, by whatever name.
    symlink(desk.path("vault"), desk.path("link")).unwrap();
    let args = ["export", "main", "link/packs", "--hf-cache", "--repo-id", "a"];
    desk.on(args).fails(1, &["inside the vault"]);
}

#[test]
fn a_killed_export_shows_no_snapshot_and_the_next_one_goes_on() {
    let desk = Desk::new();
    for n in 0..3 {
        desk.write(&format!("in/d/{n}.bin"), noise(n, 24 << 20));
    }
    let head = desk.commit(["--add", ".=in"]);
    let mut command = desk.command(HV);
    command.args(["-C", "vault", "export", "main", "cache", "--hf-cache", "--repo-id", "team/net"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let done = desk.path(REPO).join("blobs");
    let mut tries = 0;
    while tries < 20_000 && !fs::read_dir(&done).is_ok_and(|mut names| names.next().is_some()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
        tries += 1;
    }
    child.kill().unwrap();
    let killed = !child.wait().unwrap().success();
    assert!(killed, "killed too late to show anything");
    assert!(!desk.path(REPO).join("snapshots").join(&head).exists());
    for (name, content) in blobs(&desk) {
        assert_eq!(sha256(&content), name, "a blob appears whole");
    }
    // What a run left that died while it put the links together.
    desk.write("cache/models--team--net/.cache/hubvault/snapshot.new/d/0.bin", "half");
    desk.write("cache/models--team--net/.cache/hubvault/links/7", "half");
    let run = export(&desk, "main", &["--json"]).json();
    assert!(run["unchanged"].as_u64().unwrap() >= 1 && run["removed"] == 0, "{run}");
    let files = shown(&desk.path(REPO).join("snapshots").join(&head));
    assert!((0..3).all(|n| files[&format!("d/{n}.bin")] == noise(n, 24 << 20)) && files.len() == 3);
    let notes = entries(&desk.path(REPO).join(".cache/hubvault"));
    assert_eq!(notes, [".gitignore", "export.lock", "lock", "manifest"]);
}

#[test]
fn exports_at_once_do_not_disturb_each_other() {
    let (desk, head) = desk();
    let start = |_| {
        let mut command = desk.command(HV);
        command.args(["-C", "vault", "export", "main", "cache", "--hf-cache", "--repo-id", "team/net"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(start).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!(shown(&desk.path(REPO).join("snapshots").join(head)).len(), 6);
    assert_eq!(blobs(&desk).len(), 3);
}

#[test]
fn a_cache_without_permission_to_write_is_named() {
    let (desk, _) = desk();
    fs::create_dir(desk.path("cache")).unwrap();
    fs::set_permissions(desk.path("cache"), fs::Permissions::from_mode(0o555)).unwrap();
    let run = export(&desk, "main", &[]);
    // Root may do anything.
    if run.code != Some(0) {
        run.fails(1, &["cache", "ermission"]);
        assert!(entries(&desk.path("cache")).is_empty());
    }
    fs::set_permissions(desk.path("cache"), fs::Permissions::from_mode(0o755)).unwrap();
}
