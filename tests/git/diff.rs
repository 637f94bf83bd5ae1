//! `hv diff` against `git diff`, byte for byte: patches, statistics and names of random texts, with renames, modes,
//! symlinks, binaries and odd names.
//!
//! What Git says nothing about (sizes and hashes of binaries) is taken out of ours first; the rest must be equal.

use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::Git;
use super::renames::mode;
use super::workshop::{Files, Workshop};
use crate::cli::HV;

/// Lines as in programs: indented, blank, repeated, so that there are many ways to match them.
const LINES: [&str; 18] = [
    "fn first() {",
    "    let a = 1;",
    "    if a > 1 {",
    "        return a;",
    "    }",
    "}",
    "",
    "fn second() {",
    "    call(a, b)",
    "\tindented by a tab",
    "  # two",
    "_under",
    "$dollar and a long line that goes on and on and on until it is longer than eighty characters, with \u{fc}",
    "plain",
    "\u{e4}\u{f6}\u{fc} \u{6f22}\u{5b57}",
    "trailing space ",
    "with\rreturn",
    "zzz",
];

const PATHS: [&str; 14] = [
    "a",
    "b.txt",
    "d/a",
    "d/b.txt",
    "d/c",
    "d/e/a",
    "dx/a",
    "d-x/a",
    "with space",
    "quo\"te",
    "\u{fc}nicode/\u{6f22}",
    "tab\there",
    "a-rather-long-folder-name/with-a-long-name-in-it/and-another-one/that-does-not-fit.txt",
    "z",
];

fn content() -> impl Strategy<Value = Vec<u8>> {
    // A start that many files share, with edits: similar files, and long runs of context.
    let edits = prop::collection::vec((0..60_usize, 0..3_u8, 0..LINES.len()), 0..12);
    let lines = (0..3_usize, 0..60_usize, edits).prop_map(|(family, length, edits)| {
        let mut lines: Vec<&str> =
            (0..length).map(|n| LINES[(n * (family + 5) + n / 7) % LINES.len()]).collect();
        for (at, what, line) in edits {
            let at = at.min(lines.len());
            match what {
                0 => lines.insert(at, LINES[line]),
                1 if at < lines.len() => drop(lines.remove(at)),
                _ if at < lines.len() => lines[at] = LINES[line],
                _ => {}
            }
        }
        lines.join("\n").into_bytes()
    });
    (lines, 0..12_u8).prop_map(|(mut bytes, end)| {
        match end {
            0 => bytes.push(0),
            1 | 2 => {}
            3 => bytes.clear(),
            _ => bytes.push(b'\n'),
        }
        bytes
    })
}

fn files() -> impl Strategy<Value = Files> {
    prop::collection::vec((0..PATHS.len(), mode(), content()), 0..9).prop_map(|files| {
        files.into_iter().map(|(at, mode, bytes)| (PATHS[at].to_owned(), (mode, bytes))).collect()
    })
}

fn hv(folder: &TempDir, args: &[&str]) -> String {
    let output = Command::new(HV).arg("-C").arg(folder.path()).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Ours without what Git does not say.
fn comparable(ours: &str) -> String {
    let is_ours = |line: &str| line.starts_with("  size ") || line.starts_with("  sha256 ");
    ours.lines().filter(|line| !is_ours(line)).flat_map(|line| [line, "\n"]).collect()
}

const FORMATS: [&[&str]; 12] = [
    &[],
    &["-U1"],
    &["-U10"],
    &["--no-renames"],
    &["-M=80%"],
    &["--stat"],
    &["--stat", "--no-renames"],
    &["--shortstat"],
    &["--numstat"],
    &["--name-only"],
    &["--name-status"],
    &["--stat", "--", "d", "a", "with space"],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn differences_are_gits(trees in prop::collection::vec(files(), 4)) {
        let folder = tempfile::tempdir().unwrap();
        let vault = TempDir::new_in(&folder).unwrap();
        let mut workshop = Workshop::at(vault.path());
        let wanted: Vec<_> = trees.into_iter().map(|files| (files, vec![], 1_700_000_000)).collect();
        let commits = workshop.commits(&wanted);
        let git = Git::new();
        workshop.export(&git);
        for (number, format) in FORMATS.iter().cycle().take(24).enumerate() {
            let (old, new) = (number % commits.len(), (number * 7 + 1) % commits.len());
            let revisions = [format!("c{old}"), format!("c{new}")];
            let (flags, paths) = format.split_at(format.iter().position(|word| *word == "--").unwrap_or(format.len()));
            let words = |program: &[&'static str]| -> Vec<String> {
                let words = program.iter().chain(flags).map(|word| (*word).to_owned());
                words.chain(revisions.clone()).chain(paths.iter().map(|word| (*word).to_owned())).collect()
            };
            let ours = words(&["diff"]);
            let ours = hv(&vault, &ours.iter().map(String::as_str).collect::<Vec<_>>());
            let theirs = words(&["-c", "core.quotePath=false", "-c", "core.abbrev=7", "-c", "diff.renameLimit=1000", "diff"]);
            let theirs: Vec<&str> = theirs.iter().map(|word| if *word == "-M=80%" { "-M80%" } else { word }).collect();
            let (theirs, ours) = (git.text(&theirs, b""), comparable(&ours));
            prop_assert_eq!(theirs.trim_end_matches('\n'), ours.trim_end_matches('\n'), "{:?} {:?}", format, revisions);
        }
    }
}
