//! The chunk cache: decoded, checked chunks of every open file, bounded in bytes, one fetch per chunk.
//!
//! Keyed by the chunk's hash, so equal chunks of different files are one entry. When several readers want a
//! chunk that nobody has, one fetches it and the others wait for that one. Knows nothing of files or packs.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::store::id::ChunkHash;

/// The decoded bytes of a chunk, shared by all who read them.
pub type Chunk = Arc<Vec<u8>>;

/// Decoded chunks, least recently used out first.
#[derive(Debug)]
pub struct ChunkCache {
    limit: usize,
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Inner {
    chunks: LruCache<ChunkHash, Chunk>,
    bytes: usize,
    /// Chunks being fetched.
    fetching: HashSet<ChunkHash>,
}

/// Takes a chunk off the list of those being fetched, also when fetching panics.
struct Fetching<'a> {
    cache: &'a ChunkCache,
    hash: ChunkHash,
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.cache.lock().fetching.remove(&self.hash);
        self.cache.arrived.notify_all();
    }
}

impl ChunkCache {
    /// A cache of at most `limit` bytes of chunks.
    pub fn new(limit: usize) -> Self {
        let inner = Inner { chunks: LruCache::unbounded(), bytes: 0, fetching: HashSet::new() };
        Self { limit, inner: Mutex::new(inner), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of chunks held now; never more than the limit.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The chunk, fetched by `fetch` when nobody has it and nobody else is fetching it. A failure is the
    /// caller's own; others who waited try for themselves.
    pub fn get<E>(&self, hash: ChunkHash, fetch: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Chunk, E> {
        let mut inner = self.lock();
        loop {
            if let Some(chunk) = inner.chunks.get(&hash) {
                return Ok(Arc::clone(chunk));
            }
            if !inner.fetching.contains(&hash) {
                break;
            }
            inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.fetching.insert(hash);
        drop(inner);
        let fetching = Fetching { cache: self, hash };
        let chunk = Arc::new(fetch()?);
        self.keep(hash, &chunk);
        drop(fetching);
        Ok(chunk)
    }

    /// Lets go of a chunk that will hardly be wanted again.
    pub fn let_go(&self, hash: ChunkHash) {
        let mut inner = self.lock();
        if let Some(chunk) = inner.chunks.pop(&hash) {
            inner.bytes -= chunk.len();
        }
    }

    fn keep(&self, hash: ChunkHash, chunk: &Chunk) {
        if chunk.len() > self.limit {
            return;
        }
        let mut inner = self.lock();
        inner.bytes += chunk.len();
        if let Some(old) = inner.chunks.put(hash, Arc::clone(chunk)) {
            inner.bytes -= old.len();
        }
        while inner.bytes > self.limit {
            match inner.chunks.pop_lru() {
                Some((_, old)) => inner.bytes -= old.len(),
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn key(n: u8) -> ChunkHash {
        ChunkHash::from_bytes([n; 32])
    }

    #[test]
    fn stays_within_its_limit_and_drops_the_least_recently_used() {
        let cache = ChunkCache::new(30);
        for n in 0..3 {
            cache.get::<()>(key(n), || Ok(vec![n; 10])).unwrap();
        }
        cache.get::<()>(key(0), || panic!("is held")).unwrap();
        cache.get::<()>(key(3), || Ok(vec![3; 10])).unwrap();
        assert_eq!(cache.bytes(), 30);
        cache.get::<()>(key(0), || panic!("was used more recently than 1")).unwrap();
        assert_eq!(cache.get(key(1), || Err("gone")), Err("gone"));
    }

    #[test]
    fn a_chunk_larger_than_the_cache_passes_through() {
        let cache = ChunkCache::new(5);
        assert_eq!(cache.get::<()>(key(1), || Ok(vec![1; 10])).unwrap().len(), 10);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn many_readers_fetch_a_chunk_once() {
        let (cache, fetches) = (ChunkCache::new(100), AtomicUsize::new(0));
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
        let cache = ChunkCache::new(100);
        cache.get::<()>(key(1), || Ok(vec![1; 10])).unwrap();
        cache.let_go(key(1));
        cache.let_go(key(2));
        assert_eq!(cache.bytes(), 0);
        assert_eq!(cache.get(key(1), || Err("gone")), Err("gone"));
    }

    #[test]
    fn a_failed_fetch_leaves_the_next_reader_to_try() {
        let cache = ChunkCache::new(100);
        assert_eq!(cache.get(key(1), || Err("disk")), Err("disk"));
        assert!(cache.get::<()>(key(1), || Ok(vec![1])).is_ok());
    }
}
