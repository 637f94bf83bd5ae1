//! Optimizing: what is stored again and how, what it saves, and that nobody who reads or commits notices. The model's
//! random histories do it too, between collections.

use hubvault::Repository;
use hubvault::ops::gc::GcOptions;
use hubvault::ops::optimize::{OptimizeOptions, OptimizeReport};
use hubvault::ops::patterns::PathFilter;
use hubvault::ops::{AddSource, CommitOperation, CommitOptions, Compression, InitOptions, RepoPath};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::media::{Lock, LockMode, Media, ReadAt, Sink, Wait};

use super::{actor, bytes, content, noise, open, weights};

fn vault() -> MemoryMedia {
    let media = MemoryMedia::new();
    let options = InitOptions { large_file_threshold: 600 << 10, ..InitOptions::default() };
    Repository::init_on(std::sync::Arc::new(media.clone()), &options, &actor(0)).unwrap();
    media
}

/// Commits some files; answers by how much the vault grew, without the log.
fn commit(media: &MemoryMedia, files: &[(&str, &[u8])], compression: Compression) -> u64 {
    let add = |(path, bytes): &(&str, &[u8])| CommitOperation::Add {
        path_in_repo: Some(RepoPath::new(path).unwrap()),
        source: AddSource::Bytes(bytes.to_vec()),
    };
    let operations: Vec<_> = files.iter().map(add).collect();
    let compression = Some(compression);
    let options = CommitOptions { message: "m".to_owned(), compression, ..CommitOptions::default() };
    open(media).create_commit(&operations, &options, &actor(0), &mut |_| ()).unwrap().stored_bytes
}

fn optimize(media: &MemoryMedia, options: &OptimizeOptions) -> OptimizeReport {
    let before = content(&open(media), "main");
    let sizes = bytes(media);
    let report = open(media).optimize(options, &actor(0), &mut |_| ()).unwrap();
    assert_eq!(report.reclaimed_size, sizes - bytes(media), "{report:?}");
    assert!(content(&open(media), "main") == before);
    let verified = open(media).verify(true, &mut |_| ()).unwrap();
    assert!(verified.ok && verified.warnings.is_empty() && verified.leftovers.is_empty(), "{verified:?}");
    report
}

fn with(compression: Compression) -> OptimizeOptions {
    OptimizeOptions { compression, list_limit: 10, ..OptimizeOptions::default() }
}

/// Whether a file is a pack by itself.
fn is_whole(media: &MemoryMedia, revision: &str, path: &str) -> bool {
    let snapshot = open(media).snapshot(Some(revision)).unwrap();
    let entry = snapshot.entry(path).unwrap();
    let file = snapshot.open_file(&entry, path).unwrap();
    file.whole_file().unwrap().is_some()
}

#[test]
fn weights_shrink_and_come_back_as_whole_files() {
    let media = vault();
    let (large, other, text) = (weights(1, 1 << 20), noise(2, 700 << 10), "many words ".repeat(90_000));
    let files: [(&str, &[u8]); 3] = [("w.bin", &large), ("n.bin", &other), ("t.txt", text.as_bytes())];
    commit(&media, &files, Compression::Auto);
    let before = bytes(&media);
    assert!(is_whole(&media, "main", "w.bin"));

    let dry = OptimizeOptions { dry_run: true, ..with(Compression::Max) };
    let said = open(&media).optimize(&dry, &actor(0), &mut |_| ()).unwrap();
    assert_eq!(
        (bytes(&media), said.transactions.len(), said.optimized_pack_count),
        (before, 0, 1),
        "{said:?}"
    );
    let report = optimize(&media, &with(Compression::Max));
    assert_eq!((report.file_count, report.files[0].path.as_str()), (1, "w.bin"), "{report:?}");
    assert_eq!(report.files[0].before_size, large.len() as u64);
    assert_eq!(report.files[0].after_size, Some(report.after_size));
    assert!(report.after_size * 100 < report.before_size * 75, "{report:?}");
    assert!(said.after_size.abs_diff(report.after_size) * 20 < report.after_size, "{said:?} {report:?}");
    assert!(report.saved_size - report.reclaimed_size < 5000, "{report:?}");
    assert_eq!(report.transactions.len(), 2, "{report:?}");
    // Noise is as it was, and so is what it is read from.
    assert!(!is_whole(&media, "main", "w.bin") && is_whole(&media, "main", "n.bin"));

    let report = optimize(&media, &with(Compression::None));
    assert!(is_whole(&media, "main", "w.bin") && is_whole(&media, "main", "n.bin"), "{report:?}");
    assert!(media.files().values().any(|file| *file == large), "it is, byte for byte, a file again");
    let report = optimize(&media, &with(Compression::Auto));
    assert!(is_whole(&media, "main", "w.bin") && !is_whole(&media, "main", "t.txt"), "{report:?}");
}

