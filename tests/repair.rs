//! Vaults that lost files and get on: a pack that comes back too late must not bury what was committed since, and
//! content that is at hand again must not be taken for known because an index still speaks of a lost pack.

use std::io;
use std::sync::{Arc, OnceLock};

use hubvault::Repository;
use hubvault::ops::{Actor, CommitOptions, CommitOutcome, InitOptions, Signature, Timestamp};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::media::{Lock, LockMode, Media, ReadAt, Sink, Wait};

use crate::samples::{add, noise};

fn actor(step: u8) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000 + i64::from(step), offset_minutes: 0 };
    Actor { signature: Signature::new("A", "a@example.org", time).unwrap(), nonce: [step; 16] }
}

fn commit(media: &MemoryMedia, step: u8, path: &str, content: Vec<u8>) -> CommitOutcome {
    commit_all(media, step, vec![(path, content)])
}

fn commit_all(media: &MemoryMedia, step: u8, files: Vec<(&str, Vec<u8>)>) -> CommitOutcome {
    commit_with(media, step, files, false)
}

fn commit_with(media: &MemoryMedia, step: u8, files: Vec<(&str, Vec<u8>)>, rehash: bool) -> CommitOutcome {
    let repository = Repository::open_on(Arc::new(media.clone())).unwrap();
    let adds: Vec<_> = files.into_iter().map(|(path, content)| add(path, content)).collect();
    let options = CommitOptions { message: "m".to_owned(), rehash, ..CommitOptions::default() };
    repository.create_commit(&adds, &options, &actor(step), &mut |_| ()).unwrap()
}

fn read(media: &MemoryMedia, path: &str) -> Option<Vec<u8>> {
    read_at(media, "HEAD", path)
}

fn read_at(media: &MemoryMedia, revision: &str, path: &str) -> Option<Vec<u8>> {
    let repository = Repository::open_on(Arc::new(media.clone())).unwrap();
    let file = repository.snapshot(Some(revision)).unwrap().open_path(path).ok()?;
    let mut content = vec![0; usize::try_from(file.size()).unwrap()];
    file.read_at(0, &mut content).ok().map(|_| content)
}

fn vault() -> MemoryMedia {
    let media = MemoryMedia::new();
    Repository::init_on(Arc::new(media.clone()), &InitOptions::default(), &actor(1)).unwrap();
    commit(&media, 2, "first", b"1".to_vec());
    media
}

/// With a file of this content, whose pack is not the newest: a newest one that is lost would be passed over.
fn vault_of(path: &str, content: &[u8]) -> MemoryMedia {
    let media = vault();
    commit(&media, 3, path, content.to_vec());
    commit(&media, 4, "later", b"so that the lost pack is not the newest".to_vec());
    media
}

fn pack(media: &MemoryMedia) -> String {
    media.files().into_keys().find(|name| name.ends_with(".pack")).unwrap()
}

/// The file as it is, to be put back later.
fn take_away(media: &MemoryMedia, path: &str) -> Vec<u8> {
    let bytes = media.files()[path].clone();
    media.remove_file(path).unwrap();
    bytes
}

fn put_back(media: &MemoryMedia, path: &str, bytes: &[u8]) {
    use std::io::Write as _;
    let mut sink = media.create(path).unwrap();
    sink.write_all(bytes).unwrap();
    sink.sync().unwrap();
}

#[test]
fn a_pack_that_comes_back_late_does_not_bury_what_was_committed_since() {
    let media = vault();
    commit(&media, 3, "large", noise(0, 700_000));
    let pack = pack(&media);
    let bytes = take_away(&media, &pack);
    let opened = Repository::open_on(Arc::new(media.clone())).unwrap();
    assert!(
        opened.warnings().iter().any(|warning| warning.detail.contains(&pack)),
        "{:?}",
        opened.warnings()
    );
    let since = commit(&media, 4, "second", b"2".to_vec());

    put_back(&media, &pack, &bytes);
    let opened = Repository::open_on(Arc::new(media.clone())).unwrap();
    assert_eq!(opened.snapshot(None).unwrap().id(), since.oid);
    assert_eq!(opened.warnings().len(), 1, "{:?}", opened.warnings());
    assert_eq!(read(&media, "second").unwrap(), b"2");
    commit(&media, 5, "third", b"3".to_vec());
    let report = Repository::open_on(Arc::new(media)).unwrap().verify(true, &mut |_| ()).unwrap();
    assert!(report.ok, "{report:?}");
}

