//! Rows that come in any order and are read in the order of their keys, however many there are: those of a commit of a
//! million files are more than should be held.
//!
//! What is held is a map. Once it has grown beyond a bound, its owner has it moved to a file in `tmp/`, as a sorted run;
//! reading merges the runs and the map. Hashes of a run's blocks stay in memory, so that what is read back is what was
//! written. Each run is an open file, of which a process may have few (1,024 often), so runs grow: the bound doubles with
//! each so many of them. A run lives as long as its transaction; nothing is durable here, and what rows mean is not known.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::collections::{BTreeMap, btree_map};
use std::fmt::Debug;
use std::io::{self, Write as _};
use std::sync::Arc;

use super::id::{ObjectId, Sha256};
use super::index::Filter;
use super::media::{Media, ReadAt};
use super::scratch::Scratch;

/// Most bytes of rows that each map of a transaction holds, about, until it has many runs.
pub const HELD: usize = 8 << 20;
/// With each so many runs of a map, the bound on what it holds doubles.
const DOUBLED: usize = 32;
/// Most often that it does.
const DOUBLINGS: usize = 16;
/// From so many bytes on a block of a run ends; it holds whole rows.
const BLOCK: usize = 16 << 10;
/// Bytes kept of the BLAKE3 of a block.
const CHECK: usize = 16;

/// What can be written to a run and read back: it knows where it ends.
pub trait Coded: Clone + Debug + Send + Sync {
    /// Appends its bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes one off the front; `None` when these are not its bytes.
    fn take(bytes: &mut &[u8]) -> Option<Self>;

    /// Bytes of memory it has besides its own size.
    fn beside(&self) -> usize {
        0
    }
}

/// What a run is looked up by. Looking up is fast where the first eight bytes are spread evenly, as those of hashes are.
pub trait Key: Coded + Ord {}

impl<T: Coded + Ord> Key for T {}

/// Rows by their keys. Of two with one key that were not held together, the first counts: who moves rows to runs
/// asks before he adds.
#[derive(Debug, Clone)]
pub struct Sorted<K, V> {
    map: BTreeMap<K, V>,
    /// Bytes in `map`, about.
    held: usize,
    runs: Vec<Arc<Run<K>>>,
    spilled: usize,
    /// Filters over several runs each, so that what is new asks few of them; the last one still takes so many rows.
    guards: Vec<Filter>,
    room: usize,
}

/// Runs of the first guard; each later one has twice as many as that before.
const GUARDED: usize = 16;

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), held: 0, runs: Vec::new(), spilled: 0, guards: Vec::new(), room: 0 }
    }
}

/// Where runs go, and from how many held bytes on, while there are few.
#[derive(Debug)]
pub(super) struct Room<'a> {
    pub(super) media: &'a dyn Media,
    pub(super) scratch: &'a mut Scratch,
    pub(super) most: usize,
}

impl<K: Key, V: Coded> Sorted<K, V> {
    /// How many rows there are, while no key was added twice.
    pub fn len(&self) -> usize {
        self.spilled + self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a row, in place of one with its key that is still held; answers that one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.held += Self::cost(&key, &value);
        self.map.insert(key, value)
    }

    /// Adds a row unless one with its key is still held; answers whether it did.
    pub fn insert_first(&mut self, key: K, value: V) -> bool {
        let cost = Self::cost(&key, &value);
        let btree_map::Entry::Vacant(free) = self.map.entry(key) else { return false };
        free.insert(value);
        self.held += cost;
        true
    }

