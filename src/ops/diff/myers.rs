//! Which lines of two texts are the same: Myers' algorithm with Git's shortcuts, so that results are Git's.
//!
//! E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), searching from both ends. Lines that cannot be
//! matched are set aside first (`kept`), and a search that costs too much takes the best split so far: time stays near linear
//! in the number of lines, whatever the texts are. Works on numbers that stand for lines; where a change may slide to
//! is `slide`'s business.

mod kept;

use kept::{Kept, rough_root};

/// A search may always cost this much.
const MIN_COST_LIMIT: isize = 256;
/// All searches together go this many steps, some seconds; then what is left counts as replaced. Texts that were edited
/// stay far below; one whose parts were shuffled, or that was reversed, could take minutes.
const MAX_STEPS: isize = 1 << 30;
/// From this cost on a long common run is good enough.
const GOOD_ENOUGH_COST: isize = 256;
/// What makes a common run long.
const LONG_RUN: isize = 20;
/// How much further than its cost a path must have come to be good enough.
const GOOD_ENOUGH_FACTOR: isize = 4;

/// What became of the lines: `true` for those that are not in the other text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) old: Vec<bool>,
    pub(super) new: Vec<bool>,
}

/// Compares two texts whose lines are numbered alike: equal numbers, equal lines. Numbers are less than `kinds`.
pub(super) fn compare(old: &[u32], new: &[u32], kinds: usize) -> Changed {
    compare_within(MAX_STEPS, old, new, kinds)
}

fn compare_within(steps: isize, old: &[u32], new: &[u32], kinds: usize) -> Changed {
    let mut changed = Changed { old: vec![false; old.len()], new: vec![false; new.len()] };
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let suffix =
        old[prefix..].iter().rev().zip(new[prefix..].iter().rev()).take_while(|(a, b)| a == b).count();
    let count = |lines: &[u32]| {
        let mut counts = vec![0_usize; kinds];
        lines.iter().for_each(|&line| counts[line as usize] += 1);
        counts
    };
    let (in_old, in_new) = (count(old), count(new));
    let old = Kept::new(old, prefix..old.len() - suffix, &in_new, &mut changed.old);
    let new = Kept::new(new, prefix..new.len() - suffix, &in_old, &mut changed.new);
    Search::new(&old, &new, steps).run(&mut changed);
    changed
}

/// A part of both texts, still to be compared.
#[derive(Debug, Clone, Copy)]
struct Part {
    old: (isize, isize),
    new: (isize, isize),
    /// Whether only the cheapest way will do.
    thorough: bool,
}

/// Furthest places on each diagonal (old place minus new place).
struct Reach {
    places: Vec<isize>,
    origin: isize,
    low: isize,
    high: isize,
}

impl Reach {
    fn new(diagonals: usize, origin: isize) -> Self {
        Self { places: vec![0; diagonals], origin, low: 0, high: 0 }
    }

    fn get(&self, diagonal: isize) -> isize {
        self.places[usize::try_from(diagonal + self.origin).unwrap_or(0)]
    }

    fn set(&mut self, diagonal: isize, place: isize) {
        self.places[usize::try_from(diagonal + self.origin).unwrap_or(0)] = place;
    }

    fn start(&mut self, diagonal: isize, place: isize) {
        (self.low, self.high) = (diagonal, diagonal);
        self.set(diagonal, place);
    }

    /// One more diagonal at either side, or one less where the part ends; `outside` stands for "not reached".
    fn widen(&mut self, low: isize, high: isize, outside: isize) {
        if self.low > low {
            self.low -= 1;
            self.set(self.low - 1, outside);
        } else {
            self.low += 1;
        }
        if self.high < high {
            self.high += 1;
            self.set(self.high + 1, outside);
        } else {
            self.high -= 1;
        }
    }

    fn contains(&self, diagonal: isize) -> bool {
        (self.low..=self.high).contains(&diagonal)
    }

    /// Every other diagonal, from the highest.
    fn diagonals(&self) -> impl Iterator<Item = isize> + use<> {
        let (low, high) = (self.low, self.high);
        (0..).map(move |n| high - 2 * n).take_while(move |&diagonal| diagonal >= low)
    }
}

/// Where a part is cut in two, and which halves must be searched thoroughly.
struct Split {
    old: isize,
    new: isize,
    thorough: (bool, bool),
}

struct Search<'a> {
    old: &'a Kept,
    new: &'a Kept,
    forward: Reach,
    backward: Reach,
    cost_limit: isize,
    /// How many steps may still be gone.
    steps: isize,
}

impl<'a> Search<'a> {
    fn new(old: &'a Kept, new: &'a Kept, steps: isize) -> Self {
        let diagonals = old.kinds.len() + new.kinds.len() + 3;
        let limit = isize::try_from(rough_root(diagonals)).unwrap_or(isize::MAX).max(MIN_COST_LIMIT);
        let reach = || Reach::new(diagonals, new.len() + 1);
        Self { old, new, forward: reach(), backward: reach(), cost_limit: limit, steps }
    }

