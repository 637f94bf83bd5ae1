//! Object encodings against `git hash-object`, `mktree`, `commit-tree`, `mktag`, `git lfs pointer` and `fsck`.
//!
//! Exists to prove ids equal over random content, not chosen samples; the unit tests next to the encoders hold
//! the samples. Must not know how objects are stored by the vault.

use std::collections::BTreeMap;

use hubvault::store::id::{ObjectId, Sha256};
use hubvault::store::object::{
    Commit, Kind, Mode, Signature, Tag, Timestamp, Tree, TreeEntry, id_of, message,
};
use hubvault::store::pointer::Pointer;
use proptest::prelude::*;
use sha2::Digest;

use super::{Git, run};

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::collection::vec(any::<u8>(), 1..6);
    let ordinary = "[ab.0 -]{1,4}".prop_map(String::into_bytes);
    prop_oneof![3 => ordinary, 1 => odd].prop_filter("a name Git takes", |name| {
        !name.iter().any(|byte| matches!(byte, 0 | b'/'))
            && !matches!(&name[..], b"." | b"..")
            && !name.eq_ignore_ascii_case(b".git")
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::File, Mode::Executable, Mode::Symlink, Mode::Directory])
}

/// Text a command line can carry.
fn text(least: usize) -> impl Strategy<Value = String> {
    let characters = prop_oneof![4 => "[a-zA-Z .,<>'\"é\n-]", 1 => "[^\0]"];
    prop::collection::vec(characters, least..12).prop_map(|parts| parts.concat())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000i64, -1439..1440)
        .prop_map(|(seconds, offset_minutes)| Timestamp { seconds, offset_minutes })
}

