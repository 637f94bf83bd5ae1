//! The accident: a byte rots where no file needs it, or where only part of a chunk is needed, or where two files share it,
//! and `verify --full`, which reads what files need first and then the rest, has read it for nobody.
//!
//! What it says is compared with what the plain way says: every chunk of every pack, one after the other, and for each
//! bad one all files that need some of it. Knows packs, chunks and extents, and not how `verify` goes about it.

use std::collections::{BTreeMap, BTreeSet};

use hubvault::Repository;
use hubvault::ops::verify::VerifyReport;
use hubvault::snapshot::{Mode, TreeEntry};
use hubvault::store::catalog::{FileRecord, Pack};
use hubvault::store::id::PackId;
use hubvault::store::index::{ChunkRow, PackRow};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::pack;

use super::{actor, add, commit, copy, init, noise, open};

/// A vault in which some chunks are in a file as a whole, some in part, some in several files, and some in none.
fn vault() -> MemoryMedia {
    let media = MemoryMedia::new();
    let repository = init(&media);
    let base = noise(1, 5_000_000);
    let mut edited = base.clone();
    edited.splice(2_000_000..2_000_010, noise(2, 5000));
    let part = [&base[1_000_003..2_500_007], &noise(3, 400_000)].concat();
    let text: Vec<u8> = noise(4, 1_500_000).iter().map(|byte| b'0' + byte % 10).collect();
    commit(&repository, None, &[add("base.bin", base)]);
    commit(&repository, None, &[add("edited.bin", edited), add("tiny.txt", "tiny\n")]);
    commit(&repository, None, &[add("part.bin", part), add("text.txt", text)]);
    let shared: Vec<_> = (0..5).map(|n| add(&format!("s/{n}.bin"), noise(10 + n, 300_000))).collect();
    commit(&repository, None, &shared);
    repository.create_branch("gone", None, false, &actor()).unwrap();
    let gone: Vec<_> = (0..5).map(|n| add(&format!("gone{n}.bin"), noise(20 + n, 300_000))).collect();
    commit(&repository, Some("gone"), &gone);
    // One pack has chunks of both kinds.
    commit(
        &repository,
        None,
        &[add("kept.bin", noise(21, 300_000)), add("kept too.bin", noise(23, 300_000))],
    );
    repository.delete_branch("gone", true, &actor()).unwrap();
    copy(&media)
}

/// Every pack that has a file of its own, with its chunks.
fn packs(repository: &Repository) -> Vec<(Pack, Vec<ChunkRow>)> {
    let view = repository.vault().view();
    let indexes = view.catalog.indexes().iter();
    let packs = indexes.flat_map(|index| index.rows::<PackRow>().map(|row| Pack::of(index, row.unwrap())));
    let chunks = |pack: Pack| {
        let rows: Vec<_> = pack.chunks().map(Result::unwrap).collect();
        (pack, rows)
    };
    packs.filter(|pack| pack.row.id != PackId::HERE).map(chunks).collect()
}

/// Every file that a ref leads to.
fn files(repository: &Repository) -> BTreeMap<String, FileRecord> {
    let view = repository.vault().view();
    let snapshot = repository.snapshot(None).unwrap();
    let mut found = BTreeMap::new();
    let mut visit = |path: &[u8], entry: &TreeEntry| {
        if entry.mode != Mode::Directory {
            let record = view.catalog.file(view.catalog.blob(entry.id).unwrap().0).unwrap();
            found.insert(String::from_utf8(path.to_vec()).unwrap(), record);
        }
        Ok(true)
    };
    snapshot.walk(snapshot.root().id, b"", &mut visit).unwrap();
    found
}

/// What is wrong with each bad chunk, in the order of the packs, and the files that need some of it.
fn plainly(repository: &Repository) -> Vec<(String, BTreeSet<String>)> {
    let view = repository.vault().view();
    let files = files(repository);
    let mut found = Vec::new();
    for (pack, rows) in packs(repository) {
        for row in rows {
            let Err(error) = view.catalog.read_chunk(&pack, &row) else { continue };
            let end = row.raw_start + u64::from(row.raw_len);
            let needs = |record: &FileRecord| {
                let mut extents = record.extents.iter();
                extents.any(|e| e.pack == pack.row.id && e.start < end && row.raw_start < e.start + e.len)
            };
            let hurt = files.iter().filter(|(_, record)| needs(record)).map(|(path, _)| path.clone());
            found.push((error.to_string(), hurt.collect()));
        }
    }
    found
}

