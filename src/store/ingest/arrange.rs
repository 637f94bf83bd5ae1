//! Which stretches of an edited file are shared and which stored again: the fewest new bytes that still read in long runs.
//!
//! Every place where reading does not go on where it was is a seek. A known stretch between new ones costs two of them,
//! none when what is read before or after it lies beside it in the same pack. With a price in bytes for a seek, the
//! cheapest way through a file is found exactly, stretch by stretch; the price rises until the file has no more extents
//! than it may have. Knows lengths and places, not bytes; reads and writes nothing.

use super::MIN_RUN;
use super::known::Place;

/// What a seek costs at the least and at the most, in bytes: a known stretch that lies alone is worth two of them. So
/// below 128 KiB it is always stored again, and from 1 MiB on never.
const PRICES: (u64, u64) = (MIN_RUN / 16, MIN_RUN / 2);
/// How exactly the price is found.
const STEP: u64 = PRICES.0 / 16;
/// Extents that any file may have.
const SOME: u64 = 16;

/// A stretch that is shared or stored as one.
#[derive(Debug, Clone)]
pub(super) struct Atom {
    pub(super) len: u64,
    /// Where it is known; each begins a stretch of `len` bytes.
    pub(super) places: Vec<Place>,
    /// Where its bytes are to be had when it is stored; one that has none is shared.
    pub(super) spot: Option<Spot>,
}

/// A place in the spooled file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: u64,
    /// The piece it lies in, and where that begins.
    pub(super) piece: usize,
    pub(super) piece_at: u64,
}

/// What becomes of an atom: shared from the place of this number, or stored.
pub(super) type Choice = Option<usize>;

impl Atom {
    /// What can become of it. There is at least one way.
    fn choices(&self) -> impl Iterator<Item = Choice> + '_ {
        (0..self.places.len()).map(Some).chain(self.spot.map(|_| None))
    }

    fn new_bytes(&self, choice: Choice) -> u64 {
        if choice.is_none() { self.len } else { 0 }
    }
}

/// How many extents a file of `size` bytes may have: a mebibyte each on average, and some more.
pub(super) fn most_extents(size: u64) -> u64 {
    size / MIN_RUN + SOME
}

/// Decides about each atom of a file, so that it has at most `most` extents if that can be.
pub(super) fn arrange(atoms: &[Atom], most: u64) -> Vec<Choice> {
    let fits = |choices: &[Choice]| seeks(atoms, choices).iter().sum::<u64>() < most;
    let (mut low, mut high) = PRICES;
    let mut many = cheapest(atoms, low);
    if fits(&many) {
        return many;
    }
    let mut few = cheapest(atoms, high);
    while high - low > STEP && fits(&few) {
        let middle = low.midpoint(high);
        let choices = cheapest(atoms, middle);
        if fits(&choices) { (high, few) = (middle, choices) } else { (low, many) = (middle, choices) }
    }
    join(atoms, &many, &few, most)
}

/// As many extents as there may be: the front of a way with too many, the rest of one with fewer.
fn join(atoms: &[Atom], many: &[Choice], few: &[Choice], most: u64) -> Vec<Choice> {
    let (front, back) = (seeks(atoms, many), seeks(atoms, few));
    let mut extents = 1 + back.iter().sum::<u64>();
    let mut best = 0;
    for at in 0..atoms.len() {
        extents = extents + front[at] - back[at];
        if many[at] == few[at] && extents <= most {
            best = at + 1;
        }
    }
    many[..best].iter().chain(&few[best..]).copied().collect()
}

/// For each atom, whether reading it begins with a seek; the first does not.
fn seeks(atoms: &[Atom], choices: &[Choice]) -> Vec<u64> {
    let pairs = atoms.windows(2).zip(choices.windows(2));
    let seek =
        |(atoms, choices): (&[Atom], &[Choice])| seek((&atoms[0], choices[0]), (&atoms[1], choices[1]));
    let first = atoms.first().map(|_| 0);
    first.into_iter().chain(pairs.map(seek)).collect()
}

/// Whether there is a seek between one atom and the next.
fn seek((before, left): (&Atom, Choice), (after, right): (&Atom, Choice)) -> u64 {
    let goes_on = match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => {
            let (pack, start) = before.places[left];
            (pack, start.saturating_add(before.len)) == after.places[right]
        }
        _ => false,
    };
    u64::from(!goes_on)
}