#[test]
fn what_was_committed_compressed_becomes_whole_files_too() {
    let media = vault();
    let (large, small) = (weights(1, 2 << 20), weights(2, 100_000));
    let other = weights(3, 1 << 20);
    let files: [(&str, &[u8]); 3] = [("a.bin", &large), ("b/s.bin", &small), ("c.bin", &other)];
    commit(&media, &files, Compression::Max);
    for compression in [Compression::Auto, Compression::None, Compression::Max, Compression::None] {
        optimize(&media, &with(compression));
        let whole = compression != Compression::Max;
        assert_eq!(is_whole(&media, "main", "a.bin"), whole, "{compression:?}");
        assert_eq!(is_whole(&media, "main", "c.bin"), whole, "{compression:?}");
    }
}

#[test]
fn content_is_still_known_and_edits_still_share() {
    let media = vault();
    let large = weights(1, 3 << 20);
    commit(&media, &[("w.bin", &large)], Compression::Auto);
    optimize(&media, &with(Compression::Max));
    assert!(commit(&media, &[("again.bin", &large)], Compression::Auto) < 2000, "it was stored again");
    let mut edited = large.clone();
    edited.splice(2_500_000..2_500_000, noise(9, 5000));
    let grew = commit(&media, &[("edited.bin", &edited)], Compression::Auto);
    assert!(grew < 300 << 10, "an edit of 5000 bytes took {grew}");
    // Both are stored again together: what they share, once.
    for compression in [Compression::None, Compression::Max] {
        optimize(&media, &with(compression));
        let stored: usize = media.files().values().map(Vec::len).sum();
        assert!(stored < edited.len() + (600 << 10), "{compression:?}: {stored}");
    }
}

#[test]
fn only_what_was_chosen_is_stored_again() {
    let media = vault();
    let (old, new, other) = (weights(1, 1 << 20), weights(2, 1 << 20), weights(3, 1 << 20));
    commit(&media, &[("m/w.bin", &old), ("m/x.bin", &other)], Compression::Auto);
    open(&media).create_tag("v1", None, None, false, &actor(0)).unwrap();
    commit(&media, &[("m/w.bin", &new)], Compression::Auto);
    let options = OptimizeOptions { keep_latest: true, ..with(Compression::Max) };
    let report = optimize(&media, &options);
    assert_eq!((report.optimized_pack_count, report.file_count), (1, 1), "{report:?}");
    assert!(!is_whole(&media, "v1", "m/w.bin") && is_whole(&media, "v1", "m/x.bin"));
    assert!(is_whole(&media, "main", "m/w.bin"));
    let filter = PathFilter::new(&["*/x.*"], &[] as &[&str]);
    let revisions = vec!["main".to_owned()];
    optimize(&media, &OptimizeOptions { filter, revisions: revisions.clone(), ..with(Compression::Max) });
    assert!(!is_whole(&media, "main", "m/x.bin") && is_whole(&media, "main", "m/w.bin"));
    optimize(&media, &OptimizeOptions { revisions, ..with(Compression::Max) });
    assert!(!is_whole(&media, "main", "m/w.bin"));
    let nowhere = OptimizeOptions { revisions: vec!["nowhere".to_owned()], ..with(Compression::Max) };
    open(&media).optimize(&nowhere, &actor(0), &mut |_| ()).unwrap_err();
}

