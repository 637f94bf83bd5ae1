//! What becomes of each pack and each index: kept, rewritten or dropped.
//!
//! Packs without a marked chunk go; packs much of which is dead are moved; indexes much of which is dead are said
//! again. An index that says a dead commit or tag always is: an id that can be named either leads to something
//! whole or to nothing. Reads indexes and the list of files; changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::{Basis, Policy, WORTH, marked};
use crate::store::catalog::Catalog;
use crate::store::error::StoreError;
use crate::store::id::{IndexId, PackId};
use crate::store::index::{
    self, ChunkRow, Extent, FileRow, Index, LookupRow, ObjectRow, PackRow, Row as _, Stored,
};
use crate::store::mark::{Marks, is_described_in, locate_object, locate_pack};
use crate::store::media::Media;
use crate::store::object::Kind;
use crate::store::pack;
use crate::store::vault::View;

/// What becomes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays as it is.
    Keep,
    /// Its live chunks move to another pack.
    Move,
    /// No chunk of it is live.
    Drop,
}

/// Names and lengths of the files in `packs/`.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    packs: BTreeMap<PackId, u64>,
    indexes: BTreeMap<IndexId, u64>,
}

impl Folder {
    /// Reads the folder. Names that we would not give are a stranger's, and left out.
    pub fn read(media: &dyn Media) -> Result<Self, StoreError> {
        let names = match media.list("packs") {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError::io("list", "packs")(error)),
        };
        let mut folder = Self::default();
        for name in names {
            let path = format!("packs/{name}");
            // What is not a regular file is no file of ours.
            let Ok(Some(len)) = media.len(&path) else { continue };
            if let Some(Ok(id)) = name.strip_suffix(".pack").map(str::parse) {
                folder.packs.insert(id, len);
            } else if let Some(Ok(id)) = name.strip_suffix(".idx").map(str::parse) {
                folder.indexes.insert(id, len);
            }
        }
        Ok(folder)
    }

    /// Length of a pack's file, if it is there.
    pub(super) fn pack_len(&self, id: PackId) -> Option<u64> {
        self.packs.get(&id).copied()
    }

    /// Whether an index's file is there.
    pub(super) fn has_index(&self, id: IndexId) -> bool {
        self.indexes.contains_key(&id)
    }

    /// The files that `view` does not name, with their lengths: packs, then indexes.
    pub fn unnamed(&self, view: &View) -> Result<Vec<(String, u64)>, StoreError> {
        let mut found = Vec::new();
        for (&id, &len) in &self.packs {
            if locate_pack(&view.catalog, id)?.is_none() {
                found.push((pack::path_of(id), len));
            }
        }
        let dead = self.indexes.iter().filter(|(id, _)| !view.state.indexes.contains(id));
        found.extend(dead.map(|(&id, &len)| (index::path_of(id), len)));
        Ok(found)
    }
}

/// What a collection would do.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) fates: HashMap<PackId, Fate>,
    /// Packs to be dropped whole, with the lengths of their files.
    pub(super) dropped: Vec<(PackId, u64)>,
    /// Packs whose live chunks move, with the index that describes them.
    pub(super) moved: Vec<(usize, PackRow)>,
    /// For each index, whether it is said again without what is dead.
    pub(super) rewritten: Vec<bool>,
    /// Bytes of live chunks that move.
    pub moving: u64,
    /// Dead bytes that stay because too little around them is dead.
    pub tolerated: u64,
    /// Dead bytes that stay because packs are being read.
    pub held: u64,
}

impl Plan {
    /// Decides, from what is marked.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a pack with live content is missing or has another length;
    /// [`StoreError::Interrupted`].
    pub fn new(basis: &Basis<'_>) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        let catalog = &basis.view.catalog;
        for (at, index) in catalog.indexes().iter().enumerate() {
            for pack in index.rows::<PackRow>() {
                basis.interrupt.check()?;
                plan.pack(catalog, at, &pack?, &basis.marks[at], &basis.policy)?;
            }
        }
        for (at, index) in catalog.indexes().iter().enumerate() {
            basis.interrupt.check()?;
            let rewritten = plan.index(catalog, at, index, &basis.marks, &basis.policy)?;
            plan.rewritten.push(rewritten);
        }
        Ok(plan)
    }

    /// Number of packs whose live chunks move.
    pub fn moved_count(&self) -> u64 {
        self.moved.len() as u64
    }

    /// The part of a plan that needs no new index: whole dead packs go.
    pub(super) fn dropping(plan: &Self) -> Self {
        Self {
            dropped: plan.dropped.clone(),
            rewritten: vec![false; plan.rewritten.len()],
            ..Self::default()
        }
    }

    pub(super) fn fate(&self, pack: PackId) -> Option<Fate> {
        self.fates.get(&pack).copied()
    }

