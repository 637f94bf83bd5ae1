//! Paths as Git writes them in its output: in quotes when they hold what would break a line.
//!
//! As with `core.quotePath=false`: letters of any script stay; control characters, `"` and `\` are escaped as in C.
//! Also escaped are U+0080 to U+009F, which drive some terminals.

use std::borrow::Cow;

/// A path on one line.
pub fn quoted(path: &str) -> Cow<'_, str> {
    if !needs_quotes(path) {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len() + 8);
    text.push('"');
    for c in path.chars() {
        match c {
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{b}' => text.push_str("\\v"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            c if misleads(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    text.push('\\');
                    text.extend([byte >> 6, byte >> 3 & 7, byte & 7].map(|digit| char::from(b'0' + digit)));
                }
            }
            c => text.push(c),
        }
    }
    text.push('"');
    Cow::Owned(text)
}

/// Whether [`quoted`] changes it.
pub fn needs_quotes(path: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    !path.bytes().all(plain) && path.chars().any(|c| misleads(c) || c == '"' || c == '\\')
}

/// Whether a character drives a terminal or makes one show others in another order than they are in: control
/// characters, and the marks of Unicode's bidirectional algorithm.
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A rename on one line: what both names share is written once, as in `git diff --stat`.
pub fn renamed(old: &str, new: &str) -> String {
    if needs_quotes(old) || needs_quotes(new) {
        return format!("{} => {}", quoted(old), quoted(new));
    }
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let prefix = a[..same].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    // The slash that ends the prefix may be the one that starts the suffix.
    let floor = prefix.saturating_sub(1);
    let (a_tail, b_tail) = (&a[floor..], &b[floor..]);
    let same = a_tail.iter().rev().zip(b_tail.iter().rev()).take_while(|(x, y)| x == y).count();
    let tail = &a[a.len() - same..];
    let suffix = tail.iter().position(|&byte| byte == b'/').map_or(0, |slash| same - slash);
    let middle = |name: &'_ str| -> String {
        let end = name.len() - suffix;
        if end > prefix { name[prefix..end].to_owned() } else { String::new() }
    };
    let (from, to) = (middle(old), middle(new));
    if prefix + suffix == 0 {
        return format!("{from} => {to}");
    }
    format!("{}{{{from} => {to}}}{}", &old[..prefix], &old[old.len() - suffix..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_quoted_as_in_c() {
        assert_eq!(quoted("dir/größe 漢.txt"), "dir/größe 漢.txt");
        assert_eq!(quoted("a\t\"\\\u{1b}\u{9b}"), "\"a\\t\\\"\\\\\\033\\302\\233\"");
        assert_eq!(quoted("a\u{202e}gpj.exe"), "\"a\\342\\200\\256gpj.exe\"");
    }

    #[test]
    fn renames_share_what_is_common() {
        let cases = [
            ("a", "b", "a => b"),
            ("d/a", "d/b", "d/{a => b}"),
            ("a/x", "b/x", "{a => b}/x"),
            ("a/b/c", "a/x/c", "a/{b => x}/c"),
            ("a/c", "a/b/c", "a/{ => b}/c"),
            ("a/b/c", "a/c", "a/{b => }/c"),
            ("c", "a/c", "c => a/c"),
            ("ä/x", "å/x", "{ä => å}/x"),
            ("a/a/a", "a/a", "a/{a => }/a"),
        ];
        for (old, new, shown) in cases {
            assert_eq!(renamed(old, new), shown);
        }
    }
}