#[test]
fn what_is_read_stays_until_it_is_not_and_an_old_record_does_not_come_back() {
    let media = vault();
    let large = weights(1, 1 << 20);
    commit(&media, &[("w.bin", &large)], Compression::Auto);
    let reader = open(&media);
    let (snapshot, lease) = reader.leased_snapshot(None, &actor(0), "test", 1).unwrap();
    assert!(lease.is_some());
    let report = open(&media).optimize(&with(Compression::Max), &actor(0), &mut |_| ()).unwrap();
    assert!(report.saved_size > 0 && report.reclaimed_size < 0, "{report:?}");
    assert!(report.notes[0].contains("being read"), "{report:?}");
    let read = || {
        let file = snapshot.open_path("w.bin").unwrap();
        let mut found = vec![0; large.len()];
        file.read_at(0, &mut found).unwrap();
        found == large
    };
    assert!(read());
    // Small indexes become one, also the one that still says where the content was.
    for n in 0..20 {
        commit(&media, &[("n", format!("{n}").as_bytes())], Compression::Auto);
        assert!(!is_whole(&media, "main", "w.bin"), "after commit {n}");
    }
    open(&media).gc(&GcOptions::now(), &actor(0), &mut |_| ()).unwrap();
    assert!(read());
    let with_both = bytes(&media);
    drop(lease);
    open(&media).gc(&GcOptions::now(), &actor(0), &mut |_| ()).unwrap();
    assert!(bytes(&media) + (2 << 20) < with_both + 50_000, "{} of {with_both}", bytes(&media));
    assert!(content(&open(&media), "main")["w.bin"] == large);
}

#[test]
fn undo_is_as_it_was() {
    let media = vault();
    commit(&media, &[("w.bin", &weights(1, 1 << 20))], Compression::Auto);
    let head = open(&media).rev_parse("main").unwrap();
    commit(&media, &[("w.bin", &weights(2, 1 << 20))], Compression::Auto);
    let newest = open(&media).vault().view().state.tip.unwrap().seq;
    optimize(&media, &with(Compression::Max));
    let repository = open(&media);
    repository.undo(Some(newest), false, &actor(0)).unwrap();
    assert_eq!(repository.rev_parse("main").unwrap(), head);
    assert!(content(&open(&media), "main")["w.bin"] == weights(1, 1 << 20));
    open(&media).undo(None, false, &actor(0)).unwrap();
    assert!(content(&open(&media), "main")["w.bin"] == weights(2, 1 << 20));
}

