//! What is kept of a chunk that was checked once, so that a part of it can be checked by itself from then on.
//!
//! A chunk's name is the root of a BLAKE3 tree. Whoever has hashed all of the chunk and found its name has also found
//! the values of the branches below, one for each 16 KiB; these can be trusted as the name can, and tell whether those
//! 16 KiB are the right ones without reading the rest. Kept instead of the chunk they take a five-hundredth of its
//! memory. Arithmetic over bytes: it must not know packs, files or caches. The tree is that of the BLAKE3 paper, 2.1.

use std::ops::Range;

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::chunk::{self, DATA_KEY};
use super::id::ChunkHash;

/// Bytes below one branch: as many as a processor hashes side by side. A power of two, as the tree demands.
const BRANCH: usize = 16 << 10;

/// The values of a checked chunk's branches.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    len: usize,
    values: Box<[ChainingValue]>,
}

impl Proof {
    /// The proof of a chunk; `None` when it is not the one that is called `hash`.
    pub fn of(chunk: &[u8], hash: ChunkHash) -> Option<Self> {
        let values: Box<[ChainingValue]> = if chunk.len() <= BRANCH {
            Box::new([*chunk::hash(chunk).as_bytes()])
        } else {
            chunk.chunks(BRANCH).enumerate().map(|(at, bytes)| branch(at, bytes)).collect()
        };
        (root(&values) == *hash.as_bytes()).then_some(Self { len: chunk.len(), values })
    }

    /// Bytes of memory it takes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.values)
    }

    /// The smallest part of the chunk around `wanted` that can be checked by itself.
    pub fn around(&self, wanted: &Range<usize>) -> Range<usize> {
        let start = wanted.start / BRANCH * BRANCH;
        start.min(self.len)..wanted.end.next_multiple_of(BRANCH).min(self.len)
    }

    /// Whether `bytes` are what the chunk holds at `start`. It must be a part that [`Proof::around`] answered.
    pub fn holds(&self, start: usize, bytes: &[u8]) -> bool {
        let first = start / BRANCH;
        if self.values.len() == 1 {
            return start == 0 && bytes.len() == self.len && *chunk::hash(bytes).as_bytes() == self.values[0];
        }
        let ends_right = start + bytes.len() == self.len || bytes.len().is_multiple_of(BRANCH);
        let values = self.values.get(first..first + bytes.len().div_ceil(BRANCH));
        let mut each = (first..).zip(bytes.chunks(BRANCH));
        start.is_multiple_of(BRANCH)
            && ends_right
            && values.is_some_and(|values| {
                values.iter().all(|value| each.next().is_some_and(|(at, part)| branch(at, part) == *value))
            })
    }
}

/// The value of the branch that is number `at` of its chunk, which has others.
fn branch(at: usize, bytes: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new_keyed(&DATA_KEY);
    hasher.set_input_offset((at * BRANCH) as u64).update(bytes).finalize_non_root()
}

/// The name of the chunk whose branches have these values.
fn root(values: &[ChainingValue]) -> [u8; 32] {
    match values {
        [] => *chunk::hash(&[]).as_bytes(),
        [whole] => *whole,
        _ => {
            let (left, right) = values.split_at(left_of(values.len()));
            *merge_subtrees_root(&join(left), &join(right), Mode::KeyedHash(&DATA_KEY)).as_bytes()
        }
    }
}

/// The value of the branch that these branches make up.
fn join(values: &[ChainingValue]) -> ChainingValue {
    match values {
        [] => [0; 32],
        [one] => *one,
        _ => {
            let (left, right) = values.split_at(left_of(values.len()));
            merge_subtrees_non_root(&join(left), &join(right), Mode::KeyedHash(&DATA_KEY))
        }
    }
}

/// How many of `count` branches are on the left: the largest power of two that leaves something on the right.
fn left_of(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0u64..).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 13 & 255).unwrap()).take(len).collect()
    }

    fn lengths() -> impl Iterator<Item = usize> {
        let edges =
            (0..=9).flat_map(|n| [n * BRANCH, n * BRANCH + 1, n * BRANCH + 1024, n * BRANCH + 12_345]);
        edges
            .chain([1, 1023, 1024, 1025, chunk::MIN, chunk::MAX])
            .filter(|len| (1..=chunk::MAX).contains(len))
    }

    #[test]
    fn a_chunk_of_any_length_is_proven_by_its_name_and_by_no_other() {
        for len in lengths() {
            let mut chunk = bytes(len);
            let hash = chunk::hash(&chunk);
            assert!(Proof::of(&chunk, hash).is_some(), "{len}");
            chunk[len / 2] ^= 1;
            assert_eq!(Proof::of(&chunk, hash), None, "{len}");
        }
    }

    #[test]
    fn every_part_is_held_as_it_is_and_no_changed_shorter_or_moved_one() {
        for len in lengths() {
            let chunk = bytes(len);
            let proof = Proof::of(&chunk, chunk::hash(&chunk)).unwrap();
            for wanted in [0..1, len / 2..len / 2 + 1, len - 1..len, 0..len, len / 3..len / 2 + 1] {
                let part = proof.around(&wanted);
                assert!(part.start <= wanted.start && wanted.end <= part.end && part.end <= len);
                let mut held = chunk[part.clone()].to_vec();
                assert!(proof.holds(part.start, &held), "{len} {wanted:?}");
                // Fewer branches are as good as all of them; part of one is not.
                let shorter = proof.holds(part.start, &held[..held.len() - 1]);
                assert_eq!(shorter, values_end_at(len, held.len() - 1), "{len} {wanted:?}");
                assert!(!proof.holds(part.start + BRANCH, &held), "{len} {wanted:?}");
                for at in [0, held.len() / 2, held.len() - 1] {
                    held[at] ^= 0x40;
                    assert!(!proof.holds(part.start, &held), "{len} {wanted:?} {at}");
                    held[at] ^= 0x40;
                }
            }
        }
    }

    /// Whether a part of this length ends with a branch of a chunk of `len` bytes, and not within one.
    fn values_end_at(len: usize, part: usize) -> bool {
        len > BRANCH && part.is_multiple_of(BRANCH)
    }

    #[test]
    fn a_part_costs_no_more_than_the_branches_it_touches() {
        let chunk = bytes(chunk::MAX);
        let proof = Proof::of(&chunk, chunk::hash(&chunk)).unwrap();
        assert_eq!(proof.around(&(BRANCH + 5..BRANCH + 6)), BRANCH..2 * BRANCH);
        assert!(proof.size() * 400 < chunk.len());
    }
}
