//! Statement 66: colours.

use crate::cli::Desk;

#[test]
fn s66_no_color_removes_all_escapes() {
    let desk = Desk::new();
    desk.commit_file("f", "1\n");
    desk.commit_file("f", "2\n");
    let commands: [&[&str]; 9] = [
        &["log"],
        &["log", "--graph", "-p"],
        &["log", "--oneline", "--stat"],
        &["show"],
        &["diff", "HEAD~"],
        &["branch", "-v"],
        &["status"],
        &["--help"],
        &["no-such-command"],
    ];
    for command in commands {
        for variable in ["NO_COLOR", "HUBVAULT_NO_COLOR"] {
            // Also where a terminal is pretended; the pseudo terminals are in `cli::pager`.
            let environment = [(variable, "1"), ("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1")];
            let run = desk.on_with(&environment, command);
            assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'), "{command:?}: {run:?}");
        }
    }
    assert!(desk.on(["log", "--color", "always"]).text().contains("\u{1b}[33mcommit "));
    assert!(!desk.on(["log"]).text().contains('\u{1b}'), "standard output is no terminal");
}
