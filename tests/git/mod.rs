//! Our encodings, names and rules against the real `git` and `git lfs`, on the same inputs.
//!
//! Exists because agreeing with Git is the promise, and only Git knows what Git does. Each test batches random
//! inputs into few calls. Knows how to run Git apart from the user's own settings; must not know the vault.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

mod attributes;
mod diff;
mod export;
mod history;
mod last_commit;
mod log;
mod merges;
mod names;
mod objects;
mod renames;
mod replays;
mod workshop;

/// A fresh repository whose Git sees no configuration but its own.
struct Git {
    home: TempDir,
    repository: TempDir,
}

impl Git {
    fn new() -> Self {
        let git = Self::without_repository();
        git.ok(&["init", "--quiet", "--initial-branch=main"], b"");
        git
    }

    fn without_repository() -> Self {
        Self { home: tempfile::tempdir().unwrap(), repository: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.repository.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.path());
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_CONFIG_PARAMETERS",
            "GIT_CONFIG_COUNT",
            "XDG_CONFIG_HOME",
        ] {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
        command.env("GIT_CEILING_DIRECTORIES", self.path().parent().unwrap_or_else(|| Path::new("/")));
        command
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Output {
        run(self.command(args), input)
    }

    /// Standard output of a call that must succeed.
    fn ok(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(args, input);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The same, as text without the final newline.
    fn text(&self, args: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.ok(args, input)).unwrap().trim_end_matches('\n').to_owned()
    }
}

fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Fed from the side: a child that answers before it has read everything must not block us both.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}