    /// Takes back a row that is still held.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key)
    }

    /// A tree of maps is two thirds full.
    fn cost(key: &K, value: &V) -> usize {
        size_of::<(K, V)>() * 3 / 2 + key.beside() + value.beside()
    }

    /// The row with this key.
    pub fn get(&self, key: &K) -> io::Result<Option<Cow<'_, V>>> {
        if let Some(value) = self.map.get(key) {
            return Ok(Some(Cow::Borrowed(value)));
        }
        if self.runs.is_empty() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        key.put(&mut bytes);
        let prefix = prefix(&bytes);
        if !self.guards.iter().any(|guard| guard.may_have(prefix)) {
            return Ok(None);
        }
        for run in self.runs.iter().filter(|run| run.filter.may_have(prefix)) {
            if let Some(value) = run.get(key)? {
                return Ok(Some(Cow::Owned(value)));
            }
        }
        Ok(None)
    }

    /// All rows in the order of their keys.
    pub fn in_order(&self) -> io::Result<Merge<'_, K, V>> {
        let mut sources: Vec<_> = self.runs.iter().map(|run| Source::Run(Reader::new(run))).collect();
        sources.push(Source::Map(self.map.iter()));
        let mut merge = Merge { order: BinaryHeap::with_capacity(sources.len()), sources };
        for source in 0..merge.sources.len() {
            if let Some((key, value)) = merge.sources[source].next()? {
                merge.order.push(Head(Reverse((key, source)), value));
            }
        }
        Ok(merge)
    }

    /// Adds what is held to a guard that has room for it.
    fn guard(&mut self) {
        if self.room < self.map.len() {
            self.room = self.map.len().saturating_mul(GUARDED << self.guards.len());
            self.guards.push(Filter::new(u32::try_from(self.room).unwrap_or(u32::MAX)));
        }
        self.room -= self.map.len();
        let Some(guard) = self.guards.last_mut() else { return };
        let mut bytes = Vec::new();
        for key in self.map.keys() {
            bytes.clear();
            key.put(&mut bytes);
            guard.add(prefix(&bytes));
        }
    }

    /// Moves what is held to a run, when it is more than there is room for.
    pub(super) fn spill(&mut self, room: &mut Room<'_>) -> io::Result<()> {
        let doublings = (self.runs.len() / DOUBLED).min(DOUBLINGS);
        if self.held <= room.most.saturating_mul(1 << doublings) {
            return Ok(());
        }
        let path = room.scratch.next();
        let run = Run::write(room.media, path, &self.map)?;
        self.guard();
        self.runs.push(Arc::new(run));
        self.spilled += self.map.len();
        self.map.clear();
        self.held = 0;
        Ok(())
    }
}

/// What a filter knows a key by: its first eight bytes.
fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

/// A sorted file of rows.
#[derive(Debug)]
struct Run<K> {
    file: Box<dyn ReadAt>,
    path: String,
    filter: Filter,
    blocks: Vec<Block<K>>,
}

#[derive(Debug)]
struct Block<K> {
    first: K,
    at: u64,
    len: usize,
    check: [u8; CHECK],
}

fn check(block: &[u8]) -> [u8; CHECK] {
    *blake3::hash(block).as_bytes().first_chunk().expect("BLAKE3 is 32 bytes")
}

impl<K: Key> Run<K> {
    fn write<V: Coded>(media: &dyn Media, path: String, rows: &BTreeMap<K, V>) -> io::Result<Self> {
        let mut sink = media.create(&path)?;
        let mut filter = Filter::new(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let (mut blocks, mut at, mut bytes) = (Vec::new(), 0, Vec::new());
        let mut rows = rows.iter().peekable();
        while let Some(&(first, _)) = rows.peek() {
            while let Some((key, value)) = rows.next_if(|_| bytes.len() < BLOCK) {
                let start = bytes.len();
                key.put(&mut bytes);
                filter.add(prefix(&bytes[start..]));
                value.put(&mut bytes);
            }
            sink.write_all(&bytes)?;
            blocks.push(Block { first: first.clone(), at, len: bytes.len(), check: check(&bytes) });
            at += bytes.len() as u64;
            bytes.clear();
        }
        sink.flush()?;
        drop(sink);
        Ok(Self { file: media.open(&path)?, path, filter, blocks })
    }

    /// Reads a block, over `bytes`.
    fn read(&self, block: &Block<K>, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(block.len, 0);
        let read = self.file.read_exact_at(bytes, block.at);
        read.map_err(|error| io::Error::new(error.kind(), format!("reading `{}` back: {error}", self.path)))?;
        if check(bytes) == block.check { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> io::Error {
        io::Error::other(format!("`{}` is not what was written a moment ago", self.path))
    }

    fn get<V: Coded>(&self, key: &K) -> io::Result<Option<V>> {
        let after = self.blocks.partition_point(|block| block.first <= *key);
        let Some(block) = self.blocks[..after].last() else { return Ok(None) };
        let mut bytes = Vec::new();
        self.read(block, &mut bytes)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (Some(found), Some(value)) = (K::take(&mut rest), V::take(&mut rest)) else {
                return Err(self.changed());
            };
            if found >= *key {
                return Ok((found == *key).then_some(value));
            }
        }
        Ok(None)
    }
}

/// A run on its way from front to back.
#[derive(Debug)]
struct Reader<'a, K> {
    run: &'a Run<K>,
    next: usize,
    bytes: Vec<u8>,
    at: usize,
}

impl<'a, K: Key> Reader<'a, K> {
    fn new(run: &'a Run<K>) -> Self {
        Self { run, next: 0, bytes: Vec::new(), at: 0 }
    }