fn raw_time(time: Timestamp) -> String {
    let sign = if time.offset_minutes < 0 { '-' } else { '+' };
    let minutes = time.offset_minutes.abs();
    format!("@{} {sign}{:02}{:02}", time.seconds, minutes / 60, minutes % 60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn blobs_have_gits_ids(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
        let git = Git::new();
        let mut paths = String::new();
        for (index, content) in contents.iter().enumerate() {
            std::fs::write(git.path().join(index.to_string()), content).unwrap();
            paths.push_str(&index.to_string());
            paths.push('\n');
        }
        let ids = git.text(&["hash-object", "--stdin-paths", "--no-filters"], paths.as_bytes());
        let ours: Vec<_> = contents.iter().map(|content| id_of(Kind::Blob, content).to_string()).collect();
        prop_assert_eq!(ids.lines().collect::<Vec<_>>(), ours);
    }

    #[test]
    fn trees_have_gits_ids_and_bytes(trees in prop::collection::vec(prop::collection::btree_map(name(), mode(), 0..12), 1..12)) {
        let git = Git::new();
        let blob = git.text(&["hash-object", "-w", "--stdin"], b"x").parse::<ObjectId>().unwrap();
        let empty = git.text(&["mktree"], b"").parse::<ObjectId>().unwrap();
        prop_assert_eq!(empty, Tree::empty().id());
        let id = |mode: Mode| if mode == Mode::Directory { empty } else { blob };
        let mut listing = Vec::new();
        let mut ours = Vec::new();
        for names in &trees {
            for (name, &mode) in names {
                listing.extend(format!("{} {} {}\t", mode.octal(), mode.kind(), id(mode)).into_bytes());
                listing.extend_from_slice(name);
                listing.push(0);
            }
            listing.push(0);
            let entries = names.iter().map(|(name, &mode)| TreeEntry { name: name.clone(), mode, id: id(mode) });
            ours.push(Tree::from_entries(entries.collect()).unwrap());
        }
        let theirs = git.text(&["mktree", "-z", "--batch"], &listing);
        prop_assert_eq!(theirs.lines().collect::<Vec<_>>(), ours.iter().map(|tree| tree.id().to_string()).collect::<Vec<_>>());
        for tree in ours {
            prop_assert_eq!(&git.ok(&["cat-file", "tree", &tree.id().to_string()], b""), &tree.encode());
            prop_assert_eq!(Tree::decode(&tree.encode()), Ok(tree));
        }
    }

    #[test]
    fn commits_have_gits_ids(cases in prop::collection::vec((text(0), text(0), time(), text(0), time(), 0..4usize, text(0), prop::option::of(text(0))), 1..8)) {
        let git = Git::new();
        let tree = git.text(&["mktree"], b"");
        let mut made: Vec<ObjectId> = Vec::new();
        for (author, email, authored, committer, committed, parents, title, description) in cases {
            let parents: Vec<_> = made.iter().rev().take(parents).copied().collect();
            let mut args = vec!["commit-tree".to_owned(), tree.clone(), "-m".to_owned(), title.clone()];
            args.extend(description.iter().flat_map(|text| ["-m".to_owned(), text.clone()]));
            args.extend(parents.iter().flat_map(|id| ["-p".to_owned(), id.to_string()]));
            let mut command = git.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
            // An empty e-mail makes Git look for one of its own.
            let email = format!("{email}@");
            command.env("GIT_AUTHOR_NAME", &author).env("GIT_AUTHOR_EMAIL", &email);
            command.env("GIT_AUTHOR_DATE", raw_time(authored)).env("GIT_COMMITTER_DATE", raw_time(committed));
            command.env("GIT_COMMITTER_NAME", &committer).env("GIT_COMMITTER_EMAIL", "c@x");
            let output = run(command, b"");
            let (Ok(author), Ok(committer)) = (Signature::new(&author, &email, authored), Signature::new(&committer, "c@x", committed)) else {
                // Git falls back on the account's name when the name is nothing at all.
                let blank = author.trim_matches(' ').is_empty() || committer.trim_matches(' ').is_empty();
                prop_assert!(blank || !output.status.success(), "Git takes {author:?} and {committer:?}");
                continue;
            };
            prop_assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let id = String::from_utf8(output.stdout).unwrap();
            let commit = Commit {
                tree: tree.parse().unwrap(), parents, author, committer, extra_headers: Vec::new(),
                message: message(&title, description.as_deref()),
            };
            let theirs = git.ok(&["cat-file", "commit", id.trim()], b"");
            let ours = commit.encode();
            prop_assert_eq!(String::from_utf8_lossy(&theirs), String::from_utf8_lossy(&ours));
            prop_assert_eq!(commit.id().to_string(), id.trim());
            let shown = git.ok(&["log", "-1", "--format=%s%x00%b%x00%an%x00%ae%x00%at", id.trim()], b"");
            let ours = [commit.title(), commit.body(), commit.author.name().into(), commit.author.email().into(), commit.author.time().seconds.to_string()];
            prop_assert_eq!(String::from_utf8_lossy(&shown), ours.join("\0") + "\n");
            prop_assert_eq!(Commit::decode(&theirs), Ok(commit.clone()));
            made.push(commit.id());
        }
    }

    #[test]
    fn tags_are_ones_mktag_makes(tags in prop::collection::vec(("[a-z0-9é]{1,8}", text(1), time(), text(0)), 1..6)) {
        let git = Git::new();
        let target = git.text(&["hash-object", "-w", "--stdin"], b"x").parse::<ObjectId>().unwrap();
        for (name, tagger, time, text) in tags {
            let Ok(tagger) = Signature::new(&tagger, "t@x", time) else { continue };
            let tag = Tag { target, target_kind: Kind::Blob, name: name.into_bytes(), tagger: Some(tagger), message: message(&text, None) };
            prop_assert_eq!(git.text(&["mktag", "--strict"], &tag.encode()), tag.id().to_string());
            prop_assert_eq!(Tag::decode(&tag.encode()), Ok(tag));
        }
    }

    #[test]
    fn pointers_are_the_ones_git_lfs_writes(content in prop::collection::vec(any::<u8>(), 0..2000)) {
        let git = Git::new();
        let sha256 = Sha256::from_bytes(sha2::Sha256::digest(&content).into());
        let pointer = Pointer { sha256, size: content.len() as u64 };
        std::fs::write(git.path().join("f"), &content).unwrap();
        let theirs = git.text(&["lfs", "pointer", "--file=f"], b"");
        let ours = pointer.encode();
        prop_assert_eq!(theirs, ours.trim_end());
        let id = git.text(&["hash-object", "--stdin"], pointer.encode().as_bytes());
        prop_assert_eq!(id, pointer.blob_id().to_string());
    }
}

#[test]
fn an_empty_file_is_its_own_pointer_to_git_lfs_too() {
    let git = Git::new();
    std::fs::write(git.path().join("f"), b"").unwrap();
    assert_eq!(git.text(&["lfs", "pointer", "--file=f"], b""), "");
}

/// A repository made of nothing but our encodings, each stored under our id.
#[test]
fn fsck_accepts_a_repository_written_by_us() {
    let git = Git::new();
    let mut objects: BTreeMap<ObjectId, (Kind, Vec<u8>)> = BTreeMap::new();
    let mut add = |id: ObjectId, kind: Kind, body: Vec<u8>| {
        objects.insert(id, (kind, body));
        id
    };
    let blob = add(id_of(Kind::Blob, b"data\n"), Kind::Blob, b"data\n".to_vec());
    let entry = |name: &str, mode, id| TreeEntry { name: name.into(), mode, id };
    let inner = Tree::from_entries(vec![entry("x", Mode::Executable, blob), entry("l", Mode::Symlink, blob)])
        .unwrap();
    let inner_id = add(inner.id(), Kind::Tree, inner.encode());
    let names = ["a", "a.b", "a0", "é", "-"].map(|name| entry(name, Mode::File, blob));
    let folders = ["b", "b.c"].map(|name| entry(name, Mode::Directory, inner_id));
    let root = Tree::from_entries(names.into_iter().chain(folders).collect()).unwrap();
    let root_id = add(root.id(), Kind::Tree, root.encode());
    let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 345 };
    let author = Signature::new("Ann É", "ann@example.org", time).unwrap();
    let mut commit = Commit {
        tree: root_id,
        parents: Vec::new(),
        author: author.clone(),
        committer: author.clone(),
        extra_headers: vec![(b"gpgsig".to_vec(), b"-----BEGIN\n\nx\n-----END\n".to_vec())],
        message: message("Start", Some("Why.")),
    };
    let first = add(commit.id(), Kind::Commit, commit.encode());
    commit.parents = vec![first];
    let second = add(commit.id(), Kind::Commit, commit.encode());
    let tag = Tag {
        target: second,
        target_kind: Kind::Commit,
        name: b"v1".to_vec(),
        tagger: Some(author),
        message: message("One", None),
    };
    let tag_id = add(tag.id(), Kind::Tag, tag.encode());
    for (id, (kind, body)) in &objects {
        let theirs = git.text(&["hash-object", "-t", kind.as_str(), "-w", "--stdin"], body);
        assert_eq!(theirs, id.to_string());
    }
    git.ok(&["update-ref", "refs/heads/main", &second.to_string()], b"");
    git.ok(&["update-ref", "refs/tags/v1", &tag_id.to_string()], b"");
    let output = git.run(&["fsck", "--strict", "--full"], b"");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
