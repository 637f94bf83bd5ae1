//! Where a change is shown when it could be in several places: added lines between equal ones can slide up and down.
//!
//! As Git does it: next to a change of the other text if there is one, else where the indentation says that a block
//! starts or ends. Knows lines and which of them changed; not how that was found out.

/// Indentation beyond this counts as this.
const MAX_INDENT: i32 = 200;
/// Blank lines beyond this count as this.
const MAX_BLANKS: i32 = 20;
/// How far up a change is tried.
const MAX_SLIDE: usize = 100;

/// The lines of a text and which of them changed.
pub(super) struct Lines<'a> {
    /// Equal numbers, equal lines.
    pub(super) kinds: &'a [u32],
    pub(super) changed: &'a mut [bool],
    /// The text of a line.
    pub(super) text: &'a dyn Fn(usize) -> &'a [u8],
}

/// A run of changed lines, perhaps empty, between two that did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn first(changed: &[bool]) -> Self {
        Self { start: 0, end: changed.iter().take_while(|changed| **changed).count() }
    }

    fn is_empty(self) -> bool {
        self.start == self.end
    }

    fn len(self) -> usize {
        self.end - self.start
    }

    /// The group after the next line that did not change; answers whether there is one.
    fn go_on(&mut self, changed: &[bool]) -> bool {
        if self.end == changed.len() {
            return false;
        }
        self.start = self.end + 1;
        self.end = self.start + changed[self.start..].iter().take_while(|changed| **changed).count();
        true
    }

    fn go_back(&mut self, changed: &[bool]) -> bool {
        if self.start == 0 {
            return false;
        }
        self.end = self.start - 1;
        self.start = self.end - changed[..self.end].iter().rev().take_while(|changed| **changed).count();
        true
    }
}

impl Lines<'_> {
    /// Moves a group up by a line; it takes in the group it meets.
    fn slide_up(&mut self, group: &mut Group) -> bool {
        if group.start == 0 || self.kinds[group.start - 1] != self.kinds[group.end - 1] {
            return false;
        }
        group.start -= 1;
        group.end -= 1;
        self.changed[group.start] = true;
        self.changed[group.end] = false;
        group.start -= self.changed[..group.start].iter().rev().take_while(|changed| **changed).count();
        true
    }

    fn slide_down(&mut self, group: &mut Group) -> bool {
        if group.end == self.kinds.len() || self.kinds[group.start] != self.kinds[group.end] {
            return false;
        }
        self.changed[group.start] = false;
        self.changed[group.end] = true;
        group.start += 1;
        group.end += 1;
        group.end += self.changed[group.end..].iter().take_while(|changed| **changed).count();
        true
    }

    /// Puts every change where it reads best. `other` says what changed in the other text.
    pub(super) fn settle(&mut self, other: &[bool]) {
        let (mut group, mut opposite) = (Group::first(self.changed), Group::first(other));
        loop {
            if !group.is_empty() {
                self.settle_group(&mut group, &mut opposite, other);
            }
            if !group.go_on(self.changed) || !opposite.go_on(other) {
                return;
            }
        }
    }

    fn settle_group(&mut self, group: &mut Group, opposite: &mut Group, other: &[bool]) {
        // Up and down as far as it goes, again when it took in others on the way.
        let (earliest_end, meets_other, size) = loop {
            let size = group.len();
            while self.slide_up(group) {
                opposite.go_back(other);
            }
            let earliest_end = group.end;
            let mut meets_other = !opposite.is_empty();
            while self.slide_down(group) {
                opposite.go_on(other);
                meets_other |= !opposite.is_empty();
            }
            if size == group.len() {
                break (earliest_end, meets_other, size);
            }
        };
        if group.end == earliest_end {
            return;
        }
        if meets_other {
            while opposite.is_empty() && self.slide_up(group) {
                opposite.go_back(other);
            }
            return;
        }
        let best = self.best_end(*group, earliest_end, size);
        while group.end > best && self.slide_up(group) {
            opposite.go_back(other);
        }
    }

    /// Where a group would best end: both where it starts and where it ends count.
    fn best_end(&self, group: Group, earliest_end: usize, size: usize) -> usize {
        let first =
            earliest_end.max(group.end.saturating_sub(size + 1)).max(group.end.saturating_sub(MAX_SLIDE));
        let mut best: Option<(Score, usize)> = None;
        for end in first..=group.end {
            let score = self.score(end).plus(self.score(end - size));
            if best.is_none_or(|(least, _)| !least.is_better_than(score)) {
                best = Some((score, end));
            }
        }
        best.map_or(group.end, |(_, end)| end)
    }

    /// Columns of space a line starts with; `None` for a blank one.
    fn indent(&self, line: usize) -> Option<i32> {
        let mut columns = 0;
        for byte in (self.text)(line) {
            match byte {
                b' ' => columns += 1,
                b'\t' => columns += 8 - columns % 8,
                b'\n' | b'\r' => {}
                _ => return Some(columns),
            }
            if columns >= MAX_INDENT {
                return Some(MAX_INDENT);
            }
        }
        None
    }

    /// Blank lines, and the indentation of the line after them, in the order given.
    fn look(&self, lines: impl Iterator<Item = usize>) -> (i32, Option<i32>) {
        let mut blanks = 0;
        for line in lines {
            if let Some(indent) = self.indent(line) {
                return (blanks, Some(indent));
            }
            blanks += 1;
            if blanks == MAX_BLANKS {
                return (blanks, Some(0));
            }
        }
        (blanks, None)
    }

    /// How badly a text is cut before line `at`. The weights are those Git found best on many projects.
    fn score(&self, at: usize) -> Score {
        let is_end = at >= self.kinds.len();
        let own = if is_end { None } else { self.indent(at) };
        let (blanks_before, before) = self.look((0..at).rev());
        let (blanks_after, after) = self.look((at + 1).min(self.kinds.len())..self.kinds.len());
        let following = if own.is_none() { 1 + blanks_after } else { 0 };
        let blanks = blanks_before + following;
        let indent = own.or(after);
        let mut penalty = -30 * blanks + 6 * following;
        penalty += i32::from(before.is_none() && blanks_before == 0);
        penalty += if is_end { 21 } else { 0 };
        if let (Some(indent), Some(before)) = (indent, before) {
            let or_if_blank = |plain, with_blank| if blanks > 0 { with_blank } else { plain };
            penalty += match indent.cmp(&before) {
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => or_if_blank(-4, 10),
                // It may start a block, or end one.
                std::cmp::Ordering::Less if after.is_some_and(|after| after > indent) => or_if_blank(24, 17),
                std::cmp::Ordering::Less => or_if_blank(23, 17),
            };
        }
        Score { indent: indent.unwrap_or(-1), penalty }
    }
}

/// How badly a change reads at a place.
#[derive(Debug, Clone, Copy)]
struct Score {
    indent: i32,
    penalty: i32,
}

impl Score {
    fn plus(self, other: Self) -> Self {
        Self { indent: self.indent + other.indent, penalty: self.penalty + other.penalty }
    }

    fn is_better_than(self, other: Self) -> bool {
        let by_indent = match self.indent.cmp(&other.indent) {
            std::cmp::Ordering::Less => -60,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 60,
        };
        by_indent + self.penalty - other.penalty < 0
    }
}
