//! The use cases, one file per verb. Each takes plain values, returns data and reports progress as events.
//!
//! Names follow `huggingface_hub` where it has the verb. Nothing here prints, reads the environment or asks
//! for the time: who commits and when comes in as arguments, so that every result can be repeated exactly.

pub mod branch;
pub mod commit;
mod detached;
pub mod diff;
pub mod download;
pub mod edit;
mod edits;
pub mod error;
pub mod export;
mod folder;
pub mod gc;
pub mod gone;
pub mod history;
pub mod info;
pub mod init;
pub mod last_commit;
pub mod local;
pub mod log;
mod manifest;
pub mod merge;
pub mod models;
pub mod optimize;
pub mod overview;
pub mod patterns;
mod placing;
mod plan;
mod progress;
pub mod read;
pub mod reflog;
mod refs;
pub mod replay;
pub mod reset;
pub mod safetensors;
pub mod settings;
pub mod sharing;
pub mod show;
pub mod source;
pub mod squash;
pub mod status;
pub mod tag;
mod transact;
pub mod transactions;
pub mod tree;
pub mod undo;
pub mod upload;
pub mod usage;
pub mod verify;
pub mod versions;
pub mod walked;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use commit::{AddSource, Changed, CommitOperation, CommitOptions, CommitOutcome};
pub use error::OpsError;
pub use init::{InitOptions, Initialized};
pub use local::Links;
pub use progress::{Phase, Progress};

pub use crate::store::id::ObjectId;
pub use crate::store::lease::HeldLease;
pub use crate::store::object::Commit;
pub use crate::store::object::{IdentityError, Signature, Timestamp, parse_identity};
pub use crate::store::pack::Compression;
pub use crate::store::path::{PathError, RepoPath};

use crate::snapshot::{ChunkCache, Snapshot, SnapshotError};
use crate::store::id::PackId;
use crate::store::lease::{self, Lease};
use crate::store::log::scan::Warning;
use crate::store::media::Media;
use crate::store::media::disk::DiskMedia;
use crate::store::transaction::Context;
use crate::store::vault::Vault;

/// Who acts, when, and a random number that names the files it makes.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Name, e-mail address and time.
    pub signature: Signature,
    /// Must never repeat.
    pub nonce: [u8; 16],
}

impl Actor {
    /// The same, for one more transaction: each needs a random number of its own.
    pub(crate) fn again(&self) -> Self {
        let hash = blake3::hash(&self.nonce);
        let nonce = *hash.as_bytes().first_chunk().unwrap_or(&self.nonce);
        Self { nonce, ..self.clone() }
    }

    pub(crate) fn context(&self, command: &str) -> Context {
        let signature = &self.signature;
        Context {
            time: signature.time(),
            actor: format!("{} <{}>", signature.name(), signature.email()),
            command: command.to_owned(),
            nonce: self.nonce,
        }
    }
}

/// An open vault and the cache its readers share.
#[derive(Debug)]
pub struct Repository {
    vault: Vault,
    media: Arc<dyn Media>,
    cache: Arc<ChunkCache>,
    root: Option<PathBuf>,
}

/// Most memory for blocks of indexes in a process that lives long: more hardly helps who looks for hashes.
const BLOCKS: usize = 16 << 20;

/// Memory for decoded chunks when nothing else is said.
pub const DEFAULT_CACHE: usize = 64 << 20;

impl Repository {
    /// Opens the vault in the folder `root`.
    pub fn open(root: &Path) -> Result<Self, OpsError> {
        // Absolute from the start, so that a later change of the current folder changes nothing.
        let canonical = root.canonicalize().ok();
        let media: Arc<dyn Media> = Arc::new(DiskMedia::open(canonical.as_deref().unwrap_or(root)));
        Ok(Self { root: canonical, ..Self::open_on(media)? })
    }

    /// Opens the vault on any medium.
    pub fn open_on(media: Arc<dyn Media>) -> Result<Self, OpsError> {
        let vault = Vault::open(Arc::clone(&media))?;
        Ok(Self { vault, media, cache: Arc::new(ChunkCache::new(DEFAULT_CACHE)), root: None })
    }

    /// The same with another limit on the memory for what is kept to be read again, in bytes: decoded chunks, and at
    /// most a quarter for blocks of indexes.
    #[must_use]
    pub fn with_cache(self, bytes: usize) -> Self {
        self.vault.limit_block_cache((bytes / 4).min(BLOCKS));
        let chunks = bytes - (bytes / 4).min(self.vault.block_cache_limit());
        Self { cache: Arc::new(ChunkCache::new(chunks)), ..self }
    }

    /// The same open vault and the same cache, to be interrupted by itself. Costs nothing: take one for each operation that
    /// somebody may want to end.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            vault: self.vault.handle(),
            media: Arc::clone(&self.media),
            cache: Arc::clone(&self.cache),
            root: self.root.clone(),
        }
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The folder the vault is in, when it is in one.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    pub(super) fn cache(&self) -> Arc<ChunkCache> {
        Arc::clone(&self.cache)
    }

    /// The revision (default: the default branch) as it is now.
    pub fn snapshot(&self, revision: Option<&str>) -> Result<Snapshot, SnapshotError> {
        Snapshot::open(self.vault.view(), revision.unwrap_or("HEAD"), Arc::clone(&self.cache))
    }

    /// Id of what `revision` names; see [`crate::snapshot::resolve::object`].
    pub fn rev_parse(&self, revision: &str) -> Result<ObjectId, SnapshotError> {
        crate::snapshot::resolve::object(&self.vault.view(), revision)
    }

    /// What was passed over when the vault was opened; empty for a healthy one.
    pub fn warnings(&self) -> Vec<Warning> {
        self.vault.view().warnings.clone()
    }

    /// The revision as it is now, and a lease on it, so that a collection keeps what it needs and where it is:
    /// how to begin anything that reads for long. The lease is `None` on a vault that cannot be written.
    ///
    /// The order is what makes it safe: a collection that did not see the lease was published before the state in
    /// which the commit is then looked up; one that begins later sees it.
    pub fn leased_snapshot(
        &self,
        revision: Option<&str>,
        actor: &Actor,
        purpose: &str,
        pid: u32,
    ) -> Result<(Snapshot, Option<HeldLease>), OpsError> {
        self.vault.refresh()?;
        let mut seen = self.snapshot(revision)?;
        loop {
            let lease = self.lease(&seen, actor, purpose, pid);
            let view = self.vault.refresh()?;
            match Snapshot::open_at(view, seen.id(), seen.revision(), self.cache()) {
                Ok(snapshot) => return Ok((snapshot, lease)),
                Err(error) => {
                    // Squashed and collected before the lease was there: then the revision is another commit by now.
                    let now = self.snapshot(revision)?;
                    if now.id() == seen.id() {
                        return Err(error.into());
                    }
                    seen = now;
                }
            }
        }
    }

    /// Takes a lease on a snapshot. What is to be read must be looked up again after that; see
    /// [`Repository::leased_snapshot`].
    pub fn lease(&self, snapshot: &Snapshot, actor: &Actor, purpose: &str, pid: u32) -> Option<HeldLease> {
        let since = actor.signature.time().seconds;
        let transaction = self.vault.view().state.tip.map_or(0, |tip| tip.seq);
        let lease = Lease { commit: snapshot.id(), purpose: purpose.to_owned(), pid, since, transaction };
        lease::take(&self.media, PackId::from_bytes(actor.nonce), &lease)
    }
}

/// The path of what is called `name` in a folder; the root is called nothing.
fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
