//! Ref names against `git check-ref-format`, and tree names against `git fsck`'s idea of `.git`.
//!
//! Exists because the rules are many and small; random names find the one that was misread. Must not know which
//! refs a vault has.

use hubvault::store::object::{Kind, Mode, Tree, TreeEntry, id_of};
use hubvault::store::path::RepoPath;
use hubvault::store::refname::RefName;
use proptest::prelude::*;

use super::Git;

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[a-z]{1,2}", 4 => "/", 2 => "\\.", 1 => "\\.lock", 1 => "@\\{?", 1 => "-", 1 => "HEAD",
        1 => "refs/heads/", 1 => "[ ~^:?*\\[\\\\\t\u{7f}\u{1}]", 1 => "[é日{}@]",
    ];
    prop::collection::vec(part, 0..7).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn ref_names_are_the_ones_git_takes(names in prop::collection::vec(name(), 40)) {
        let git = Git::without_repository();
        for name in names {
            // As the only argument, a name with a dash would be read as an option.
            if !name.starts_with('-') {
                let theirs = git.run(&["check-ref-format", &name], b"").status.success();
                prop_assert_eq!(RefName::new(&name).is_ok(), theirs, "full name {:?}", name);
            }
            let theirs = git.run(&["check-ref-format", "--branch", &name], b"").status.success();
            prop_assert_eq!(RefName::branch(&name).is_ok(), theirs, "branch {:?}", name);
        }
    }
}

#[test]
fn what_fsck_takes_for_dot_git_is_no_path() {
    let names = [
        ".GIT",
        ".git ",
        ".git.",
        "git~1",
        "GIT~1",
        ".g\u{200c}it",
        "\u{feff}.git",
        ".git\u{206f}",
        ".git . .",
        ".git:x",
        ".git::$INDEX_ALLOCATION",
        ".gitx",
        "git~2",
        ".git x",
        "git",
        ".gi\u{200b}t",
    ];
    for name in names {
        let git = Git::new();
        let entry = TreeEntry { name: name.into(), mode: Mode::File, id: id_of(Kind::Blob, b"") };
        // Our trees refuse the plain spelling themselves, so the bytes are put together by hand.
        let body = [b"100644 ", name.as_bytes(), b"\0", entry.id.as_bytes()].concat();
        git.ok(&["hash-object", "-t", "blob", "-w", "--stdin"], b"");
        git.ok(&["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], &body);
        let output = git.run(&["fsck", "--strict"], b"");
        let refused = String::from_utf8_lossy(&output.stderr).contains("hasDotgit");
        if refused {
            assert!(RepoPath::new(name).is_err(), "Git refuses {name:?}");
        } else {
            assert!(RepoPath::new(name).is_ok() && Tree::decode(&body).is_ok(), "Git takes {name:?}");
        }
    }
}
