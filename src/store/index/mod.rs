//! An index: one immutable file that describes packs and carries Git objects.
//!
//! ```text
//! [packs][chunks][lookup][files][extents][objects][data]   seven sections, fixed-width rows but for data
//! [block hashes]      16 bytes of BLAKE3 for every 16 KiB block of the sections
//! [trailer]           where each section lies; magic, version
//! ```
//!
//! The file's name is the BLAKE3 of its block hashes and trailer, and each block is checked when it is first
//! read. So opening costs the trailer and the block hashes, and still no byte is ever used unchecked.
//! Tables are sorted by their key and searched in place: nothing is loaded whole.
//!
//! `data` holds content too small for a pack of its own and the bodies of trees, commits and tags, so that a
//! tiny transaction is one file. [`mod@format`] is the bytes, [`draft`] and [`mod@write`] build, [`read`] answers, `search` finds keys.

mod check;
pub mod draft;
mod filter;
pub mod format;
mod gathered;
pub mod read;
mod search;
pub mod write;

pub(super) use filter::Filter;
pub use format::{ChunkRow, Codec, Extent, FileRow, LookupRow, ObjectRow, PackRow, Row, Stored, Table};
pub use read::{BlockCache, Index};
pub use search::Finder;
pub use write::IndexBuilder;

/// Where the index with this id lies in the vault.
pub fn path_of(id: super::id::IndexId) -> String {
    format!("packs/{id}.idx")
}
