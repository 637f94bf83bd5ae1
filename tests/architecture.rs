//! Holds the structure: imports point down, files stay small and say why they exist, and only one module makes
//! anything durable. Reads the source as text; sees neither macros nor `super::super::` paths.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and the layers it may name.
const LAYERS: [(&str, &[&str]); 5] = [
    ("cli", &["ops", "snapshot", "mount"]),
    ("mount", &["snapshot"]),
    ("ops", &["snapshot", "store"]),
    ("snapshot", &["store"]),
    ("store", &[]),
];

/// Names at the crate's root that stand for a layer.
const RE_EXPORTS: [(&str, &str); 4] =
    [("Repository", "ops"), ("OpsError", "ops"), ("Snapshot", "snapshot"), ("SnapshotError", "snapshot")];

const MAX_PRODUCTION_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap() != "target" {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn production(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The first name after each `crate::`, also inside a group.
fn named(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            names.extend(group_heads(group));
        } else {
            names.push(head(rest));
        }
    }
    names
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Heads of the paths of `a::{b, c}, d}`, up to the closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(head(group[start..at].trim_start()));
                return heads;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(head(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn violations(layer: &str, allowed: &[&str], text: &str) -> Vec<String> {
    let layer_of =
        |name: String| RE_EXPORTS.iter().find(|(n, _)| *n == name).map_or(name, |(_, l)| (*l).to_owned());
    let is_layer = |name: &String| LAYERS.iter().any(|(l, _)| l == name);
    named(text)
        .into_iter()
        .map(layer_of)
        .filter(is_layer)
        .filter(|n| n != layer && !allowed.contains(&n.as_str()))
        .collect()
}

#[test]
fn imports_point_down() {
    for (layer, allowed) in LAYERS {
        let files = rust_files(&root().join("src").join(layer));
        assert!(!files.is_empty(), "layer {layer} has no files");
        for file in files {
            let wrong = violations(layer, allowed, &production(&file));
            assert!(wrong.is_empty(), "{}: layer `{layer}` must not know {wrong:?}", file.display());
        }
    }
}

#[test]
fn a_wrong_import_is_seen() {
    assert_eq!(violations("store", &[], "use crate::cli::main;"), ["cli"]);
    assert_eq!(
        violations("snapshot", &["store"], "use crate::{store::id::{A, B}, ops, Repository};"),
        ["ops", "ops"]
    );
    assert!(violations("ops", &["snapshot", "store"], "crate::store::x; crate::ops::y").is_empty());
}

#[test]
fn platform_knows_no_vault() {
    let manifest = fs::read_to_string(root().join("platform/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    assert!(!dependencies.contains("hubvault"), "platform/ must not depend on what it serves");
}

#[test]
fn files_are_small_and_say_why_they_exist() {
    for folder in ["src", "platform/src"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//!"), "{} does not open with why it exists", file.display());
            let lines = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().lines().count();
            assert!(lines <= MAX_PRODUCTION_LINES, "{} has {lines} production lines", file.display());
        }
    }
}

#[test]
fn only_publish_makes_anything_durable_or_visible() {
    let publish = root().join("src/store/publish.rs");
    let media = root().join("src/store/media");
    let durable = [".sync()", ".sync_dir(", "media.publish("];
    for file in rust_files(&root().join("src")) {
        if file == publish || file.starts_with(&media) {
            continue;
        }
        let text = production(&file);
        for call in durable {
            assert!(!text.contains(call), "{} calls `{call}`; only store/publish.rs may", file.display());
        }
    }
    assert!(
        durable.iter().all(|call| production(&publish).contains(call)),
        "the words this test looks for are gone"
    );
}

#[test]
fn the_library_has_no_terminal_and_no_environment() {
    for file in rust_files(&root().join("src")) {
        if file.starts_with(root().join("src/cli")) {
            continue;
        }
        let text = production(&file);
        for word in
            ["println!", "eprintln!", "std::env", "SystemTime::now", "std::process", "stdout(", "stderr("]
        {
            let allowed = file.starts_with(root().join("src/bin")) && word == "std::process";
            assert!(
                allowed || !text.contains(word),
                "{} uses `{word}`, which belongs to cli",
                file.display()
            );
        }
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let tests = root().join("tests");
    let main = fs::read_to_string(tests.join("main.rs")).unwrap();
    for entry in fs::read_dir(&tests).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module =
            path.join("mod.rs").exists() || path.extension().is_some_and(|extension| extension == "rs");
        if is_module && name != "main" {
            assert!(main.contains(&format!("mod {name};")), "tests/main.rs does not list `{name}`");
        }
    }
}
