//! Any history at all, in a vault and in a real Git repository alike: commits with the trees and parents a test asks
//! for, without going through the commands that would make them.
//!
//! Exists because merges and renames have to be compared on many odd histories with few programs started. Knows the
//! store's public doors; must not know what is compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{Actor, InitOptions, ObjectId, Signature, Timestamp};
use hubvault::snapshot::Mode;
use hubvault::store::ingest::Bytes;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::object::{Commit, Kind, Tree, TreeEntry};
use hubvault::store::publish::{Change, move_ref};
use hubvault::store::refname::RefName;
use hubvault::store::transaction::{Context, Transaction};

use super::Git;

/// What a commit holds, by path.
pub(super) type Files = BTreeMap<String, (Mode, Vec<u8>)>;

/// A vault and everything that was put into it.
pub(super) struct Workshop {
    pub(super) repository: Repository,
    objects: BTreeMap<ObjectId, (Kind, Vec<u8>)>,
    transactions: u64,
}

/// Somebody who acts at a time.
pub(super) fn actor(step: u64) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000 + i64::try_from(step).unwrap() * 60, offset_minutes: 60 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&step.to_le_bytes());
    Actor { signature: Signature::new("A U Thor", "author@example.org", time).unwrap(), nonce }
}

impl Workshop {
    pub(super) fn new() -> Self {
        let media = Arc::new(MemoryMedia::new());
        let (repository, _) = Repository::init_on(media, &InitOptions::default(), &actor(0)).unwrap();
        Self { repository, objects: BTreeMap::new(), transactions: 0 }
    }

    /// In a folder, so that the program can be run on it.
    pub(super) fn at(folder: &std::path::Path) -> Self {
        let (repository, _) = Repository::init(folder, &InitOptions::default(), &actor(0)).unwrap();
        Self { repository, objects: BTreeMap::new(), transactions: 0 }
    }

    /// A nonce that was not used before.
    pub(super) fn actor(&mut self) -> Actor {
        self.transactions += 1;
        actor(self.transactions)
    }

    /// Makes commits, in order; a parent is the number of an earlier one. A branch `cN` is left at each.
    pub(super) fn commits(&mut self, wanted: &[(Files, Vec<usize>, i64)]) -> Vec<ObjectId> {
        let actor = self.actor();
        let context = Context {
            time: actor.signature.time(),
            actor: "test".to_owned(),
            command: "test".to_owned(),
            nonce: actor.nonce,
        };
        let mut transaction = self.repository.vault().begin(context).unwrap();
        let mut made: Vec<ObjectId> = Vec::new();
        let mut refs = Vec::new();
        for (number, (files, parents, seconds)) in wanted.iter().enumerate() {
            let entries: Vec<_> = files.iter().map(|(path, file)| (&path[..], file)).collect();
            let tree = add_tree(&mut transaction, &mut self.objects, &entries);
            let time = Timestamp { seconds: *seconds, offset_minutes: 0 };
            let who = Signature::new("A U Thor", "author@example.org", time).unwrap();
            let commit = Commit {
                tree,
                parents: parents.iter().map(|&parent| made[parent]).collect(),
                author: who.clone(),
                committer: who,
                extra_headers: Vec::new(),
                message: format!("commit {number}\n").into_bytes(),
            };
            let id = transaction.add_object(Kind::Commit, &commit.encode()).unwrap();
            self.objects.insert(id, (Kind::Commit, commit.encode()));
            let branch = RefName::branch(&format!("c{number}")).unwrap();
            refs.push(move_ref(branch, None, Some(id), "test"));
            made.push(id);
        }
        refs.sort_by(|a, b| a.name.cmp(&b.name));
        transaction.publish(Change { refs, ..Change::default() }).unwrap();
        made
    }

    /// Gives git every object, and the branches. One program for each kind of object.
    pub(super) fn export(&self, git: &Git) {
        let folder = tempfile::tempdir().unwrap();
        for kind in [Kind::Blob, Kind::Tree, Kind::Commit] {
            let mut paths = String::new();
            let mut ids = Vec::new();
            for (id, (_, body)) in self.objects.iter().filter(|(_, (of, _))| *of == kind) {
                let path = folder.path().join(id.to_string());
                std::fs::write(&path, body).unwrap();
                paths += &format!("{}\n", path.display());
                ids.push(id.to_string());
            }
            let args = ["hash-object", "-w", "--no-filters", "-t", kind.as_str(), "--stdin-paths"];
            let found = git.text(&args, paths.as_bytes());
            assert_eq!(found.lines().collect::<Vec<_>>(), ids);
        }
        let refs: Vec<String> = self
            .repository
            .list_branches()
            .unwrap()
            .iter()
            .filter(|branch| self.objects.contains_key(&branch.target_commit))
            .map(|branch| format!("create {} {}\n", branch.git_ref, branch.target_commit))
            .collect();
        git.ok(&["update-ref", "--stdin"], refs.concat().as_bytes());
    }
}

/// A tree of files given by their paths from here, which are in order.
fn add_tree(
    transaction: &mut Transaction<'_>,
    objects: &mut BTreeMap<ObjectId, (Kind, Vec<u8>)>,
    files: &[(&str, &(Mode, Vec<u8>))],
) -> ObjectId {
    let mut entries = Vec::new();
    let mut folders: BTreeMap<&str, Vec<(&str, &(Mode, Vec<u8>))>> = BTreeMap::new();
    for &(path, file) in files {
        if let Some((folder, rest)) = path.split_once('/') {
            folders.entry(folder).or_default().push((rest, file));
            continue;
        }
        let id = transaction.add_content(&mut Bytes::new(path, &file.1), false, &mut |_| ()).unwrap().blob;
        objects.insert(id, (Kind::Blob, file.1.clone()));
        entries.push(TreeEntry { name: path.into(), mode: file.0, id });
    }
    for (folder, files) in folders {
        let id = add_tree(transaction, objects, &files);
        entries.push(TreeEntry { name: folder.into(), mode: Mode::Directory, id });
    }
    let tree = Tree::from_entries(entries).unwrap();
    let id = transaction.add_object(Kind::Tree, &tree.encode()).unwrap();
    objects.insert(id, (Kind::Tree, tree.encode()));
    id
}