#[test]
fn committing_a_file_again_brings_back_what_the_vault_had_lost() {
    let content = noise(0, 700_000);
    let media = vault_of("large", &content);
    media.remove_file(&pack(&media)).unwrap();
    assert_eq!(read(&media, "large"), None);

    let outcome = commit(&media, 5, "large", content.clone());
    assert!(!outcome.committed && outcome.new_bytes == 700_000, "{outcome:?}");
    assert_eq!(read(&media, "large").unwrap(), content);
}

/// The index that says where it is now is larger than the one that says where it was, so the two are not merged.
#[test]
fn merging_small_indexes_does_not_bury_what_was_stored_again() {
    let content = noise(0, 700_000);
    let media = vault_of("large", &content);
    media.remove_file(&pack(&media)).unwrap();
    let much = noise(0, 300_000).into_iter().map(|byte| !byte).collect();
    commit_all(&media, 5, vec![("large", content.clone()), ("much", much)]);
    let indexes = || media.files().keys().filter(|name| name.ends_with(".idx")).count();
    let before = indexes();
    for step in 6..30 {
        commit(&media, step, "small", vec![step]);
        assert_eq!(read(&media, "large").as_ref(), Some(&content), "after {step}");
    }
    let live = Repository::open_on(Arc::new(media.clone())).unwrap().vault().view().state.indexes.len();
    assert!(live < before + 12, "{live} after {before}: nothing was merged");
    let report = Repository::open_on(Arc::new(media)).unwrap().verify(true, &mut |_| ()).unwrap();
    // The lost pack is still spoken of, and nobody needs it.
    assert!(report.findings.iter().all(|finding| finding.affects.is_empty()), "{report:?}");
}

/// The other way round: what is larger and newer says where the content was stored again, and that is what is lost.
#[test]
fn merging_small_indexes_brings_back_an_older_record_when_the_newer_one_gives_nothing() {
    let content = noise(3, 700_000);
    let media = vault_of("large", &content);
    let first = pack(&media);
    let bytes = take_away(&media, &first);
    let much = noise(3, 300_000).into_iter().map(|byte| !byte).collect();
    commit_all(&media, 5, vec![("large", content.clone()), ("much", much)]);
    let second = pack(&media);
    put_back(&media, &first, &bytes);
    commit(&media, 6, "later", b"so that this one is not either".to_vec());
    let damages: [&dyn Fn(&MemoryMedia); 2] = [&|media| media.remove_file(&second).unwrap(), &|media| {
        media.corrupt(&second, |bytes| bytes.truncate(600_000)).unwrap();
    }];
    for damage in damages {
        let media = media.settled();
        damage(&media);
        assert_eq!(read(&media, "large"), None);
        for step in 7..30 {
            commit(&media, step, "small", vec![step]);
        }
        assert!(read(&media, "large").is_some_and(|found| found == content));
    }
}

/// Neither says where the content is now, for a while: the newer one is believed, and right when its pack is there again.
#[test]
fn merging_small_indexes_buries_nothing_that_is_away_for_a_while() {
    let content = noise(3, 700_000);
    let media = vault_of("large", &content);
    media.remove_file(&pack(&media)).unwrap();
    let much = noise(3, 300_000).into_iter().map(|byte| !byte).collect();
    commit_all(&media, 5, vec![("large", content.clone()), ("much", much)]);
    commit(&media, 6, "later", b"so that this one is not either".to_vec());
    let second = pack(&media);
    let bytes = take_away(&media, &second);
    (7..30).for_each(|step| drop(commit(&media, step, "small", vec![step])));
    assert_eq!(read(&media, "large"), None);
    put_back(&media, &second, &bytes);
    assert!(read(&media, "large").is_some_and(|found| found == content));
}

/// A medium that does not say how long a file is, once it is told which.
#[derive(Debug)]
struct Silent(MemoryMedia, OnceLock<String>);

impl Media for Silent {
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        self.0.open(path)
    }
    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        self.0.create(path)
    }
    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.publish(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }
    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.0.create_dir(path)
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.0.sync_dir(path)
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.0.list(path)
    }
    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        if self.1.get().is_some_and(|silent| silent == path) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.len(path)
    }
    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>> {
        self.0.lock(path, mode, wait)
    }
}

