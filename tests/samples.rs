//! What tests of every kind are made of: bytes, and operations and vaults in memory.

use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{AddSource, CommitOperation, OpsError, RepoPath};
use hubvault::store::media::memory::MemoryMedia;

/// Bytes that nothing compresses, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Adds a file with these bytes.
pub(crate) fn add(path: &str, bytes: impl Into<Vec<u8>>) -> CommitOperation {
    let path_in_repo = Some(RepoPath::new(path).unwrap());
    CommitOperation::Add { path_in_repo, source: AddSource::Bytes(bytes.into()) }
}

/// The repository on a medium.
pub(crate) fn open(media: &MemoryMedia) -> Result<Repository, OpsError> {
    Repository::open_on(Arc::new(media.clone()))
}
