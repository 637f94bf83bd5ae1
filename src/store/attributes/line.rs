//! One line of a `.gitattributes` file: a pattern or a macro's name, then what is set for it.
//!
//! Exists apart from the rules of precedence so that reading can be held against Git's `parse_attr_line` word
//! by word. A line Git would skip is no line here. It must not know which file or folder the line is from.

use super::pattern::Pattern;

/// Lines of this length and more are ignored, as in Git (`ATTR_MAX_LINE_LENGTH`), in bytes.
const MAX_LINE_BYTES: usize = 2048;
const MACRO_PREFIX: &[u8] = b"[attr]";

/// What a line says of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// `name`
    Set,
    /// `-name`
    Unset,
    /// `!name`
    Unspecified,
    /// `name=value`
    Value(Vec<u8>),
}

/// What a line speaks about.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// The paths that match.
    Paths(Pattern),
    /// `[attr]name`: what setting this attribute means.
    Macro(String),
}

/// A line that counts.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) target: Target,
    pub(super) states: Vec<(String, State)>,
}

impl Line {
    /// Reads a line without its newline; `None` for comments, blank lines and whatever Git would complain of.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        // To Git, which keeps lines as C strings, a NUL byte is the end.
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let trimmed = skip_blank(text);
        if trimmed.is_empty() || trimmed[0] == b'#' || text.len() >= MAX_LINE_BYTES {
            return None;
        }
        let (name, words) = match unquote(trimmed) {
            Some((name, rest)) => (name, rest),
            None => word(trimmed),
        };
        let target = match name.strip_prefix(MACRO_PREFIX) {
            Some(rest) if !rest.is_empty() => Target::Macro(attribute_name(&word(skip_blank(rest)).0)?),
            _ => Target::Paths(Pattern::parse(&name)?),
        };
        Some(Self { target, states: parse_states(words)? })
    }
}

/// Every word, or `None` if one of them is not an attribute: Git then ignores the whole line.
fn parse_states(words: &[u8]) -> Option<Vec<(String, State)>> {
    let words = words.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty());
    words.map(parse_state).collect()
}

fn parse_state(word: &[u8]) -> Option<(String, State)> {
    let (name, value) = match word.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    };
    match (name, value) {
        ([b'-', name @ ..], _) => Some((attribute_name(name)?, State::Unset)),
        ([b'!', name @ ..], _) => Some((attribute_name(name)?, State::Unspecified)),
        (name, Some(value)) => Some((attribute_name(name)?, State::Value(value.to_vec()))),
        (name, None) => Some((attribute_name(name)?, State::Set)),
    }
}

/// Git's `attr_name_valid` and `attr_name_reserved`.
fn attribute_name(name: &[u8]) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let valid = name.first().is_some_and(|&first| first != b'-') && name.iter().all(allowed);
    let text = valid.then(|| String::from_utf8(name.to_vec()).ok()).flatten()?;
    (!text.starts_with("builtin_")).then_some(text)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_blank(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    &text[start..]
}

fn word(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = text.iter().position(|&byte| is_blank(byte)).unwrap_or(text.len());
    (text[..end].to_vec(), &text[end..])
}

/// Git's `unquote_c_style`: the text between double quotes, and what follows; `None` if it is not that.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut plain = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((plain, rest)),
            b'\\' => {
                let (byte, after) = unescape(rest)?;
                plain.push(byte);
                rest = after;
            }
            byte => plain.push(byte),
        }
    }
}

fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    let byte = match first {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' | b'"' => first,
        b'0'..=b'3' => {
            let (&[second, third], rest) = rest.split_first_chunk::<2>()?;
            let octal = matches!((second, third), (b'0'..=b'7', b'0'..=b'7'));
            return octal.then(|| ((first - b'0') << 6 | (second - b'0') << 3 | (third - b'0'), rest));
        }
        _ => return None,
    };
    Some((byte, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_skips_is_no_line() {
        let long = format!("*.bin filter=lfs {}", " ".repeat(2048 - 17));
        for text in [
            "",
            "  \t",
            "# *.bin filter=lfs",
            "  #x",
            "!a filter=lfs",
            "a -",
            "a =x",
            "a f/g",
            "a filter=lfs é",
            "a builtin_x",
            "[attr]-x y",
            &long,
        ] {
            assert!(Line::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Line::parse(&long.as_bytes()[..2047]).is_some());
    }

    #[test]
    fn words_say_what_is_set() {
        let line = Line::parse(b" *.bin\tfilter=lfs -text !diff x=a=b y= merge\r").unwrap();
        let states: Vec<_> = line.states.iter().map(|(name, state)| (name.as_str(), state.clone())).collect();
        let value = |value: &str| State::Value(value.into());
        let expected = [
            ("filter", value("lfs")),
            ("text", State::Unset),
            ("diff", State::Unspecified),
            ("x", value("a=b")),
            ("y", value("")),
            ("merge", State::Set),
        ];
        assert_eq!(states, expected);
    }

    #[test]
    fn quotes_hold_spaces_and_escapes() {
        assert_eq!(unquote(br#""a b\t\"\\\303\251"rest"#), Some(("a b\t\"\\é".into(), &b"rest"[..])));
        for broken in [&br#""a"#[..], br#""\x""#, br#""\400""#, br#""\18""#, br#""\"#, b"a"] {
            assert_eq!(unquote(broken), None);
        }
    }
}
