//! What the fuzzer and `tests/fuzz_corpus.rs` run on bytes of unknown origin, one function for each decoder.
//!
//! Exists once so that both run the same checks: no panic, and what is accepted is written back unchanged.
//! It must not know where the bytes come from.

use std::io::Write as _;
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{Actor, AddSource, CommitOperation, CommitOptions, InitOptions, Signature, Timestamp};
use hubvault::store::attributes::Attributes;
use hubvault::store::frame::{decode, encode};
use hubvault::store::id::{ChunkHash, IndexId, ObjectId, PackId, Sha256};
use hubvault::store::index::format::{BLOCK, TRAILER, Trailer};
use hubvault::store::index::{BlockCache, ChunkRow, Codec, Index, ObjectRow, PackRow, Row, Table, path_of};
use hubvault::store::lease::Lease;
use hubvault::store::log::record::{CHECKPOINT, Checkpoint, RECORD, Record};
use hubvault::store::media::Media;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::object::{Commit, Tag, Tree};
use hubvault::store::pack::{decode as decode_chunk, open_chunk};
use hubvault::store::path::{RepoPath, collision_key};
use hubvault::store::pointer::Pointer;
use hubvault::store::refname::RefName;
use hubvault::store::vault::{MARKER_KIND, Settings};

/// Every target by name, as its folder under `corpus/` is called.
#[allow(dead_code, reason = "each fuzz target uses one function, the replay uses all")]
pub(crate) const TARGETS: [(&str, fn(&[u8])); 11] = [
    ("tree", tree),
    ("commit", commit),
    ("tag", tag),
    ("pointer", pointer),
    ("path", path),
    ("refname", refname),
    ("attributes", attributes),
    ("frame", frame),
    ("index", index),
    ("chunk", chunk),
    ("revision", revision),
];

pub(crate) fn tree(bytes: &[u8]) {
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes);
        assert!(tree.entries().iter().all(|entry| tree.find(&entry.name) == Some(entry)));
        assert_eq!(Tree::from_entries(tree.entries().to_vec()), Ok(tree));
    }
}

pub(crate) fn commit(bytes: &[u8]) {
    if let Ok(commit) = Commit::decode(bytes) {
        assert_eq!(commit.encode(), bytes);
        assert!(!commit.title().contains('\n'));
        assert!(commit.body().len() <= bytes.len() * 3);
    }
}

pub(crate) fn tag(bytes: &[u8]) {
    if let Ok(tag) = Tag::decode(bytes) {
        assert_eq!(tag.encode(), bytes);
    }
}

pub(crate) fn pointer(bytes: &[u8]) {
    if let Some(pointer) = Pointer::decode(bytes) {
        assert_eq!(pointer.encode().as_bytes(), bytes);
    }
}

