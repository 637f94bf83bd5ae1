//! Vaults damaged by decay and vaults forged by an enemy: a clear error or the right bytes, never anything else.
//!
//! [`damage`] changes every byte of real vaults; [`forged`] and [`history`] build vaults whose hashes are
//! consistent and whose contents are absurd; [`frames`] feeds noise to the decoders of the log; [`links`] plants
//! links in a folder on disk. This file makes the vaults. It must not know what any test expects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hubvault::Repository;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::publish::{Change, move_ref};
use hubvault::store::refname::RefName;
use hubvault::store::transaction::Context;

use crate::samples::{add, noise, open};

mod damage;
#[cfg(unix)]
mod escape;
mod forged;
mod frames;
mod history;
#[cfg(unix)]
mod links;
mod unread;

static NONCE: AtomicU64 = AtomicU64::new(1);

pub(crate) fn actor() -> Actor {
    let n = NONCE.fetch_add(1, Relaxed);
    let time = Timestamp { seconds: 1_700_000_000 + i64::try_from(n).unwrap(), offset_minutes: 60 };
    let mut nonce = [7; 16];
    nonce[..8].copy_from_slice(&n.to_le_bytes());
    Actor { signature: Signature::new("Eve", "eve@example.org", time).unwrap(), nonce }
}

pub(crate) fn commit(repository: &Repository, branch: Option<&str>, operations: &[CommitOperation]) {
    let options = CommitOptions {
        message: format!("commit {}", NONCE.load(Relaxed)),
        revision: branch.map(str::to_owned),
        ..CommitOptions::default()
    };
    repository.create_commit(operations, &options, &actor(), &mut |_| ()).unwrap();
}

pub(crate) fn init(media: &MemoryMedia) -> Repository {
    Repository::init_on(Arc::new(media.clone()), &InitOptions::default(), &actor()).unwrap().0
}

/// A healthy copy of a medium, to be damaged.
pub(crate) fn copy(media: &MemoryMedia) -> MemoryMedia {
    media.after_crash(1).remove(0)
}

/// Something of every kind that is small: a dozen transactions, two branches, an annotated tag.
pub(crate) fn small() -> MemoryMedia {
    let media = MemoryMedia::new();
    let repository = init(&media);
    let local = tempfile::tempdir().unwrap();
    std::fs::write(local.path().join("run.sh"), b"#!/bin/sh\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(local.path().join("run.sh"), mode).unwrap();
        symlink("run.sh", local.path().join("link")).unwrap();
    }
    let path_in_repo = Some(RepoPath::new("tools").unwrap());
    let source = AddSource::Local(local.path().to_owned());
    commit(&repository, None, &[CommitOperation::Add { path_in_repo, source }]);
    commit(&repository, None, &[add("a.txt", "first\n"), add("d/deep/b.txt", "words ".repeat(100))]);
    repository.create_branch("dev", None, false, &actor()).unwrap();
    repository.create_tag("v1", Some("A release"), None, false, &actor()).unwrap();
    commit(&repository, Some("dev"), &[add("dev.bin", noise(1, 300))]);
    commit(&repository, None, &[add(".gitattributes", "*.lfs filter=lfs\n"), add("p.lfs", "large")]);
    commit(&repository, None, &[add("a.txt", "second\n"), add("empty", "")]);
    for n in 0..4 {
        commit(&repository, None, &[add("n.txt", format!("{n}\n"))]);
    }
    media
}

/// As [`small`], with two checkpoints, the first of which is read from.
pub(crate) fn long() -> MemoryMedia {
    let media = small();
    let repository = open(&media).unwrap();
    let name = RefName::branch("filler").unwrap();
    let [one, two] = ["main", "dev"].map(|revision| repository.rev_parse(revision).unwrap());
    let mut old = None;
    for n in 0..120 {
        // A ref that goes back and forth: the shortest transactions there are.
        let new = Some(if n % 2 == 0 { one } else { two });
        let actor = actor();
        let context = Context {
            time: actor.signature.time(),
            actor: String::new(),
            command: "fill".to_owned(),
            nonce: actor.nonce,
        };
        let change = Change { refs: vec![move_ref(name.clone(), old, new, "")], ..Change::default() };
        repository.vault().begin(context).unwrap().publish(change).unwrap();
        old = new;
    }
    commit(&repository, None, &[add("last.txt", "last\n")]);
    media
}

/// Packs of every kind: whole, compressed, shared, and a file of many extents.
pub(crate) fn large() -> MemoryMedia {
    let media = MemoryMedia::new();
    let repository = init(&media);
    commit(&repository, None, &[add("whole.bin", noise(2, 700_000)), add("small.txt", "inline\n")]);
    // Digits shrink to less than half, and still to more than goes inline.
    let text: Vec<u8> = noise(6, 3_000_000).iter().map(|byte| b'0' + byte % 10).collect();
    commit(&repository, None, &[add("text.txt", text)]);
    let shared: Vec<_> = (0..5).map(|n| add(&format!("s/{n}.bin"), noise(10 + n, 300_000))).collect();
    commit(&repository, None, &shared);
    let mut weights = noise(3, 3_600_000);
    commit(&repository, None, &[add("weights.bin", weights.clone())]);
    weights.splice(1_800_000..1_800_010, noise(4, 5000));
    commit(&repository, None, &[add("weights.bin", weights)]);
    // No pack belongs to the newest transaction: without that one a vault is what it was before.
    commit(&repository, None, &[add("last.txt", "inline\n")]);
    media
}

/// Every file of every ref of a healthy vault: ref, path, content.
pub(crate) fn contents(media: &MemoryMedia) -> BTreeMap<(String, String), Vec<u8>> {
    let repository = open(media).unwrap();
    let mut found = BTreeMap::new();
    for name in repository.vault().view().state.refs.keys() {
        let snapshot = repository.snapshot(Some(name.as_str())).unwrap();
        let root = snapshot.root();
        snapshot
            .walk(root.id, b"", &mut |path, entry| {
                if entry.mode != hubvault::snapshot::Mode::Directory {
                    let path = String::from_utf8(path.to_vec()).unwrap();
                    let file = snapshot.open_file(entry, &path)?;
                    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
                    file.read_at(0, &mut bytes)?;
                    found.insert((name.to_string(), path), bytes);
                }
                Ok(true)
            })
            .unwrap();
    }
    found
}
