//! The lines that `--graph` draws left of a history, as `git log --graph` draws them.
//!
//! Commits come in topological order, each with its drawn parents. For each there are rows: perhaps some that make room,
//! the one with the `*`, one that splits a merge, and some in which lines move left until each is where the next commit
//! expects it. A row is asked for at a time, so that a message can stand beside it. Knows ids only.

use std::mem;

use super::style::{Paint, Style};
use crate::ops::ObjectId;

/// A line of history that goes on downwards.
#[derive(Debug, Clone, Copy)]
struct Lane {
    /// The commit it leads to.
    to: ObjectId,
    colour: usize,
}

/// Which rows a commit still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// None: rows repeat the lanes.
    Rest,
    /// The last commit was not drawn to its end.
    Gap,
    /// Lanes to the right make room for a merge of many.
    Widen,
    /// The commit itself.
    Commit,
    /// Lanes part after a merge.
    Part,
    /// Lanes move left.
    Settle,
}

/// How a merge's first lane goes: to the left, or straight down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lean {
    Left,
    Down,
}

impl Lean {
    fn columns(self) -> usize {
        usize::from(self == Self::Down)
    }
}

/// A drawing under way.
#[derive(Debug)]
pub(super) struct Graph {
    style: Style,
    commit: Option<ObjectId>,
    parents: Vec<ObjectId>,
    stage: Stage,
    last_stage: Stage,
    /// Lanes above the commit, and below it.
    above: Vec<Lane>,
    below: Vec<Lane>,
    /// The lane of the commit, and of the one before.
    at: usize,
    last_at: usize,
    lean: Option<Lean>,
    /// How many lanes a merge adds; negative when one joins its neighbour at once.
    added: isize,
    last_added: isize,
    /// Rows of [`Stage::Widen`] that were drawn.
    widened: usize,
    /// For each column of the screen the lane in `below` that what is there leads to.
    targets: Vec<Option<usize>>,
    last_targets: Vec<Option<usize>>,
    width: usize,
    colour: usize,
}

/// A row being drawn.
struct Row {
    text: String,
    width: usize,
    style: Style,
}

impl Row {
    fn put(&mut self, c: char) {
        self.text.push(c);
        self.width += 1;
    }

    fn spaces(&mut self, n: usize) {
        (0..n).for_each(|_| self.put(' '));
    }

    fn lane(&mut self, lane: Lane, c: char) {
        self.text += &self.style.paint(Paint::Branch(lane.colour), c.encode_utf8(&mut [0; 4]));
        self.width += 1;
    }
}

impl Graph {
    pub(super) fn new(style: Style) -> Self {
        Self {
            style,
            commit: None,
            parents: Vec::new(),
            stage: Stage::Rest,
            last_stage: Stage::Rest,
            above: Vec::new(),
            below: Vec::new(),
            at: 0,
            last_at: 0,
            lean: None,
            added: 0,
            last_added: 0,
            widened: 0,
            targets: Vec::new(),
            last_targets: Vec::new(),
            width: 0,
            // The first lane takes the one after it.
            colour: 11,
        }
    }

    /// Columns it takes beside the commit at hand.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Whether nothing of the commit at hand is left to draw.
    pub(super) fn is_finished(&self) -> bool {
        self.stage == Stage::Rest
    }

    /// Goes on to the next commit.
    pub(super) fn next(&mut self, commit: ObjectId, parents: Vec<ObjectId>) {
        self.commit = Some(commit);
        self.parents = parents;
        self.last_at = self.at;
        self.lay_out(commit);
        self.widened = 0;
        // The last stage stays: none of this one was drawn yet.
        self.stage = if self.stage != Stage::Rest {
            Stage::Gap
        } else if self.needs_room() {
            Stage::Widen
        } else {
            Stage::Commit
        };
    }

    fn enter(&mut self, stage: Stage) {
        self.last_stage = mem::replace(&mut self.stage, stage);
    }

    /// Parents that are drawn to the right on the commit's own row.
    fn dashes(&self) -> usize {
        (self.parents.len() + self.lean.map_or(0, Lean::columns)).saturating_sub(3)
    }

    fn needs_room(&self) -> bool {
        self.parents.len() >= 3 && self.at + 1 < self.above.len() && self.widened < 2 * self.dashes()
    }

    fn lane_of(&self, commit: ObjectId) -> Option<usize> {
        self.below.iter().position(|lane| lane.to == commit)
    }

    /// Finds where each lane goes on below the commit.
    fn lay_out(&mut self, commit: ObjectId) {
        self.above = mem::take(&mut self.below);
        self.targets = vec![None; 2 * (self.above.len() + self.parents.len())];
        self.width = 0;
        self.last_added = mem::take(&mut self.added);
        let lanes: Vec<ObjectId> = self.above.iter().map(|lane| lane.to).collect();
        let is_new = !lanes.contains(&commit);
        let own = is_new.then_some(commit);
        for (number, to) in lanes.into_iter().chain(own).enumerate() {
            if to != commit {
                self.lead(to, None);
                continue;
            }
            self.at = number;
            self.lean = None;
            for parent in self.parents.clone() {
                if self.parents.len() > 1 || is_new {
                    self.colour = (self.colour + 1) % 12;
                }
                self.lead(parent, Some(number));
            }
            if self.parents.is_empty() {
                self.width += 2;
            }
        }
        let used = self.targets.iter().rposition(Option::is_some).map_or(1, |last| last + 1);
        self.targets.truncate(used);
    }

