//! Which paths a transfer takes: patterns as `huggingface_hub`'s `filter_repo_objects` reads them.
//!
//! A pattern is Python's `fnmatch.fnmatchcase`, so `*` crosses `/`; a trailing `/` stands for everything below that
//! folder. Python's own parsing of `[...]` is followed to the letter, with its empty and reversed ranges: the oracle in
//! the tests is Python. Matching takes at most the product of both lengths in time and no memory, whatever the pattern.
//! Knows text; must not know what is matched.

use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::vec::IntoIter;

use serde::{Serialize, Serializer};

/// One pattern, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Star,
    Any,
    Literal(char),
    Set { negated: bool, ranges: Vec<RangeInclusive<char>> },
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { negated, ranges } => ranges.iter().any(|range| range.contains(&c)) != *negated,
        }
    }
}

impl Pattern {
    /// Reads a pattern; every text is one. The empty one matches nothing but the empty path.
    pub fn new(text: &str) -> Self {
        let mut chars: Vec<char> = text.chars().collect();
        if chars.last() == Some(&'/') {
            chars.push('*');
        }
        let last_close = chars.iter().rposition(|&c| c == ']');
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            at += 1;
            match c {
                '*' if tokens.last() == Some(&Token::Star) => {}
                '*' => tokens.push(Token::Star),
                '?' => tokens.push(Token::Any),
                // Behind the last `]` there is none to look for, however many `[` there are.
                '[' => match last_close.filter(|&last| at <= last).and_then(|_| set_end(&chars, at)) {
                    Some(end) => {
                        tokens.push(set(&chars[at..end]));
                        at = end + 1;
                    }
                    None => tokens.push(Token::Literal('[')),
                },
                c => tokens.push(Token::Literal(c)),
            }
        }
        Self { text: text.to_owned(), tokens }
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        let tokens = &self.tokens;
        let (mut token, mut rest) = (0, path.chars());
        // Where to go on when what follows the last star does not fit: one character later. An earlier star never
        // needs to give back what it took, so there is no other choice to come back to.
        let mut retry = None;
        loop {
            let before = rest.clone();
            match (tokens.get(token), rest.next()) {
                (Some(Token::Star), _) => {
                    token += 1;
                    rest = before.clone();
                    retry = Some((token, before));
                }
                (Some(wanted), Some(c)) if wanted.takes(c) => token += 1,
                (None, None) => return true,
                _ => {
                    let Some((after_star, from)) = retry.as_mut() else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    (token, rest) = (*after_star, from.clone());
                }
            }
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Where the `]` is that closes a set whose content starts at `from`. A `]` that comes first is content.
fn set_end(chars: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    if chars.get(at) == Some(&'!') {
        at += 1;
    }
    if chars.get(at) == Some(&']') {
        at += 1;
    }
    chars.get(at..)?.iter().position(|&c| c == ']').map(|found| at + found)
}

/// The set that this text between brackets is, as Python's `fnmatch.translate` makes one of it.
fn set(text: &[char]) -> Token {
    let mut pieces = pieces(text);
    // A range that runs backwards is empty: Python drops both its ends.
    let mut at = pieces.len();
    while at > 1 {
        at -= 1;
        if pieces[at - 1].last() > pieces[at].first() {
            let joined = pieces.remove(at);
            pieces[at - 1].pop();
            pieces[at - 1].extend(&joined[1..]);
        }
    }
    let negated = pieces[0].first() == Some(&'!');
    if negated {
        pieces[0].remove(0);
    }
    let mut ranges = Vec::new();
    let mut pieces = pieces.into_iter().map(|piece| piece.into_iter().peekable()).peekable();
    while let Some(mut piece) = pieces.next() {
        push_piece(&mut ranges, &mut piece, pieces.peek_mut());
    }
    Token::Set { negated, ranges }
}

/// Adds a piece's characters; its last one and the first of the next piece are the ends of a range.
fn push_piece(
    ranges: &mut Vec<RangeInclusive<char>>,
    piece: &mut Peekable<IntoIter<char>>,
    mut next: Option<&mut Peekable<IntoIter<char>>>,
) {
    while let Some(c) = piece.next() {
        let end = if piece.peek().is_none() { next.as_mut().and_then(Iterator::next) } else { None };
        ranges.push(c..=end.unwrap_or(c));
    }
}

/// The text cut at the hyphens that make a range.
fn pieces(text: &[char]) -> Vec<Vec<char>> {
    let mut pieces = Vec::new();
    let (mut start, mut search) = (0, if text.first() == Some(&'!') { 2 } else { 1 });
    while let Some(found) = text.get(search..).and_then(|rest| rest.iter().position(|&c| c == '-')) {
        let hyphen = search + found;
        pieces.push(text[start..hyphen].to_vec());
        (start, search) = (hyphen + 1, hyphen + 3);
    }
    match (text.get(start..).unwrap_or_default(), pieces.last_mut()) {
        ([], Some(last)) => last.push('-'),
        (rest, _) => pieces.push(rest.to_vec()),
    }
    pieces
}

/// What to take and what to leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PathFilter {
    /// When given, only what one of these matches is taken; none at all takes nothing.
    pub allow: Option<Vec<Pattern>>,
    /// What one of these matches is left out.
    pub ignore: Vec<Pattern>,
}

impl PathFilter {
    /// From texts. `allow` without any takes everything.
    pub fn new<A: AsRef<str>, I: AsRef<str>>(allow: &[A], ignore: &[I]) -> Self {
        let allow = (!allow.is_empty()).then(|| patterns(allow));
        Self { allow, ignore: patterns(ignore) }
    }