/// The cheapest way through all atoms: new bytes, and `price` for each seek.
fn cheapest(atoms: &[Atom], price: u64) -> Vec<Choice> {
    // For each atom and each way it can go: the one before it that is best, and what all costs up to here.
    let mut ways: Vec<Vec<(Choice, usize)>> = Vec::with_capacity(atoms.len());
    let mut costs: Vec<u64> = Vec::new();
    for (at, atom) in atoms.iter().enumerate() {
        let mut next = Vec::new();
        let mut here = Vec::new();
        for choice in atom.choices() {
            let from = |(way, &cost): (usize, &u64)| {
                let before = ways[at - 1][way].0;
                (cost.saturating_add(price * seek((&atoms[at - 1], before), (atom, choice))), way)
            };
            let (cost, way) = costs.iter().enumerate().map(from).min().unwrap_or_default();
            next.push(cost.saturating_add(atom.new_bytes(choice)));
            here.push((choice, way));
        }
        ways.push(here);
        costs = next;
    }
    let mut way = costs.iter().enumerate().min_by_key(|(_, cost)| **cost).map_or(0, |(way, _)| way);
    let mut choices: Vec<Choice> = Vec::with_capacity(atoms.len());
    for here in ways.iter().rev() {
        let (choice, before) = here[way];
        choices.push(choice);
        way = before;
    }
    choices.reverse();
    choices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::id::PackId;

    fn atom(len: u64, places: &[(u8, u64)], stored: bool) -> Atom {
        let places = places.iter().map(|&(pack, start)| (PackId::from_bytes([pack; 16]), start)).collect();
        Atom { len, places, spot: stored.then_some(Spot { at: 0, piece: 0, piece_at: 0 }) }
    }

    /// Every way through.
    fn all(atoms: &[Atom]) -> Vec<Vec<Choice>> {
        atoms.iter().fold(vec![Vec::new()], |ways, atom| {
            let with = |way: &Vec<Choice>| {
                let way = way.clone();
                atom.choices().map(move |choice| [way.as_slice(), &[choice]].concat()).collect::<Vec<_>>()
            };
            ways.iter().flat_map(with).collect()
        })
    }

    fn cost(atoms: &[Atom], choices: &[Choice], price: u64) -> u64 {
        let new: u64 = atoms.iter().zip(choices).map(|(atom, &choice)| atom.new_bytes(choice)).sum();
        new + price * seeks(atoms, choices).iter().sum::<u64>()
    }

    fn atoms() -> impl Strategy<Value = Vec<Atom>> {
        // Few packs and places, so that some follow each other.
        let unit = 40 << 10;
        let places = prop::collection::vec((0u8..3, (0u64..6).prop_map(move |n| n * unit)), 0..3);
        let one = (1u64..3, places, any::<bool>()).prop_map(move |(n, places, stored)| {
            let stored = stored || places.is_empty();
            atom(n * unit, &places, stored)
        });
        prop::collection::vec(one, 0..7)
    }

    proptest! {
        #[test]
        fn no_way_is_cheaper(atoms in atoms(), price in 1u64..200_000) {
            let found = cost(&atoms, &cheapest(&atoms, price), price);
            let best = all(&atoms).iter().map(|way| cost(&atoms, way, price)).min();
            prop_assert_eq!(Some(found), best);
        }

        #[test]
        fn there_are_as_few_extents_as_asked_for_at_the_highest_price(atoms in atoms(), most in 1u64..6) {
            let extents = |way: &[Choice]| 1 + seeks(&atoms, way).iter().sum::<u64>();
            let found = arrange(&atoms, most);
            prop_assert!(extents(&found) <= most.max(extents(&cheapest(&atoms, PRICES.1))));
            // Never dearer than storing again whatever lies alone.
            prop_assert!(cost(&atoms, &found, PRICES.1) >= cost(&atoms, &cheapest(&atoms, PRICES.1), PRICES.1));
            prop_assert!(cost(&atoms, &found, 0) <= cost(&atoms, &cheapest(&atoms, PRICES.1), 0));
        }
    }

    #[test]
    fn of_equal_stretches_as_many_are_shared_as_there_may_be() {
        let mut atoms = Vec::new();
        for n in 0..20 {
            atoms.push(atom(300 << 10, &[(1, n << 20)], true));
            atoms.push(atom(100, &[], true));
        }
        let shared = |most| arrange(&atoms, most).iter().flatten().count();
        assert_eq!([1, 11, 21, 1000].map(shared), [0, 5, 10, 20]);
    }
}
