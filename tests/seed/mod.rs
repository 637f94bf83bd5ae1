//! What the seed product does, statement by statement, asked of ours from outside.
//!
//! `docs/compatibility.md` tells where we differ on purpose. Each function is named by its statement: `s07_...`. A
//! test checks that none of the 66 is missing. Knows the command line and the public library, not how vaults are
//! stored.

use std::path::Path;

use hubvault::Repository;
use hubvault::ops::{
    Actor, CommitOperation, CommitOptions, CommitOutcome, InitOptions, OpsError, RepoPath, Signature,
    Timestamp,
};
use tempfile::TempDir;

use crate::samples::{add, noise};

mod core;
mod files;
mod look;
mod maintenance;
mod merge;
mod places;
mod time;

/// A vault in a folder of its own, for the library; each act has its own time and random name.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) repository: Repository,
    acts: std::cell::Cell<u8>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(&InitOptions::default())
    }

    pub(super) fn with(options: &InitOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (repository, _) = Repository::init(&folder.path().join("vault"), options, &actor(0)).unwrap();
        Self { folder, repository, acts: std::cell::Cell::new(1) }
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Who acts next.
    pub(super) fn actor(&self) -> Actor {
        self.acts.set(self.acts.get() + 1);
        actor(self.acts.get())
    }

    pub(super) fn try_commit(
        &self,
        operations: &[CommitOperation],
        options: &CommitOptions,
    ) -> Result<CommitOutcome, OpsError> {
        self.repository.create_commit(operations, options, &self.actor(), &mut |_| ())
    }

    #[track_caller]
    pub(super) fn commit(&self, operations: &[CommitOperation]) -> CommitOutcome {
        self.try_commit(operations, &message("test")).unwrap()
    }

    pub(super) fn head(&self) -> String {
        self.repository.rev_parse("HEAD").unwrap().to_string()
    }
}

pub(super) fn actor(act: u8) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000 + i64::from(act), offset_minutes: 0 };
    Actor { signature: Signature::new("A U Thor", "author@example.org", time).unwrap(), nonce: [act; 16] }
}

pub(super) fn message(text: &str) -> CommitOptions {
    CommitOptions { message: text.to_owned(), ..CommitOptions::default() }
}

pub(super) fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

/// Names and contents of everything below a folder.
pub(super) fn everything(folder: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Every statement is somebody's.
#[test]
fn no_statement_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seed");
    let text: String =
        everything(&folder).into_values().map(|file| String::from_utf8(file).unwrap()).collect();
    let missing: Vec<u32> = (1..=66).filter(|number| !text.contains(&format!("fn s{number:02}_"))).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