fn told(report: &VerifyReport) -> Vec<(String, BTreeSet<String>)> {
    let path = |affected: &String| affected.split('@').next().unwrap().to_owned();
    let findings = report.findings.iter();
    findings.map(|f| (f.problem.clone(), f.affects.iter().map(path).collect())).collect()
}

fn verify(media: &MemoryMedia) -> VerifyReport {
    open(media).unwrap().verify(true, &mut |_| ()).unwrap()
}

#[test]
fn every_chunk_of_every_pack_is_read_once() {
    let media = vault();
    let report = verify(&media);
    assert!(report.ok, "{report:?}");
    let stored: u64 = packs(&open(&media).unwrap()).iter().map(|(pack, _)| pack.row.stored_len).sum();
    let inline = report.bytes - stored;
    assert!(inline < 20_000, "{} bytes were read of {stored} in packs", report.bytes);
    assert_eq!(verify(&media).bytes, report.bytes);
}

#[test]
fn what_is_said_of_a_bad_chunk_is_what_the_plain_way_says() {
    let media = vault();
    let (mut in_none, mut in_two, mut all) = (0, 0, Vec::new());
    for (pack, rows) in packs(&open(&media).unwrap()) {
        let path = pack::path_of(pack.row.id);
        for (number, row) in rows.iter().enumerate() {
            let at = [0, row.stored_len / 2, row.stored_len - 1][number % 3];
            let at = usize::try_from(row.stored_start + u64::from(at)).unwrap();
            all.push((path.clone(), at));
            let damaged = media.settled();
            damaged.corrupt(&path, |bytes| bytes[at] ^= 0x10).unwrap();
            let expected = plainly(&open(&damaged).unwrap());
            assert_eq!(told(&verify(&damaged)), expected, "{path} at {at}");
            assert_eq!(expected.len(), 1);
            match expected[0].1.len() {
                0 => in_none += 1,
                1 => {}
                _ => in_two += 1,
            }
        }
    }
    assert!(in_none > 5 && in_two > 20 && all.len() > 100, "{in_none}, {in_two} of {}", all.len());

    // Many at once: nothing ends at the first one, and they come in the order of the packs.
    for step in [1, 2, 7] {
        let damaged = media.settled();
        for (path, at) in all.iter().step_by(step) {
            damaged.corrupt(path, |bytes| bytes[*at] ^= 0x10).unwrap();
        }
        let expected = plainly(&open(&damaged).unwrap());
        assert_eq!(expected.len(), all.len().div_ceil(step));
        assert_eq!(told(&verify(&damaged)), expected, "every {step}th");
    }
}

/// More files than workers are asked about at a time; what is told of them comes in one order all the same.
#[test]
fn many_files_are_told_of_in_the_order_of_the_walk() {
    let media = MemoryMedia::new();
    let repository = init(&media);
    let count = 2500;
    let files: Vec<_> = (0..count).map(|n| add(&format!("{n:04}.bin"), noise(100 + n, 1000))).collect();
    commit(&repository, None, &files);
    // Without its files the newest transaction would never have been.
    commit(&repository, None, &[add("last.txt", "inline\n")]);
    let media = copy(&media);
    let path =
        packs(&open(&media).unwrap()).iter().map(|(pack, _)| pack::path_of(pack.row.id)).next().unwrap();

    let missing = media.settled();
    missing.remove_file(&path).unwrap();
    let quick = open(&missing).unwrap().verify(false, &mut |_| ()).unwrap();
    assert_eq!((quick.findings.len(), quick.findings[0].affects.len()), (1, 100));
    assert_eq!(quick.findings[0].more, count - 100);
    assert_eq!(verify(&missing).findings, quick.findings);

    let rotten = media.settled();
    rotten.corrupt(&path, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)).unwrap();
    let names: Vec<_> = told(&verify(&rotten)).into_iter().flat_map(|(_, paths)| paths).collect();
    assert_eq!(names, (0..count).map(|n| format!("{n:04}.bin")).collect::<Vec<_>>());
}
