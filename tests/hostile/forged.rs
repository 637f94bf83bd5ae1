//! Indexes whose every hash is right and whose contents are absurd: the vault of an enemy who knows the format.
//!
//! A healthy index is taken apart, rows are changed, and it is put together again under its new name, with a
//! log that points at it. Every reader and the next writer must answer, in bounded time and memory. Knows the
//! tables of an index; what trees and commits may say is in `history`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hubvault::mount::SnapshotTree;
use hubvault::ops::Compression;
use hubvault::ops::optimize::OptimizeOptions;
use hubvault::ops::tree::list_repo_tree;
use hubvault::store::frame;
use hubvault::store::id::{ChunkHash, IndexId, ObjectId, PackId, Sha256};
use hubvault::store::index::format::{BLOCK, TRAILER, Trailer};
use hubvault::store::index::{
    self, ChunkRow, Codec, Extent, FileRow, LookupRow, ObjectRow, PackRow, Row, Stored, Table,
};
use hubvault::store::log::record::{RECORD, Record};
use hubvault::store::log::record_path;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::object::Kind;
use hubvault_platform::loopback::Loopback;
use proptest::prelude::*;

use super::{actor, add, init, noise, open};

/// The sections of an index, to be changed.
#[derive(Clone, Debug)]
pub(super) struct Parts(pub(super) Vec<Vec<u8>>);

impl Parts {
    fn of(file: &[u8]) -> Self {
        let trailer: [u8; TRAILER] = file[file.len() - TRAILER..].try_into().unwrap();
        let trailer = Trailer::decode(&trailer, file.len() as u64).unwrap();
        let at = |n: u64| usize::try_from(n).unwrap();
        Self(trailer.sections.iter().map(|&(from, len)| file[at(from)..at(from + len)].to_vec()).collect())
    }

    /// A whole index with consistent hashes, and its name.
    fn build(&self) -> (IndexId, Vec<u8>) {
        let mut file = Vec::new();
        let sections = std::array::from_fn(|table| {
            file.extend_from_slice(&self.0[table]);
            ((file.len() - self.0[table].len()) as u64, self.0[table].len() as u64)
        });
        let mut tail: Vec<u8> =
            file.chunks(BLOCK).flat_map(|block| blake3::hash(block).as_bytes()[..16].to_vec()).collect();
        let block_count = u32::try_from(tail.len() / 16).unwrap();
        tail.extend(Trailer { sections, block_count }.encode());
        let id = IndexId::from_bytes(*blake3::hash(&tail).as_bytes());
        file.extend(tail);
        (id, file)
    }

    fn rows<R: Row>(&self) -> Vec<R> {
        self.0[R::TABLE as usize].chunks(R::LEN).map(|row| R::decode(row).unwrap()).collect()
    }

    pub(super) fn set<R: Row>(&mut self, rows: &[R]) {
        let section = &mut self.0[R::TABLE as usize];
        section.clear();
        rows.iter().for_each(|row| row.encode(section));
    }

    fn change<R: Row>(&mut self, change: impl Fn(&mut R)) {
        let mut rows = self.rows::<R>();
        rows.iter_mut().for_each(change);
        self.set(&rows);
    }
}

/// A vault with one commit after the first, whose index `change` forges.
pub(super) fn forge(change: impl FnOnce(&mut Parts)) -> MemoryMedia {
    let media = MemoryMedia::new();
    let repository = init(&media);
    let files =
        [add("a.txt", "hello\n"), add("z.txt", "words ".repeat(99)), add("d/n.bin", noise(1, 300_000))];
    super::commit(&repository, None, &[&files[..], &[add("big.bin", noise(2, 600_000))]].concat());
    let path = record_path(2);
    let (mut record, _) = frame::decode::<Record>(RECORD, &media.files()[&path]).unwrap();
    let old = index::path_of(record.index.unwrap());
    let mut parts = Parts::of(&media.files()[&old]);
    change(&mut parts);
    let (id, bytes) = parts.build();
    record.index = Some(id);
    plant(&media, &index::path_of(id), &bytes);
    media.corrupt(&path, |file| *file = frame::encode(RECORD, &record).0).unwrap();
    media
}

pub(super) fn plant(media: &MemoryMedia, path: &str, bytes: &[u8]) {
    use hubvault::store::media::Media;
    if media.len(path).unwrap().is_none() {
        std::io::Write::write_all(&mut media.create(path).unwrap(), bytes).unwrap();
    }
}

