//! What the fuzzer and `tests/fuzz_corpus.rs` run on bytes of unknown origin, one function for each decoder.
//!
//! Exists once so that both run the same checks: no panic, and what is accepted is written back unchanged.
//! It must not know where the bytes come from.

use hubvault::store::attributes::Attributes;
use hubvault::store::object::{Commit, Tag, Tree};
use hubvault::store::path::{RepoPath, collision_key};
use hubvault::store::pointer::Pointer;
use hubvault::store::refname::RefName;

/// A check of bytes of unknown origin; it panics if they break a promise.
pub type Target = fn(&[u8]);

/// Every target by name, as its folder under `corpus/` is called.
pub const TARGETS: [(&str, Target); 7] = [
    ("tree", tree),
    ("commit", commit),
    ("tag", tag),
    ("pointer", pointer),
    ("path", path),
    ("refname", refname),
    ("attributes", attributes),
];

/// A tree object's body.
pub fn tree(bytes: &[u8]) {
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes);
        assert!(tree.entries().iter().all(|entry| tree.find(&entry.name) == Some(entry)));
        assert_eq!(Tree::from_entries(tree.entries().to_vec()), Ok(tree));
    }
}

/// A commit object's body.
pub fn commit(bytes: &[u8]) {
    if let Ok(commit) = Commit::decode(bytes) {
        assert_eq!(commit.encode(), bytes);
        assert!(!commit.title().contains('\n'));
        assert!(commit.body().len() <= bytes.len() * 3);
    }
}

/// A tag object's body.
pub fn tag(bytes: &[u8]) {
    if let Ok(tag) = Tag::decode(bytes) {
        assert_eq!(tag.encode(), bytes);
    }
}

/// A Git LFS pointer.
pub fn pointer(bytes: &[u8]) {
    if let Some(pointer) = Pointer::decode(bytes) {
        assert_eq!(pointer.encode().as_bytes(), bytes);
    }
}

/// A path in a vault.
pub fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let key = collision_key(&text);
    assert_eq!(collision_key(&key), key);
    if let Ok(path) = RepoPath::new(&text) {
        assert_eq!(RepoPath::new(path.as_str()), Ok(path.clone()));
        assert!(
            path.components()
                .all(|name| !name.is_empty() && name != ".." && !name.eq_ignore_ascii_case(".git"))
        );
    }
}

/// A ref's name, full and short.
pub fn refname(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(branch) = RefName::branch(&text) {
        assert_eq!(RefName::new(branch.as_str()), Ok(branch.clone()));
        assert_eq!(branch.short(), text);
    }
    if let Ok(name) = RefName::new(&text) {
        assert!(!name.as_str().contains("..") && !name.conflicts_with(&name));
    }
}

/// The first line is a path, the rest an attributes file.
pub fn attributes(bytes: &[u8]) {
    let (path, content) = bytes.split_at(bytes.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let mut attributes = Attributes::default();
    attributes.push("", content);
    attributes.push("a", content);
    attributes.is_lfs(&String::from_utf8_lossy(path));
}
