//! Pager and colours on a pseudo terminal, made by `script` of util-linux.
//!
//! What a terminal gets is not what a pipe gets; only a terminal shows it. Without `script` nothing is tested, and CI
//! must have it.

use std::process::Stdio;

use super::{Desk, HV, Run};

/// Runs `hv` on a pseudo terminal with more environment; `None` where there is no `script`.
fn on_terminal(desk: &Desk, environment: &[(&str, &str)], args: &str) -> Option<Run> {
    let mut command = desk.command("script");
    command.args(["--quiet", "--return", "--command", &format!("{HV} -C vault {args}"), "/dev/null"]);
    command.env("TERM", "xterm").envs(environment.iter().copied()).stdin(Stdio::null());
    if let Ok(output) = command.output() {
        return Some(output.into());
    }
    assert!(std::env::var_os("CI").is_none(), "`script` (util-linux) is needed");
    eprintln!("\n**** SKIPPED: `script` is not installed, terminals were NOT tested ****\n");
    None
}

#[test]
fn long_output_goes_through_the_pager_that_was_chosen() {
    let desk = Desk::new();
    desk.commit_file("f", "1\n");
    let paged = |environment: &[(&str, &str)], args: &str| {
        on_terminal(&desk, environment, args).map(|run| run.ok().out)
    };
    let Some(out) = paged(&[("HUBVAULT_PAGER", "sed 's/^/hub /'"), ("GIT_PAGER", "false")], "log --oneline")
    else {
        return;
    };
    assert!(out.lines().all(|line| line.starts_with("hub ")) && out.contains("test"), "{out}");
    let out = paged(&[("GIT_PAGER", "sed 's/^/git /'"), ("PAGER", "false")], "log --oneline").unwrap();
    assert!(out.starts_with("git "), "{out}");
    let out = paged(&[("PAGER", "sed 's/^/any /'")], "show").unwrap();
    assert!(out.starts_with("any "), "{out}");
    for (environment, args) in [
        (("HUBVAULT_PAGER", "sed 's/^/hub /'"), "log --oneline --no-pager"),
        (("HUBVAULT_PAGER", ""), "log --oneline"),
        (("HUBVAULT_PAGER", "cat"), "log --oneline"),
        (("HUBVAULT_PAGER", "no-such-pager"), "log --oneline"),
    ] {
        let out = paged(&[environment], args).unwrap();
        assert!(!out.contains("hub ") && out.contains(" test"), "{environment:?} {args}: {out}");
    }
}

#[test]
fn exit_codes_and_errors_survive_the_pager() {
    let desk = Desk::new();
    desk.commit_file("f", "1\n");
    let Some(run) = on_terminal(&desk, &[("PAGER", "sed 's/^/page /'")], "log nowhere") else { return };
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.out.contains("nowhere"), "{run:?}");
    // A pager that is left at once is success.
    on_terminal(&desk, &[("PAGER", "true")], "log").unwrap().ok();
}

#[test]
fn colours_are_for_terminals_and_never_from_the_vault() {
    let desk = Desk::new();
    desk.commit_file("f", "one\n");
    let evil = "evil \u{1b}[31mred\u{1b}]0;title\u{7}\n";
    desk.write("f2", evil);
    desk.on(["commit", "-m", evil, "--author", "E\u{1b}[32m <e@e>", "--add", "f=f2"]).ok();
    let run = |environment: &[(&str, &str)], args: &str| {
        on_terminal(&desk, &[environment, &[("PAGER", "cat")][..]].concat(), args).map(|run| run.ok().out)
    };
    for args in ["log", "log -p", "log --graph --oneline --stat", "show", "diff HEAD~", "branch", "status"] {
        let Some(coloured) = run(&[], args) else { return };
        assert!(coloured.contains("\u{1b}["), "{args}: {coloured:?}");
        for bad in ["\u{1b}[31mred", "\u{1b}]0;", "\u{7}", "E\u{1b}"] {
            assert!(!coloured.contains(bad), "{args}: {coloured:?}");
        }
        for environment in [("NO_COLOR", "1"), ("HUBVAULT_NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = run(&[environment], args).unwrap();
            assert!(!plain.contains('\u{1b}'), "{environment:?} {args}: {plain:?}");
        }
        let plain = run(&[], &format!("{args} --color never")).unwrap();
        assert!(!plain.contains('\u{1b}'), "{args}: {plain:?}");
    }
    // A pipe gets the file's own bytes, so that the patch can be applied.
    assert!(desk.on(["diff", "HEAD~"]).text().contains("\u{1b}[31mred"));
    let file = run(&[], "show :f").unwrap();
    assert!(!file.contains('\u{1b}'), "{file:?}");
}
