//! A vault's history, given to real git object by object: git computes every id again, so a wrong one fails here.
//!
//! Shared by the tests that then ask git about the same history. Knows the public API; must not look into packs.

use std::collections::BTreeSet;

use hubvault::Repository;
use hubvault::ops::ObjectId;
use hubvault::snapshot::Mode;
use hubvault::store::object::Kind;

use super::Git;

/// Gives git every object below a tree.
fn export_tree(git: &Git, repository: &Repository, id: ObjectId, done: &mut BTreeSet<ObjectId>) {
    if !done.insert(id) {
        return;
    }
    let snapshot = repository.snapshot(None).unwrap();
    let tree = snapshot.tree(id).unwrap();
    for entry in tree.entries() {
        if entry.mode == Mode::Directory {
            export_tree(git, repository, entry.id, done);
        } else if done.insert(entry.id) {
            let file = snapshot.open_file(entry, "").unwrap();
            let mut content = vec![0; usize::try_from(file.size()).unwrap()];
            assert_eq!(file.read_at(0, &mut content).unwrap(), content.len());
            give(git, "blob", &content, entry.id);
        }
    }
    give(git, "tree", &tree.encode(), id);
}

fn give(git: &Git, kind: &str, body: &[u8], id: ObjectId) {
    assert_eq!(git.text(&["hash-object", "-w", "-t", kind, "--stdin"], body), id.to_string());
}

/// Gives git all branches with everything they lead to; the histories listed by both must be equal.
pub(super) fn export(git: &Git, repository: &Repository) {
    let view = repository.vault().view();
    let mut done = BTreeSet::new();
    for branch in repository.list_branches().unwrap() {
        let branch = &branch.name;
        let commits: Vec<_> = repository.history(Some(branch)).unwrap().map(Result::unwrap).collect();
        for (id, commit) in commits.iter().rev() {
            export_tree(git, repository, commit.tree, &mut done);
            if done.insert(*id) {
                assert_eq!(view.catalog.body(*id).unwrap(), (Kind::Commit, commit.encode()));
                give(git, "commit", &commit.encode(), *id);
            }
        }
        git.ok(&["update-ref", &format!("refs/heads/{branch}"), &commits[0].0.to_string()], b"");
        let ours: Vec<String> = commits.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(git.text(&["rev-list", branch], b""), ours.join("\n"));
    }
}
