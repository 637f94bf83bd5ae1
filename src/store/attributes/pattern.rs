//! Git's path patterns: `*`, `?`, `[...]`, `**` between slashes, backslash escapes.
//!
//! Exists because no crate agrees with Git's `wildmatch.c` everywhere (unclosed classes, `**` next to letters,
//! escapes) and Git's own algorithm backtracks. Here a pattern is a row of steps and matching walks a set of
//! positions through it: pattern length times path length at most. It must not know attributes or files.

/// A pattern relative to one folder.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    /// Without a slash, a pattern speaks of names in any folder below.
    basename: bool,
    /// With a slash at its end it speaks of folders, which have no attributes.
    folders_only: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Byte(u8),
    /// `?`: any byte but a slash.
    Any,
    /// `[...]`: any of these bytes; never a slash.
    Class(Box<[bool; 256]>),
    /// `*`: any run without slash.
    Star,
    /// `**`: any run.
    Stars,
    /// Before the two steps of `**/`: they may be left out.
    SkipTwo,
}

impl Pattern {
    /// Reads a pattern, unquoted; `None` if it starts with `!`, which attributes do not have.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        if text.starts_with(b"!") {
            return None;
        }
        let (body, folders_only) = match text.strip_suffix(b"/") {
            Some(body) => (body, true),
            None => (text, false),
        };
        let basename = !body.contains(&b'/');
        let anchored = body.strip_prefix(b"/").unwrap_or(body);
        // A pattern that can match nothing (an unclosed class) counts as one for folders: it has no effect.
        let steps = steps(anchored);
        Some(Self {
            basename,
            folders_only: folders_only || steps.is_none(),
            steps: steps.unwrap_or_default(),
        })
    }

    /// Whether the file `path`, relative to the pattern's folder, matches.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        if self.folders_only {
            return false;
        }
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        self.run(if self.basename { name } else { path })
    }

    /// Walks all positions at once: `here[i]` says that the text so far matches the first `i` steps.
    fn run(&self, text: &[u8]) -> bool {
        let mut here = vec![false; self.steps.len() + 1];
        let mut next = here.clone();
        here[0] = true;
        self.close(&mut here);
        for &byte in text {
            next.fill(false);
            for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| here[*at]) {
                match step.consume(byte) {
                    Consume::No => {}
                    Consume::Stay => next[at] = true,
                    Consume::Advance => next[at + 1] = true,
                }
            }
            self.close(&mut next);
            std::mem::swap(&mut here, &mut next);
        }
        here[self.steps.len()]
    }

    /// Adds the positions reached without text; they all lie further on, so one pass finds them.
    fn close(&self, here: &mut [bool]) {
        for (at, step) in self.steps.iter().enumerate() {
            if here[at] {
                here[at + 1] |= matches!(step, Step::Star | Step::Stars | Step::SkipTwo);
                if matches!(step, Step::SkipTwo) {
                    here[at + 3] = true;
                }
            }
        }
    }
}

enum Consume {
    No,
    Stay,
    Advance,
}

impl Step {
    fn consume(&self, byte: u8) -> Consume {
        let advance = match self {
            Self::Byte(own) => *own == byte,
            Self::Any => byte != b'/',
            Self::Class(set) => set[usize::from(byte)],
            Self::Star if byte != b'/' => return Consume::Stay,
            Self::Stars => return Consume::Stay,
            Self::Star | Self::SkipTwo => false,
        };
        if advance { Consume::Advance } else { Consume::No }
    }
}

/// The steps of a pattern; `None` if it can match nothing: an unclosed class, a backslash at the end.
fn steps(pattern: &[u8]) -> Option<Vec<Step>> {
    let mut steps = Vec::with_capacity(pattern.len());
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        at += 1;
        match byte {
            b'\\' => {
                steps.push(Step::Byte(*pattern.get(at)?));
                at += 1;
            }
            b'?' => steps.push(Step::Any),
            b'[' => {
                let (set, end) = class(pattern, at)?;
                steps.push(Step::Class(set));
                at = end;
            }
            b'*' => at = stars(pattern, at - 1, &mut steps),
            byte => steps.push(Step::Byte(byte)),
        }
    }
    Some(steps)
}

/// Reads the run of stars at `start` and returns where it ends. Two or more cross slashes only if they stand
/// alone between slashes; elsewhere they are one star.
fn stars(pattern: &[u8], start: usize, steps: &mut Vec<Step>) -> usize {
    let length = pattern[start..].iter().take_while(|&&byte| byte == b'*').count();
    let (before, after) = (&pattern[..start], &pattern[start + length..]);
    let alone_before = before.is_empty() || before.ends_with(b"/");
    let alone_after = after.is_empty() || after.starts_with(b"/") || after.starts_with(b"\\/");
    if length < 2 || !(alone_before && alone_after) {
        steps.push(Step::Star);
        return start + length;
    }
    if after.starts_with(b"/") {
        steps.extend([Step::SkipTwo, Step::Stars, Step::Byte(b'/')]);
        return start + length + 1;
    }
    steps.push(Step::Stars);
    start + length
}

