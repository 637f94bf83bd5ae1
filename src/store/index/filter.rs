//! What an index does not have, in a few bits for each chunk: committing new content asks for chunks that nobody has, and
//! each would cost a block that is read and checked.
//!
//! A filter says "not here", or "perhaps". It is made from the lookup table and lives in memory; knows prefixes of
//! hashes, not chunks.

/// Words of 64 bits in a line: all bits of a prefix are in one, so that asking touches the memory once.
const WORDS: usize = 8;
/// Bits in a line for each prefix: one in a hundred of those that are not there is "perhaps".
const BITS_EACH: u64 = 12;
/// Bits set for each prefix, and how many of its bits choose each.
const SET: u32 = 5;
const CHOICE: u32 = (WORDS * u64::BITS as usize).ilog2();

/// A set of prefixes that can be wrong about what is in it, not about what is not.
#[derive(Debug, Clone)]
pub(in crate::store) struct Filter {
    lines: Vec<[u64; WORDS]>,
}

impl Filter {
    /// An empty one for so many prefixes.
    pub(in crate::store) fn new(prefixes: u32) -> Self {
        let lines = u64::from(prefixes) * BITS_EACH / (WORDS as u64 * u64::from(u64::BITS)) + 1;
        Self { lines: vec![[0; WORDS]; usize::try_from(lines).unwrap_or(1)] }
    }

    /// The line of a prefix goes by its high bits: in ascending order they are filled front to back.
    fn line(&self, prefix: u64) -> usize {
        let place = (u128::from(prefix) * self.lines.len() as u128) >> u64::BITS;
        usize::try_from(place).unwrap_or(0)
    }

    /// Word and bit within a line; they go by the low bits.
    fn bits(prefix: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..SET).map(move |n| {
            let bit = (prefix >> (n * CHOICE)) & ((1 << CHOICE) - 1);
            (usize::try_from(bit / u64::from(u64::BITS)).unwrap_or(0), 1 << (bit % u64::from(u64::BITS)))
        })
    }

    /// Adds a prefix.
    pub(in crate::store) fn add(&mut self, prefix: u64) {
        let at = self.line(prefix);
        Self::bits(prefix).for_each(|(word, bit)| self.lines[at][word] |= bit);
    }

    /// Whether a prefix may have been added.
    pub(in crate::store) fn may_have(&self, prefix: u64) -> bool {
        let line = &self.lines[self.line(prefix)];
        Self::bits(prefix).all(|(word, bit)| line[word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(n: u64) -> u64 {
        u64::from_be_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes().first_chunk().unwrap())
    }

    #[test]
    fn what_was_added_is_never_denied_and_little_else_is_allowed() {
        for count in [0u32, 1, 100, 50_000] {
            let mut filter = Filter::new(count);
            let odd = [0, 1, u64::MAX, u64::MAX - 1];
            (0..u64::from(count)).map(prefix).chain(odd).for_each(|added| filter.add(added));
            assert!((0..u64::from(count)).map(prefix).chain(odd).all(|added| filter.may_have(added)));
            let wrong =
                (1 << 40..(1 << 40) + 10_000).map(prefix).filter(|&other| filter.may_have(other)).count();
            assert!(wrong < 300, "{wrong} of 10,000 beside {count}");
        }
    }
}