    /// Leads the next lane to a commit; `from` is the lane of the commit it is a parent of.
    fn lead(&mut self, to: ObjectId, from: Option<usize>) {
        let lane = self.lane_of(to).unwrap_or_else(|| {
            let known = self.above.iter().find(|lane| lane.to == to);
            let colour = known.map_or(self.colour, |lane| lane.colour);
            self.below.push(Lane { to, colour });
            self.below.len() - 1
        });
        let column = match from.filter(|_| self.parents.len() > 1 && self.lean.is_none()) {
            Some(from) => {
                // The first parent of a merge decides how it leans.
                let distance = from.saturating_sub(lane);
                let lean = if distance > 0 { Lean::Left } else { Lean::Down };
                let shift = if distance > 1 { 2 * distance - 3 } else { 1 };
                self.lean = Some(lean);
                self.added = isize::try_from(self.parents.len() + lean.columns()).unwrap_or(isize::MAX) - 2;
                let column = if lean == Lean::Left { self.width.saturating_sub(shift) } else { self.width };
                self.width += 2 * lean.columns();
                column
            }
            None if self.added > 0 && self.width >= 2 && self.targets[self.width - 2] == Some(lane) => {
                // It joins its neighbour at once.
                self.added = -1;
                self.width - 2
            }
            None => {
                self.width += 2;
                self.width - 2
            }
        };
        self.targets[column] = Some(lane);
    }

    fn is_settled(&self) -> bool {
        self.targets.iter().enumerate().all(|(column, target)| target.is_none_or(|lane| lane == column / 2))
    }

    /// The next row, and whether it is the commit's own.
    pub(super) fn row(&mut self) -> (String, bool) {
        let mut row = Row { text: String::new(), width: 0, style: self.style };
        let stage = self.stage;
        match stage {
            Stage::Rest => self.below.iter().for_each(|lane| {
                row.lane(*lane, '|');
                row.put(' ');
            }),
            Stage::Gap => {
                "...".chars().for_each(|c| row.put(c));
                self.enter(if self.needs_room() { Stage::Widen } else { Stage::Commit });
            }
            Stage::Widen => self.widen(&mut row),
            Stage::Commit => self.draw_commit(&mut row),
            Stage::Part => self.part(&mut row),
            Stage::Settle => self.settle(&mut row),
        }
        row.spaces(self.width.saturating_sub(row.width));
        (row.text, stage == Stage::Commit)
    }

    /// A row that belongs to no commit: before its own row, one that only leads on.
    pub(super) fn padding(&mut self) -> String {
        if self.stage != Stage::Commit {
            return self.row().0;
        }
        let mut row = Row { text: String::new(), width: 0, style: self.style };
        for lane in &self.above {
            row.lane(*lane, '|');
            let is_wide = Some(lane.to) == self.commit && self.parents.len() > 2;
            row.spaces(if is_wide { 2 * (self.parents.len() - 2) } else { 1 });
        }
        row.spaces(self.width.saturating_sub(row.width));
        self.last_stage = Stage::Rest;
        row.text
    }

    fn widen(&mut self, row: &mut Row) {
        let mut passed = false;
        for (number, lane) in self.above.iter().enumerate() {
            if Some(lane.to) == self.commit {
                passed = true;
                row.lane(*lane, '|');
                row.spaces(self.widened);
            } else {
                let came_aslant = self.last_stage == Stage::Part && self.last_at < number;
                let moves = passed && (self.widened > 0 || came_aslant);
                row.lane(*lane, if moves { '\\' } else { '|' });
            }
            row.put(' ');
        }
        self.widened += 1;
        if !self.needs_room() {
            self.enter(Stage::Commit);
        }
    }

    fn draw_commit(&mut self, row: &mut Row) {
        let mut passed = false;
        for (number, lane) in self.lanes_and_own() {
            let Some(lane) = lane.filter(|lane| Some(lane.to) != self.commit) else {
                passed = true;
                row.put('*');
                self.draw_dashes(row);
                row.put(' ');
                continue;
            };
            let came_aslant = self.last_stage == Stage::Part && self.last_added > 0 && self.last_at < number;
            let is_target = |targets: &[Option<usize>], column: usize| targets.get(column).copied().flatten();
            let c = if passed && (self.added > 1 || (self.added == 1 && came_aslant)) {
                '\\'
            } else if !(passed && self.added == 1)
                && self.last_stage == Stage::Settle
                && is_target(&self.last_targets, 2 * number + 1) == Some(number)
                && is_target(&self.targets, 2 * number).is_none_or(|lane| lane < number)
            {
                '/'
            } else {
                '|'
            };
            row.lane(lane, c);
            row.put(' ');
        }
        let next = match self.parents.len() {
            2.. => Stage::Part,
            _ if self.is_settled() => Stage::Rest,
            _ => Stage::Settle,
        };
        self.enter(next);
    }