    fn next<V: Coded>(&mut self) -> io::Result<Option<(K, V)>> {
        if self.at == self.bytes.len() {
            let Some(block) = self.run.blocks.get(self.next) else { return Ok(None) };
            self.run.read(block, &mut self.bytes)?;
            (self.next, self.at) = (self.next + 1, 0);
        }
        let mut rest = &self.bytes[self.at..];
        let row = K::take(&mut rest).and_then(|key| Some((key, V::take(&mut rest)?)));
        self.at = self.bytes.len() - rest.len();
        row.ok_or_else(|| self.run.changed()).map(Some)
    }
}

#[derive(Debug)]
enum Source<'a, K, V> {
    Run(Reader<'a, K>),
    Map(btree_map::Iter<'a, K, V>),
}

impl<'a, K: Key, V: Coded> Source<'a, K, V> {
    fn next(&mut self) -> io::Result<Option<(K, Cow<'a, V>)>> {
        Ok(match self {
            Self::Run(reader) => reader.next()?.map(|(key, value)| (key, Cow::Owned(value))),
            Self::Map(rows) => rows.next().map(|(key, value)| (key.clone(), Cow::Borrowed(value))),
        })
    }
}

/// The next row of a source; of two with one key that of the older source is the greater.
#[derive(Debug)]
struct Head<'a, K, V: Clone>(Reverse<(K, usize)>, Cow<'a, V>);

impl<K: Ord, V: Clone> Ord for Head<'_, K, V> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<K: Ord, V: Clone> PartialOrd for Head<'_, K, V> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, V: Clone> PartialEq for Head<'_, K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Ord, V: Clone> Eq for Head<'_, K, V> {}

/// Rows of runs and a map in one order. Nothing follows an error.
#[derive(Debug)]
pub struct Merge<'a, K, V: Clone> {
    sources: Vec<Source<'a, K, V>>,
    order: BinaryHeap<Head<'a, K, V>>,
}

impl<'a, K: Key, V: Coded> Merge<'a, K, V> {
    /// Takes the first row, and has its source's next in its place.
    fn step(&mut self) -> io::Result<Option<(K, Cow<'a, V>)>> {
        let Some(mut top) = self.order.peek_mut() else { return Ok(None) };
        let source = top.0.0.1;
        let Head(Reverse((key, _)), value) = match self.sources[source].next()? {
            Some((key, value)) => std::mem::replace(&mut *top, Head(Reverse((key, source)), value)),
            None => PeekMut::pop(top),
        };
        Ok(Some((key, value)))
    }

    fn first(&mut self) -> io::Result<Option<(K, Cow<'a, V>)>> {
        let first = self.step()?;
        while let Some((key, _)) = &first
            && self.order.peek().is_some_and(|head| head.0.0.0 == *key)
        {
            self.step()?;
        }
        Ok(first)
    }
}

impl<'a, K: Key, V: Coded> Iterator for Merge<'a, K, V> {
    type Item = io::Result<(K, Cow<'a, V>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.first().inspect_err(|_| self.order.clear());
        first.transpose()
    }
}

impl<const N: usize> Coded for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*head)
    }
}

impl Coded for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_le_bytes().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Coded::take(bytes).map(Self::from_le_bytes)
    }
}

impl<T: Coded> Coded for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        self.iter().for_each(|some| some.put(out));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let [is_some] = Coded::take(bytes)?;
        if is_some == 0 { Some(None) } else { T::take(bytes).map(Some) }
    }
}

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::take(bytes)?, B::take(bytes)?))
    }

    fn beside(&self) -> usize {
        self.0.beside() + self.1.beside()
    }
}

macro_rules! coded_id {
    ($($id:ty),*) => {$(
        impl Coded for $id {
            fn put(&self, out: &mut Vec<u8>) {
                self.as_bytes().put(out);
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Coded::take(bytes).map(Self::from_bytes)
            }
        }
    )*};
}

