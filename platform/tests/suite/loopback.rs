//! The sample tree through the loopback driver.

use std::sync::Arc;

use hubvault_platform::loopback::{Loopback, LoopbackError};
use hubvault_platform::{NodeKind, PortError};

use crate::behaviour::{self, Refusal, Shown, View};
use crate::memory::{BIG, MANY, MemoryTree};

impl From<LoopbackError> for Refusal {
    fn from(error: LoopbackError) -> Self {
        let LoopbackError::Port { source, .. } = error else { panic!("{error}") };
        match source {
            PortError::NotFound => Self::NotFound,
            PortError::NotADirectory => Self::NotADirectory,
            PortError::IsADirectory => Self::IsADirectory,
            PortError::InvalidInput => Self::InvalidInput,
            _ => Self::Other(0),
        }
    }
}

impl View for Loopback {
    fn metadata(&self, path: &[u8]) -> Result<Shown, Refusal> {
        let found = Loopback::metadata(self, path)?;
        Ok(Shown { node: found.node.0, kind: found.kind, size: found.size })
    }

    fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, u64, NodeKind)>, Refusal> {
        let entries = Loopback::list(self, path)?;
        Ok(entries.into_iter().map(|entry| (entry.name, entry.node.0, entry.kind)).collect())
    }

    fn read(&self, path: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(self.read_to_end(path)?)
    }

    fn read_at(&self, path: &[u8], offset: u64, length: usize) -> Result<Vec<u8>, Refusal> {
        Ok(Loopback::read_at(self, path, offset, length)?)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(Loopback::read_link(self, path)?)
    }

    fn xattr(&self, path: &[u8], name: &[u8]) -> Result<Vec<u8>, Refusal> {
        Loopback::xattr(self, path, name)?.ok_or(Refusal::NoAttribute)
    }

    fn list_xattrs(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        Ok(Loopback::list_xattrs(self, path)?)
    }
}

#[test]
fn the_suite_without_a_kernel() {
    let tree = Arc::new(MemoryTree::sample());
    behaviour::check(&Loopback::new(Arc::clone(&tree) as _));
    assert_eq!((tree.outstanding_lookups(), tree.open_files()), (0, 0));
}

#[test]
fn a_sound_tree_passes_the_examination() {
    let tree = Arc::new(MemoryTree::sample());
    let census = Loopback::new(Arc::clone(&tree) as _).examine().unwrap();
    let counts = (census.directories, census.files, census.links);
    assert_eq!(counts, (5, 7 + MANY as u64, 2));
    assert!(census.bytes > BIG as u64);
    assert_eq!((tree.outstanding_lookups(), tree.open_files()), (0, 0), "books must balance");
}
