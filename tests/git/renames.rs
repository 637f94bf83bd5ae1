//! Renames against `git diff-tree -M`: which file became which, and how similar they are, per cent for per cent.

use hubvault::snapshot::rename::{FileAt, RenameOptions, find_renames};
use hubvault::snapshot::tree_diff::tree_diff;
use hubvault::snapshot::{Mode, ObjectId, SnapshotError};
use proptest::prelude::*;

use super::Git;
use super::workshop::{Files, Workshop};

/// Content in families: what has the same `family` is similar, the more so the fewer `edits` differ.
pub(super) fn content() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((0..12_usize, 0..4_u8), 0..8);
    (0..5_u8, edits, 0..14_usize, any::<bool>()).prop_map(|(family, edits, lines, newline)| {
        let mut text: Vec<String> =
            (0..lines).map(|line| format!("{family} has a line number {line} like this")).collect();
        for (line, edit) in edits {
            if let Some(line) = text.get_mut(line) {
                *line = format!("edit {edit}");
            }
        }
        let mut bytes = match family {
            0 => text.join("\r\n").into_bytes(),
            // No lines at all: runs of 64 bytes; and a zero byte, so that it is binary.
            1 => text.join("\0\r\n").into_bytes(),
            2 => text.concat().into_bytes(),
            _ => text.join("\n").into_bytes(),
        };
        if newline {
            bytes.push(b'\n');
        }
        bytes
    })
}

pub(super) fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![8 => Just(Mode::File), 1 => Just(Mode::Executable), 1 => Just(Mode::Symlink)]
}

const PATHS: [&str; 16] = [
    "a", "b.txt", "d/a", "d/b.txt", "d/c", "d/e/a", "d/e/c", "d/e/f", "dx/a", "d-x/a", "d-x/new", "e/b.txt",
    "e/c", "e/f/g", "new", "z",
];

fn files() -> impl Strategy<Value = Files> {
    let file = (0..PATHS.len(), mode(), content());
    prop::collection::vec(file, 0..10).prop_map(|files| {
        files.into_iter().map(|(at, mode, bytes)| (PATHS[at].to_owned(), (mode, bytes))).collect()
    })
}

/// The difference of two trees as `git diff-tree --raw -z` prints it.
fn ours(workshop: &Workshop, old: ObjectId, new: ObjectId) -> String {
    let view = workshop.repository.vault().view();
    let mut changes = Vec::new();
    tree_diff::<SnapshotError>(&view.catalog, b"", Some(old), Some(new), &mut |change| {
        changes.push(change);
        Ok(true)
    })
    .unwrap();
    let renames = find_renames(&view.catalog, changes, &RenameOptions::DIFF).unwrap();
    assert!(!renames.limited);
    let side = |file: &Option<FileAt>| {
        file.as_ref().map_or(("000000".to_owned(), "0".repeat(40)), |file| {
            (file.leaf.mode.octal().to_owned(), file.leaf.id.to_string())
        })
    };
    let mut text = String::new();
    for change in &renames.changes {
        let ((old_mode, old), (new_mode, new)) = (side(&change.old), side(&change.new));
        text += &format!(":{old_mode} {new_mode} {old} {new} {}\0", change.kind.status());
        let paths = [&change.old, &change.new].map(|file| file.as_ref().map(FileAt::path));
        match paths {
            [Some(old), Some(new)] if old != new => text += &format!("{old}\0{new}\0"),
            [_, Some(path)] | [Some(path), _] => text += &format!("{path}\0"),
            [None, None] => unreachable!(),
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn renames_are_gits(trees in prop::collection::vec(files(), 6..14)) {
        let mut workshop = Workshop::new();
        let wanted: Vec<_> = trees.into_iter().map(|files| (files, vec![], 1_700_000_000)).collect();
        let commits = workshop.commits(&wanted);
        let git = Git::new();
        workshop.export(&git);
        let catalog = &workshop.repository.vault().view().catalog;
        let trees: Vec<_> = commits.iter().map(|&id| catalog.commit(id).unwrap().tree).collect();
        let pairs: Vec<_> = trees.iter().flat_map(|old| trees.iter().map(move |new| (*old, *new))).collect();
        let input: Vec<String> = pairs.iter().map(|(old, new)| format!("{old} {new}\n")).collect();
        let args = ["-c", "diff.renameLimit=1000", "diff-tree", "--stdin", "-r", "-M", "--raw", "-z"];
        let theirs = String::from_utf8(git.ok(&args, input.concat().as_bytes())).unwrap();
        let mut ours_all = String::new();
        for (old, new) in pairs {
            let text = ours(&workshop, old, new);
            // Git names the pair where it differs.
            ours_all += &format!("{old} {new}\n{text}");
        }
        prop_assert_eq!(theirs.replace('\0', "\n"), ours_all.replace('\0', "\n"));
    }
}
