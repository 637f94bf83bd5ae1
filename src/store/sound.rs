//! Whether what the vault seems to have may stand in for content that is at hand.
//!
//! A pack that is lost or short never does. Whether a byte in it has rotted is not looked at for every commit, since that
//! means reading it; who asks for it ([`Transaction::distrust`](super::transaction::Transaction::distrust)) has each chunk
//! read and checked first. What fails is remembered, so that others who need it can be given the new copy (`ingest::mend`).

use std::collections::HashMap;
use std::ops::Range;

use super::catalog::{Catalog, FileRecord, Pack};
use super::id::{ChunkHash, PackId};
use super::index::ChunkRow;
use super::media::Media;
use super::pack;
use super::transaction::unless_damaged;

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Soundness {
    /// Packs, and whether they are there with all their bytes.
    packs: HashMap<PackId, bool>,
    /// Whether chunks are read.
    distrusts: bool,
    /// Chunks that failed their check, by the hash they should have.
    bad: HashMap<ChunkHash, Bad>,
}

/// A chunk that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Bad {
    /// Where it is: decoded bytes of packs.
    pub(super) places: Vec<(PackId, Range<u64>)>,
    /// Where the same bytes are, and good.
    pub(super) again: Option<(PackId, u64)>,
}

impl Soundness {
    /// From now on, chunks are read.
    pub(super) fn distrust(&mut self) {
        self.distrusts = true;
    }

    /// Whether a pack is there with all its bytes.
    pub(super) fn check(&mut self, media: &dyn Media, catalog: &Catalog, id: PackId) -> bool {
        *self.packs.entry(id).or_insert_with(|| {
            let described = unless_damaged(catalog.pack(id));
            let found = media.len(&pack::path_of(id));
            described.is_some_and(|pack| found.is_ok_and(|len| len == Some(pack.row.stored_len)))
        })
    }

    /// Whether a chunk holds what it should, as far as that is looked at.
    pub(super) fn holds(&mut self, catalog: &Catalog, pack: &Pack, row: &ChunkRow) -> bool {
        if !self.distrusts {
            return true;
        }
        let Err(error) = catalog.read_chunk(pack, row) else { return true };
        tracing::warn!(%error, "stored again what is at hand");
        // Nothing but its own index can name what lies in an index.
        if !pack.is_inline() {
            let place = (pack.row.id, row.raw_start..row.raw_start + u64::from(row.raw_len));
            let bad = self.bad.entry(row.hash).or_default();
            if !bad.places.contains(&place) {
                bad.places.push(place);
            }
        }
        false
    }

    /// The same of all chunks of a content.
    pub(super) fn holds_all(&mut self, catalog: &Catalog, record: &FileRecord) -> bool {
        if !self.distrusts {
            return true;
        }
        let mut holds = true;
        for extent in &record.extents {
            let Ok(pack) = catalog.pack_of(record, extent) else { return false };
            for chunk in pack.chunks_in(extent) {
                // On to the end: all that is bad is stored again, and others may need it.
                holds &= chunk.is_ok_and(|(_, row)| self.holds(catalog, &pack, &row));
            }
        }
        holds
    }

    /// Notes where a chunk was stored, or is, in case it is one that was bad elsewhere.
    pub(super) fn stored(&mut self, hash: ChunkHash, place: (PackId, u64)) {
        if let Some(bad) = self.bad.get_mut(&hash) {
            bad.again = Some(place);
        }
    }

    /// Chunks that were bad and of which no good copy is known, with their lengths.
    pub(super) fn not_again(&self) -> Vec<(ChunkHash, u32)> {
        let bad = self.bad.iter().filter(|(_, bad)| bad.again.is_none());
        bad.filter_map(|(hash, bad)| {
            let (_, range) = bad.places.first()?;
            Some((*hash, u32::try_from(range.end - range.start).ok()?))
        })
        .collect()
    }

    /// Whether anything was bad.
    pub(super) fn found_any(&self) -> bool {
        !self.bad.is_empty()
    }

    /// Chunks that were bad and are there again.
    pub(super) fn again(&self) -> impl Iterator<Item = (&(PackId, Range<u64>), (PackId, u64))> {
        let again = self.bad.values().filter_map(|bad| Some((&bad.places, bad.again?)));
        again.flat_map(|(places, again)| places.iter().map(move |place| (place, again)))
    }
}