/// Reads a class whose `[` is before `at`: the bytes it matches and where it ends. Follows `dowild` in its
/// order of looking: a `]` in front is a member, `[:name:]` a named class, `a-z` a range, `\x` the member `x`.
fn class(pattern: &[u8], mut at: usize) -> Option<(Box<[bool; 256]>, usize)> {
    let mut set = Box::new([false; 256]);
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    let mut previous = None;
    loop {
        let byte = *pattern.get(at)?;
        at += 1;
        let ranges = matches!(pattern.get(at), Some(&next) if next != b']');
        previous = match (byte, previous) {
            (b'\\', _) => Some(member(&mut set, pattern, &mut at)?),
            (b'-', Some(first)) if ranges => {
                let mut last = pattern[at];
                at += 1;
                if last == b'\\' {
                    last = *pattern.get(at)?;
                    at += 1;
                }
                (first..=last).for_each(|byte| set[usize::from(byte)] = true);
                None
            }
            (b'[', _) if pattern.get(at) == Some(&b':') && names_class(&pattern[at + 1..])? => {
                named(&mut set, pattern, &mut at)?;
                None
            }
            (byte, _) => {
                set[usize::from(byte)] = true;
                Some(byte)
            }
        };
        if pattern.get(at) == Some(&b']') {
            break;
        }
    }
    if negated {
        set.iter_mut().for_each(|member| *member = !*member);
    }
    set[usize::from(b'/')] = false;
    Some((set, at + 1))
}

/// The member at `at`, after a backslash.
fn member(set: &mut [bool; 256], pattern: &[u8], at: &mut usize) -> Option<u8> {
    let byte = *pattern.get(*at)?;
    *at += 1;
    set[usize::from(byte)] = true;
    Some(byte)
}

/// Whether what follows `[:` ends in `:]`; if not, the bracket is a member. `None` if no bracket follows at all.
fn names_class(rest: &[u8]) -> Option<bool> {
    let length = rest.iter().position(|&byte| byte == b']')?;
    Some(rest[..length].ends_with(b":"))
}

/// Adds the named class whose first `:` is at `at`; `None` if there is no class of that name.
fn named(set: &mut [bool; 256], pattern: &[u8], at: &mut usize) -> Option<()> {
    let start = *at + 1;
    let length = pattern[start..].iter().position(|&byte| byte == b']')?;
    let name = pattern[start..start + length].strip_suffix(b":")?;
    for byte in 0..=u8::MAX {
        set[usize::from(byte)] |= in_named_class(name, byte)?;
    }
    *at = start + length + 1;
    Some(())
}

/// Git's own ideas of the POSIX classes (`git-compat-util.h`): ASCII only, vertical tab and form feed no space.
fn in_named_class(name: &[u8], byte: u8) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => matches!(byte, b' '..=b'~'),
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => matches!(byte, b' ' | b'\t' | b'\r' | b'\n'),
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let parsed = Pattern::parse(pattern.as_bytes()).unwrap();
        for path in yes {
            assert!(parsed.matches(path.as_bytes()), "{pattern} should match {path}");
        }
        for path in no {
            assert!(!parsed.matches(path.as_bytes()), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn without_a_slash_a_name_anywhere() {
        check("*.bin", &["a.bin", ".bin", "x/y/a.bin"], &["a.bin/x", "abin", "a.bin2"]);
        check("a", &["a", "x/a"], &["b", "a/b"]);
        check("?b*", &["ab", "x/abc"], &["b", "a/b"]);
    }

    #[test]
    fn with_a_slash_a_path_from_here() {
        check("/a", &["a"], &["x/a"]);
        check("a/*.b", &["a/x.b"], &["x/a/x.b", "a/x/x.b"]);
        check("a/", &[], &["a", "a/b"]);
        check("a/**", &["a/b", "a/b/c"], &["a", "b/a/c"]);
        check("**/a", &["a", "x/a", "x/y/a"], &["xa", "a/x"]);
        check("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb", "a/bx"]);
        check("a**/b", &["a/b", "ax/b"], &["a/x/b"]);
        check("**/*/b", &["a/b", "x/a/b"], &["b"]);
    }

    #[test]
    fn classes_and_escapes() {
        check("[a-c]", &["a", "c"], &["d", "-"]);
        check("[!a-c]", &["d", "-"], &["b"]);
        check("[]x]", &["]", "x"], &["y"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[\\]x]", &["]", "x"], &["\\"]);
        check("[[:digit:]x]", &["5", "x"], &["d", ":"]);
        check("[[:x]", &["[", ":", "x"], &["]"]);
        check("\\*", &["*"], &["a", "\\*"]);
        check("a[/]b/c", &[], &["a/b/c"]);
        for broken in ["[a", "[[:nope:]]", "a\\", "[\\", "[a-"] {
            check(broken, &[], &["a", broken, "["]);
        }
        assert!(Pattern::parse(b"!a").is_none());
    }
}
