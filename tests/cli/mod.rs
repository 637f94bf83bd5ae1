//! The built program, from outside: words in, words and files out.
//!
//! Every test runs `hv` as a user would, in a folder of its own and with an environment that holds nothing of
//! the person who runs the tests. Knows the command line and the exit codes; must not know how vaults are
//! stored: what a test looks at, a user can look at.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

mod cat;
mod commit;
pub(crate) mod compression;
mod dedup;
mod diff;
#[cfg(unix)]
mod download;
mod exits;
#[cfg(unix)]
mod export;
mod gc;
#[cfg(unix)]
mod git;
mod git_words;
mod identity;
mod init;
#[cfg(unix)]
mod interrupt;
mod local;
#[cfg(unix)]
mod locks;
mod log;
mod ls;
mod ls_tree;
mod manual;
mod merge;
mod op;
mod optimize;
#[cfg(unix)]
mod pager;
mod paths;
mod reference;
mod reflog;
mod refs;
mod revisions;
mod show;
#[cfg(unix)]
mod special;
mod status;
mod unchanged;
mod upload;
mod verify;

/// The program under its short name.
pub(crate) const HV: &str = env!("CARGO_BIN_EXE_hv");
/// The same under its long name.
const HUBVAULT: &str = env!("CARGO_BIN_EXE_hubvault");

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }
}

impl Run {
    /// The run, which must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The run, which must have failed with this code, a message that says all of `words`, and no output.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.out.is_empty(), "a failure says nothing on standard output: {self:#?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in {self:#?}");
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let run = self.ok();
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
    }

    /// Standard output without its last newline.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        self.ok().out.trim_end_matches(['\n', '\r']).to_owned()
    }
}

/// Runs a program to its end. On a busy machine wine sometimes fails to start one: then once more.
fn run(command: &mut Command) -> Run {
    /// An internal error instead of a process (`ERROR_INTERNAL_ERROR`).
    const INTERNAL: i32 = 1359;
    /// A process that ended before its first instruction (`STATUS_DLL_INIT_FAILED`).
    const NEVER_RAN: u32 = 0xc000_0142;
    let first = command.output();
    let never_ran = match &first {
        Ok(output) => output.status.code() == Some(NEVER_RAN.cast_signed()),
        Err(error) => error.raw_os_error() == Some(INTERNAL),
    };
    if cfg!(windows) && never_ran { command.output().unwrap().into() } else { first.unwrap().into() }
}

/// A folder to work in, a home folder with nothing in it, and a vault called `vault`.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    home: TempDir,
}

impl Desk {
    /// Without a vault.
    pub(crate) fn bare() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    /// With an empty vault.
    pub(crate) fn new() -> Self {
        let desk = Self::bare();
        desk.hv(["init", "vault"]).ok();
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A file in the home folder.
    pub(crate) fn home_file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A program with a clean environment: the search path and what the system itself needs, no more.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["PATH", "SystemRoot", "SystemDrive", "TEMP", "TMP", "WINEPREFIX"] {
            let value = std::env::var_os(name);
            value.map(|value| command.env(name, value));
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "USERPROFILE"] {
            command.env(name, self.home.path());
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CEILING_DIRECTORIES", self.folder.path());
        command.env("TZ", "UTC");
        command
    }

    /// `hv` with these arguments in this folder; no vault is chosen.
    pub(crate) fn hv<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        run(self.command(HV).args(args))
    }

    /// `hv -C vault` with these arguments.
    pub(crate) fn on<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        run(self.command(HV).args(["-C", "vault"]).args(args))
    }

    /// The same with more environment.
    pub(crate) fn on_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Run {
        let mut command = self.command(HV);
        command.envs(environment.iter().copied());
        run(command.args(["-C", "vault"]).args(args))
    }

    /// Commits with these arguments; answers the new head.
    #[track_caller]
    pub(crate) fn commit<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let base = ["commit", "-m", "test", "--json"].map(Into::into);
        let outcome = self.on(base.into_iter().chain(args)).json();
        assert_eq!(outcome["committed"], true, "{outcome}");
        outcome["oid"].as_str().unwrap().to_owned()
    }

    /// Writes one file and commits it under the same path; answers the new head.
    #[track_caller]
    pub(crate) fn commit_file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let local = self.write(&format!("in/{name}"), content);
        self.commit(["--add", &format!("{name}={}", local.display())])
    }

    pub(crate) fn head(&self) -> String {
        self.on(["rev-parse", "HEAD"]).text()
    }

    /// The paths of all files of a revision.
    #[track_caller]
    pub(crate) fn files(&self, revision: &str) -> Vec<String> {
        let listed = self.on(["ls-tree", "-r", "--json", revision]).json();
        listed.as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    }

    /// The content of a file.
    #[track_caller]
    pub(crate) fn content(&self, target: &str) -> Vec<u8> {
        self.on(["cat", target]).ok().bytes
    }

    /// What [`Run::fails`] demands of a commit, and that it changed nothing.
    #[track_caller]
    pub(crate) fn refused<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        code: i32,
        words: &[&str],
    ) {
        let before = self.head();
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        self.on(["commit", "-m", "no"].map(Into::into).into_iter().chain(args)).fails(code, words);
        assert_eq!(self.head(), before, "the branch moved");
        assert_eq!(entries(&self.path("vault/tmp")), Vec::<String>::new(), "something is left in tmp");
    }
}

/// Names in a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Feeds a program and waits for it.
#[cfg_attr(not(unix), expect(dead_code, reason = "only Git and shells are fed"))]
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Run {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn both_names_are_the_same_program() {
    let desk = Desk::bare();
    let version = desk.hv(["--version"]).text();
    assert!(version.starts_with("hv 0."), "{version}");
    let long: Run = desk.command(HUBVAULT).arg("--help").output().unwrap().into();
    assert_eq!(long.ok().out.replace("Usage: hubvault", "Usage: hv"), desk.hv(["--help"]).ok().out);
}
