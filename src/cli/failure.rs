//! Failures as users see them: a message, a stable code, an exit code. The only place that chooses those.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use hubvault_platform::{MountError, UnmountError};
use serde_json::json;

use super::args::Command;
use super::notices;
use super::output::{json_line, printable};
use super::paths::is_pattern;
use super::progress::INTERRUPTED;
use crate::ops::OpsError;
use crate::snapshot::{SnapshotError, StoreError};

/// What the program exits with for each code; 1 for all others.
const EXIT_CODES: &[(&str, u8)] = &[
    ("broken-pipe", 0),
    ("usage", 2),
    ("unsupported-path", 2),
    ("invalid-ref-name", 2),
    ("invalid-argument", 2),
    ("not-a-vault", 3),
    ("revision-not-found", 3),
    ("ambiguous-revision", 3),
    ("entry-not-found", 3),
    ("transaction-not-found", 3),
    ("conflict", 4),
    ("path-conflict", 4),
    ("ref-exists", 4),
    ("ref-conflict", 4),
    ("repository-exists", 4),
    ("nothing-to-commit", 4),
    ("nothing-matched", 4),
    ("default-branch", 4),
    ("not-merged", 4),
    ("not-fast-forward", 4),
    ("unrelated-histories", 4),
    ("cannot-undo", 4),
    ("damaged", 5),
    ("unsupported-version", 5),
    ("id-collision", 5),
    ("mount", 6),
    ("interrupted", INTERRUPTED),
];

/// Why a command ends without success.
#[derive(Debug)]
pub(super) struct Failure {
    code: Cow<'static, str>,
    message: String,
    /// What keeps the vault from being written, if that is why.
    obstacle: Option<Obstacle>,
    /// What is to be said besides, of what was done before it failed.
    warnings: Vec<String>,
}

/// What keeps a vault from being written.
#[derive(Debug, Clone, Copy)]
enum Obstacle {
    /// This user may not.
    Forbidden,
    /// Nothing more fits.
    Full,
}

impl Failure {
    /// A failure with a code of its own.
    pub(super) fn new(code: &'static str, message: impl Display) -> Self {
        Self { code: code.into(), message: message.to_string(), obstacle: None, warnings: Vec::new() }
    }

    /// The command line makes no sense.
    pub(super) fn usage(message: impl Display) -> Self {
        Self::new("usage", message)
    }

    /// A failure that another process described with [`Failure::to_json`].
    pub(super) fn described(code: &str, message: String) -> Self {
        Self { code: code.to_owned().into(), ..Self::new("", message) }
    }

    /// The same failure, saying which folder it is about.
    pub(super) fn at(self, folder: &Path) -> Self {
        if self.obstacle.is_some() {
            return self.in_vault(folder);
        }
        Self { message: format!("{}: {}", folder.display(), self.message), ..self }
    }

    /// The same failure; one to write says to which vault.
    pub(super) fn in_vault(self, vault: &Path) -> Self {
        let (vault, why) = (vault.display(), &self.message);
        let message = match self.obstacle {
            None => return self,
            Some(Obstacle::Forbidden) => {
                format!("you may not write to `{vault}`, and nothing was changed ({why})")
            }
            Some(Obstacle::Full) => format!(
                "no space is left for `{vault}`, and nothing was committed: `hv gc` frees what nothing needs, \
                 `hv gc --prune-cache` the copies that downloads keep ({why})"
            ),
        };
        Self { message, obstacle: None, ..self }
    }

    /// Whether it has this code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// The same failure, saying something more.
    pub(super) fn and(self, more: &str) -> Self {
        Self { message: format!("{}; {more}", self.message), ..self }
    }

    /// The same failure in other words.
    pub(super) fn reworded(self, words: impl FnOnce(&str) -> String) -> Self {
        Self { message: words(&self.message), ..self }
    }

