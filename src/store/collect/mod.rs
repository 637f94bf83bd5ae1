//! Garbage collection: freeing what no mark needs, as a transaction like any other.
//!
//! Which rows are needed is said by [`super::mark`]; `survey` decides what becomes of packs and indexes,
//! `compose` says again what is still needed of those that go, and `run` publishes that and only then removes
//! files. A crash in between leaves files that nothing names, which the next collection removes. Nothing here
//! knows refs, a clock or who asks. `docs/decisions/0006-garbage-collection.md` is why it is like this.

mod compose;
mod run;
mod survey;

use std::collections::HashSet;

pub use run::{Collector, Freed, Outcome, leftovers, log_len, readers};
pub use survey::{Folder, Plan};

use super::catalog::{Catalog, Pack};
use super::error::StoreError;
use super::id::{ChunkHash, PackId};
use super::index::{FileRow, Index, LookupRow, Row};
use super::interrupt::Interrupt;
use super::mark::{Bits, Marks, locate_pack_of};
use super::vault::View;

/// What is worth rewriting: an index or a pack one part in this many of which is dead, unless all is to go.
const WORTH: u64 = 4;

/// What a collection goes on.
#[derive(Debug)]
pub struct Basis<'v> {
    /// The state that was looked at.
    pub view: &'v View,
    /// What is needed of it, index by index.
    pub marks: Vec<Marks>,
    /// How to go about it.
    pub policy: Policy,
    /// The files there were before it.
    pub folder: Folder,
    /// The leases that were marked for.
    pub leases: Vec<PackId>,
    /// Unnamed files that an earlier record retired: they need no record of their own.
    pub settled: HashSet<String>,
    /// By which it can be asked to end; looked at before something is published, not after.
    pub interrupt: &'v Interrupt,
}

/// How a collection is to be made.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Rewrite whatever has anything dead in it, not only what has much.
    pub thorough: bool,
    /// Chunks that packs must keep where they are, because somebody with an older view reads them.
    pub held: Held,
    /// Whether packs that nothing names stay: somebody may have a view so old that it names them.
    pub keep_unnamed_packs: bool,
}

/// The chunks of content that is being read, by the start of their hashes: one too many does no harm.
#[derive(Debug, Clone, Default)]
pub struct Held(HashSet<u64>);

impl Held {
    /// Adds the chunks of every file that is marked.
    pub fn add(&mut self, catalog: &Catalog, marks: &[Marks]) -> Result<(), StoreError> {
        for (at, index) in catalog.indexes().iter().enumerate() {
            for file in marked::<FileRow>(index, &marks[at].files) {
                let row: FileRow = index.row(file)?;
                for extent in index.extents(&row)? {
                    let Some((holder, pack)) = locate_pack_of(catalog, at, &extent)? else { continue };
                    for chunk in Pack::of(&catalog.indexes()[holder], pack).chunks_in(&extent) {
                        self.0.insert(LookupRow::prefix_of(chunk?.1.hash));
                    }
                }
            }
        }
        Ok(())
    }

    fn has(&self, hash: ChunkHash) -> bool {
        self.0.contains(&LookupRow::prefix_of(hash))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Ordinals of the marked rows of a table.
fn marked<'a, R: Row>(index: &Index, bits: &'a Bits) -> impl Iterator<Item = u32> + 'a {
    (0..index.count::<R>()).filter(|&row| bits.has(row))
}
