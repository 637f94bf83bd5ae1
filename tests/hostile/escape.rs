//! A folder that is downloaded into, prepared by an enemy; and a vault whose cache is. Nothing outside may change.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::cli::{Desk, entries};

/// A vault with two files, a folder that must not be touched, and an empty folder to download to.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("in/top", "top");
    desk.write("in/d/e/deep", "deep");
    desk.commit(["--add", ".=in"]);
    desk.write("outside/deep", "not yours");
    desk.write("outside/top", "not yours");
    desk.write("outside/e/deep", "not yours");
    fs::create_dir_all(desk.path("out")).unwrap();
    desk
}

fn everything(folder: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(at) = pending.pop() {
        let metadata = fs::symlink_metadata(&at).unwrap();
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((at, metadata.ino(), metadata.ctime(), metadata.ctime_nsec()));
    }
    found.sort();
    found
}

/// Both downloads into `out`; answers whether each succeeded.
fn downloads(desk: &Desk) -> [bool; 2] {
    let outside = everything(&desk.path("outside"));
    let done = [["download", "d/e/deep"].as_slice(), &["snapshot"]].map(|args| {
        let run = desk.on(args.iter().chain(&["--local-dir", "out"]));
        if run.code != Some(0) {
            assert!(run.out.is_empty() && run.code == Some(1) && run.err.contains("out"), "{run:#?}");
        }
        run.code == Some(0)
    });
    assert_eq!(everything(&desk.path("outside")), outside);
    done
}

#[test]
fn a_link_where_a_file_belongs_is_replaced_and_not_followed() {
    for target in ["outside/deep", "outside", "nowhere"] {
        let desk = desk();
        fs::create_dir_all(desk.path("out/d/e")).unwrap();
        symlink(desk.path(target), desk.path("out/d/e/deep")).unwrap();
        symlink(desk.path(target), desk.path("out/top")).unwrap();
        assert_eq!(downloads(&desk), [true, true]);
        for (name, content) in [("out/d/e/deep", "deep"), ("out/top", "top")] {
            assert!(fs::symlink_metadata(desk.path(name)).unwrap().is_file());
            assert_eq!(fs::read(desk.path(name)).unwrap(), content.as_bytes());
        }
    }
}

#[test]
fn a_link_where_a_folder_belongs_is_refused_by_name() {
    for link in ["out/d", "out/d/e"] {
        for target in ["outside", "nowhere", "out"] {
            let desk = desk();
            fs::create_dir_all(desk.path(link).parent().unwrap()).unwrap();
            symlink(desk.path(target), desk.path(link)).unwrap();
            assert_eq!(downloads(&desk), [false, false], "{link} to {target}");
            let run = desk.on(["snapshot", "--local-dir", "out"]);
            run.fails(1, &[link, "symlink", "move it"]);
            assert!(desk.path(link).is_symlink());
        }
    }
}

#[test]
fn what_is_remembered_is_not_reached_through_links_either() {
    let plant: [(&str, &str); 6] = [
        ("out/.cache", "outside"),
        ("out/.cache/hubvault", "outside"),
        ("out/.cache/hubvault/manifest", "outside/top"),
        ("out/.cache/hubvault/lock", "outside/top"),
        ("out/.cache/hubvault/journal", "outside/top"),
        ("out/.cache/hubvault/tmp", "outside"),
    ];
    for (link, target) in plant {
        let desk = desk();
        fs::create_dir_all(desk.path(link).parent().unwrap()).unwrap();
        symlink(desk.path(target), desk.path(link)).unwrap();
        let done = downloads(&desk);
        let harmless = link.ends_with("tmp") || link.ends_with("manifest");
        assert_eq!(done, [harmless; 2], "{link}");
    }
}

#[test]
fn a_note_that_names_what_is_outside_removes_nothing() {
    let desk = desk();
    let sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    desk.write("outside/empty", "");
    symlink(desk.path("outside"), desk.path("out/door")).unwrap();
    for path in ["../outside/empty", "/etc/hostname", "door/empty", "a/../../outside/empty", ".git/config"] {
        let line = format!("{{\"path\":\"{path}\",\"sha256\":\"{sha}\",\"form\":\"file\",\"stamp\":null}}\n");
        desk.write("out/.cache/hubvault/manifest", format!("{{\"hubvault_view\":1,\"clock\":0}}\n{line}"));
        assert_eq!(downloads(&desk), [true, true], "{path}");
        desk.write("out/.cache/hubvault/journal", line);
        assert_eq!(downloads(&desk), [true, true], "{path}");
    }
}

#[test]
fn a_file_that_is_what_downloads_remember_is_not_written_there() {
    let desk = Desk::new();
    desk.write("x", "evil");
    desk.commit(["--add", ".cache/hubvault/manifest=x", "--add", ".cache/other=x", "--add", "fine=x"]);
    let run = desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert!(run.err.contains("warning") && run.err.contains(".cache/hubvault/manifest"), "{}", run.err);
    assert_ne!(fs::read(desk.path("out/.cache/hubvault/manifest")).unwrap(), b"evil");
    assert!(desk.path("out/fine").exists() && desk.path("out/.cache/other").exists());
    let args = ["download", ".cache/hubvault/manifest"];
    desk.on(args.iter().chain(&["--local-dir", "out"])).fails(2, &["manifest", "remembers"]);
    // In the vault's cache there is nothing in its way.
    assert_eq!(fs::read(desk.on(args).text()).unwrap(), b"evil");
    desk.commit(["--delete", ".cache", "--add", ".cache=x"]);
    assert!(desk.on(["snapshot", "--local-dir", "out"]).ok().err.contains("`.cache`"));
}

