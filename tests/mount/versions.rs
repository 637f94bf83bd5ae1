//! Views behind the port, driven without a kernel: what a vault's trees owe it, and what hostile refs cannot do.

use std::collections::BTreeMap;
use std::sync::Arc;

use hubvault::Repository;
use hubvault::mount::{FileTimes, Views};
use hubvault::ops::versions::LiveVault;
use hubvault::ops::{Actor, Signature, Timestamp};
use hubvault::snapshot::versions::{Held, Refs, Versions};
use hubvault::snapshot::{ObjectId, SnapshotError};
use hubvault_platform::loopback::Loopback;
use hubvault_platform::{NodeId, NodeKind, ReadOnlyTree as _, Visit};

use super::desk;
use crate::cli::Desk;

fn live(desk: &Desk) -> Arc<LiveVault> {
    let repository = Repository::open(&desk.path("vault")).unwrap();
    let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 0 };
    let signature = Signature::new("a", "a@b", time).unwrap();
    let mut nonce = [7; 16];
    nonce[..4].copy_from_slice(&std::process::id().to_le_bytes());
    Arc::new(LiveVault::new(repository, &Actor { signature, nonce }, "test", 1))
}

fn vault(desk: &Desk) -> Loopback {
    Loopback::new(Arc::new(Views::vault(live(desk), FileTimes::Commit)))
}

fn names(view: &Loopback, folder: &str) -> Vec<String> {
    let listed = view.list(folder).unwrap();
    listed.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect()
}

#[test]
fn the_contract_of_the_port_is_kept_by_every_view() {
    let desk = desk();
    desk.on(["branch", "team/a/b"]).ok();
    desk.on(["tag", "v1", "-m", "annotated"]).ok();
    let pinned = |times| {
        let live = live(&desk);
        let id = live.refs().unwrap().branches["main"];
        Loopback::new(Arc::new(Views::pinned(live, id, "main", "", times).unwrap())).examine().unwrap()
    };
    let one = pinned(FileTimes::Commit);
    assert_eq!(one, pinned(FileTimes::LastChange));
    let follow = Views::follow(live(&desk), "main", "", FileTimes::Commit).unwrap();
    assert_eq!(Loopback::new(Arc::new(follow)).examine().unwrap(), one);
    let all = vault(&desk).examine().unwrap();
    // Two branches, a tag, and their one commit by id.
    assert_eq!(all.files, 4 * one.files + 1);
}

#[test]
fn a_vault_shows_branches_tags_commits_and_days() {
    let desk = desk();
    let first = desk.head();
    desk.on(["branch", "team/a/b"]).ok();
    desk.on(["branch", "team/c"]).ok();
    desk.on(["tag", "v1", "-m", "annotated"]).ok();
    desk.on(["tag", "plain"]).ok();
    let second = desk.commit_file("new", "2");
    let view = vault(&desk);
    assert_eq!(names(&view, ""), ["HEAD", "README.txt", "branches", "by-date", "commits", "tags"]);
    assert_eq!(names(&view, "branches"), ["main", "team"]);
    assert_eq!(names(&view, "branches/team"), ["a", "c"]);
    assert_eq!(names(&view, "branches/team/a"), ["b"]);
    assert_eq!(names(&view, "tags"), ["plain", "v1"]);
    assert_eq!(view.read_link("HEAD").unwrap(), b"branches/main");
    assert_eq!(view.read_to_end("branches/main/new").unwrap(), b"2");
    assert!(view.metadata("branches/team/a/b/new").is_err());
    assert_eq!(view.read_to_end("tags/v1/one.txt").unwrap(), b"same");
    let mut tips = vec![first.clone(), second.clone()];
    tips.sort();
    assert_eq!(names(&view, "commits"), tips);
    let initial = desk.on(["rev-parse", "main~2"]).text();
    assert_eq!(names(&view, &format!("commits/{initial}")), Vec::<String>::new());
    for absent in
        ["commits/main", "commits/0000000000000000000000000000000000000000", "branches/te", "by-date/x"]
    {
        assert!(view.metadata(absent).is_err(), "{absent}");
    }
    let tag_object = desk.on(["rev-parse", "v1"]).text();
    assert_ne!(tag_object, first);
    assert!(view.metadata(format!("commits/{tag_object}")).is_err(), "a tag is no commit");
    let days = names(&view, "by-date");
    let links: Vec<String> = days
        .iter()
        .flat_map(|day| {
            names(&view, &format!("by-date/{day}"))
                .into_iter()
                .map(move |link| format!("by-date/{day}/{link}"))
        })
        .collect();
    assert_eq!(links.len(), 3, "{links:?}");
    for link in &links {
        let target = String::from_utf8(view.read_link(link).unwrap()).unwrap();
        let commit = target.strip_prefix("../../").unwrap();
        assert_eq!(view.metadata(commit).unwrap().kind, NodeKind::Directory);
    }
    let note = String::from_utf8(view.read_to_end("README.txt").unwrap()).unwrap();
    assert!(note.contains("by-date/") && note.contains("hv mount"));
    assert_eq!(view.xattr("branches/main", b"user.hubvault.commit").unwrap().unwrap(), second.as_bytes());
}

