//! `hv completions` and `hv man`, made from the grammar.

use super::{Desk, entries};

#[test]
fn completions_for_every_shell_know_both_names() {
    let desk = Desk::bare();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = desk.hv(["completions", shell]).ok().out;
        for word in ["ls-tree", "--allow-empty", "hubvault"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    desk.hv(["completions", "dos"]).fails(2, &["bash"]);
}

#[cfg(unix)]
#[test]
fn bash_can_read_its_completions() {
    let desk = Desk::bare();
    let script = desk.hv(["completions", "bash"]).ok().bytes;
    let mut bash = desk.command("bash");
    bash.arg("-n");
    if bash.status().is_err() {
        eprintln!("\n**** SKIPPED: there is no bash ****\n");
        return;
    }
    let run = super::feed(bash, &script).ok();
    assert!(run.err.is_empty(), "{}", run.err);
}

#[test]
fn there_is_a_page_for_every_command() {
    let desk = Desk::bare();
    let said = desk.hv(["man", "share/man1"]).ok().out;
    let pages = entries(&desk.path("share/man1"));
    assert_eq!(said.lines().count(), pages.len());
    for command in [
        "init",
        "commit",
        "log",
        "ls-tree",
        "cat",
        "status",
        "branch",
        "tag",
        "rev-parse",
        "verify",
        "mount",
        "mounts",
        "umount",
        "completions",
        "man",
    ] {
        let name = format!("hv-{command}.1");
        assert!(pages.contains(&name), "{name} is not in {pages:?}");
        let page = std::fs::read_to_string(desk.path("share/man1").join(&name)).unwrap();
        let title = format!(".TH hv-{command} 1");
        assert!(page.replace("\\-", "-").contains(&title), "{title}: {page}");
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH DESCRIPTION"), "{name}");
    }
    let top = std::fs::read_to_string(desk.path("share/man1/hv.1")).unwrap();
    assert!(top.contains("Exit codes"), "{top}");
    desk.write("file", "");
    desk.hv(["man", "file/below"]).fails(1, &["file/below"]);
}
