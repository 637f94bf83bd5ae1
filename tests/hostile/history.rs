//! Trees, commits, tags and refs that lead nowhere, too deep, or to too much, in vaults whose hashes are right.
//!
//! Built with the store's own writer, which stores whatever object it is given. Knows Git's encodings.

use std::sync::Arc;

use hubvault::ops::merge::{Favor, Landing, MergeOptions};
use hubvault::store::id::ObjectId;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::object::{Commit, Kind, Mode, Tag, Tree, TreeEntry};
use hubvault::store::publish::{Change, move_ref};
use hubvault::store::refname::RefName;
use hubvault::store::transaction::{Context, Transaction};
use hubvault::store::vault::Vault;

use super::forged::exercise;
use super::{actor, add, commit, init, open};

/// A vault whose `main` is at a commit of the tree that `make` answers.
fn vault_of(make: impl FnOnce(&mut Transaction<'_>) -> ObjectId) -> MemoryMedia {
    at_main(|transaction| {
        let tree = make(transaction);
        let signature = actor().signature;
        let commit = Commit {
            tree,
            parents: vec![],
            author: signature.clone(),
            committer: signature,
            extra_headers: vec![],
            message: b"forged\n".to_vec(),
        };
        transaction.add_object(Kind::Commit, &commit.encode()).unwrap()
    })
}

fn at_main(make: impl FnOnce(&mut Transaction<'_>) -> ObjectId) -> MemoryMedia {
    let media = MemoryMedia::new();
    let repository = init(&media);
    commit(&repository, None, &[add("a.txt", "hello\n")]);
    let vault = Vault::open(Arc::new(media.clone())).unwrap();
    let actor = actor();
    let context = Context {
        time: actor.signature.time(),
        actor: "Eve".to_owned(),
        command: "forge".to_owned(),
        nonce: actor.nonce,
    };
    let mut transaction = vault.begin(context).unwrap();
    let id = make(&mut transaction);
    let main = RefName::branch("main").unwrap();
    let old = vault.view().target(&main);
    let change = Change { refs: vec![move_ref(main, old, Some(id), "")], ..Change::default() };
    transaction.publish(change).unwrap();
    media
}

fn tree(transaction: &mut Transaction<'_>, entries: &[(&str, Mode, ObjectId)]) -> ObjectId {
    let entry = |&(name, mode, id): &(&str, Mode, ObjectId)| TreeEntry { name: name.into(), mode, id };
    let tree = Tree::from_entries(entries.iter().map(entry).collect()).unwrap();
    transaction.add_object(Kind::Tree, &tree.encode()).unwrap()
}

const NOWHERE: ObjectId = ObjectId::from_bytes([0xab; 20]);

#[test]
fn what_is_missing_is_noticed() {
    assert!(exercise(&at_main(|_| NOWHERE)) > 0, "a ref to nothing");
    assert!(exercise(&vault_of(|_| NOWHERE)) > 0, "a commit of no tree");
    for mode in [Mode::File, Mode::Executable, Mode::Symlink, Mode::Directory] {
        let media = vault_of(|transaction| tree(transaction, &[("x", mode, NOWHERE)]));
        assert!(exercise(&media) > 0, "{mode:?} of nothing");
        let repository = open(&media).unwrap();
        let report = repository.verify(true, &mut |_| ()).unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.affects.iter().any(|path| path.starts_with('x')))
        );
    }
}

#[test]
fn objects_of_the_wrong_kind_are_noticed() {
    assert!(exercise(&at_main(|transaction| tree(transaction, &[]))) > 0, "a branch at a tree");
    for mode in [Mode::File, Mode::Symlink] {
        let media = vault_of(|transaction| {
            let inner = tree(transaction, &[]);
            tree(transaction, &[("x", mode, inner)])
        });
        assert!(exercise(&media) > 0, "{mode:?} that is a tree");
    }
}

#[test]
fn names_that_lead_out_make_their_folder_unreadable() {
    for name in ["..", ".", ".git", ".GIT", "a/b", "", "a\0b"] {
        let media = vault_of(|transaction| {
            let blob = Tree::empty().id();
            let raw = [b"40000 ", name.as_bytes(), b"\0", blob.as_bytes()].concat();
            transaction.add_object(Kind::Tree, &raw).unwrap()
        });
        assert!(exercise(&media) > 0, "{name:?}");
    }
}

