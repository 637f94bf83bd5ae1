//! Which paths `.gitattributes` files hand to Git LFS (`filter=lfs`).
//!
//! Exists because that decides whether a file's object id is the id of its bytes or of its LFS pointer, so it
//! must agree with Git in every corner. Follows `gitattributes(5)` and, where that is silent, Git's `attr.c`.
//! It must not know where the files come from, nor about attributes files outside the tree (`info/attributes`).

use std::collections::HashMap;

mod line;
mod pattern;

use line::{Line, State, Target};
use pattern::Pattern;

/// Files of this size and more are ignored, as in Git (`ATTR_MAX_FILE_SIZE`), in bytes.
const MAX_FILE_BYTES: usize = 100 << 20;

/// The attributes files of a tree, or of as much of it as will be asked about.
#[derive(Debug, Clone)]
pub struct Attributes {
    /// In the order pushed: later ones win.
    files: Vec<File>,
    /// What each macro sets; the last definition counts, wherever it is used.
    macros: HashMap<String, Vec<(String, State)>>,
}

#[derive(Debug, Clone)]
struct File {
    directory: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    states: Vec<(String, State)>,
}

impl Default for Attributes {
    /// No files; only the macro every Git has, `binary`.
    fn default() -> Self {
        let unset = ["diff", "merge", "text"].map(|name| (name.to_owned(), State::Unset));
        Self { files: Vec::new(), macros: HashMap::from([("binary".to_owned(), unset.into())]) }
    }
}

impl Attributes {
    /// Adds the `.gitattributes` of `directory` (`""` for the root, else like `a/b`). Push a folder's file
    /// after those of the folders it is in. Lines Git would ignore are ignored; nothing is an error.
    pub fn push(&mut self, directory: &str, content: &[u8]) {
        if content.len() >= MAX_FILE_BYTES {
            return;
        }
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut rules = Vec::new();
        for text in content.split(|&byte| byte == b'\n') {
            let Some(Line { target, states }) = Line::parse(text) else { continue };
            match target {
                Target::Paths(pattern) => rules.push(Rule { pattern, states }),
                // Git honours definitions at the root only: a folder must not redefine the whole tree's macros.
                Target::Macro(name) if directory.is_empty() => {
                    self.macros.insert(name, states);
                }
                Target::Macro(_) => {}
            }
        }
        self.files.push(File { directory: directory.to_owned(), rules });
    }

    /// Whether Git would pass this file (a path from the root, `/`-separated) to the filter `lfs`.
    pub fn is_lfs(&self, path: &str) -> bool {
        let path = path.as_bytes();
        let mut decided = Decided { macros: &self.macros, names: HashMap::new() };
        for file in self.files.iter().rev() {
            let Some(inside) = strip_directory(path, file.directory.as_bytes()) else { continue };
            for rule in file.rules.iter().rev().filter(|rule| rule.pattern.matches(inside)) {
                decided.apply(&rule.states);
                if let Some(filter) = decided.names.get("filter") {
                    return matches!(filter, State::Value(value) if value == b"lfs");
                }
            }
        }
        false
    }
}

/// What is known of one path so far. Rules arrive strongest first, so whatever is decided stays.
struct Decided<'a> {
    macros: &'a HashMap<String, Vec<(String, State)>>,
    names: HashMap<&'a str, &'a State>,
}

impl<'a> Decided<'a> {
    /// Git's `fill_one`: within a line the last word is strongest, and a macro that gets set speaks at once.
    /// Every name is decided at most once, so macros that name each other come to an end.
    fn apply(&mut self, states: &'a [(String, State)]) {
        let mut todo: Vec<_> = states.iter().collect();
        while let Some((name, state)) = todo.pop() {
            if self.names.contains_key(name.as_str()) {
                continue;
            }
            self.names.insert(name, state);
            if *state == State::Set {
                todo.extend(self.macros.get(name).into_iter().flatten());
            }
        }
    }
}

/// `path` from inside `directory`; `None` if it lies elsewhere.
fn strip_directory<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    if directory.is_empty() {
        return Some(path);
    }
    path.strip_prefix(directory)?.strip_prefix(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(files: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::default();
        for (directory, content) in files {
            attributes.push(directory, content.as_bytes());
        }
        attributes
    }

    #[test]
    fn later_lines_and_deeper_files_win() {
        let root = "*.bin filter=lfs diff=lfs merge=lfs -text\nsmall.bin -filter\nodd.bin !filter\n*.x filter=crypt\n";
        let all = attributes(&[
            ("", root),
            ("a", "*.bin -filter\n"),
            ("a/b", "*.bin filter=lfs\n"),
            ("c", "*.x filter=lfs\n"),
        ]);
        for lfs in ["m.bin", "x/m.bin", "a/b/m.bin", "c/m.x", "ab/m.bin"] {
            assert!(all.is_lfs(lfs), "{lfs}");
        }
        for plain in ["small.bin", "x/odd.bin", "a/m.bin", "m.x", "m.txt", "a/m.x"] {
            assert!(!all.is_lfs(plain), "{plain}");
        }
    }

    #[test]
    fn macros_expand_in_place() {
        let root = "[attr]big filter=lfs -text\n[attr]huge big\n*.a huge\n*.b big filter=x\n*.c filter=x big\n*.d -big\n";
        let all = attributes(&[("", root), ("s", "[attr]big filter=other\n*.e big\n")]);
        for (path, lfs) in [("m.a", true), ("m.b", false), ("m.c", true), ("m.d", false), ("s/m.e", true)] {
            assert_eq!(all.is_lfs(path), lfs, "{path}");
        }
        let looped = attributes(&[("", "[attr]a b\n[attr]b a filter=lfs\n* a\n")]);
        assert!(looped.is_lfs("x"));
        let binary = attributes(&[("", "[attr]binary filter=lfs\n*.z binary\n")]);
        assert!(binary.is_lfs("m.z"));
    }

    #[test]
    fn oversized_files_and_a_byte_order_mark() {
        assert!(attributes(&[("", "\u{feff}*.bin filter=lfs")]).is_lfs("a.bin"));
        let mut huge = b"* filter=lfs\n".to_vec();
        huge.resize(MAX_FILE_BYTES, b'\n');
        let mut all = Attributes::default();
        all.push("", &huge);
        assert!(!all.is_lfs("a"));
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let line = format!("{}b filter=lfs\n/{}b filter=lfs", "*a".repeat(900), "**/*a/".repeat(300));
        assert!(!attributes(&[("", &line)]).is_lfs(&format!("x/{}", "a/".repeat(500) + &"a".repeat(2000))));
    }
}