#[test]
fn a_folder_above_the_vault_does_not_let_files_into_it() {
    let desk = Desk::new();
    desk.write("x", "evil");
    desk.commit(["--add", "vault/HUBVAULT=x", "--add", "vault/packs/new=x"]);
    desk.on(["snapshot", "--local-dir", "."]).fails(1, &["vault", "vault itself"]);
    desk.on(["download", "vault/packs/new", "--local-dir", "."]).fails(1, &["vault itself"]);
    desk.on(["verify", "--full"]).ok();
    assert!(!desk.path("vault/packs/new").exists());
}

#[test]
fn a_vault_whose_cache_leads_elsewhere_is_not_followed() {
    for (link, fail) in [
        ("cache", [true, true]),
        ("cache/views", [true, true]),
        ("cache/files", [true, false]),
        ("cache/snapshots", [false, true]),
    ] {
        let desk = desk();
        let place = desk.path("vault").join(link);
        fs::create_dir_all(&place).unwrap();
        fs::remove_dir(&place).unwrap();
        symlink(desk.path("outside"), &place).unwrap();
        let outside = everything(&desk.path("outside"));
        for (args, fails) in [["download", "top"].as_slice(), &["snapshot"]].into_iter().zip(fail) {
            let run = desk.on(args);
            if fails {
                run.fails(1, &["cache", "--local-dir"])
            } else {
                run.ok()
            };
        }
        assert_eq!(everything(&desk.path("outside")), outside, "{link}");
    }
}

#[test]
fn links_and_pipes_inside_a_view_are_replaced() {
    let desk = desk();
    let folder = PathBuf::from(desk.on(["snapshot"]).text());
    let outside = everything(&desk.path("outside"));
    fs::remove_dir_all(folder.join("d")).unwrap();
    symlink(desk.path("outside"), folder.join("d")).unwrap();
    fs::remove_file(folder.join("top")).unwrap();
    assert!(desk.command("mkfifo").arg(folder.join("top")).status().unwrap().success());
    desk.on(["snapshot"]).ok();
    assert_eq!(everything(&desk.path("outside")), outside);
    assert_eq!(fs::read(folder.join("d/e/deep")).unwrap(), b"deep");
    assert_eq!(fs::read(folder.join("top")).unwrap(), b"top");
    assert_eq!(entries(&folder), ["d", "top"]);
}

#[test]
fn links_of_a_revision_are_made_and_never_written_through() {
    let desk = desk();
    symlink(desk.path("outside"), desk.path("in/door")).unwrap();
    symlink("../../../outside/top", desk.path("in/up")).unwrap();
    desk.commit(["--keep-links", "--add", ".=in"]);
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert_eq!(fs::read_link(desk.path("out/door")).unwrap(), desk.path("outside"));
    // A later revision has a folder there: the link is ours, and goes.
    fs::remove_file(desk.path("in/door")).unwrap();
    desk.write("in/door/deep", "a file now");
    desk.commit(["--keep-links", "--delete", "door", "--add", ".=in"]);
    assert_eq!(downloads(&desk), [true, true]);
    assert_eq!(fs::read(desk.path("out/door/deep")).unwrap(), b"a file now");
    assert_eq!(fs::read(desk.path("outside/deep")).unwrap(), b"not yours");
    // One alone is followed inside the revision, and nowhere else.
    for link in ["up", "absent/../up"] {
        assert_ne!(desk.on(["download", link]).code, Some(0));
    }
    symlink("d/e/deep", desk.path("in/inside")).unwrap();
    symlink("inside", desk.path("in/twice")).unwrap();
    symlink("loop", desk.path("in/loop")).unwrap();
    desk.commit(["--keep-links", "--add", ".=in"]);
    let followed = desk.on(["download", "twice"]).text();
    assert!(followed.ends_with("twice") && fs::symlink_metadata(&followed).unwrap().is_file());
    assert_eq!(fs::read(followed).unwrap(), b"deep");
    desk.on(["download", "loop"]).fails(2, &["loop"]);
    desk.on(["download", "up"]).fails(2, &["not in the revision"]);
}

#[test]
fn a_user_s_own_folder_is_not_removed_for_a_file() {
    let desk = desk();
    desk.write("out/top/mine", "mine");
    desk.on(["snapshot", "--local-dir", "out"]).fails(1, &["out/top", "in the way"]);
    assert_eq!(fs::read(desk.path("out/top/mine")).unwrap(), b"mine");
    fs::remove_file(desk.path("out/top/mine")).unwrap();
    fs::create_dir(desk.path("out/top/empty")).unwrap();
    assert_eq!(downloads(&desk), [true, true]);
    assert_eq!(fs::read(desk.path("out/top")).unwrap(), b"top");
}
