//! The pages of `docs/tutorial`: every `sh` block is run, in order, in one shell and one folder a page; a `text` block
//! after it is what it prints, where `…` stands for anything.
//!
//! `UPDATE=1 cargo test --test suite tutorial` writes what was printed into the pages, with ids and times as `…`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Printed between the outputs of two blocks.
const MARK: &str = "\u{1e}";

/// A page cut at its fences: text outside of blocks and blocks in turn.
struct Page {
    parts: Vec<Part>,
}

struct Part {
    /// The word after the opening fence; empty for text outside of blocks.
    language: String,
    lines: Vec<String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut parts = vec![Part { language: String::new(), lines: Vec::new() }];
        for line in text.lines() {
            let inside = !parts.last().unwrap().language.is_empty();
            match line.strip_prefix("```") {
                Some(_) if inside => parts.push(Part { language: String::new(), lines: Vec::new() }),
                Some(language) => parts.push(Part { language: language.to_owned(), lines: Vec::new() }),
                None => parts.last_mut().unwrap().lines.push(line.to_owned()),
            }
        }
        Self { parts }
    }

    fn write(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            let body = part.lines.iter().fold(String::new(), |body, line| body + line + "\n");
            if part.language.is_empty() {
                text += &body;
            } else {
                text += &format!("```{}\n{body}```\n", part.language);
            }
        }
        text
    }

    /// The blocks that are run, and where what each prints is said: in a `text` block right after it.
    fn blocks(&self) -> Vec<(usize, Option<usize>)> {
        let at = |index: usize| self.parts.get(index);
        let runs = (0..self.parts.len()).filter(|&index| self.parts[index].language == "sh");
        let said = |index: usize| {
            let close = at(index + 1).is_some_and(|between| between.lines.iter().all(String::is_empty));
            (close && at(index + 2).is_some_and(|part| part.language == "text")).then_some(index + 2)
        };
        runs.map(|index| (index, said(index))).collect()
    }
}

/// Runs the blocks of a page; answers what each printed.
fn run(page: &Page) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_hv")).parent().unwrap();
    let mut script = format!("set -eu\nexport PATH='{}':$PATH\nexec 2>&1\n", programs.display());
    for (block, _) in page.blocks() {
        script += &format!("{}\nprintf '{MARK}'\n", page.parts[block].lines.join("\n"));
    }
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path()).stdin(Stdio::null());
    for name in ["GIT_DIR", "HUBVAULT_DIR", "HUBVAULT_AUTHOR", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
        command.env_remove(name);
    }
    // One time for all: the order of commits of one second is ours to choose, that of others is not.
    for name in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
        command.env(name, "1700000000 +0000");
    }
    command.env("HOME", folder.path()).env("GIT_CONFIG_NOSYSTEM", "1").env("TZ", "UTC").env("COLUMNS", "80");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}", output.status);
    let text = text.replace(&folder.path().display().to_string(), "FOLDER");
    text.split(MARK).map(|output| output.trim_start_matches('\n').to_owned()).collect()
}

/// Whether a line is what a line of a page says.
fn matches(said: &str, line: &str) -> bool {
    let mut pieces = said.split('…');
    let Some(rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut rest = rest;
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// A line with what differs from run to run as `…`: ids, times, folders, sizes on disk.
fn general(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_hex = |text: &str| {
            text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
                && text.chars().any(|c| c.is_ascii_digit() || text.len() >= 40)
        };
        let is_id = matches!(bare.len(), 7 | 12 | 32 | 40 | 64) && is_hex(bare);
        if let Some((path, _)) = word.rsplit_once('@').filter(|(_, id)| id.len() == 7 && is_hex(id)) {
            return format!("{path}@…");
        }
        let is_range = bare.split_once("..").is_some_and(|(a, b)| a.len() == 7 && is_hex(a) && is_hex(b));
        if is_id || is_range { word.replacen(bare, "…", 1) } else { word.to_owned() }
    };
    if line.starts_with("Date:") || line.starts_with("AuthorDate:") {
        return line.split_inclusive(':').next().unwrap_or_default().to_owned() + "   …";
    }
    // How small things compress and when they were done is not the point.
    let line = line.replace("Tue Nov 14 22:13:20 2023 +0000", "…").replace("FOLDER", "…");
    let mut words: Vec<String> = line.split(' ').map(word).collect();
    for at in 1..words.len() {
        let is_small = words[at] == "KiB" || (words[at] == "B" && words[at - 1].len() > 2);
        let is_growth = at > 1 && words[at - 2] == "by" && matches!(words[at].as_str(), "B" | "KiB" | "MiB");
        if is_small || is_growth {
            "…".clone_into(&mut words[at - 1]);
        }
    }
    words.join(" ")
}

fn check(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let mut page = Page::parse(&text);
    assert_eq!(page.write(), text, "{}: a fence is left open", path.display());
    let printed = run(&page);
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for ((block, said), printed) in page.blocks().into_iter().zip(printed) {
        let Some(said) = said else { continue };
        let printed: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        let expected = &page.parts[said].lines;
        let same = expected.len() == printed.len()
            && expected.iter().zip(&printed).all(|(said, line)| matches(said, line));
        if same {
            continue;
        }
        if update {
            page.parts[said].lines = printed.iter().map(|line| general(line)).collect();
        } else {
            let commands = page.parts[block].lines.join("\n");
            wrong.push(format!(
                "{commands}\nsaid:\n{}\nprinted:\n{}",
                expected.join("\n"),
                printed.join("\n")
            ));
        }
    }
    if update {
        fs::write(path, page.write()).unwrap();
    }
    assert!(wrong.is_empty(), "{}:\n{}", path.display(), wrong.join("\n\n"));
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial");
    let mut pages: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

#[test]
fn what_the_tutorial_shows_is_what_happens() {
    let pages = pages();
    assert!(pages.len() >= 6, "{pages:?}");
    std::thread::scope(|scope| {
        for page in &pages {
            scope.spawn(move || check(page));
        }
    });
}

#[test]
fn lines_with_gaps_match_what_fits() {
    for (said, line) in
        [("a", "a"), ("a…", "abc"), ("…c", "abc"), ("a…c", "abc"), ("a…c…e", "abcde"), ("…", "")]
    {
        assert!(matches(said, line), "{said} {line}");
    }
    for (said, line) in [("a", "ab"), ("a…", "ba"), ("…c", "cb"), ("a…x…e", "abcde"), ("", "a")] {
        assert!(!matches(said, line), "{said} {line}");
    }
    assert_eq!(general("[main 1a2b3c4] title"), "[main …] title");
    assert_eq!(general("Updating 1a2b3c4..aabbcc1"), "Updating …");
    assert_eq!(general("a decade"), "a decade");
}