    fn run(&mut self, changed: &mut Changed) {
        let mut parts = vec![Part { old: (0, self.old.len()), new: (0, self.new.len()), thorough: false }];
        while let Some(part) = parts.pop() {
            let part = self.shrunk(part);
            let one_is_empty = part.old.0 == part.old.1 || part.new.0 == part.new.1;
            let Some(split) = (if one_is_empty { None } else { self.split(part) }) else {
                mark(self.old, part.old, &mut changed.old);
                mark(self.new, part.new, &mut changed.new);
                continue;
            };
            let (low, high) = split.thorough;
            parts.push(Part { old: (split.old, part.old.1), new: (split.new, part.new.1), thorough: high });
            parts.push(Part { old: (part.old.0, split.old), new: (part.new.0, split.new), thorough: low });
        }
    }

    /// Without what is equal at both ends.
    fn shrunk(&self, mut part: Part) -> Part {
        let left = |part: &Part| part.old.0 < part.old.1 && part.new.0 < part.new.1;
        while left(&part) && self.old.at(part.old.0) == self.new.at(part.new.0) {
            part.old.0 += 1;
            part.new.0 += 1;
        }
        while left(&part) && self.old.at(part.old.1 - 1) == self.new.at(part.new.1 - 1) {
            part.old.1 -= 1;
            part.new.1 -= 1;
        }
        part
    }

    /// Goes forward from the start and backward from the end by one edit at a time until the paths meet, or a place is
    /// good enough to be cut at. `None` when there were too many steps.
    fn split(&mut self, part: Part) -> Option<Split> {
        let (middle_forward, middle_backward) = (part.old.0 - part.new.0, part.old.1 - part.new.1);
        let is_odd = (middle_forward - middle_backward) % 2 != 0;
        let (low, high) = (part.old.0 - part.new.1, part.old.1 - part.new.0);
        self.forward.start(middle_forward, part.old.0);
        self.backward.start(middle_backward, part.old.1);
        let mut cost = 0;
        while self.steps > 0 {
            cost += 1;
            self.forward.widen(low, high, -1);
            let mut met = None;
            let mut ran_far = self.step_forward(part, is_odd, &mut met);
            if met.is_none() {
                self.backward.widen(low, high, isize::MAX);
                ran_far |= self.step_backward(part, is_odd, &mut met);
            }
            if let Some((old, diagonal)) = met {
                return Some(Split { old, new: old - diagonal, thorough: (true, true) });
            }
            if part.thorough {
                continue;
            }
            if ran_far
                && cost > GOOD_ENOUGH_COST
                && let Some(split) = self.good_enough(part, cost, middle_forward, middle_backward)
            {
                return Some(split);
            }
            if cost >= self.cost_limit {
                return Some(self.furthest(part));
            }
        }
        None
    }

    /// Answers whether there was a long common run; says where the paths met, if they did.
    fn step_forward(&mut self, part: Part, is_odd: bool, met: &mut Option<(isize, isize)>) -> bool {
        let mut ran_far = false;
        for diagonal in self.forward.diagonals() {
            let (below, above) = (self.forward.get(diagonal - 1), self.forward.get(diagonal + 1));
            let start = if below >= above { below + 1 } else { above };
            let mut place = start;
            while place < part.old.1
                && place - diagonal < part.new.1
                && self.old.at(place) == self.new.at(place - diagonal)
            {
                place += 1;
            }
            self.steps -= 1 + place - start;
            ran_far |= place - start > LONG_RUN;
            self.forward.set(diagonal, place);
            if is_odd && self.backward.contains(diagonal) && self.backward.get(diagonal) <= place {
                *met = Some((place, diagonal));
                return ran_far;
            }
        }
        ran_far
    }

    /// The same from the other end.
    fn step_backward(&mut self, part: Part, is_odd: bool, met: &mut Option<(isize, isize)>) -> bool {
        let mut ran_far = false;
        for diagonal in self.backward.diagonals() {
            let (below, above) = (self.backward.get(diagonal - 1), self.backward.get(diagonal + 1));
            let start = if below < above { below } else { above - 1 };
            let mut place = start;
            while place > part.old.0
                && place - diagonal > part.new.0
                && self.old.at(place - 1) == self.new.at(place - diagonal - 1)
            {
                place -= 1;
            }
            self.steps -= 1 + start - place;
            ran_far |= start - place > LONG_RUN;
            self.backward.set(diagonal, place);
            if !is_odd && self.forward.contains(diagonal) && place <= self.forward.get(diagonal) {
                *met = Some((place, diagonal));
                return ran_far;
            }
        }
        ran_far
    }