/// The older pack has all its bytes, and one of them has rotted: nobody reads it, so the newer record must stay.
#[test]
fn a_failed_look_at_a_pack_does_not_bring_an_older_record_back() {
    let media = vault();
    let content = noise(3, 700_000);
    commit(&media, 3, "large", content.clone());
    rot(&media, &content[300_000..]);
    let first = pack(&media);
    let much = noise(3, 300_000).into_iter().map(|byte| !byte).collect();
    commit_with(&media, 4, vec![("large", content.clone()), ("much", much)], true);
    let second = media.files().into_keys().find(|name| name.ends_with(".pack") && *name != first).unwrap();
    let silent = Arc::new(Silent(media.clone(), OnceLock::new()));
    let repository = Repository::open_on(Arc::clone(&silent) as Arc<dyn Media>).unwrap();
    silent.1.set(second).unwrap();
    for step in 5..30 {
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        repository.create_commit(&[add("small", vec![step])], &options, &actor(step), &mut |_| ()).unwrap();
    }
    assert!(read(&media, "large").is_some_and(|found| found == content));
}

/// Both indexes are merged: the record that gives the content is taken, whichever of them it is in.
#[test]
fn of_two_small_indexes_that_are_merged_the_one_that_gives_the_content_counts() {
    for lost in [0, 1] {
        let media = vault();
        let content = noise(3, 700_000);
        commit(&media, 3, "large", content.clone());
        commit(&media, 4, "later", b"so that the lost pack is not the newest".to_vec());
        let first = pack(&media);
        let bytes = take_away(&media, &first);
        commit(&media, 5, "large", content.clone());
        let second = pack(&media);
        put_back(&media, &first, &bytes);
        commit(&media, 6, "later", b"so that this one is not either".to_vec());
        let indexes = |media: &MemoryMedia| {
            Repository::open_on(Arc::new(media.clone())).unwrap().vault().view().state.indexes.clone()
        };
        let before = indexes(&media);
        media.remove_file([&first, &second][lost]).unwrap();
        (7..30).for_each(|step| drop(commit(&media, step, "small", vec![step])));
        let after = indexes(&media);
        assert!(before.iter().all(|index| !after.contains(index)), "all that was there is merged");
        assert!(read(&media, "large").is_some_and(|found| found == content), "{lost}");
    }
}

fn verify(media: &MemoryMedia) -> hubvault::ops::verify::VerifyReport {
    Repository::open_on(Arc::new(media.clone())).unwrap().verify(true, &mut |_| ()).unwrap()
}

/// Makes one bit another where these bytes are in a pack.
fn rot(media: &MemoryMedia, bytes: &[u8]) {
    let wanted = &bytes[..64];
    let files = media.files();
    let at = |bytes: &[u8]| bytes.windows(wanted.len()).position(|window| window == wanted);
    let mut packs = files.iter().filter(|(path, _)| path.ends_with(".pack"));
    let (pack, at) = packs.find_map(|(path, bytes)| Some((path, at(bytes)?))).unwrap();
    media.corrupt(pack, |bytes| bytes[at] ^= 1).unwrap();
}