coded_id!(Sha256, ObjectId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::id::PackId;
    use crate::store::media::memory::MemoryMedia;

    type Rows = Sorted<[u8; 2], [u8; 9]>;

    fn scratch(media: &MemoryMedia) -> Scratch {
        let media: Arc<dyn Media> = Arc::new(media.clone());
        Scratch::new(&media, PackId::from_bytes([1; 16])).unwrap()
    }

    /// A value that tells which of two with one key it is.
    fn value(at: usize) -> [u8; 9] {
        let mut value = [7; 9];
        value[..8].copy_from_slice(&(at as u64).to_le_bytes());
        value
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rows_are_those_of_a_map_whatever_was_moved_to_runs(
            steps in prop::collection::vec((any::<u16>(), 0u8..200), 0..3000),
        ) {
            let media = MemoryMedia::new();
            let mut scratch = scratch(&media);
            let (mut rows, mut model) = (Rows::default(), BTreeMap::new());
            for (at, (key, action)) in steps.into_iter().enumerate() {
                // Some keys come again and again.
                let key = if action % 2 == 0 { [action, 0] } else { key.to_be_bytes() };
                if rows.get(&key).unwrap().is_none() {
                    rows.insert(key, value(at));
                }
                model.entry(key).or_insert(value(at));
                if action == 0 {
                    rows.spill(&mut Room { media: &media, scratch: &mut scratch, most: 0 }).unwrap();
                }
            }
            prop_assert_eq!(rows.len(), model.len());
            let all: io::Result<Vec<_>> = rows.in_order().unwrap().map(|row| row.map(|(k, v)| (k, *v))).collect();
            prop_assert_eq!(all.unwrap(), model.clone().into_iter().collect::<Vec<_>>());
            for key in (0..=u16::MAX).step_by(101).map(u16::to_be_bytes).chain(model.keys().copied()) {
                prop_assert_eq!(rows.get(&key).unwrap().map(|found| *found), model.get(&key).copied());
            }
        }
    }

    /// Each run has an open file.
    #[test]
    fn runs_grow_so_that_there_are_few_of_them_however_many_rows() {
        let media = MemoryMedia::new();
        let mut scratch = scratch(&media);
        let mut rows = Rows::default();
        for key in 0..u16::MAX {
            rows.insert_first(key.to_be_bytes(), value(key.into()));
            rows.spill(&mut Room { media: &media, scratch: &mut scratch, most: 1000 }).unwrap();
        }
        assert!((32..200).contains(&rows.runs.len()), "{} runs", rows.runs.len());
        assert_eq!(rows.in_order().unwrap().flatten().count(), rows.len());
    }

    #[test]
    fn of_rows_with_one_key_the_first_counts() {
        let media = MemoryMedia::new();
        let mut scratch = scratch(&media);
        let mut rows = Rows::default();
        for at in 0..5 {
            rows.insert_first([1, 1], value(at));
            rows.insert_first([1, u8::try_from(at).unwrap()], value(9));
            if at % 2 == 1 {
                rows.spill(&mut Room { media: &media, scratch: &mut scratch, most: 0 }).unwrap();
            }
        }
        let all: Vec<_> =
            rows.in_order().unwrap().map(|row| row.map(|(key, value)| (key[1], *value)).unwrap()).collect();
        assert_eq!(all, [(0, value(9)), (1, value(0)), (2, value(9)), (3, value(9)), (4, value(9))]);
    }

    #[test]
    fn little_is_not_moved_and_a_run_that_was_changed_is_noticed() {
        let media = MemoryMedia::new();
        let mut scratch = scratch(&media);
        let mut rows = Rows::default();
        (0..5000u16).for_each(|key| assert!(rows.insert(key.to_be_bytes(), value(1)).is_none()));
        rows.spill(&mut Room { media: &media, scratch: &mut scratch, most: 1 << 20 }).unwrap();
        assert!(!media.files().keys().any(|path| path.starts_with("tmp/")));
        rows.spill(&mut Room { media: &media, scratch: &mut scratch, most: 1 << 10 }).unwrap();
        let path = media.files().into_keys().find(|path| path.starts_with("tmp/")).unwrap();
        assert_eq!(rows.in_order().unwrap().flatten().count(), 5000);
        media.corrupt(&path, |bytes| bytes[30_000] ^= 1).unwrap();
        assert!(rows.in_order().unwrap().any(|row| row.is_err()));
        let found = (0..5000u16).filter(|key| rows.get(&key.to_be_bytes()).is_ok()).count();
        assert!(found > 1000 && found < 5000, "{found}");
        drop(rows);
        drop(scratch);
        assert!(media.files().is_empty(), "{:?}", media.files().keys());
    }
}
