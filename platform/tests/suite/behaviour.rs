//! What anybody sees of the sample tree, whatever they look through.

use std::collections::HashSet;

use hubvault_platform::NodeKind;

use crate::memory::{BIG, MANY, ODD_NAME, big_content};

/// Why something could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    NotADirectory,
    IsADirectory,
    InvalidInput,
    NoAttribute,
    Other(i32),
}

/// What `stat` shows everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) node: u64,
    pub(crate) kind: NodeKind,
    pub(crate) size: u64,
}

/// A way to look at a tree, by path from its top.
pub(crate) trait View {
    fn metadata(&self, path: &[u8]) -> Result<Shown, Refusal>;
    fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, u64, NodeKind)>, Refusal>;
    fn read(&self, path: &[u8]) -> Result<Vec<u8>, Refusal>;
    fn read_at(&self, path: &[u8], offset: u64, length: usize) -> Result<Vec<u8>, Refusal>;
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Refusal>;
    fn xattr(&self, path: &[u8], name: &[u8]) -> Result<Vec<u8>, Refusal>;
    fn list_xattrs(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, Refusal>;
}

/// The whole suite.
pub(crate) fn check(view: &dyn View) {
    content(view);
    ranges(view);
    listings(view);
    a_large_directory(view);
    numbers(view);
    links(view);
    attributes(view);
    refusals(view);
}

fn content(view: &dyn View) {
    assert_eq!(view.read(b"empty").unwrap(), b"");
    assert_eq!(view.read(b"hello.txt").unwrap(), b"hello, world\n");
    assert_eq!(view.read(b"outer/inner/deep.txt").unwrap(), b"deep");
    assert_eq!(view.read(ODD_NAME).unwrap(), b"odd");
    assert!(view.read(b"big.bin").unwrap() == big_content(), "big.bin differs");
}

fn ranges(view: &dyn View) {
    let big = big_content();
    for (offset, length) in [
        (0, 1),
        (4095, 2),
        (131_071, 131_074),
        (1 << 20, 1 << 20),
        (BIG - 5, 5),
        (BIG - 5, 100),
        (77, 3 << 20),
    ] {
        let read = view.read_at(b"big.bin", offset as u64, length).unwrap();
        assert!(read == big[offset..(offset + length).min(BIG)], "{length} bytes at {offset} differ");
    }
    for offset in [BIG as u64, BIG as u64 + 1, 1 << 40] {
        assert_eq!(view.read_at(b"big.bin", offset, 10).unwrap(), b"", "at {offset}");
    }
    assert_eq!(view.read_at(b"empty", 0, 10).unwrap(), b"");
}

fn listings(view: &dyn View) {
    let mut names: Vec<Vec<u8>> = view.list(b"").unwrap().into_iter().map(|(name, ..)| name).collect();
    names.sort();
    let mut expected: Vec<&[u8]> = vec![
        b"big.bin",
        b"dangling",
        b"empty",
        b"hello.txt",
        b"hollow",
        b"link",
        b"many",
        ODD_NAME,
        b"outer",
        b"run.sh",
        b"same.txt",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(view.list(b"hollow").unwrap(), []);
    assert_eq!(view.list(b"outer").unwrap()[0].2, NodeKind::Directory);
}

fn a_large_directory(view: &dyn View) {
    let entries = view.list(b"many").unwrap();
    let names: HashSet<&Vec<u8>> = entries.iter().map(|(name, ..)| name).collect();
    assert_eq!((entries.len(), names.len()), (MANY, MANY));
    assert_eq!(view.read(b"many/file-00000.txt").unwrap(), b"0");
    assert_eq!(view.read(b"many/file-09999.txt").unwrap(), b"9999");
}

fn numbers(view: &dyn View) {
    assert_ne!(view.metadata(b"hello.txt").unwrap().node, view.metadata(b"same.txt").unwrap().node);
    assert_eq!(view.metadata(b"").unwrap().node, 1);
    for (name, node, kind) in view.list(b"").unwrap() {
        let shown = view.metadata(&name).unwrap();
        assert_eq!((shown.node, shown.kind), (node, kind), "{}", String::from_utf8_lossy(&name));
    }
}

fn links(view: &dyn View) {
    assert_eq!(view.read_link(b"link").unwrap(), b"hello.txt");
    assert_eq!(view.read_link(b"dangling").unwrap(), b"no/where\xfe");
    let shown = view.metadata(b"link").unwrap();
    assert_eq!((shown.kind, shown.size), (NodeKind::Symlink, 9));
    assert_eq!(view.read_link(b"hello.txt"), Err(Refusal::InvalidInput));
}

fn attributes(view: &dyn View) {
    assert_eq!(view.metadata(b"big.bin").unwrap().size, BIG as u64);
    assert_eq!(view.xattr(b"hello.txt", b"user.hubvault.id").unwrap(), b"node 2");
    assert_eq!(view.list_xattrs(b"hello.txt").unwrap(), [b"user.hubvault.id"]);
    for absent in [&b"user.none"[..], b"security.selinux"] {
        assert_eq!(view.xattr(b"hello.txt", absent), Err(Refusal::NoAttribute));
    }
}

fn refusals(view: &dyn View) {
    for missing in [&b"nothing"[..], b"outer/nothing", b"outer/nothing/more"] {
        assert_eq!(view.metadata(missing), Err(Refusal::NotFound));
        assert_eq!(view.read(missing), Err(Refusal::NotFound));
    }
    assert_eq!(view.metadata(b"hello.txt/x"), Err(Refusal::NotADirectory));
    assert_eq!(view.list(b"hello.txt"), Err(Refusal::NotADirectory));
    assert_eq!(view.read(b"outer"), Err(Refusal::IsADirectory));
}