    /// The lanes above, and the commit's own place when it has none there.
    fn lanes_and_own(&self) -> Vec<(usize, Option<Lane>)> {
        let is_new = self.above.iter().all(|lane| Some(lane.to) != self.commit);
        let own = is_new.then_some(None);
        self.above.iter().copied().map(Some).chain(own).enumerate().collect()
    }

    fn draw_dashes(&self, row: &mut Row) {
        if self.parents.len() < 3 {
            return;
        }
        let dashes = self.dashes();
        for number in 0..dashes {
            let column = 2 * (self.at + number + 2);
            let lane = self.targets.get(column).copied().flatten().and_then(|lane| self.below.get(lane));
            let Some(&lane) = lane else { continue };
            row.lane(lane, '-');
            row.lane(lane, if number + 1 == dashes { '.' } else { '-' });
        }
    }

    fn part(&mut self, row: &mut Row) {
        let lean = self.lean.unwrap_or(Lean::Down);
        // A lane that the first parent shares with one on the left is reached by a line on the floor.
        let mut floor: Option<Lane> = None;
        let mut passed = false;
        for (number, lane) in self.lanes_and_own() {
            let own = lane.filter(|lane| Some(lane.to) != self.commit);
            match own {
                None => {
                    passed = true;
                    self.draw_parting(row, lean);
                }
                Some(lane) if passed => {
                    row.lane(lane, if self.added > 0 { '\\' } else { '|' });
                    row.put(' ');
                }
                Some(lane) => {
                    row.lane(lane, '|');
                    if lean == Lean::Down || number + 1 != self.at {
                        match floor {
                            Some(lane) => row.lane(lane, '_'),
                            None => row.put(' '),
                        }
                    }
                }
            }
            let to = lane.map(|lane| lane.to).or(self.commit);
            if to == self.parents.first().copied() {
                floor = lane;
            }
        }
        let next = if self.is_settled() { Stage::Rest } else { Stage::Settle };
        self.enter(next);
    }

    fn draw_parting(&self, row: &mut Row, lean: Lean) {
        let mut shapes = if lean == Lean::Left { ['/', '|', '\\'].iter() } else { ['|', '\\', '\\'].iter() };
        let mut c = '\\';
        for (number, parent) in self.parents.iter().enumerate() {
            c = shapes.next().copied().unwrap_or(c);
            if let Some(lane) = self.lane_of(*parent) {
                row.lane(self.below[lane], c);
            }
            let is_last = number + 1 == self.parents.len();
            if c == '\\' && (self.added > 0 || !is_last) {
                row.put(' ');
            }
        }
        if self.added == 0 {
            row.put(' ');
        }
    }

    fn settle(&mut self, row: &mut Row) {
        let columns = self.targets.len();
        self.last_targets = mem::replace(&mut self.targets, vec![None; columns]);
        // One lane may move far on a row, over a line on the floor.
        let mut far: Option<(usize, usize)> = None;
        for column in 0..columns {
            let Some(lane) = self.last_targets[column] else { continue };
            if lane * 2 == column {
                self.targets[column] = Some(lane);
                continue;
            }
            let step = match self.targets[column - 1] {
                None => 1,
                Some(neighbour) if neighbour == lane => continue,
                Some(_) => 2,
            };
            let Some(to) = column.checked_sub(step) else { continue };
            self.targets[to] = Some(lane);
            if far.is_none() {
                far = Some((column + 1 - step, lane));
                (lane * 2 + 3..column.saturating_sub(2)).step_by(2).for_each(|on_floor| {
                    self.targets[on_floor] = Some(lane);
                });
            }
        }
        self.last_targets = self.targets.clone();
        if self.targets.last().is_some_and(Option::is_none) {
            self.targets.pop();
        }
        self.draw_settling(row, far);
        if self.is_settled() {
            self.enter(Stage::Rest);
        }
    }

    fn draw_settling(&mut self, row: &mut Row, far: Option<(usize, usize)>) {
        let mut used_floor = false;
        for column in 0..self.targets.len() {
            let Some(lane) = self.targets[column] else {
                row.put(' ');
                continue;
            };
            let shown = self.below[lane];
            match far {
                _ if lane * 2 == column => row.lane(shown, '|'),
                Some((edge, target)) if target == lane && column + 1 != edge => {
                    // Only its left end goes on into the next row.
                    if column != lane * 2 + 3 {
                        self.targets[column] = None;
                    }
                    used_floor = true;
                    row.lane(shown, '_');
                }
                _ => {
                    if used_floor && far.is_some_and(|(edge, _)| column < edge) {
                        self.targets[column] = None;
                    }
                    row.lane(shown, '/');
                }
            }
        }
    }
}
