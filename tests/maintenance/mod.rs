//! Garbage collection, squashing, optimizing and the accounts of a vault's space, on histories made up at random.
//!
//! [`model`] makes histories and holds every collection to what it may do: nothing that is needed changes, and the
//! folder shrinks by what the report says. [`optimize`] is what storing again does, and when. [`damage`] is what a damaged vault is not collected from.

use std::collections::BTreeMap;
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{Actor, Signature, Timestamp};
use hubvault::store::media::memory::MemoryMedia;

use crate::samples::noise;

mod damage;
mod model;
mod optimize;

/// A day, in seconds.
const DAY: i64 = 24 * 3600;

/// Who acts at `time`; never the same twice.
fn actor(time: i64) -> Actor {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut nonce = [3; 16];
    nonce[..8].copy_from_slice(&COUNT.fetch_add(1, Relaxed).to_le_bytes());
    let time = Timestamp { seconds: time, offset_minutes: 0 };
    Actor { signature: Signature::new("M", "m@example.org", time).unwrap(), nonce }
}

/// bf16 values, about normal: exponents repeat, mantissas are noise.
fn weights(seed: u64, count: usize) -> Vec<u8> {
    let bytes = noise(seed, count * 5);
    let sum = |four: &[u8]| four.iter().map(|&byte| f32::from(byte) - 127.5).sum::<f32>() / 7000.0;
    let value = |five: &[u8]| sum(&five[1..]) * (1.0 + f32::from(five[0]) / 2560.0);
    bytes.chunks_exact(5).flat_map(|five| value(five).to_le_bytes()[2..].to_vec()).collect()
}

fn open(media: &MemoryMedia) -> Repository {
    Repository::open_on(Arc::new(media.clone())).unwrap()
}

fn bytes(media: &MemoryMedia) -> i64 {
    i64::try_from(media.files().values().map(Vec::len).sum::<usize>()).unwrap()
}

/// Content of every file of a revision, by path.
fn content(repository: &Repository, revision: &str) -> BTreeMap<String, Vec<u8>> {
    let snapshot = repository.snapshot(Some(revision)).unwrap();
    let mut found = BTreeMap::new();
    let mut visit = |path: &[u8], entry: &hubvault::snapshot::TreeEntry| {
        if entry.mode != hubvault::snapshot::Mode::Directory {
            let path = String::from_utf8(path.to_vec()).unwrap();
            let file = snapshot.open_file(entry, &path)?;
            let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
            file.read_at(0, &mut bytes)?;
            found.insert(path, bytes);
        }
        Ok(true)
    };
    snapshot.walk(snapshot.root().id, b"", &mut visit).unwrap();
    found
}
