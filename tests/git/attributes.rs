//! `.gitattributes` rules against `git check-attr filter`.
//!
//! Exists because which files go to LFS decides their ids, and the manual leaves corners to the program. Random
//! files in three folders, random paths, one call for each set. Must not know LFS itself.

use hubvault::store::attributes::Attributes;
use proptest::prelude::*;

use super::Git;

const FOLDERS: [&str; 3] = ["", "a", "a/b"];

/// Git before the fix that lets `dir.c` "retain one character of the prefix" lost sight of what stands before
/// the first `**` when it is plain text, and took `x**/y` for `x` and `**/y`. We do as the manual and Git now do.
fn reads_alike_in_every_git(pattern: &str) -> bool {
    let plain = pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len());
    let (before, rest) = pattern.split_at(plain);
    !rest.starts_with("**") || before.is_empty() || before.ends_with('/')
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => "[abc.]", 4 => "\\*", 3 => "\\*\\*", 4 => "/", 1 => "\\?", 1 => "\\\\[abc*/\\[]?",
        1 => "\\[[!^]?[]abc/-]{0,3}\\]", 1 => "\\[\\[:(alpha|punct|space|nope):\\]\\]", 1 => "\\[a-", 1 => "!", 1 => "é",
        2 => "\\*\\*/", 2 => "/\\*\\*",
    ];
    let plain = prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat());
    let quoted = ("[ab*/]{1,3}", "(|\\\\[tn\"]|\\\\14[12]|\\\\9| )").prop_map(|(a, b)| format!("\"{a}{b}\""));
    prop_oneof![12 => plain.prop_filter("old Git differs", |text| reads_alike_in_every_git(text)), 1 => quoted]
}

fn states() -> impl Strategy<Value = String> {
    let state = prop::sample::select(vec![
        "filter=lfs",
        "filter=lfs",
        "filter=lfs",
        "-filter",
        "!filter",
        "filter",
        "filter=x",
        "binary",
        "-text",
        "m",
        "m",
        "n",
        "-m",
        "!m",
        "m=1",
        "text=auto",
        "a/b",
        "filter=",
        "-filter=lfs",
        "é",
        "-",
        "builtin_x",
    ]);
    prop::collection::vec(state, 1..4).prop_map(|states| states.join(" "))
}

fn line() -> impl Strategy<Value = String> {
    let ordinary = (pattern(), states()).prop_map(|(pattern, states)| format!("{pattern} {states}"));
    let definition = (prop::sample::select(vec!["m", "n", "binary", "-x", "filter"]), states())
        .prop_map(|(name, states)| format!("[attr]{name} {states}"));
    let odd = prop::sample::select(vec![
        "",
        "# x filter=lfs",
        "  * filter=lfs",
        "*\tfilter=lfs\r",
        "[attr] m",
        "\"[attr]m\" filter=lfs",
        "*",
    ]);
    prop_oneof![10 => ordinary, 3 => definition, 1 => odd.prop_map(str::to_owned)]
}

fn path() -> impl Strategy<Value = String> {
    let name = "[abc.]{1,3}|a|b|\\*a|\\[a|é|a b|\\\\a|a\""
        .prop_filter("a file's name", |name| !matches!(&name[..], "." | ".."));
    prop::collection::vec(name, 1..5).prop_map(|names| names.join("/"))
}

/// What Git says of each path.
fn ask(git: &Git, paths: &[String]) -> Vec<bool> {
    let input: Vec<u8> = paths.iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    let output = git.ok(&["check-attr", "--stdin", "-z", "filter"], &input);
    let fields: Vec<_> = output.split(|&byte| byte == 0).collect();
    fields.chunks_exact(3).map(|fields| fields[2] == b"lfs").collect()
}

fn compare(git: &Git, files: &[String; 3], paths: &[String]) -> Result<(), TestCaseError> {
    let mut ours = Attributes::default();
    for (folder, content) in FOLDERS.iter().zip(files) {
        ours.push(folder, content.as_bytes());
        std::fs::write(git.path().join(folder).join(".gitattributes"), content).unwrap();
    }
    for (path, theirs) in paths.iter().zip(ask(git, paths)) {
        prop_assert_eq!(ours.is_lfs(path), theirs, "{} under {:#?}", path, files);
    }
    Ok(())
}

#[test]
fn files_go_to_lfs_exactly_when_git_says_so() {
    let git = Git::new();
    std::fs::create_dir_all(git.path().join("a/b")).unwrap();
    let file = || prop::collection::vec(line(), 0..8).prop_map(|lines| lines.join("\n"));
    let inputs = ([file(), file(), file()], prop::collection::vec(path(), 150));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        max_shrink_iters: 400,
        ..ProptestConfig::with_cases(200)
    });
    runner.run(&inputs, |(files, paths)| compare(&git, &files, &paths)).unwrap();
}

#[test]
fn single_patterns_match_exactly_when_git_says_so() {
    let git = Git::new();
    std::fs::create_dir_all(git.path().join("a/b")).unwrap();
    let inputs = (pattern(), pattern(), prop::collection::vec(path(), 300));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        max_shrink_iters: 400,
        ..ProptestConfig::with_cases(200)
    });
    let run = runner.run(&inputs, |(root, inner, paths)| {
        let files = [format!("{root} filter=lfs"), format!("{inner} -filter"), String::new()];
        compare(&git, &files, &paths)
    });
    run.unwrap();
}

#[test]
fn long_lines_and_byte_order_marks_count_as_in_git() {
    let git = Git::new();
    std::fs::create_dir_all(git.path().join("a/b")).unwrap();
    for length in [2046, 2047, 2048, 2049] {
        for end in ["", "\n", "\r\n"] {
            let line = format!("{:<length$}{end}", "* filter=lfs");
            let files = [line, String::new(), "\u{feff}* -filter".to_owned()];
            compare(&git, &files, &["x".to_owned(), "a/x".to_owned(), "a/b/x".to_owned()]).unwrap();
        }
    }
}