/// Asks a forged vault for everything. Answers how many things went wrong; a panic or a hang is for the caller.
pub(super) fn exercise(media: &MemoryMedia) -> usize {
    let started = Instant::now();
    let mut wrong = 0;
    let mut note = |failed: bool| wrong += usize::from(failed);
    let Ok(repository) = open(media) else { return 1 };
    note(repository.verify(true, &mut |_| ()).map_or(true, |report| !report.ok));
    note(repository.verify(false, &mut |_| ()).is_err());
    note(repository.status().is_err());
    note(repository.history(None).map_or(true, |history| history.take(1000).any(|commit| commit.is_err())));
    for revision in
        ["HEAD", "main~1", "HEAD:a.txt", "0000", "ffff", "HEAD^{tree}", "main~4294967295", "refs/x/y"]
    {
        drop(repository.rev_parse(revision));
    }
    if let Ok(snapshot) = repository.snapshot(None) {
        let mut names = 0;
        let listed = list_repo_tree(&snapshot, "", true).and_then(|entries| {
            entries.take(5000).inspect(|_| names += 1).try_for_each(|entry| entry.map(drop))
        });
        // By path, what is nested without end is read without end; a kernel has a longest path.
        let nested = listed.as_ref().is_err_and(|error| error.to_string().contains("deep"));
        note(listed.is_err());
        for path in ["a.txt", "z.txt", "d/n.bin", "big.bin"] {
            let read = snapshot.open_path(path).and_then(|file| {
                let mut bytes = vec![0; 100_000];
                file.read_at(0, &mut bytes)?;
                file.read_at(file.size().saturating_sub(10), &mut bytes)?;
                file.whole_file()?;
                file.read_at(u64::MAX, &mut bytes)
            });
            note(read.is_err());
        }
        let tree = Arc::new(SnapshotTree::new(snapshot.clone()));
        hubvault_platform::port::ReadOnlyTree::volume(&*tree);
        let too_big =
            snapshot.entry("a.txt").and_then(|entry| snapshot.info(&entry)).is_ok_and(|i| i.size > 1 << 30);
        if names < 5000 && !nested && !too_big {
            note(Loopback::new(tree).examine().is_err());
        }
    }
    // On top: with enough small indexes around it, the forged one is merged.
    for n in 0..9 {
        let options = hubvault::ops::CommitOptions { message: "on top".to_owned(), ..Default::default() };
        let operations = [add("d/new.txt", format!("{n}\n")), add("big2.bin", noise(2, 600_000))];
        note(repository.create_commit(&operations, &options, &actor(), &mut |_| ()).is_err());
    }
    note(repository.verify(true, &mut |_| ()).map_or(true, |report| !report.ok));
    for compression in [Compression::Max, Compression::None] {
        let options = OptimizeOptions { compression, ..OptimizeOptions::default() };
        note(repository.optimize(&options, &actor(), &mut |_| ()).is_err());
    }
    assert!(started.elapsed() < Duration::from_mins(1), "took {:?}", started.elapsed());
    wrong
}