#[test]
fn a_bomb_of_depth_is_refused() {
    let media = vault_of(|transaction| {
        let mut id = tree(transaction, &[]);
        for _ in 0..3000 {
            id = tree(transaction, &[("d", Mode::Directory, id)]);
        }
        id
    });
    assert!(exercise(&media) > 0);
}

#[test]
fn a_bomb_of_breadth_does_not_keep_anyone() {
    let media = vault_of(|transaction| {
        let mut id = tree(transaction, &[]);
        for _ in 0..60 {
            let names = ["a", "b", "c", "d"].map(|name| (name, Mode::Directory, id));
            id = tree(transaction, &names);
        }
        id
    });
    exercise(&media);
}

#[test]
fn an_empty_file_is_its_own_pointer() {
    let repository = init(&MemoryMedia::new());
    let attributes = add(".gitattributes", "*.lfs filter=lfs\n");
    commit(&repository, None, &[attributes, add("plain", ""), add("pointer.lfs", "")]);
    assert!(repository.verify(true, &mut |_| ()).unwrap().ok);
}

#[test]
fn tags_of_tags_end() {
    let media = at_main(|transaction| {
        let mut target = transaction.base().target(&RefName::branch("main").unwrap()).unwrap();
        let mut target_kind = Kind::Commit;
        for n in 0..150 {
            let tag =
                Tag { target, target_kind, name: format!("t{n}").into(), tagger: None, message: vec![] };
            target = transaction.add_object(Kind::Tag, &tag.encode()).unwrap();
            target_kind = Kind::Tag;
        }
        target
    });
    assert!(exercise(&media) > 0);
}

#[test]
fn commits_of_odd_times_are_shown() {
    for time in ["9223372036854775807 +9999", "-1 +0000", "99999999999999999999 -99999999999", "x"] {
        let media = at_main(|transaction| {
            let tree = tree(transaction, &[]);
            let body = format!("tree {tree}\nauthor E <e> {time}\ncommitter E <e> {time}\n\nx\n");
            transaction.add_object(Kind::Commit, body.as_bytes()).unwrap()
        });
        exercise(&media);
    }
}

#[test]
fn revisions_of_any_text_are_answered() {
    let media = super::small();
    let repository = open(&media).unwrap();
    for revision in [
        "main~é",
        "main^é",
        "main~1é",
        "~",
        "^",
        "é~",
        "main~99999999999999999999",
        "main^{",
        "main^{tree}^",
        ":",
        "@{1}",
        "main:",
        ":é",
        "main:a.txt/x",
        "\0",
        "",
    ] {
        drop(repository.rev_parse(revision));
        drop(repository.snapshot(Some(revision)));
    }
}

#[test]
fn names_that_clash_where_the_branch_has_a_file_are_a_conflict_whoever_is_favoured() {
    let mut source = NOWHERE;
    let media = at_main(|transaction| {
        // What the first commit stored.
        let hello: ObjectId = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
        let signature = actor().signature;
        let commit = |transaction: &mut Transaction<'_>, tree, parents| {
            let (author, committer) = (signature.clone(), signature.clone());
            let message = b"imported\n".to_vec();
            let commit = Commit { tree, parents, author, committer, extra_headers: vec![], message };
            transaction.add_object(Kind::Commit, &commit.encode()).unwrap()
        };
        let file = |name| (name, Mode::File, hello);
        let base = tree(transaction, &[file("x")]);
        let base = commit(transaction, base, vec![]);
        let inner = tree(transaction, &[file("A"), file("a")]);
        let theirs = tree(transaction, &[("x", Mode::Directory, inner)]);
        source = commit(transaction, theirs, vec![base]);
        let ours = tree(transaction, &[file("k"), file("x")]);
        commit(transaction, ours, vec![base])
    });
    let repository = open(&media).unwrap();
    for favor in [Favor::Ours, Favor::Theirs] {
        let landing = Landing { favor: Some(favor), dry_run: true, ..Landing::default() };
        let options = MergeOptions { landing, ..MergeOptions::default() };
        let result = repository.merge(&source.to_string(), &options, &actor());
        // Either is an answer: one of the names is left out, or nobody can say which.
        assert!(result.is_ok(), "{favor:?}: {result:?}");
    }
}
