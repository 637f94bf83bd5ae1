//! The chunk cache: decoded, checked chunks of every open file, or their proofs; bounded in bytes, one fetch per chunk.
//!
//! Keyed by the chunk's hash, so equal chunks of different files are one entry. When several readers want a
//! chunk that nobody has, one fetches it and the others wait for that one. Of a chunk whose parts can be read by
//! themselves the proof is kept, in a fraction of the memory. Knows nothing of files or packs.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::store::id::ChunkHash;
use crate::store::proof::Proof;

/// The decoded bytes of a chunk, shared by all who read them.
pub type Chunk = Arc<Vec<u8>>;

/// What is counted for an entry beside its bytes: its place in the tables.
const ENTRY: usize = 128;

/// What is known of a chunk.
#[derive(Debug, Clone)]
pub enum Known {
    /// Its decoded bytes.
    Bytes(Chunk),
    /// How to check a part of it.
    Proof(Arc<Proof>),
}

impl Known {
    fn size(&self) -> usize {
        ENTRY
            + match self {
                Self::Bytes(chunk) => chunk.len(),
                Self::Proof(proof) => proof.size(),
            }
    }
}

/// Decoded chunks and proofs, least recently used out first.
#[derive(Debug)]
pub struct ChunkCache {
    limit: usize,
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Inner {
    chunks: LruCache<ChunkHash, Known>,
    bytes: usize,
    /// Chunks being fetched.
    fetching: HashSet<ChunkHash>,
    /// Readers that wait for one of them: where nobody does, waking costs a system call for nothing.
    waiting: u32,
}

/// Takes a chunk off the list of those being fetched, also when fetching panics.
struct Fetching<'a> {
    cache: &'a ChunkCache,
    hash: ChunkHash,
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        let mut inner = self.cache.lock();
        inner.fetching.remove(&self.hash);
        let waited_for = inner.waiting > 0;
        drop(inner);
        if waited_for {
            self.cache.arrived.notify_all();
        }
    }
}

impl ChunkCache {
    /// A cache of at most `limit` bytes of chunks and proofs.
    pub fn new(limit: usize) -> Self {
        let inner = Inner { chunks: LruCache::unbounded(), bytes: 0, fetching: HashSet::new(), waiting: 0 };
        Self { limit, inner: Mutex::new(inner), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes held now; never more than the limit.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The chunk, fetched by `fetch` when nobody has it and nobody else is fetching it. A failure is the
    /// caller's own; others who waited try for themselves.
    pub fn get<E>(&self, hash: ChunkHash, fetch: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Chunk, E> {
        let mut inner = self.lock();
        loop {
            if let Some(Known::Bytes(chunk)) = inner.chunks.get(&hash) {
                return Ok(Arc::clone(chunk));
            }
            if !inner.fetching.contains(&hash) {
                break;
            }
            inner.waiting += 1;
            inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting -= 1;
        }
        inner.fetching.insert(hash);
        drop(inner);
        let fetching = Fetching { cache: self, hash };
        let chunk = Arc::new(fetch()?);
        self.keep(hash, Known::Bytes(Arc::clone(&chunk)));
        drop(fetching);
        Ok(chunk)
    }

    /// What is known of a chunk, without fetching it.
    pub fn known(&self, hash: ChunkHash) -> Option<Known> {
        self.lock().chunks.get(&hash).cloned()
    }

    /// Keeps the proof of a chunk, unless more is known of it.
    pub fn keep_proof(&self, hash: ChunkHash, proof: Proof) {
        if !matches!(self.lock().chunks.peek(&hash), Some(Known::Bytes(_))) {
            self.keep(hash, Known::Proof(Arc::new(proof)));
        }
    }

    /// Lets go of the bytes of a chunk that will hardly be wanted again.
    pub fn let_go(&self, hash: ChunkHash) {
        let mut inner = self.lock();
        if let Some(known) = inner.chunks.pop(&hash) {
            inner.bytes -= known.size();
        }
    }

    fn keep(&self, hash: ChunkHash, known: Known) {
        let size = known.size();
        if size > self.limit {
            return;
        }
        let mut inner = self.lock();
        inner.bytes += size;
        if let Some(old) = inner.chunks.put(hash, known) {
            inner.bytes -= old.size();
        }
        while inner.bytes > self.limit {
            match inner.chunks.pop_lru() {
                Some((_, old)) => inner.bytes -= old.size(),
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::store::chunk;

    fn key(n: u8) -> ChunkHash {
        ChunkHash::from_bytes([n; 32])
    }

    #[test]
    fn stays_within_its_limit_and_drops_the_least_recently_used() {
        let cache = ChunkCache::new(3 * (10 + ENTRY));
        for n in 0..3 {
            cache.get::<()>(key(n), || Ok(vec![n; 10])).unwrap();
        }
        cache.get::<()>(key(0), || panic!("is held")).unwrap();
        cache.get::<()>(key(3), || Ok(vec![3; 10])).unwrap();
        assert_eq!(cache.bytes(), 3 * (10 + ENTRY));
        cache.get::<()>(key(0), || panic!("was used more recently than 1")).unwrap();
        assert_eq!(cache.get(key(1), || Err("gone")), Err("gone"));
    }

    #[test]
    fn a_chunk_larger_than_the_cache_passes_through() {
        let cache = ChunkCache::new(5 + ENTRY);
        assert_eq!(cache.get::<()>(key(1), || Ok(vec![1; 10])).unwrap().len(), 10);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn many_readers_fetch_a_chunk_once() {
        let (cache, fetches) = (ChunkCache::new(1000), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let fetch = || {
                        fetches.fetch_add(1, SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(30));
                        Ok::<_, ()>(vec![7; 10])
                    };
                    assert_eq!(*cache.get(key(7), fetch).unwrap(), [7; 10]);
                });
            }
        });
        assert_eq!(fetches.load(SeqCst), 1);
    }

    #[test]
    fn what_is_let_go_takes_no_room() {
        let cache = ChunkCache::new(1000);
        cache.get::<()>(key(1), || Ok(vec![1; 10])).unwrap();
        cache.let_go(key(1));
        cache.let_go(key(2));
        assert_eq!(cache.bytes(), 0);
        assert_eq!(cache.get(key(1), || Err("gone")), Err("gone"));
    }

    #[test]
    fn a_failed_fetch_leaves_the_next_reader_to_try() {
        let cache = ChunkCache::new(1000);
        assert_eq!(cache.get(key(1), || Err("disk")), Err("disk"));
        assert!(cache.get::<()>(key(1), || Ok(vec![1])).is_ok());
    }

    #[test]
    fn a_proof_counts_and_gives_way_to_the_bytes_of_its_chunk() {
        let chunk = vec![1; 40_000];
        let hash = chunk::hash(&chunk);
        let cache = ChunkCache::new(41_000);
        cache.keep_proof(hash, Proof::of(&chunk, hash).unwrap());
        assert!(matches!(cache.known(hash), Some(Known::Proof(_))));
        assert!((ENTRY..1000).contains(&cache.bytes()));
        cache.get::<()>(hash, || Ok(chunk.clone())).unwrap();
        assert_eq!(cache.bytes(), 40_000 + ENTRY);
        cache.keep_proof(hash, Proof::of(&chunk, hash).unwrap());
        assert!(matches!(cache.known(hash), Some(Known::Bytes(_))));
        assert_eq!(cache.bytes(), 40_000 + ENTRY);
    }
}