/// Three small files that share a pack, and two that have packs of their own.
fn damageable() -> (MemoryMedia, Vec<(&'static str, Vec<u8>)>) {
    let media = vault();
    let small = |n| weights(n, 200_000);
    let files = vec![
        ("a.bin", weights(1, 1 << 20)),
        ("b/w.bin", weights(2, 1 << 20)),
        ("s1", small(3)),
        ("s2", small(4)),
        ("s3", small(5)),
    ];
    let all: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    commit(&media, &all, Compression::None);
    // A newest transaction that misses a pack would be passed over.
    commit(&media, &[("later", b"later")], Compression::None);
    (media, files)
}

/// The pack file that holds the middle of these bytes, and where.
fn pack_of(media: &MemoryMedia, bytes: &[u8]) -> (String, usize) {
    let wanted = &bytes[bytes.len() / 2..][..64];
    let packs = media.files().into_iter().filter(|(path, _)| path.ends_with(".pack"));
    let mut at = packs.filter_map(|(path, pack)| {
        Some((path, pack.windows(wanted.len()).position(|window| window == wanted)?))
    });
    at.next().unwrap()
}

fn read(media: &MemoryMedia, path: &str) -> Option<Vec<u8>> {
    let file = open(media).snapshot(None).unwrap().open_path(path).ok()?;
    let mut content = vec![0; usize::try_from(file.size()).unwrap()];
    file.read_at(0, &mut content).ok().map(|_| content)
}

/// Optimizes a vault in which just this file is hurt: all others are stored again, and it stays as it was.
fn goes_on_without(
    hurt: &str,
    damage: impl Fn(&MemoryMedia, &str, usize),
    mend: impl Fn(&MemoryMedia, &str, usize, u8),
) {
    let (media, files) = damageable();
    let content = &files.iter().find(|(path, _)| *path == hurt).unwrap().1;
    let (pack, at) = pack_of(&media, content);
    let (bytes, byte) = (media.files()[&pack].clone(), media.files()[&pack][at]);
    damage(&media, &pack, at);
    let left = media.files().get(&pack).cloned();

    let report = open(&media).optimize(&with(Compression::Max), &actor(7), &mut |_| ()).unwrap();
    assert_eq!(report.findings.len(), 1, "{report:?}");
    let finding = &report.findings[0];
    assert!(finding.problem.contains(&pack), "{finding:?}");
    let head = open(&media).rev_parse("main").unwrap().short();
    assert_eq!(finding.affects, [format!("{hurt}@{head}")], "{finding:?}");
    assert_eq!(finding.refs, ["refs/heads/main"]);
    assert!(report.files.iter().all(|file| file.path != hurt), "{report:?}");
    assert_eq!(report.file_count, report.files.len() as u64);
    assert!(report.before_size > report.after_size && report.optimized_pack_count > 0, "{report:?}");
    for (path, content) in &files {
        assert_eq!(read(&media, path).as_ref() == Some(content), *path != hurt, "{path}");
        // What was replaced is gone, unless the collection refused a vault that is not whole.
        let is_there = *path == hurt && left.is_some();
        assert!(!report.notes.is_empty() || is_somewhere(&media, content) == is_there, "{path}: {report:?}");
    }
    assert_eq!(report.notes.is_empty(), left.is_some() && !hurt.starts_with('s'), "{report:?}");
    assert_eq!(media.files().get(&pack), left.as_ref(), "what could not be read is as it was");
    let verified = open(&media).verify(true, &mut |_| ()).unwrap();
    let affected: Vec<_> = verified.findings.iter().flat_map(|finding| &finding.affects).collect();
    assert_eq!(affected, [&format!("{hurt}@{head}")], "{verified:?}");

    // Once it is mended, so is all of it.
    if left.is_some() {
        mend(&media, &pack, at, byte);
    } else {
        let mut sink = media.create(&pack).unwrap();
        std::io::Write::write_all(&mut sink, &bytes).unwrap();
        sink.sync().unwrap();
    }
    let report = optimize(&media, &with(Compression::Max));
    assert_eq!((report.findings.len(), report.optimized_pack_count), (0, 1), "{report:?}");
    assert!(files.iter().all(|(path, content)| read(&media, path).as_ref() == Some(content)));
}

/// Whether the middle of these bytes is in some pack as it is.
fn is_somewhere(media: &MemoryMedia, bytes: &[u8]) -> bool {
    let wanted = &bytes[bytes.len() / 2 + 64..][..64];
    let files = media.files();
    let mut packs = files.iter().filter(|(path, _)| path.ends_with(".pack"));
    packs.any(|(_, pack)| pack.windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn a_damaged_chunk_leaves_out_the_file_it_hurts_and_no_other() {
    let set = |media: &MemoryMedia, pack: &str, at: usize, byte: u8| {
        media.corrupt(pack, |bytes| bytes[at] = byte).unwrap();
    };
    let flip =
        |media: &MemoryMedia, pack: &str, at: usize| media.corrupt(pack, |bytes| bytes[at] ^= 1).unwrap();
    for hurt in ["a.bin", "s2"] {
        goes_on_without(hurt, flip, set);
    }
}

#[test]
fn a_missing_pack_leaves_out_the_file_that_was_in_it() {
    let remove = |media: &MemoryMedia, pack: &str, _: usize| media.remove_file(pack).unwrap();
    goes_on_without("b/w.bin", remove, |_, _, _, _| ());
}

/// Counts how often records of the log are opened.
#[derive(Debug)]
struct Counting(MemoryMedia, std::sync::atomic::AtomicUsize);

impl Media for Counting {
    fn open(&self, path: &str) -> std::io::Result<Box<dyn ReadAt>> {
        if path.ends_with(".record") {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        self.0.open(path)
    }
    fn create(&self, path: &str) -> std::io::Result<Box<dyn Sink>> {
        self.0.create(path)
    }
    fn publish(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.publish(from, to)
    }
    fn remove(&self, path: &str) -> std::io::Result<()> {
        self.0.remove(path)
    }
    fn create_dir(&self, path: &str) -> std::io::Result<()> {
        self.0.create_dir(path)
    }
    fn sync_dir(&self, path: &str) -> std::io::Result<()> {
        self.0.sync_dir(path)
    }
    fn list(&self, path: &str) -> std::io::Result<Vec<String>> {
        self.0.list(path)
    }
    fn len(&self, path: &str) -> std::io::Result<Option<u64>> {
        self.0.len(path)
    }
    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> std::io::Result<Option<Box<dyn Lock>>> {
        self.0.lock(path, mode, wait)
    }
}

/// Each batch is freed before the next is stored, and only the last collection walks refs and the log.
#[test]
fn batches_are_freed_one_by_one_and_the_history_is_walked_once() {
    let media = vault();
    let names: Vec<String> = (0..4).map(|n| format!("w{n}.bin")).collect();
    let contents: Vec<Vec<u8>> = (0..4).map(|n| weights(n, 1 << 20)).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().zip(&contents).map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    commit(&media, &files, Compression::None);
    for n in 0..60 {
        commit(&media, &[("n", format!("{n}").as_bytes())], Compression::None);
    }
    let walks = |batch: u64| {
        let media = media.settled();
        let counting = std::sync::Arc::new(Counting(media.clone(), 0.into()));
        let repository =
            Repository::open_on(std::sync::Arc::clone(&counting) as std::sync::Arc<dyn Media>).unwrap();
        counting.1.store(0, std::sync::atomic::Ordering::Relaxed);
        let options = OptimizeOptions { batch: Some(batch), ..with(Compression::Max) };
        let mut most = 0;
        let report = repository
            .optimize(&options, &actor(7), &mut |_| {
                most = most.max(media.files().values().map(Vec::len).sum::<usize>());
            })
            .unwrap();
        assert!(report.notes.is_empty() && report.optimized_pack_count == 4, "{report:?}");
        let verified = open(&media).verify(true, &mut |_| ()).unwrap();
        assert!(verified.ok && verified.leftovers.is_empty(), "{verified:?}");
        for (path, content) in &files {
            assert!(read(&media, path).unwrap() == *content);
        }
        (counting.1.load(std::sync::atomic::Ordering::Relaxed), most, report.transactions.len())
    };
    let (one, four) = (walks(1 << 30), walks(1));
    assert_eq!((one.2, four.2), (2, 8), "{one:?} {four:?}");
    assert!(four.1 + (2 << 20) < one.1, "what was replaced was still there: {one:?} {four:?}");
    // The six transactions more are looked at as they come, the sixty before them once.
    assert!(four.0 < one.0 + 60, "{one:?} {four:?}");
}

/// A vault that is not whole keeps what was replaced: going on would need as much room as all of it.
#[test]
fn a_run_ends_when_what_a_batch_replaced_cannot_be_freed() {
    let (media, files) = damageable();
    let pack = pack_of(&media, &files[1].1).0;
    let bytes = media.files()[&pack].clone();
    media.remove_file(&pack).unwrap();
    let options = OptimizeOptions { batch: Some(1), ..with(Compression::Max) };
    let report = open(&media).optimize(&options, &actor(7), &mut |_| ()).unwrap();
    assert_eq!((report.optimized_pack_count, report.transactions.len()), (1, 1), "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("1 packs stay as they are")), "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("not whole")), "{report:?}");

    let mut sink = media.create(&pack).unwrap();
    std::io::Write::write_all(&mut sink, &bytes).unwrap();
    sink.sync().unwrap();
    let report = optimize(&media, &options);
    assert!(report.notes.is_empty() && report.optimized_pack_count == 2, "{report:?}");
}
