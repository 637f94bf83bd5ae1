//! The accident: each commit costs a little more than the one before it, and after a thousand of them everything is slow.
//!
//! Time is too rough a measure for that. What is counted here is what a commit asks of the medium, on one that notes
//! every call.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use hubvault::Repository;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::media::{Lock, LockMode, Media, ReadAt, Sink, Wait};

/// How often each kind of thing was asked for.
type Counts = BTreeMap<&'static str, usize>;

#[derive(Debug, Default)]
struct Counting {
    inner: MemoryMedia,
    counts: Mutex<Counts>,
}

impl Counting {
    fn note(&self, what: &'static str, many: usize) {
        *self.counts.lock().unwrap().entry(what).or_default() += many;
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

impl Media for Counting {
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        self.note("opened", 1);
        if path.ends_with(".record") {
            self.note("records", 1);
        }
        let file = self.inner.open(path)?;
        self.note("bytes", usize::try_from(file.len()).unwrap());
        Ok(file)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        self.note("changed", 1);
        self.inner.create(path)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.note("changed", 1);
        self.inner.publish(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.note("changed", 1);
        self.inner.remove(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.note("changed", 1);
        self.inner.create_dir(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.note("changed", 1);
        self.inner.sync_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let names = self.inner.list(path)?;
        self.note("listed", 1);
        self.note("names", names.len());
        Ok(names)
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.note("looked at", 1);
        self.inner.len(path)
    }

    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>> {
        self.note("changed", 1);
        self.inner.lock(path, mode, wait)
    }
}

fn actor(n: u64) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 0 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&n.to_le_bytes());
    Actor { signature: Signature::new("A", "a@example.org", time).unwrap(), nonce }
}

fn open(media: &Arc<Counting>) -> Repository {
    Repository::open_on(Arc::clone(media) as Arc<dyn Media>).unwrap()
}

/// Opens the vault and commits a small file, as a program does that is started for it.
fn commit(media: &Arc<Counting>, n: u64) {
    let path = RepoPath::new(&format!("runs/{}/m{}.json", n % 10, n % 100)).unwrap();
    let source = AddSource::Bytes(format!("{{\"step\": {n}}}\n").into_bytes());
    let add = CommitOperation::Add { path_in_repo: Some(path), source };
    let options = CommitOptions { message: format!("Step {n}"), ..CommitOptions::default() };
    open(media).create_commit(&[add], &options, &actor(n), &mut |_| ()).unwrap();
}

/// What each of the transactions with these numbers asks for.
fn costs(media: &Arc<Counting>, numbers: std::ops::Range<u64>) -> Vec<Counts> {
    numbers
        .map(|n| {
            media.take();
            commit(media, n);
            media.take()
        })
        .collect()
}

fn total(costs: &[Counts], what: &str) -> usize {
    costs.iter().filter_map(|counts| counts.get(what)).sum()
}

#[test]
fn a_thousand_commits_ask_no_more_of_the_medium_each_than_the_first_ones() {
    let media = Arc::new(Counting::default());
    Repository::init_on(Arc::clone(&media) as Arc<dyn Media>, &InitOptions::default(), &actor(1)).unwrap();
    let mut early = Vec::new();
    // As many on both sides of a checkpoint, and of the thousandth transaction, with which a new folder begins. The last one
    // is not just after a checkpoint, so that it matters which of them an opening begins with.
    for numbers in [2..125, 125..189] {
        early = costs(&media, numbers);
    }
    costs(&media, 189..957);
    let late = costs(&media, 957..1021);
    for what in ["opened", "records", "looked at", "changed", "listed"] {
        let (early, late) = (total(&early, what), total(&late, what));
        assert!(late * 4 <= early * 5, "{what}: {early} in 64 early commits, {late} in 64 late ones");
    }
    // What each of them reads of records is what came since the last checkpoint.
    assert!(late.iter().all(|counts| counts["records"] <= 70), "{late:?}");
    // The folder of the log, of up to 1,015 files, is listed once; all else that is listed is small.
    let most = late.iter().map(|counts| counts["names"]).max().unwrap();
    assert!(most < 1_100, "{most} names");

    media.take();
    open(&media);
    let opening = media.take();
    assert!(opening["records"] < 70 && opening["looked at"] < 70, "{opening:?}");
}
