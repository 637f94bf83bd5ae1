//! The lines of a text that are worth searching for in the other one; those that are not are set aside first.
//!
//! A line that is not there cannot be matched, and one that is there very often, among lines that are not, only costs
//! time. Which are taken is Git's choice, so that results are Git's.

use std::ops::Range;

/// Lines with more matches than this are set aside among lines that have none.
const MAX_MATCHES: usize = 1024;
/// How far around such a line is looked.
const WINDOW: usize = 100;

/// Roughly the square root, as Git takes it: a power of two.
pub(super) fn rough_root(n: usize) -> usize {
    let bits = usize::BITS - n.leading_zeros();
    1 << bits.div_ceil(2)
}

/// The lines of a text that take part in the search.
pub(super) struct Kept {
    pub(super) kinds: Vec<u32>,
    pub(super) places: Vec<usize>,
}

/// How often a line is in the other text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matches {
    None,
    Some,
    Many,
}

impl Kept {
    /// The lines of `range`, but for those that cannot be matched: they are `changed`. `elsewhere` is how often each kind
    /// is in the other text.
    pub(super) fn new(lines: &[u32], range: Range<usize>, elsewhere: &[usize], changed: &mut [bool]) -> Self {
        let limit = rough_root(lines.len()).min(MAX_MATCHES);
        let matches: Vec<Matches> = lines[range.clone()]
            .iter()
            .map(|&line| match elsewhere[line as usize] {
                0 => Matches::None,
                n if n >= limit => Matches::Many,
                _ => Matches::Some,
            })
            .collect();
        let mut kept = Self { kinds: Vec::new(), places: Vec::new() };
        for (at, place) in range.enumerate() {
            let is_kept = match matches[at] {
                Matches::None => false,
                Matches::Some => true,
                Matches::Many => !is_noise(&matches, at),
            };
            if is_kept {
                kept.kinds.push(lines[place]);
                kept.places.push(place);
            } else {
                changed[place] = true;
            }
        }
        kept
    }

    /// The kind of the line at a place; nothing that a line is, outside.
    pub(super) fn at(&self, index: isize) -> u32 {
        usize::try_from(index).ok().and_then(|index| self.kinds.get(index)).copied().unwrap_or(u32::MAX)
    }

    pub(super) fn len(&self) -> isize {
        isize::try_from(self.kinds.len()).unwrap_or(isize::MAX)
    }
}

/// Whether a line of many matches stands among lines that have none, before and after, and few like itself.
fn is_noise(matches: &[Matches], at: usize) -> bool {
    let count = |side: &mut dyn Iterator<Item = &Matches>| {
        let (mut none, mut many) = (0, 1);
        for &one in side.take(WINDOW) {
            match one {
                Matches::None => none += 1,
                Matches::Many => many += 1,
                Matches::Some => break,
            }
        }
        (none, many)
    };
    let (none_before, many_before) = count(&mut matches[..at].iter().rev());
    if none_before == 0 {
        return false;
    }
    let (none_after, many_after) = count(&mut matches[at + 1..].iter());
    let (none, many) = (none_before + none_after, many_before + many_after);
    none_after > 0 && many * 4 < many + none
}