#[test]
fn a_good_file_committed_with_rehash_mends_every_version_that_shares_what_had_rotted() {
    let media = vault();
    let first = noise(3, 4 << 20);
    let mut second = first.clone();
    second[100_000..105_000].fill(7);
    let last = second[3 << 20..].to_vec();
    let small: Vec<u8> = first[..200_000].iter().map(|byte| byte ^ 0x55).collect();
    let other: Vec<u8> = small.iter().map(|byte| byte ^ 0x11).collect();
    commit_all(&media, 3, vec![("large", first.clone()), ("small", small.clone()), ("other", other.clone())]);
    commit(&media, 4, "large", second.clone());
    commit(&media, 5, "copy", last.clone());
    rot(&media, &first[1 << 20..]);
    rot(&media, &first[2_000_000..]);
    let old = |content: &[u8]| {
        let repository = Repository::open_on(Arc::new(media.clone())).unwrap();
        let file = repository.snapshot(Some("HEAD~2")).unwrap().open_path("large").unwrap();
        let mut found = vec![0; content.len()];
        file.read_at(0, &mut found).is_ok() && found == content
    };
    assert!(read(&media, "large").is_none() && !old(&first));
    assert_eq!(verify(&media).findings.len(), 2);

    // Without being asked to, nobody reads what is there.
    let believed = commit(&media, 6, "large", second.clone());
    assert!(!believed.committed && believed.new_bytes == 0 && read(&media, "large").is_none());
    let outcome = commit_with(&media, 7, vec![("large", second.clone())], true);
    assert!(!outcome.committed && (1..400_000).contains(&outcome.new_bytes), "{outcome:?}");
    assert!(read(&media, "large").is_some_and(|found| found == second));
    assert!(old(&first), "the version before has the new copy too");
    assert!(read(&media, "copy").is_some_and(|found| found == last));
    let report = verify(&media);
    assert!(report.findings.len() == 2 && report.findings.iter().all(|finding| finding.affects.is_empty()));
    let repository = Repository::open_on(Arc::new(media.clone())).unwrap();
    repository.gc(&hubvault::ops::gc::GcOptions::now(), &actor(8), &mut |_| ()).unwrap();
    assert!(verify(&media).ok && old(&first) && read(&media, "large").is_some_and(|found| found == second));

    // And now there is nothing to do.
    let files = media.files();
    let outcome = commit_with(&media, 9, vec![("large", second), ("small", small), ("other", other)], true);
    assert_eq!(outcome.new_bytes, 0);
    let kept = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        files.keys().filter(|name| name.starts_with("packs/")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(kept(&media.files()), kept(&files));
}

#[test]
fn committing_with_rehash_mends_what_it_can_beside_a_damaged_index() {
    let media = vault();
    let indexes = || -> Vec<_> { media.files().into_keys().filter(|path| path.ends_with(".idx")).collect() };
    let mut damaged = indexes();
    let first = noise(3, 4 << 20);
    let mut second = first.clone();
    second[100_000..105_000].fill(7);
    let version = commit(&media, 3, "large", first.clone()).oid.to_string();
    commit(&media, 4, "large", second.clone());
    let before = indexes();
    commit(&media, 5, "later", b"in an index that is asked before theirs".to_vec());
    damaged.extend(indexes().into_iter().filter(|path| !before.contains(path)));
    commit(&media, 6, "latest", b"so that nothing that this commit needs is damaged".to_vec());
    rot(&media, &first[1 << 20..]);
    damaged.iter().for_each(|path| media.corrupt(path, |bytes| bytes[0] ^= 1).unwrap());
    assert!(read(&media, "large").is_none());
    let outcome = commit_with(&media, 7, vec![("large", second.clone())], true);
    assert!((1..400_000).contains(&outcome.new_bytes), "{outcome:?}");
    assert!(read(&media, "large").is_some_and(|found| found == second));
    assert!(read_at(&media, &version, "large").is_some_and(|found| found == first));
}

/// Nothing has to be stored again: the same chunks are in another pack, which is good.
#[test]
fn committing_with_rehash_mends_others_with_what_is_good_elsewhere() {
    let media = vault();
    let first = noise(3, 4 << 20);
    let mut second = first.clone();
    second[100_000..105_000].fill(7);
    commit(&media, 3, "large", first.clone());
    let rotted = pack(&media);
    commit(&media, 4, "large", second.clone());
    commit(&media, 5, "later", b"so that the lost pack is not the newest".to_vec());
    let bytes = take_away(&media, &rotted);
    let again = [&first[1 << 20..], &[9; 3_000]].concat();
    assert!(commit(&media, 6, "again", again).new_bytes > 3_000_000);
    put_back(&media, &rotted, &bytes);
    let at = bytes.windows(64).position(|window| *window == first[2 << 20..][..64]).unwrap();
    media.corrupt(&rotted, |bytes| bytes[at] ^= 1).unwrap();
    assert!(read(&media, "large").is_none());

    let outcome = commit_with(&media, 7, vec![("large", second.clone())], true);
    assert_eq!(outcome.new_bytes, 0, "{outcome:?}");
    assert!(read(&media, "large").is_some_and(|found| found == second));
    assert!(read_at(&media, "HEAD~3", "large").is_some_and(|found| found == first));
}

#[test]
fn a_small_file_that_rotted_in_a_pack_of_many_is_stored_again() {
    let media = vault();
    let small = |n: u8| -> Vec<u8> { noise(3, 400_000).iter().map(|byte| byte ^ n).collect() };
    commit_all(&media, 3, vec![("a", small(1)), ("b", small(2)), ("c", small(3))]);
    rot(&media, &small(2)[300_000..]);
    let outcome = commit_with(&media, 4, vec![("b", small(2)), ("c", small(3))], true);
    assert_eq!((outcome.committed, outcome.new_bytes), (false, 400_000), "{outcome:?}");
    assert!(
        ["a", "b", "c"]
            .iter()
            .zip(1..)
            .all(|(name, n)| read(&media, name).is_some_and(|found| found == small(n)))
    );
}
