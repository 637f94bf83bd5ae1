//! Two texts line by line: what was removed and added, and the hunks a unified diff shows.
//!
//! Lines are matched as Git matches them (`myers`), and shown where Git would show them (`slide`). Knows lines; not files,
//! paths or how a patch is written.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use super::myers;
use super::slide::Lines;

/// Bytes at the start of a file in which a NUL makes it binary, as in Git.
const BINARY_PROBE: usize = 8000;
/// Most bytes of the line that a hunk's header shows.
const FUNCTION_LEN: usize = 80;

/// Whether Git would call this content binary: a NUL among its first 8000 bytes.
pub fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(BINARY_PROBE)].contains(&0)
}

/// How two texts differ.
#[derive(Clone)]
pub struct TextDiff {
    old: Side,
    new: Side,
    edits: Vec<Edit>,
}

#[derive(Clone)]
struct Side {
    text: Vec<u8>,
    /// Where each line ends, newline included.
    ends: Vec<usize>,
}

/// Lines of the old text that lines of the new one replace; counted from 0, either range may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Lines that went.
    pub old: Range<usize>,
    /// Lines that came.
    pub new: Range<usize>,
}

/// Neighbouring edits with the lines around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Lines of the old text it covers, counted from 0.
    pub old: Range<usize>,
    /// Lines of the new text it covers, counted from 0.
    pub new: Range<usize>,
    /// The nearest line above that starts with a letter, `_` or `$`: what Git shows after the second `@@`.
    pub function: Vec<u8>,
    edits: Range<usize>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// It is in both.
    Context,
    /// It is in the old text only.
    Removed,
    /// It is in the new text only.
    Added,
}

impl fmt::Debug for TextDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextDiff").field("edits", &self.edits).finish_non_exhaustive()
    }
}

impl Side {
    fn new(text: Vec<u8>) -> Self {
        let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut ends: Vec<usize> = newlines.map(|(at, _)| at + 1).collect();
        if ends.last().copied().unwrap_or(0) < text.len() {
            ends.push(text.len());
        }
        Self { text, ends }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn line(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[number]]
    }
}

/// Runs of changed lines with what is between them.
fn edits(old: &[bool], new: &[bool]) -> Vec<Edit> {
    let (mut edits, mut at) = (Vec::new(), (0, 0));
    let run = |changed: &[bool]| changed.iter().take_while(|changed| **changed).count();
    loop {
        let (removed, added) = (run(&old[at.0..]), run(&new[at.1..]));
        let end = (at.0 + removed, at.1 + added);
        if removed + added > 0 {
            edits.push(Edit { old: at.0..end.0, new: at.1..end.1 });
        }
        if end.0 >= old.len() || end.1 >= new.len() {
            return edits;
        }
        at = (end.0 + 1, end.1 + 1);
    }
}

impl TextDiff {
    /// Compares two texts. Memory is a small multiple of their length.
    pub fn new(old: Vec<u8>, new: Vec<u8>) -> Self {
        let (old, new) = (Side::new(old), Side::new(new));
        let mut kinds: HashMap<&[u8], u32> = HashMap::new();
        let mut number = |side| -> Vec<u32> {
            let lines = (0..Side::len(side)).map(|line| {
                let next = u32::try_from(kinds.len()).unwrap_or(u32::MAX);
                *kinds.entry(Side::line(side, line)).or_insert(next)
            });
            lines.collect()
        };
        let (old_lines, new_lines) = (number(&old), number(&new));
        let mut changed = myers::compare(&old_lines, &new_lines, kinds.len());
        let text = |line| old.line(line);
        Lines { kinds: &old_lines, changed: &mut changed.old, text: &text }.settle(&changed.new);
        let text = |line| new.line(line);
        Lines { kinds: &new_lines, changed: &mut changed.new, text: &text }.settle(&changed.old);
        let edits = edits(&changed.old, &changed.new);
        Self { old, new, edits }
    }

    /// How many lines were added.
    pub fn added(&self) -> usize {
        self.edits.iter().map(|edit| edit.new.len()).sum()
    }

    /// How many lines were removed.
    pub fn removed(&self) -> usize {
        self.edits.iter().map(|edit| edit.old.len()).sum()
    }

