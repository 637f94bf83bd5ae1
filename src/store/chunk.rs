//! Where a stream of bytes is cut into chunks, and what a chunk is called.
//!
//! Both follow Xet to the bit (the rule of its `spec/chunking.md`), so that a vault and the Hub agree on every
//! chunk of a file and can trade chunks instead of files. A cut depends only on the bytes since the previous cut:
//! an insertion near the start of a file moves the cuts near it and no others. Moving a cut point silently ends
//! deduplication against everything stored before, which is why golden vectors taken from Xet's own software
//! freeze both. This file is arithmetic over bytes: it must not know files, packs or who asks.

use std::ops::Range;

use super::id::ChunkHash;

/// No chunk is shorter, except the last one of a stream.
pub const MIN: usize = TARGET / 8;

/// The distance between cuts that content alone would choose on average, before the bounds apply.
pub const TARGET: usize = 64 * 1024;

/// No chunk is longer.
pub const MAX: usize = TARGET * 2;

/// A cut falls where these bits of the rolling hash are all zero: as many bits as make one place in [`TARGET`]
/// match, taken from the top because a top bit has been reached by more of the preceding bytes than a low one.
const MASK: u64 = (TARGET as u64 - 1) << (TARGET as u64 - 1).leading_zeros();

/// How many bytes at the start of a chunk need not be hashed. The hash is 64 bits wide and shifts by one bit per
/// byte, so it forgets everything but the last 64 bytes; what comes before those, below [`MIN`], cannot matter.
const SKIPPED: usize = MIN - 64 - 1;

/// The key Xet hashes chunks under; public, it only keeps chunk hashes apart from other BLAKE3 hashes.
pub(super) const DATA_KEY: [u8; 32] = [
    102, 151, 245, 119, 91, 149, 80, 222, 49, 53, 203, 172, 165, 151, 24, 28, 157, 228, 33, 16, 155, 235, 43,
    88, 180, 208, 176, 75, 147, 173, 242, 41,
];

/// The name of a chunk.
pub fn hash(chunk: &[u8]) -> ChunkHash {
    ChunkHash::from_bytes(*blake3::keyed_hash(&DATA_KEY, chunk).as_bytes())
}

/// The name of a chunk whose bytes are in several places, in their order.
pub fn hash_parts<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> ChunkHash {
    let first = parts.next().unwrap_or_default();
    let Some(second) = parts.next() else { return hash(first) };
    let mut hasher = blake3::Hasher::new_keyed(&DATA_KEY);
    hasher.update(first).update(second);
    for part in parts {
        hasher.update(part);
    }
    ChunkHash::from_bytes(*hasher.finalize().as_bytes())
}

/// The chunks of a whole stream that is in memory; together they are exactly `data`, and none is empty.
pub fn cut_all(data: &[u8]) -> Vec<Range<usize>> {
    let mut cutter = Cutter::new();
    let mut chunks = Vec::with_capacity(data.len() / TARGET + 1);
    let mut start = 0;
    while let Some(length) = cutter.next_cut(&data[start..], true) {
        chunks.push(start..start + length);
        start += length;
    }
    chunks
}

/// Finds the cuts of one stream that arrives in pieces of any size.
///
/// It keeps no bytes, only the length so far and the hash: the caller holds the bytes of an unfinished chunk.
#[derive(Debug, Clone, Default)]
pub struct Cutter {
    hasher: gearhash::Hasher<'static>,
    /// Bytes of the current chunk seen so far; below [`MAX`] between calls.
    length: usize,
}

impl Cutter {
    /// A cutter at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for the next cut in `data`, the bytes that follow those of earlier calls.
    ///
    /// `Some(n)`: the current chunk ends `n` bytes into `data`; call again with `&data[n..]`. `None`: no cut, all
    /// of `data` belongs to a chunk that goes on; call again with what comes next.
    ///
    /// `last` says that nothing follows `data`. Then the end of `data` is a cut too, unless it falls on one
    /// already; `Some(0)` is possible, when earlier calls held the whole last chunk. After the `None` that ends
    /// it the cutter is as new.
    pub fn next_cut(&mut self, data: &[u8], last: bool) -> Option<usize> {
        let cut = self.content_cut(data);
        if cut.is_none() && !(last && self.length > 0) {
            return None;
        }
        *self = Self::new();
        Some(cut.unwrap_or(data.len()))
    }

