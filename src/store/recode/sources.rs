//! What files need of the packs that are recoded: which files, and which chunks.
//!
//! Only records that readers are given count. A file that also has content inside an index takes that along, because no
//! other index can point there. Reads indexes only.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::store::catalog::{Catalog, Pack};
use crate::store::error::StoreError;
use crate::store::id::{PackId, Sha256};
use crate::store::index::{self, Extent, FileRow};
use crate::store::mark::{Bits, locate_file, locate_pack};
use crate::store::moves::{Place, place_of};
use crate::store::recode::Hurt;

/// A file some of which is recoded.
#[derive(Debug)]
pub(super) struct User {
    pub(super) sha256: Sha256,
    pub(super) size: u64,
    /// Number of the index that has its record.
    pub(super) at: usize,
    pub(super) extents: Vec<Extent>,
}

/// Decoded bytes of a pack that cannot be read.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) place: Place,
    pub(super) range: Range<u64>,
    pub(super) problem: String,
}

/// A pack that is recoded.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) place: Place,
    pub(super) pack: Pack,
    /// Chunks that a file needs and that went nowhere yet, by their ordinals.
    pub(super) needed: Bits,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Sources<'c> {
    pub(super) catalog: &'c Catalog,
    /// In order of their records' indexes, oldest first.
    pub(super) users: Vec<User>,
    /// In the order that was asked for; content inside indexes comes last.
    pub(super) packs: Vec<Source>,
    by_place: HashMap<Place, usize>,
}

impl<'c> Sources<'c> {
    /// Looks through all file records for those that lie in `packs`, but for the contents `without`. No index is walked
    /// that could make that endless.
    pub(super) fn find(
        catalog: &'c Catalog,
        packs: &[PackId],
        without: &HashSet<Sha256>,
    ) -> Result<Self, StoreError> {
        let mut found = Self { catalog, users: Vec::new(), packs: Vec::new(), by_place: HashMap::new() };
        for &id in packs {
            if let Some((holder, row)) = locate_pack(catalog, id)? {
                found.add((id, 0), Pack::of(&catalog.indexes()[holder], row));
            }
        }
        let wanted: HashSet<PackId> = packs.iter().copied().collect();
        for (at, index) in catalog.indexes().iter().enumerate() {
            index.check_layout()?;
            for ordinal in 0..index.count::<FileRow>() {
                let row: FileRow = index.row(ordinal)?;
                let extents = index.extents(&row)?;
                let is_wanted = extents.iter().any(|extent| wanted.contains(&extent.pack))
                    && !without.contains(&row.sha256);
                let is_given = || -> Result<bool, StoreError> {
                    let given = locate_file(catalog, row.sha256)?;
                    Ok(given.is_some_and(|(holder, found, _)| (holder, found) == (at, ordinal)))
                };
                if is_wanted && is_given()? {
                    found.need(User { sha256: row.sha256, size: row.size, at, extents })?;
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, place: Place, pack: Pack) {
        self.by_place.insert(place, self.packs.len());
        self.packs.push(Source { place, needed: Bits::new(pack.row.chunk_count), pack });
    }

    fn need(&mut self, user: User) -> Result<(), StoreError> {
        for extent in &user.extents {
            let place = place_of(extent, user.at);
            if extent.pack == PackId::HERE && !self.by_place.contains_key(&place) {
                let index = &self.catalog.indexes()[user.at];
                let missing =
                    || StoreError::damaged(&index::path_of(index.id()), "it has no content of its own");
                let row = index.pack(PackId::HERE)?.ok_or_else(missing)?;
                self.add(place, Pack::of(index, row));
            }
            if let Some(&n) = self.by_place.get(&place) {
                let Source { pack, needed, .. } = &mut self.packs[n];
                for chunk in pack.chunks_in(extent) {
                    needed.set(chunk?.0 - pack.row.first_chunk);
                }
            }
        }
        self.users.push(user);
        Ok(())
    }

    /// The number of the pack an extent lies in; `None` when it is not recoded.
    pub(super) fn pack_of(&self, user: &User, extent: &Extent) -> Option<usize> {
        self.by_place.get(&place_of(extent, user.at)).copied()
    }

    /// How many bytes of a file are in chunks that went nowhere yet; `None` when some of the file is not recoded, or
    /// begins or ends within a chunk.
    pub(super) fn new_bytes(&self, user: &User) -> Result<Option<u64>, StoreError> {
        let mut new = 0;
        for extent in &user.extents {
            let Some(n) = self.pack_of(user, extent) else { return Ok(None) };
            let Source { pack, needed, .. } = &self.packs[n];
            for chunk in pack.chunks_in(extent) {
                let (ordinal, row) = chunk?;
                let end = row.raw_start + u64::from(row.raw_len);
                if row.raw_start < extent.start || end > extent.start + extent.len {
                    return Ok(None);
                }
                new += if needed.has(ordinal - pack.row.first_chunk) { u64::from(row.raw_len) } else { 0 };
            }
        }
        Ok(Some(new))
    }

    /// The number of packs of their own files that something is needed of.
    pub(super) fn needed_packs(&self) -> u64 {
        let own = self.packs.iter().filter(|source| !source.pack.is_inline());
        own.filter(|source| (0..source.pack.row.chunk_count).any(|n| source.needed.has(n))).count() as u64
    }

    /// The contents that have something in these decoded bytes of packs.
    pub(super) fn hurt(&self, damaged: &[Damage]) -> Vec<Hurt> {
        let lies_in = |user: &User, damage: &Damage| {
            user.extents.iter().any(|extent| {
                place_of(extent, user.at) == damage.place
                    && extent.start < damage.range.end
                    && damage.range.start < extent.start.saturating_add(extent.len)
            })
        };
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for damage in damaged.iter().filter(|damage| seen.insert((damage.place, damage.range.start))) {
            let contents = self.users.iter().filter(|user| lies_in(user, damage)).map(|user| user.sha256);
            found.push(Hurt { problem: damage.problem.clone(), contents: contents.collect() });
        }
        found
    }
}