    /// Nothing left to say, and the exit code says it failed: `verify` has printed what it found.
    pub(super) fn reported(code: &'static str) -> Self {
        Self::new(code, "")
    }

    /// The same failure, with what to do where something in the vault is damaged.
    pub(super) fn advised(self, command: &Command) -> Self {
        let advice = match command {
            _ if self.code != "damaged" || self.message.is_empty() => return self,
            Command::Verify(_) => "`hv verify --help` says how to mend it",
            _ => "`hv verify --full` lists all that is affected",
        };
        Self { message: format!("{} ({advice})", self.message), ..self }
    }

    fn exit_code(&self) -> u8 {
        EXIT_CODES.iter().find(|(code, _)| *code == self.code).map_or(1, |(_, exit)| *exit)
    }

    /// Prints the failure to standard error, below what is to be said besides, and answers the exit code.
    pub(super) fn report(&self, as_json: bool) -> ExitCode {
        for warning in &self.warnings {
            if let Err(error) = notices::warning(as_json, None, warning) {
                tracing::debug!(?error, "standard error is gone");
            }
        }
        if !self.message.is_empty() && self.code != "broken-pipe" {
            let line = if as_json {
                json_line(&json!({ "error": { "code": self.code, "message": self.message } }))
            } else {
                // One line, whatever a name in it holds: a line feed must not forge another message.
                format!("error: {}", printable(&self.message).replace('\n', "\\n"))
            };
            if let Err(error) = writeln!(io::stderr(), "{line}") {
                // Nobody is left to tell; the exit code still says it.
                tracing::debug!(%error, "standard error is gone");
            }
        }
        ExitCode::from(self.exit_code())
    }

    /// What the starter of a background mount is told.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({ "code": self.code, "message": self.message })
    }
}

impl From<OpsError> for Failure {
    fn from(error: OpsError) -> Self {
        if let OpsError::Midway { warnings, source } = error {
            return Self { warnings, ..Self::from(*source) };
        }
        let was_pattern = matches!(&error, OpsError::Snapshot(SnapshotError::EntryNotFound { path, .. }) if is_pattern(path));
        let failure = match obstacle(&error) {
            Some((obstacle, why)) => Self { obstacle: Some(obstacle), ..Self::new(error.code(), why) },
            None => Self::new(error.code(), error),
        };
        if was_pattern { failure.and("this takes a path, and no pattern") } else { failure }
    }
}

/// What kept the vault from being written, if that is what went wrong, and where in it. Names of files in use are nobody's
/// business.
fn obstacle(error: &OpsError) -> Option<(Obstacle, String)> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let (OpsError::Store(error) | OpsError::NotCollected(error)) = error else { return None };
    let StoreError::Io { action, file, source } = error else { return None };
    let obstacle = match *action {
        _ if error.is_out_of_space() => Obstacle::Full,
        "read" | "list" | "look at" => return None,
        _ if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) => Obstacle::Forbidden,
        _ => return None,
    };
    let folder = file.split('/').next().unwrap_or(file);
    Some((obstacle, format!("in `{folder}`: {source}")))
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        OpsError::from(error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        OpsError::from(error).into()
    }
}

/// What can be done where nothing can be mounted.
const WITHOUT_A_MOUNT: &str = "without a mount, `hv export REV DIR --hf-cache --repo-id NAME` writes a Hugging Face cache \
     and `hv snapshot -r REV --local-dir DIR` a folder";

impl From<MountError> for Failure {
    fn from(error: MountError) -> Self {
        match error {
            MountError::NoDevice
            | MountError::DeviceForbidden
            | MountError::HelperMissing
            | MountError::NotPermitted { .. } => Self::new("mount", format!("{error}; {WITHOUT_A_MOUNT}")),
            error => Self::new("mount", error),
        }
    }
}

impl From<UnmountError> for Failure {
    fn from(error: UnmountError) -> Self {
        Self::new("unmount", error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { "broken-pipe" } else { "io" };
        Self::new(code, error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}