    /// Whether it takes everything.
    pub fn takes_all(&self) -> bool {
        self.allow.is_none() && self.ignore.is_empty()
    }

    /// Whether a path is taken.
    pub fn takes(&self, path: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(path));
        self.allow.as_deref().is_none_or(matches) && !matches(&self.ignore)
    }
}

/// Patterns from texts.
pub fn patterns<T: AsRef<str>>(texts: &[T]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every case of `tests/golden/fnmatch.py`, as Python answered it.
    #[test]
    fn python_is_agreed_with() {
        let golden = include_str!("../../tests/golden/fnmatch.json");
        let cases: Vec<(String, Vec<(String, bool)>)> = serde_json::from_str(golden).unwrap();
        assert!(cases.len() > 1000);
        for (text, names) in cases {
            let pattern = Pattern::new(&text);
            for (name, expected) in names {
                assert_eq!(pattern.matches(&name), expected, "{text:?} on {name:?}");
            }
        }
    }

    #[test]
    fn a_star_crosses_folders_and_a_folder_means_what_is_in_it() {
        let filter = PathFilter::new(&["*.safetensors", "data/"], &["*/tmp/*"]);
        for taken in ["a.safetensors", "a/b/c.safetensors", "data/x", "data/x/y"] {
            assert!(filter.takes(taken), "{taken}");
        }
        for left in ["a.bin", "data", "other/data/x", "a/tmp/b.safetensors", "A.SAFETENSORS"] {
            assert!(!filter.takes(left), "{left}");
        }
        assert!(PathFilter::default().takes("anything"));
        assert!(!PathFilter { allow: Some(Vec::new()), ..PathFilter::default() }.takes("anything"));
    }

    #[test]
    fn hostile_patterns_take_no_longer_than_others() {
        let pattern = Pattern::new(&"*a".repeat(500));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(4000))));
        assert!(pattern.matches(&"a".repeat(4000)));
        // Hours, were each bracket looked for to the end.
        let (open, close) = ("[".repeat(1 << 20), format!("[]]{}", "[".repeat(1 << 20)));
        assert!(Pattern::new(&open).matches(&open));
        assert!(Pattern::new(&close).matches(&close[2..]));
    }
}