/// Rows that overlap could lead it around the same chunks without end, so it looks at the layout first.
#[test]
fn storing_again_goes_through_no_index_that_is_laid_out_wrongly() {
    let media = forge(|parts| {
        let mut rows = parts.rows::<LookupRow>();
        rows.reverse();
        parts.set(&rows);
    });
    let options = OptimizeOptions { compression: Compression::None, ..OptimizeOptions::default() };
    let error = open(&media).unwrap().optimize(&options, &actor(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("lookup table is out of order"), "{error}");
}

#[test]
fn an_index_put_together_again_is_healthy() {
    assert_eq!(exercise(&forge(|_| ())), 0);
}

/// Every absurdity must be noticed by somebody.
#[test]
fn absurd_rows_are_noticed() {
    type Forgery = (&'static str, fn(&mut Parts));
    let forgeries: &[Forgery] = &[
        ("chunk counts near 2^32", |p| p.change(|row: &mut PackRow| row.chunk_count = u32::MAX)),
        ("first chunks near 2^32", |p| p.change(|row: &mut PackRow| row.first_chunk = u32::MAX - 1)),
        ("pack lengths near 2^64", |p| {
            p.change(|row: &mut PackRow| (row.raw_len, row.stored_len) = (u64::MAX, u64::MAX));
        }),
        ("packs without length", |p| p.change(|row: &mut PackRow| (row.raw_len, row.stored_len) = (0, 0))),
        ("packs of no such name", |p| p.change(|row: &mut PackRow| row.id = PackId::from_bytes([9; 16]))),
        ("chunks near 2^64", |p| p.change(|row: &mut ChunkRow| row.raw_start = u64::MAX - (1 << 20))),
        ("stored near 2^64", |p| p.change(|row: &mut ChunkRow| row.stored_start = u64::MAX - (1 << 25))),
        ("chunks all at the start", |p| {
            p.change(|row: &mut ChunkRow| (row.raw_start, row.stored_start) = (0, 0));
        }),
        ("stored lengths of 16 MiB", |p| {
            p.change(|row: &mut ChunkRow| {
                (row.codec, row.stored_len) = (Codec::Zstd, (1 << 24) - 1);
            });
        }),
        ("other codecs", |p| {
            p.change(|row: &mut ChunkRow| {
                row.codec = Codec::Zstd;
            });
        }),
        ("other hashes", |p| p.change(|row: &mut ChunkRow| row.hash = ChunkHash::from_bytes([1; 32]))),
        ("lookups of nothing", |p| p.change(|row: &mut LookupRow| row.chunk = u32::MAX)),
        ("files near 2^64", |p| p.change(|row: &mut FileRow| row.size = u64::MAX)),
        ("extent counts near 2^32", |p| p.change(|row: &mut FileRow| row.extent_count = u32::MAX)),
        ("first extents near 2^32", |p| p.change(|row: &mut FileRow| row.first_extent = u32::MAX)),
        ("files of other names", |p| p.change(|row: &mut FileRow| row.sha256 = Sha256::from_bytes([1; 32]))),
        ("extents near 2^64", |p| p.change(|row: &mut Extent| row.start = u64::MAX - row.len)),
        ("extents that swallow all", |p| p.change(|row: &mut Extent| row.len = u64::MAX - row.start)),
        ("extents of no pack", |p| p.change(|row: &mut Extent| row.pack = PackId::from_bytes([9; 16]))),
        ("bodies beyond the data", |p| bodies(p, |offset, _, _| *offset = u64::MAX)),
        ("bodies of 4 GiB", |p| bodies(p, |_, stored, raw| (*stored, *raw) = (u32::MAX, u32::MAX))),
        ("bodies that claim 1 GiB", |p| bodies(p, |_, _, raw| *raw = 1 << 30)),
        ("bodies of one byte", |p| bodies(p, |_, _, raw| *raw = 1)),
        ("bodies at the start", |p| bodies(p, |offset, _, _| *offset = 0)),
        ("blobs of other content", |p| {
            p.change(|row: &mut ObjectRow| {
                if let Stored::Blob(sha256) = &mut row.stored {
                    *sha256 = Sha256::from_bytes([5; 32]);
                }
            });
        }),
        ("blobs that are trees", |p| kinds(p, Kind::Tree)),
        ("trees that are tags", |p| kinds(p, Kind::Tag)),
        ("trees that are commits", |p| kinds(p, Kind::Commit)),
        ("objects of other names", |p| {
            p.change(|row: &mut ObjectRow| row.id = ObjectId::from_bytes([1; 20]));
        }),
        ("no objects", |p| p.0[Table::Objects as usize].clear()),
        ("no files", |p| p.0[Table::Files as usize].clear()),
        ("no extents", |p| p.0[Table::Extents as usize].clear()),
        ("no chunks", |p| p.0[Table::Chunks as usize].clear()),
        ("no packs", |p| p.0[Table::Packs as usize].clear()),
        ("no data", |p| p.0[Table::Data as usize].clear()),
        ("rows backwards", |p| {
            let mut rows = p.rows::<ObjectRow>();
            rows.reverse();
            p.set(&rows);
        }),
        ("a thousand packs with the same chunks", |p| {
            let row = p.rows::<PackRow>()[0];
            let named = |n: u16| PackId::from_bytes(noise(u64::from(n), 16).try_into().unwrap());
            let mut rows: Vec<_> = (0..1000).map(|n| PackRow { id: named(n), ..row }).collect();
            rows.sort_unstable_by_key(|row| row.id);
            p.set(&rows);
        }),
    ];
    for (name, forgery) in forgeries {
        println!("{name}");
        assert!(exercise(&forge(*forgery)) > 0, "{name}: nobody noticed");
    }
}

fn bodies(parts: &mut Parts, change: impl Fn(&mut u64, &mut u32, &mut u32)) {
    parts.change(|row: &mut ObjectRow| {
        if let Stored::Body { codec, offset, stored_len, raw_len, .. } = &mut row.stored {
            *codec = Codec::Zstd;
            change(offset, stored_len, raw_len);
        }
    });
}

fn kinds(parts: &mut Parts, to: Kind) {
    parts.change(|row: &mut ObjectRow| match &mut row.stored {
        Stored::Body { kind, .. } => *kind = to,
        stored => {
            *stored = Stored::Body { kind: to, codec: Codec::Raw, offset: 0, stored_len: 5, raw_len: 5 };
        }
    });
}

/// 128 KiB that decode to far more than their row says.
#[test]
fn a_decompression_bomb_stays_small() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    let wrong = exercise(&forge(|parts| {
        let len = bomb.len();
        parts.0[Table::Data as usize].extend_from_slice(&bomb);
        let start = parts.0[Table::Data as usize].len() - len;
        parts.change(|row: &mut ChunkRow| {
            (row.codec, row.raw_len) = (Codec::Zstd, 128 << 10);
            (row.stored_start, row.stored_len) = (start as u64, u32::try_from(len).unwrap());
        });
    }));
    assert!(wrong > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any bytes of the tables, under hashes that are right.
    #[test]
    fn noise_in_the_tables_is_survived(
        edits in prop::collection::vec((0..6usize, any::<prop::sample::Index>(), prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 1..9usize), 1..6),
        data in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        exercise(&forge(|parts| {
            for (table, at, byte, len) in &edits {
                let section = &mut parts.0[*table];
                if !section.is_empty() {
                    let from = at.index(section.len());
                    let to = (from + len).min(section.len());
                    section[from..to].fill(*byte);
                }
            }
            if let Some((at, byte)) = data {
                let section = &mut parts.0[Table::Data as usize];
                let at = at.index(section.len());
                section[at] = byte;
            }
        }));
    }
}
