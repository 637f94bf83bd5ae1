//! A snapshot behind the port, driven without a kernel.

use std::sync::Arc;

use hubvault::Repository;
use hubvault::mount::SnapshotTree;
use hubvault_platform::loopback::{Loopback, LoopbackError};
use hubvault_platform::{NodeKind, PortError, ReadOnlyTree as _};

use super::{desk, noise, sample};
use crate::cli::Desk;

fn tree(desk: &Desk, revision: Option<&str>) -> Arc<SnapshotTree> {
    let repository = Repository::open(&desk.path("vault")).unwrap();
    Arc::new(SnapshotTree::new(repository.snapshot(revision).unwrap()))
}

fn show(desk: &Desk, revision: Option<&str>) -> Loopback {
    Loopback::new(tree(desk, revision))
}

#[test]
fn the_contract_of_the_port_is_kept() {
    let census = show(&desk(), None).examine().unwrap();
    let links = if cfg!(unix) { 2 } else { 0 };
    let files = sample().len() as u64 + u64::from(cfg!(unix));
    assert_eq!((census.directories, census.files, census.links), (6, files, links));
    let empty = show(&Desk::new(), None).examine().unwrap();
    assert_eq!((empty.directories, empty.files), (1, 0));
}

#[test]
fn bytes_are_those_that_were_committed_wherever_one_reads() {
    let desk = desk();
    let view = show(&desk, None);
    for (name, content) in sample() {
        assert_eq!(view.metadata(name).unwrap().size, content.len() as u64, "{name}");
        assert!(view.read_to_end(name).unwrap() == content, "{name}");
        for (n, start) in noise(content.len() as u64, 64).chunks(4).enumerate() {
            let offset = u32::from_le_bytes(start.try_into().unwrap()) as usize % (content.len() + 10);
            let length = [0, 1, 100, 4096, 70_000, 1 << 20][n % 6];
            let due = content.get(offset..content.len().min(offset + length)).unwrap_or_default();
            assert!(view.read_at(name, offset as u64, length).unwrap() == due, "{name} {offset} {length}");
        }
    }
}

#[test]
fn numbers_are_the_same_in_every_mount_and_one_for_each_path() {
    let desk = desk();
    let (one, two) = (show(&desk, None), show(&desk, None));
    let mut numbers: Vec<_> = sample()
        .into_keys()
        .map(|name| {
            let number = one.metadata(name).unwrap().node;
            assert_eq!(two.metadata(name).unwrap().node, number, "{name}");
            number
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), sample().len(), "equal content shares a number");
    // Also in another revision: what is at a path keeps its number.
    desk.commit_file("new", "1");
    let later = show(&desk, None);
    assert_eq!(later.metadata("one.txt").unwrap().node, one.metadata("one.txt").unwrap().node);
}

#[test]
fn a_revision_stays_what_it_was() {
    let desk = desk();
    let view = show(&desk, None);
    desk.commit(["--delete", "one.txt", "--copy", "big.bin=empty2"]);
    assert_eq!(view.read_to_end("one.txt").unwrap(), b"same");
    assert!(view.metadata("empty2").is_err());
    assert!(show(&desk, None).metadata("one.txt").is_err());
    assert_eq!(show(&desk, Some("HEAD~1")).read_to_end("one.txt").unwrap(), b"same");
}

#[test]
fn attributes_tell_what_a_file_is_in_the_vault() {
    let desk = desk();
    let view = show(&desk, None);
    let head = desk.head();
    let get = |path: &str, name: &str| {
        let value = view.xattr(path, name.as_bytes()).unwrap();
        value.map(|value| String::from_utf8(value).unwrap())
    };
    let listed = desk.on(["ls-tree", "-r", "-t", "--json"]).json();
    for item in listed.as_array().unwrap() {
        let path = item["path"].as_str().unwrap();
        assert_eq!(get(path, "user.hubvault.commit").as_deref(), Some(head.as_str()));
        assert_eq!(get(path, "user.hubvault.oid").as_deref(), item["oid"].as_str(), "{path}");
        assert_eq!(get(path, "user.hubvault.sha256").as_deref(), item["sha256"].as_str(), "{path}");
        assert_eq!(get(path, "user.other"), None);
        let names = view.list_xattrs(path).unwrap();
        assert_eq!(names.len(), if item["type"] == "directory" { 2 } else { 4 }, "{path}");
    }
    assert_eq!(get("large.safetensors", "user.hubvault.lfs").as_deref(), Some("true"));
    assert_eq!(get("one.txt", "user.hubvault.lfs").as_deref(), Some("false"));
}

#[cfg(unix)]
#[test]
fn links_and_programs() {
    let desk = desk();
    let view = show(&desk, None);
    assert_eq!(view.read_link("link").unwrap(), b"a/b/c/d/deep.txt");
    assert_eq!(view.read_link("dangling").unwrap(), b"no where");
    assert_eq!(view.metadata("link").unwrap().kind, NodeKind::Symlink);
    assert!(view.metadata("run.sh").unwrap().executable && !view.metadata("one.txt").unwrap().executable);
    assert!(view.read_link("one.txt").is_err());
}

#[test]
fn what_is_asked_wrongly_is_answered_rightly() {
    let desk = desk();
    let view = show(&desk, None);
    let port = |result: Result<Vec<u8>, LoopbackError>| match result.unwrap_err() {
        LoopbackError::Port { source, .. } => source,
        broken @ LoopbackError::Contract { .. } => panic!("{broken}"),
    };
    assert_eq!(port(view.read_to_end("absent")), PortError::NotFound);
    assert_eq!(port(view.read_to_end("a")), PortError::IsADirectory);
    assert_eq!(port(view.read_to_end("one.txt/below")), PortError::NotADirectory);
    assert_eq!(view.metadata("").unwrap().kind, NodeKind::Directory);
}

#[test]
fn a_folder_of_ten_thousand() {
    let desk = Desk::new();
    for n in 0..10_000 {
        desk.write(&format!("in/many/file {n:05}.txt"), n.to_string());
    }
    desk.commit(["--add", ".=in"]);
    let view = show(&desk, None);
    let listed = view.list("many").unwrap();
    assert_eq!(listed.len(), 10_000);
    assert!(listed.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert_eq!(view.read_to_end("many/file 09999.txt").unwrap(), b"9999");
    let volume = tree(&desk, None).volume();
    assert_eq!((volume.files, volume.free_bytes, volume.name_max), (10_001, 0, 255));
}