    /// The cut that the content (or [`MAX`]) asks for, if any. Without one, all of `data` is counted into the chunk.
    fn content_cut(&mut self, data: &[u8]) -> Option<usize> {
        let end = data.len().min(MAX - self.length);
        let mut at = end.min(SKIPPED.saturating_sub(self.length));
        while let Some(step) = self.hasher.next_match(&data[at..end], MASK) {
            at += step;
            // A match below the minimum is no cut: it may rest on a hash that has not seen 64 bytes yet.
            if self.length + at >= MIN {
                return Some(at);
            }
        }
        self.length += end;
        (self.length == MAX).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The generators of `tests/golden/xet_vectors.py`.
    fn splitmix(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)).to_le_bytes()
        };
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
        bytes.truncate(length);
        bytes
    }

    fn beat(length: usize, padding: usize) -> Vec<u8> {
        let mut period = splitmix(84_493, 0).split_off(84_493 - 64);
        period.extend(vec![0; padding]);
        period.into_iter().cycle().take(length).collect()
    }

    fn make(maker: &str, length: usize, seed: u64) -> Vec<u8> {
        match maker {
            "splitmix" => splitmix(length, seed),
            "quarter" => splitmix(length, seed).into_iter().map(|byte| byte & 3).collect(),
            "constant" => vec![u8::try_from(seed).unwrap(); length],
            "beat" => beat(length, usize::try_from(seed).unwrap()),
            other => panic!("unknown maker {other}"),
        }
    }

    #[test]
    fn cuts_and_hashes_are_those_of_hf_xet() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/golden/xet_vectors.json")).unwrap();
        let mut checked = 0;
        for case in vectors.as_array().unwrap() {
            let length = usize::try_from(case["length"].as_u64().unwrap()).unwrap();
            let data = make(case["maker"].as_str().unwrap(), length, case["seed"].as_u64().unwrap());
            let ours: Vec<Value> = cut_all(&data)
                .into_iter()
                .map(|range| serde_json::json!([range.len(), hash(&data[range]).to_string()]))
                .collect();
            assert_eq!(Value::from(ours), case["chunks"], "{} {} {length}", case["maker"], case["seed"]);
            checked += 1;
        }
        assert!(checked > 20, "the vectors are there");
    }

    #[test]
    fn cuts_are_also_those_published_in_xet_core() {
        let ends: Vec<usize> = cut_all(&splitmix(1_000_000, 0)).into_iter().map(|range| range.end).collect();
        assert_eq!(ends[..6], [84_493, 134_421, 144_853, 243_318, 271_793, 336_457]);
        assert_eq!(*ends.last().unwrap(), 1_000_000);
    }

    /// The rule as the specification states it, byte by byte and with nothing skipped.
    fn plain_rule(data: &[u8]) -> Vec<usize> {
        let (mut ends, mut start, mut rolling) = (Vec::new(), 0, 0u64);
        for (at, byte) in data.iter().enumerate() {
            rolling = (rolling << 1).wrapping_add(gearhash::DEFAULT_TABLE[usize::from(*byte)]);
            let size = at + 1 - start;
            if size == MAX || size >= MIN && rolling >> 48 == 0 {
                ends.push(at + 1);
                (start, rolling) = (at + 1, 0);
            }
        }
        if start < data.len() {
            ends.push(data.len());
        }
        ends
    }

    /// Cuts of a stream that arrives as `pieces`, ended by an empty last piece or by `last` on the final one.
    fn streamed(data: &[u8], sizes: &[usize], empty_end: bool) -> Vec<usize> {
        let (mut cutter, mut ends, mut at) = (Cutter::new(), Vec::new(), 0);
        let mut sizes = sizes.iter().cycle();
        loop {
            let stop = data.len().min(at + sizes.next().unwrap());
            let last = stop == data.len() && (!empty_end || at == stop);
            while let Some(length) = cutter.next_cut(&data[at..stop], last) {
                at += length;
                ends.push(at);
            }
            at = stop;
            if last {
                return ends;
            }
        }
    }

    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let maker = prop_oneof![Just("splitmix"), Just("quarter"), Just("constant"), Just("beat")];
        (maker, 0usize..400_000, 0u64..200).prop_map(|(maker, length, seed)| make(maker, length, seed))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn chunks_tile_the_stream_within_the_bounds(data in streams()) {
            let chunks = cut_all(&data);
            let mut end = 0;
            for (index, chunk) in chunks.iter().enumerate() {
                prop_assert_eq!(chunk.start, end);
                prop_assert!(chunk.len() <= MAX);
                prop_assert!(chunk.len() >= MIN || index + 1 == chunks.len() && !chunk.is_empty());
                end = chunk.end;
            }
            prop_assert_eq!(end, data.len());
            prop_assert_eq!(chunks.into_iter().map(|chunk| chunk.end).collect::<Vec<_>>(), plain_rule(&data));
        }

        #[test]
        fn any_split_of_the_stream_gives_equal_cuts(
            data in streams(),
            sizes in prop::collection::vec(prop_oneof![1usize..200, 1usize..20_000, 1usize..300_000], 1..12),
            empty_end: bool,
        ) {
            let whole: Vec<usize> = cut_all(&data).into_iter().map(|chunk| chunk.end).collect();
            prop_assert_eq!(streamed(&data, &sizes, empty_end), whole);
        }

        #[test]
        fn an_insertion_moves_only_the_cuts_near_it(seed in 0u64..50, at in 0usize..100_000) {
            let before = splitmix(900_000, seed);
            let mut after = before.clone();
            after.splice(at..at, *b"inserted");
            let tail = |data: &[u8]| cut_all(data).into_iter().map(|c| data.len() - c.end).collect::<Vec<_>>();
            let (before, after) = (tail(&before), tail(&after));
            let shared = before.iter().rev().zip(after.iter().rev()).take_while(|(x, y)| x == y).count();
            prop_assert!(shared > 1, "{shared} of {}", before.len());
        }
    }

    #[test]
    fn an_empty_stream_has_no_chunks() {
        assert!(cut_all(&[]).is_empty());
        assert_eq!(Cutter::new().next_cut(&[], false), None);
        assert_eq!(Cutter::new().next_cut(&[], true), None);
    }

    #[test]
    fn the_last_chunk_may_have_been_seen_before_its_end_is_known() {
        let mut cutter = Cutter::new();
        assert_eq!(cutter.next_cut(&[1, 2, 3], false), None);
        assert_eq!(cutter.next_cut(&[], true), Some(0));
        assert_eq!(cutter.next_cut(&[], true), None);
        assert_eq!(cutter.next_cut(&vec![0; MAX], false), Some(MAX), "as new after its last stream");
    }

    #[test]
    fn the_key_is_part_of_the_name() {
        assert_ne!(hash(b"").as_bytes(), blake3::hash(b"").as_bytes());
    }
}