/// A vault whose refs somebody made up.
#[derive(Debug)]
struct Hostile(Arc<LiveVault>, Arc<Refs>);

impl Versions for Hostile {
    fn refs(&self) -> Result<Arc<Refs>, SnapshotError> {
        Ok(Arc::clone(&self.1))
    }

    fn commit(&self, id: ObjectId) -> Result<(ObjectId, i64), SnapshotError> {
        self.0.commit(id)
    }

    fn hold(&self, commit: ObjectId, name: &str) -> Result<Held, SnapshotError> {
        self.0.hold(commit, name)
    }

    fn history(&self, most: usize) -> Result<Vec<(i64, ObjectId)>, SnapshotError> {
        self.0.history(most)
    }

    fn cached_bytes(&self) -> usize {
        0
    }

    fn may_hold_whole_files(&self) -> bool {
        true
    }
}

#[test]
fn hostile_names_of_refs_are_left_out_or_harmless() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let live = live(&desk);
    let id = live.refs().unwrap().branches["main"];
    let long = "x".repeat(256);
    let absent: ObjectId = "00000000000000000000000000000000000000ff".parse().unwrap();
    let blob: ObjectId = desk.on(["rev-parse", "main:f"]).text().parse().unwrap();
    let hostile = [
        "../../etc",
        "..",
        ".",
        "a",
        "a/b",
        "/x",
        "x//y",
        "\u{1b}[31mred",
        "good",
        "n\0ul",
        &long,
        "deep/./x",
    ];
    let branches: BTreeMap<String, ObjectId> = hostile.iter().map(|name| ((*name).to_owned(), id)).collect();
    let tags =
        BTreeMap::from([("gone".to_owned(), absent), ("blob".to_owned(), blob), ("ok".to_owned(), id)]);
    let refs = Refs { number: 1, default_branch: "../x".to_owned(), time: i64::MIN, branches, tags };
    let view =
        Loopback::new(Arc::new(Views::vault(Arc::new(Hostile(live, Arc::new(refs))), FileTimes::Commit)));
    view.examine().unwrap();
    assert_eq!(names(&view, "branches"), ["\u{1b}[31mred", "a", "deep", "good", "x"]);
    assert_eq!(names(&view, "branches/deep"), Vec::<String>::new());
    assert_eq!(names(&view, "branches/x"), Vec::<String>::new());
    assert_eq!(view.read_to_end("branches/a/f").unwrap(), b"1");
    assert!(view.metadata("branches/a/b").is_err());
    assert_eq!(names(&view, "tags"), ["ok"]);
    assert!(view.metadata("tags/gone").is_err() && view.metadata("tags/blob").is_err());
    assert!(!names(&view, "").contains(&"HEAD".to_owned()));
}

#[test]
fn a_listing_is_of_one_moment_and_a_followed_branch_moves_at_once() {
    let desk = Desk::new();
    for n in 0..300 {
        desk.write(&format!("in/old-{n:03}"), n.to_string());
    }
    desk.commit(["--add", ".=in"]);
    let tree = Views::follow(live(&desk), "main", "", FileTimes::Commit).unwrap();
    let take = |offset: u64, most: usize| {
        let mut taken = Vec::new();
        let mut next = offset;
        tree.read_dir(NodeId::ROOT, offset, &mut |entry| {
            if taken.len() == most {
                return Visit::Full;
            }
            taken.push(String::from_utf8(entry.name.to_vec()).unwrap());
            next = entry.next;
            Visit::Listed
        })
        .unwrap();
        (taken, next)
    };
    let (mut seen, mut next) = take(0, 100);
    let before = tree.lookup(NodeId::ROOT, b"old-001").unwrap();
    let unchanged = tree.lookup(NodeId::ROOT, b"old-002").unwrap();
    let open = tree.open(before.node).unwrap();
    let deletions: Vec<String> =
        (100..300).flat_map(|n| ["--delete".to_owned(), format!("old-{n}")]).collect();
    desk.commit(deletions);
    desk.commit_file("old-001", "changed");
    // Whoever had begun reads on in what was; whoever begins sees what is.
    while seen.len() < 300 {
        let (more, at) = take(next, 70);
        assert!(!more.is_empty());
        (seen, next) = ([seen, more].concat(), at);
    }
    assert!(seen.iter().enumerate().all(|(n, name)| *name == format!("old-{n:03}")));
    assert!(take(next, 70).0.is_empty());
    assert_eq!(take(0, 1000).0.len(), 100);
    let after = tree.lookup(NodeId::ROOT, b"old-001").unwrap();
    assert_ne!(after.node, before.node, "the kernel's pages of the old content would be shown");
    assert_eq!(tree.lookup(NodeId::ROOT, b"old-002").unwrap().node, unchanged.node);
    let mut buffer = [0; 16];
    assert_eq!(tree.read(open, 0, &mut buffer).unwrap(), 1, "what is open stays what it was");
    assert!(tree.is_moving(NodeId::ROOT) && !tree.is_settled(after.node));
    assert!(tree.lookup(NodeId::ROOT, b"old-200").is_err());
}