pub(crate) fn path(bytes: &[u8]) {
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

pub(crate) fn refname(bytes: &[u8]) {
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
pub(crate) fn attributes(bytes: &[u8]) {
    let (path, content) = bytes.split_at(bytes.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let mut attributes = Attributes::default();
    attributes.push("", content);
    attributes.push("a", content);
    attributes.is_lfs(&String::from_utf8_lossy(path));
}

/// Every kind of frame, as it is and as the JSON of one whose checksum is right.
pub(crate) fn frame(bytes: &[u8]) {
    fn both<T: serde::de::DeserializeOwned + serde::Serialize>(kind: &str, bytes: &[u8]) {
        let sum = blake3::hash(bytes).to_hex();
        let sealed = [format!("hubvault-{kind} 1 {} {sum}\n", bytes.len()).as_bytes(), bytes, b"\n"].concat();
        for file in [bytes, &sealed] {
            if let Ok((value, _)) = decode::<T>(kind, file) {
                let (again, sum) = encode(kind, &value);
                assert_eq!(decode::<T>(kind, &again).map(|(_, found)| found), Ok(sum));
            }
        }
    }
    both::<Record>(RECORD, bytes);
    both::<Checkpoint>(CHECKPOINT, bytes);
    both::<Settings>(MARKER_KIND, bytes);
    both::<Lease>("lease", bytes);
}

/// The bytes are seven sections: fourteen bytes of lengths in rows, then the rows; the hashes are made right.
pub(crate) fn index(bytes: &[u8]) {
    let Some((lengths, mut rest)) = bytes.split_first_chunk::<14>() else { return };
    let mut file = Vec::new();
    let mut number = 0;
    let sections = Table::ALL.map(|(_, width)| {
        let rows = usize::from(u16::from_le_bytes([lengths[number], lengths[number + 1]]));
        number += 2;
        let len = (rows * width).min(rest.len() / width * width);
        let (section, left) = rest.split_at(len);
        rest = left;
        file.extend_from_slice(section);
        ((file.len() - len) as u64, len as u64)
    });
    let mut tail: Vec<u8> =
        file.chunks(BLOCK).flat_map(|block| blake3::hash(block).as_bytes()[..16].to_vec()).collect();
    let block_count = u32::try_from(tail.len() / 16).unwrap();
    tail.extend(Trailer { sections, block_count }.encode());
    assert_eq!(tail.len(), block_count as usize * 16 + TRAILER);
    let id = IndexId::from_bytes(*blake3::hash(&tail).as_bytes());
    file.extend(tail);
    let media = MemoryMedia::new();
    media.create_dir("packs").unwrap();
    media.create(&path_of(id)).unwrap().write_all(&file).unwrap();
    ask(&Index::open(&media, id, &Arc::new(BlockCache::new(1 << 20))).unwrap());
}

fn ask(index: &Index) {
    let sound = index.check_layout().is_ok();
    for pack in index.rows::<PackRow>().flatten() {
        for at in [0, pack.raw_len / 2, pack.raw_len, u64::MAX] {
            if let Ok((_, chunk)) = index.chunk_at(&pack, at) {
                assert!(chunk.raw_start <= at && at - chunk.raw_start < u64::from(chunk.raw_len));
            }
        }
        assert!(!sound || index.pack(pack.id).unwrap() == Some(pack));
    }
    for chunk in index.rows::<ChunkRow>().flatten() {
        assert!(!sound || index.chunk(chunk.hash).unwrap().is_some());
        drop(index.data(chunk.stored_start, u64::from(chunk.stored_len)));
    }
    for file in index.rows::<hubvault::store::index::FileRow>().flatten() {
        let extents = index.extents(&file).unwrap_or_default();
        assert!(extents.len() <= file.extent_count as usize);
        assert!(!sound || index.file(file.sha256).unwrap() == Some(file));
    }
    for object in index.rows::<ObjectRow>().flatten() {
        assert!(!sound || index.object(object.id).unwrap() == Some(object));
    }
    for byte in [0, 0x7f, 0xff] {
        drop(index.object(ObjectId::from_bytes([byte; 20])));
        drop(index.file(Sha256::from_bytes([byte; 32])));
        drop(index.pack(PackId::from_bytes([byte; 16])));
        drop(index.chunk(ChunkHash::from_bytes([byte; 32])));
    }
    drop(index.objects_between(ObjectId::from_bytes([0; 20]), ObjectId::from_bytes([255; 20]), 10));
    if sound {
        drop(hubvault::store::index::IndexBuilder::default().absorb(index, &|_| false, &|_| false));
    }
}

/// Two bytes of decoded length, one of codec, then stored bytes.
pub(crate) fn chunk(bytes: &[u8]) {
    let Some(([a, b, codec], stored)) = bytes.split_first_chunk::<3>() else { return };
    let codec = if *codec == 0 { Codec::Raw } else { Codec::Zstd };
    let raw_len = usize::from(u16::from_le_bytes([*a, *b])) * 2;
    if let Some(raw) = decode_chunk(codec, stored.to_vec(), raw_len) {
        assert_eq!(raw.len(), raw_len);
        let hash = hubvault::store::chunk::hash(&raw);
        let lens = [raw_len, stored.len()].map(|len| u32::try_from(len).unwrap());
        let row =
            ChunkRow { hash, raw_start: 0, stored_start: 0, raw_len: lens[0], stored_len: lens[1], codec };
        assert_eq!(open_chunk(&row, stored.to_vec(), "x").unwrap(), raw);
        let other = ChunkRow { hash: ChunkHash::from_bytes([0; 32]), ..row };
        assert!(open_chunk(&other, stored.to_vec(), "x").is_err());
        let mut out = Vec::new();
        row.encode(&mut out);
        assert_eq!(out.len(), ChunkRow::LEN);
    }
}

/// Any text, asked of a vault with a few commits, a branch and a tag.
pub(crate) fn revision(bytes: &[u8]) {
    static VAULT: std::sync::OnceLock<Repository> = std::sync::OnceLock::new();
    let text = String::from_utf8_lossy(bytes);
    let vault = VAULT.get_or_init(tiny);
    let object = vault.rev_parse(&text);
    if let Ok(snapshot) = vault.snapshot(Some(&text)) {
        assert!(object.is_ok(), "{text:?} is a commit and no object");
        assert_eq!(vault.rev_parse(&snapshot.id().to_string()).unwrap(), snapshot.id());
    }
}

fn tiny() -> Repository {
    let actor = |n: u8| {
        let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 0 };
        Actor { signature: Signature::new("F", "f@x", time).unwrap(), nonce: [n; 16] }
    };
    let media = Arc::new(MemoryMedia::new());
    let vault = Repository::init_on(media, &InitOptions::default(), &actor(1)).unwrap().0;
    for n in 2..5 {
        let path_in_repo = Some(RepoPath::new("d/a").unwrap());
        let add = CommitOperation::Add { path_in_repo, source: AddSource::Bytes(vec![n]) };
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        vault.create_commit(&[add], &options, &actor(n), &mut |_| ()).unwrap();
    }
    vault.create_branch("dev/x", Some("main~1"), false, &actor(8)).unwrap();
    vault.create_tag("v1", Some("T"), None, false, &actor(9)).unwrap();
    vault
}
