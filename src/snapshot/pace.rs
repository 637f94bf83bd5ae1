//! How a file is being read: from front to back, or here and there.
//!
//! Only who reads on and on profits from having the disk told what comes next; a random reader would pay for it. Knows
//! offsets, not what is there.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How far ahead of a reader the disk is told, in bytes.
const AHEAD: u64 = 8 << 20;
/// Reads so far from where the last one ended still count as one after the other: a kernel asks for several at once.
const SLACK: u64 = 2 << 20;
/// That many reads one after the other make a reader that goes from front to back.
const STEADY: u32 = 2;

/// How a file is being read.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Where the last read ended.
    end: AtomicU64,
    /// Reads in a row that went on about there.
    steady: AtomicU32,
    /// How far the disk has been told.
    told: AtomicU64,
}

impl Pace {
    /// Whether it is read from front to back.
    pub(super) fn is_steady(&self) -> bool {
        self.steady.load(Relaxed) > STEADY
    }

    /// Counts a read. Answers the part of the file, up to `size`, of which the disk should be told.
    pub(super) fn count(&self, offset: u64, len: u64, size: u64) -> Option<Range<u64>> {
        let end = offset + len;
        let last = self.end.swap(end, Relaxed);
        if last == 0 || offset.abs_diff(last) > SLACK {
            self.steady.store(0, Relaxed);
            self.told.store(end, Relaxed);
            return None;
        }
        if self.steady.fetch_add(1, Relaxed) < STEADY {
            return None;
        }
        let told = self.told.load(Relaxed).max(end);
        let until = end.saturating_add(AHEAD).min(size);
        // Not at every read: half of it at a time.
        if until < told.saturating_add(AHEAD / 2) && until < size || until <= told {
            return None;
        }
        self.told.store(until, Relaxed);
        Some(told..until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_told_of_what_a_steady_reader_wants_and_of_nothing_else() {
        let (size, step) = (64 << 20, 128 << 10);
        let pace = Pace::default();
        let mut told = Vec::new();
        for at in (0..size).step_by(usize::try_from(step).unwrap()) {
            told.extend(pace.count(at, step, size));
        }
        assert!(pace.is_steady());
        assert_eq!(told.last().unwrap().end, size);
        assert!(told.windows(2).all(|pair| pair[0].end == pair[1].start), "each part once: {told:?}");
        assert!(told.len() < 20 && told[0].start < 1 << 20, "{told:?}");
    }

    #[test]
    fn the_disk_is_told_nothing_of_a_random_reader() {
        let pace = Pace::default();
        let mut at = 1u64;
        for _ in 0..1000 {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            assert_eq!(pace.count(at % (1 << 40), 64 << 10, 1 << 40), None);
        }
        assert!(!pace.is_steady());
    }
}
