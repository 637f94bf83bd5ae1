//! The commands of the README's first vault are run as written, so that a newcomer's first minute works.

use std::path::Path;
use std::process::Command;

/// The shell lines under a heading of the README.
fn shell_lines(heading: &str) -> String {
    let readme = include_str!("../../README.md");
    let section = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn mount_of_a_first_vault_works_as_the_readme_says() {
    if !Path::new("/dev/fuse").exists() {
        assert!(std::env::var("CI").is_err(), "CI must have /dev/fuse");
        eprintln!("SKIPPED: there is no /dev/fuse");
        return;
    }
    // An `@` above the mount points must not be taken for the one before a revision.
    let folder = tempfile::Builder::new().prefix("desk@v2-").tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_hv")).parent().unwrap();
    let lines = shell_lines("A first vault");
    let build = lines.lines().next().unwrap();
    assert!(build.starts_with("export PATH="), "the first line puts the built programs on PATH");
    let script = format!("export PATH='{}':$PATH\n{}", programs.display(), &lines[build.len()..]);
    let output = Command::new("bash").args(["-euc", &script]).current_dir(folder.path()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for expected in ["Wider", "{\"hidden\": 768}\n{\"hidden\": 384}\n", "main~1", "Full verification OK"] {
        assert!(out.contains(expected), "no `{expected}` in:\n{out}\n{err}");
    }
}