    fn pack(
        &mut self,
        catalog: &Catalog,
        at: usize,
        pack: &PackRow,
        marks: &Marks,
        policy: &Policy,
    ) -> Result<(), StoreError> {
        // A second description of a pack, and one of a retired pack, are rows that nobody is given.
        if pack.id == PackId::HERE || !is_described_in(catalog, at, pack.id)? {
            return Ok(());
        }
        let (live, is_held) = live_chunks(&catalog.indexes()[at], pack, marks, policy)?;
        let path = pack::path_of(pack.id);
        let len = catalog.media().len(&path).map_err(StoreError::io("look at", &path))?;
        if live > 0 && len != Some(pack.stored_len) {
            let detail = match len {
                None => "the file is missing".to_owned(),
                Some(len) => format!("it has {len} bytes, not {}", pack.stored_len),
            };
            return Err(StoreError::damaged(&path, detail));
        }
        let dead = pack.stored_len.saturating_sub(live);
        let fate = match (live, dead) {
            (_, 0) => Fate::Keep,
            _ if is_held => {
                self.held += dead;
                Fate::Keep
            }
            (0, _) => Fate::Drop,
            _ if policy.thorough || dead.saturating_mul(WORTH) >= pack.stored_len => Fate::Move,
            _ => {
                self.tolerated += dead;
                Fate::Keep
            }
        };
        match fate {
            Fate::Keep => {}
            Fate::Drop => self.dropped.push((pack.id, len.unwrap_or(0))),
            Fate::Move => {
                self.moved.push((at, *pack));
                self.moving += live;
            }
        }
        self.fates.insert(pack.id, fate);
        Ok(())
    }

    /// Whether an index is to be said again.
    fn index(
        &mut self,
        catalog: &Catalog,
        at: usize,
        index: &Index,
        marks: &[Marks],
        policy: &Policy,
    ) -> Result<bool, StoreError> {
        let (files, mixed) = self.live_files(index, &marks[at])?;
        let (objects, names_dead) = live_objects(catalog, at, index, marks)?;
        let live = self.live_packs(catalog, at, index, &marks[at])? + files + objects;
        let total = index.sections_len();
        let dead = total.saturating_sub(live);
        let rewritten =
            names_dead || mixed || dead > 0 && (policy.thorough || dead.saturating_mul(WORTH) >= total);
        if !rewritten {
            self.tolerated += dead;
        }
        Ok(rewritten)
    }

    /// Bytes of an index that are about packs and chunks that stay, and of live content inside it.
    fn live_packs(
        &self,
        catalog: &Catalog,
        at: usize,
        index: &Index,
        marks: &Marks,
    ) -> Result<u64, StoreError> {
        let per_chunk = (ChunkRow::LEN + LookupRow::LEN) as u64;
        let mut bytes = 0;
        for pack in index.rows::<PackRow>() {
            let pack = pack?;
            if pack.id == PackId::HERE {
                let before = bytes;
                for ordinal in chunks_of(&pack).filter(|&ordinal| marks.chunks.has(ordinal)) {
                    bytes += per_chunk + u64::from(index.row::<ChunkRow>(ordinal)?.stored_len);
                }
                bytes += if bytes > before { PackRow::LEN as u64 } else { 0 };
            } else if self.fate(pack.id) == Some(Fate::Keep) && is_described_in(catalog, at, pack.id)? {
                bytes += PackRow::LEN as u64 + u64::from(pack.chunk_count) * per_chunk;
            }
        }
        Ok(bytes)
    }

    /// Bytes of live file records that stay, and whether one must be said anew that also has content in here.
    fn live_files(&self, index: &Index, marks: &Marks) -> Result<(u64, bool), StoreError> {
        let (mut bytes, mut mixed) = (0, false);
        for ordinal in marked::<FileRow>(index, &marks.files) {
            let row: FileRow = index.row(ordinal)?;
            let extents = index.extents(&row)?;
            if self.moves(&extents) {
                mixed |= extents.iter().any(|extent| extent.pack == PackId::HERE);
            } else {
                bytes += (FileRow::LEN + extents.len() * Extent::LEN) as u64;
            }
        }
        Ok((bytes, mixed))
    }

    /// Whether some of this moves.
    pub(super) fn moves(&self, extents: &[Extent]) -> bool {
        extents.iter().any(|extent| self.fate(extent.pack) == Some(Fate::Move))
    }
}

/// Bytes of a pack's live chunks, and whether somebody reads one of its chunks.
fn live_chunks(
    index: &Index,
    pack: &PackRow,
    marks: &Marks,
    policy: &Policy,
) -> Result<(u64, bool), StoreError> {
    let (mut live, mut is_held) = (0, false);
    for ordinal in chunks_of(pack) {
        let is_live = marks.chunks.has(ordinal);
        if is_live || !policy.held.is_empty() {
            let chunk: ChunkRow = index.row(ordinal)?;
            live += if is_live { u64::from(chunk.stored_len) } else { 0 };
            is_held |= policy.held.has(chunk.hash);
        }
    }
    Ok((live, is_held))
}

/// Bytes of live objects, and whether there is a dead commit or tag that could still be named.
fn live_objects(
    catalog: &Catalog,
    at: usize,
    index: &Index,
    marks: &[Marks],
) -> Result<(u64, bool), StoreError> {
    let (mut bytes, mut names_dead) = (0, false);
    for ordinal in 0..index.count::<ObjectRow>() {
        let row: ObjectRow = index.row(ordinal)?;
        let body = if let Stored::Body { kind, stored_len, .. } = row.stored {
            Some((kind, stored_len))
        } else {
            None
        };
        if marks[at].objects.has(ordinal) {
            bytes += ObjectRow::LEN as u64 + body.map_or(0, |(_, len)| u64::from(len));
        } else if matches!(body, Some((Kind::Commit | Kind::Tag, _))) {
            let given = locate_object(catalog, row.id)?;
            names_dead |= given.is_none_or(|(holder, ordinal, _)| !marks[holder].objects.has(ordinal));
        }
    }
    Ok((bytes, names_dead))
}

/// Ordinals of a pack's chunks.
pub(super) fn chunks_of(pack: &PackRow) -> std::ops::Range<u32> {
    pack.first_chunk..pack.first_chunk.saturating_add(pack.chunk_count)
}