    /// The edits, front to back.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The edits with up to `context` lines around each; those that touch are one hunk.
    pub fn hunks(&self, context: usize) -> Vec<Hunk> {
        let mut hunks: Vec<Hunk> = Vec::new();
        let (mut number, mut function, mut looked) = (0, Vec::new(), 0);
        while let Some(first) = self.edits.get(number) {
            let mut end = number + 1;
            while self
                .edits
                .get(end)
                .is_some_and(|next| next.old.start - self.edits[end - 1].old.end <= context.saturating_mul(2))
            {
                end += 1;
            }
            let last = &self.edits[end - 1];
            let before = context.min(first.old.start).min(first.new.start);
            let after = context.min(self.old.ends.len() - last.old.end);
            let old = first.old.start - before..last.old.end + after;
            let new = first.new.start - before..last.new.end + after;
            if let Some(found) = self.function_above(looked..old.start) {
                function = found;
            }
            looked = old.start;
            hunks.push(Hunk { old, new, function: function.clone(), edits: number..end });
            number = end;
        }
        hunks
    }

    fn function_above(&self, lines: Range<usize>) -> Option<Vec<u8>> {
        let starts = |line: &[u8]| {
            line.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$')
        };
        let line = lines.rev().map(|number| self.old.line(number)).find(|line| starts(line))?;
        let line = &line[..line.len().min(FUNCTION_LEN)];
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let line = &line[..line.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1)];
        // Cut where it stops being UTF-8, so that no letter is shown by half.
        let valid = line.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        Some(line[..valid].to_vec())
    }

    /// The lines of a hunk in order, each with its newline if it has one.
    pub fn lines<'a>(&'a self, hunk: &Hunk) -> impl Iterator<Item = (LineKind, &'a [u8])> + use<'a> {
        let mut at = hunk.old.start;
        let mut runs = Vec::new();
        for edit in &self.edits[hunk.edits.clone()] {
            runs.push((LineKind::Context, at..edit.old.start));
            runs.push((LineKind::Removed, edit.old.clone()));
            runs.push((LineKind::Added, edit.new.clone()));
            at = edit.old.end;
        }
        runs.push((LineKind::Context, at..hunk.old.end));
        runs.into_iter().flat_map(move |(kind, lines)| {
            let side = if kind == LineKind::Added { &self.new } else { &self.old };
            lines.map(move |number| (kind, side.line(number)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rebuilt(diff: &TextDiff, wanted: LineKind) -> Vec<u8> {
        let hunks = diff.hunks(usize::MAX / 4);
        let lines = hunks.iter().flat_map(|hunk| diff.lines(hunk));
        lines
            .filter(|(kind, _)| *kind == LineKind::Context || *kind == wanted)
            .flat_map(|(_, l)| l.to_vec())
            .collect()
    }

    #[test]
    fn binary_is_a_nul_near_the_start() {
        assert!(is_binary(b"a\0"));
        assert!(!is_binary(b""));
        let mut late = vec![b'a'; 8000];
        late.push(0);
        assert!(!is_binary(&late));
    }

    #[test]
    fn hunks_that_touch_are_one() {
        let text = |changed: &[usize]| -> Vec<u8> {
            (0..40)
                .flat_map(|n| format!("{}{n}\n", if changed.contains(&n) { "x" } else { "l" }).into_bytes())
                .collect()
        };
        let hunks = |changed: &[usize]| TextDiff::new(text(&[]), text(changed)).hunks(3).len();
        assert_eq!((hunks(&[10, 17]), hunks(&[10, 18])), (1, 2));
        assert_eq!(hunks(&[]), 0);
    }

    proptest! {
        #[test]
        fn both_texts_come_back_out_of_the_difference(
            old in "([abc]{0,2}\n){0,20}[ab]{0,1}", new in "([abc]{0,2}\n){0,20}[ab]{0,1}",
        ) {
            let diff = TextDiff::new(old.clone().into_bytes(), new.clone().into_bytes());
            if old == new {
                prop_assert!(diff.edits().is_empty());
            } else {
                prop_assert_eq!(rebuilt(&diff, LineKind::Removed), old.into_bytes());
                prop_assert_eq!(rebuilt(&diff, LineKind::Added), new.into_bytes());
            }
        }
    }
}