    /// The place that came furthest for its cost, at the end of a long common run.
    fn good_enough(&self, part: Part, cost: isize, from_start: isize, from_end: isize) -> Option<Split> {
        let enough = GOOD_ENOUGH_FACTOR * cost;
        let (mut best, mut found) = (0, None);
        for diagonal in self.forward.diagonals() {
            let old = self.forward.get(diagonal);
            let new = old - diagonal;
            let value = (old - part.old.0) + (new - part.new.0) - (diagonal - from_start).abs();
            let is_inside = (part.old.0 + LONG_RUN..part.old.1).contains(&old)
                && (part.new.0 + LONG_RUN..part.new.1).contains(&new);
            let is_run = || (1..=LONG_RUN).all(|back| self.old.at(old - back) == self.new.at(new - back));
            if value > enough && value > best && is_inside && is_run() {
                best = value;
                found = Some(Split { old, new, thorough: (true, false) });
            }
        }
        if found.is_some() {
            return found;
        }
        for diagonal in self.backward.diagonals() {
            let old = self.backward.get(diagonal);
            let new = old - diagonal;
            let value = (part.old.1 - old) + (part.new.1 - new) - (diagonal - from_end).abs();
            let is_inside = (part.old.0 + 1..=part.old.1 - LONG_RUN).contains(&old)
                && (part.new.0 + 1..=part.new.1 - LONG_RUN).contains(&new);
            let is_run = || (0..LONG_RUN).all(|on| self.old.at(old + on) == self.new.at(new + on));
            if value > enough && value > best && is_inside && is_run() {
                best = value;
                found = Some(Split { old, new, thorough: (false, true) });
            }
        }
        found
    }

    /// The place that came furthest of all.
    fn furthest(&self, part: Part) -> Split {
        let mut forward = (-1, -1);
        for diagonal in self.forward.diagonals() {
            let mut old = self.forward.get(diagonal).min(part.old.1);
            if old - diagonal > part.new.1 {
                old = part.new.1 + diagonal;
            }
            if forward.0 < 2 * old - diagonal {
                forward = (2 * old - diagonal, old);
            }
        }
        let mut backward = (isize::MAX, isize::MAX);
        for diagonal in self.backward.diagonals() {
            let mut old = self.backward.get(diagonal).max(part.old.0);
            if old - diagonal < part.new.0 {
                old = part.new.0 + diagonal;
            }
            if 2 * old - diagonal < backward.0 {
                backward = (2 * old - diagonal, old);
            }
        }
        if part.old.1 + part.new.1 - backward.0 < forward.0 - (part.old.0 + part.new.0) {
            Split { old: forward.1, new: forward.0 - forward.1, thorough: (true, false) }
        } else {
            Split { old: backward.1, new: backward.0 - backward.1, thorough: (false, true) }
        }
    }
}

fn mark(kept: &Kept, range: (isize, isize), changed: &mut [bool]) {
    let index = |place: isize| usize::try_from(place).unwrap_or(0);
    kept.places[index(range.0)..index(range.1)].iter().for_each(|&place| changed[place] = true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Instant;

    fn common(lines: &[u32], changed: &[bool]) -> Vec<u32> {
        lines.iter().zip(changed).filter(|(_, changed)| !**changed).map(|(line, _)| *line).collect()
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_same_in_both(
            old in prop::collection::vec(0..5_u32, 0..60), new in prop::collection::vec(0..5_u32, 0..60),
        ) {
            let changed = compare(&old, &new, 5);
            prop_assert_eq!(common(&old, &changed.old), common(&new, &changed.new));
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_same_in_both_when_steps_run_out(
            old in prop::collection::vec(0..5_u32, 0..60), new in prop::collection::vec(0..5_u32, 0..60),
            steps in 0..400_isize,
        ) {
            let changed = compare_within(steps, &old, &new, 5);
            prop_assert_eq!(common(&old, &changed.old), common(&new, &changed.new));
        }
    }

    #[test]
    fn steps_run_out_where_most_lines_are_in_another_place() {
        let old: Vec<u32> = (0..100_000).collect();
        let new: Vec<u32> = old.iter().rev().copied().collect();
        let (few, start) = (compare_within(1 << 20, &old, &new, old.len()), Instant::now());
        assert_eq!(common(&old, &few.old), common(&new, &few.new));
        assert!(start.elapsed().as_secs() < 60);
        // A text that was edited is compared to the end.
        let edited: Vec<u32> = old.iter().copied().filter(|line| line % 1000 != 7).collect();
        let changed = compare_within(1 << 24, &old, &edited, old.len());
        assert_eq!(changed.old.iter().filter(|changed| **changed).count(), 100);
        assert!(!changed.new.contains(&true));
    }

    #[test]
    fn no_text_takes_long() {
        // Blank lines between lines that differ; and two texts of few kinds of lines in no order.
        let lines = 200_000_u32;
        let between =
            |first: u32| (0..lines).map(|n| if n % 2 == 0 { 0 } else { first + n }).collect::<Vec<_>>();
        let mut state = 1_u64;
        let mut noise = || {
            (0..lines / 4)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    u32::try_from(state >> 60).unwrap()
                })
                .collect::<Vec<_>>()
        };
        let cases = [(between(1), between(1 + lines)), (noise(), noise())];
        let start = Instant::now();
        for (old, new) in cases {
            let changed = compare(&old, &new, 2 * lines as usize + 2);
            assert_eq!(common(&old, &changed.old), common(&new, &changed.new));
        }
        // Hours, were it quadratic; seconds at worst on a busy machine without optimisation.
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}
