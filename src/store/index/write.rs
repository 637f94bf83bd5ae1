//! Building an index: rows are gathered in any order, sorted and laid out once.
//!
//! The builder also absorbs existing indexes, which is how many small ones become one: content in their data
//! sections moves along, and everything that pointed into it is shifted. Packs are never touched by that.
//! This file makes bytes; writing them to the disk belongs to `publish`.

use std::collections::BTreeMap;

use super::format::{
    BLOCK, BLOCK_HASH, ChunkRow, Codec, Extent, FileRow, LookupRow, ObjectRow, PackRow, Row, Stored, TRAILER,
    Table, Trailer,
};
use super::read::Index;
use crate::store::error::StoreError;
use crate::store::id::{ChunkHash, IndexId, ObjectId, PackId, Sha256};
use crate::store::object::Kind;

/// What is known of a pack while its index is being built.
#[derive(Debug, Clone)]
pub struct PackDraft {
    /// Its name.
    pub id: PackId,
    chunks: Vec<ChunkRow>,
    stored_len: u64,
    raw_len: u64,
}

impl PackDraft {
    /// A pack without chunks.
    pub fn new(id: PackId) -> Self {
        Self { id, chunks: Vec::new(), stored_len: 0, raw_len: 0 }
    }

    /// A pack as an index describes it.
    pub fn read(index: &Index, pack: &PackRow) -> Result<Self, StoreError> {
        let mut draft = Self::new(pack.id);
        for ordinal in pack.first_chunk..pack.first_chunk.saturating_add(pack.chunk_count) {
            let chunk: ChunkRow = index.row(ordinal)?;
            draft.push(chunk.hash, chunk.raw_len, chunk.stored_len, chunk.codec);
        }
        Ok(draft)
    }

    /// Notes a chunk that follows the ones before; answers where it starts among the decoded bytes.
    pub fn push(&mut self, hash: ChunkHash, raw_len: u32, stored_len: u32, codec: Codec) -> u64 {
        let raw_start = self.raw_len;
        self.chunks.push(ChunkRow {
            hash,
            raw_start,
            stored_start: self.stored_len,
            raw_len,
            stored_len,
            codec,
        });
        self.raw_len += u64::from(raw_len);
        self.stored_len += u64::from(stored_len);
        raw_start
    }

    /// Length of the pack file in bytes.
    pub fn stored_len(&self) -> u64 {
        self.stored_len
    }

    /// Length of its chunks' bytes when decoded.
    pub fn raw_len(&self) -> u64 {
        self.raw_len
    }

    /// Its chunks in order.
    pub fn chunks(&self) -> &[ChunkRow] {
        &self.chunks
    }

    fn append(&mut self, other: &Self) -> u64 {
        let base = self.raw_len;
        for chunk in &other.chunks {
            self.push(chunk.hash, chunk.raw_len, chunk.stored_len, chunk.codec);
        }
        base
    }
}

#[derive(Debug, Clone)]
struct FileDraft {
    size: u64,
    extents: Vec<Extent>,
}

#[derive(Debug, Clone)]
enum ObjectDraft {
    Blob(Sha256),
    Pointer(Sha256),
    Body { kind: Kind, codec: Codec, raw_len: u32, bytes: Vec<u8> },
}

impl ObjectDraft {
    fn body_len(&self) -> usize {
        if let Self::Body { bytes, .. } = self { bytes.len() } else { 0 }
    }
}

/// Gathers the rows of one index.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    packs: BTreeMap<PackId, PackDraft>,
    here: PackDraft,
    here_bytes: Vec<u8>,
    files: BTreeMap<Sha256, FileDraft>,
    objects: BTreeMap<ObjectId, ObjectDraft>,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self {
            packs: BTreeMap::new(),
            here: PackDraft::new(PackId::HERE),
            here_bytes: Vec::new(),
            files: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }
}

impl IndexBuilder {
    /// Adds a pack that has a file of its own.
    pub fn add_pack(&mut self, pack: PackDraft) {
        self.packs.insert(pack.id, pack);
    }

    /// Adds a chunk, as stored, to the data section; answers where it starts among the decoded bytes there.
    pub fn push_inline(&mut self, chunk: &ChunkRow, stored: &[u8]) -> u64 {
        self.here_bytes.extend_from_slice(stored);
        self.here.push(chunk.hash, chunk.raw_len, chunk.stored_len, chunk.codec)
    }

    /// Puts a pack's bytes into the data section instead of a file, and repoints what points at it.
    pub fn inline_pack(&mut self, pack: &PackDraft, stored: &[u8]) {
        let base = self.here.append(pack);
        self.here_bytes.extend_from_slice(stored);
        for extent in self.files.values_mut().flat_map(|file| &mut file.extents).filter(|e| e.pack == pack.id)
        {
            *extent = Extent { pack: PackId::HERE, start: extent.start + base, len: extent.len };
        }
    }

    /// Notes what makes up a file's content. The extents must add up to `size`.
    pub fn add_file(&mut self, sha256: Sha256, size: u64, extents: Vec<Extent>) {
        debug_assert_eq!(extents.iter().map(|e| e.len).sum::<u64>(), size);
        self.files.entry(sha256).or_insert(FileDraft { size, extents });
    }

    /// Whether any file was added.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether this file was added before.
    pub fn has_file(&self, sha256: Sha256) -> bool {
        self.files.contains_key(&sha256)
    }

    /// Notes which content a blob id stands for.
    pub fn add_blob(&mut self, id: ObjectId, sha256: Sha256, pointer: bool) {
        let draft = if pointer { ObjectDraft::Pointer(sha256) } else { ObjectDraft::Blob(sha256) };
        self.objects.insert(id, draft);
    }

    /// Adds the body of a tree, commit or tag, as stored.
    pub fn add_body(&mut self, id: ObjectId, kind: Kind, codec: Codec, raw_len: u32, bytes: Vec<u8>) {
        self.objects.insert(id, ObjectDraft::Body { kind, codec, raw_len, bytes });
    }

    /// What was added under this id, if anything.
    pub fn object(&self, id: ObjectId) -> Option<Added<'_>> {
        self.objects.get(&id).map(|draft| match draft {
            ObjectDraft::Blob(sha256) => Added::Blob(*sha256),
            ObjectDraft::Pointer(sha256) => Added::Pointer(*sha256),
            ObjectDraft::Body { kind, codec, raw_len, bytes } => Added::Body(*kind, *codec, *raw_len, bytes),
        })
    }

    /// Forgets trees, commits and tags: they were built on a state that is no longer the newest.
    pub fn drop_bodies(&mut self) {
        self.objects.retain(|_, draft| !matches!(draft, ObjectDraft::Body { .. }));
    }

    /// Takes over everything an existing index says, so that it can be retired, but for packs that are gone and
    /// files that lie in one. `is_said` tells which contents an index that stays says better.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for one whose rows make no sense together; part of it may have been taken over.
    pub fn absorb(
        &mut self,
        index: &Index,
        is_gone: &dyn Fn(PackId) -> bool,
        is_said: &dyn Fn(Sha256) -> bool,
    ) -> Result<(), StoreError> {
        index.check_layout()?;
        let mut base = 0;
        for pack in index.rows::<PackRow>() {
            let pack = pack?;
            if is_gone(pack.id) {
                continue;
            }
            let draft = PackDraft::read(index, &pack)?;
            if pack.id == PackId::HERE {
                base = self.here.append(&draft);
                self.here_bytes.extend(index.data(0, pack.stored_len)?);
            } else {
                self.packs.insert(pack.id, draft);
            }
        }
        self.absorb_files(index, base, is_gone, is_said)?;
        self.absorb_objects(index)
    }

    fn absorb_files(
        &mut self,
        index: &Index,
        base: u64,
        is_gone: &dyn Fn(PackId) -> bool,
        is_said: &dyn Fn(Sha256) -> bool,
    ) -> Result<(), StoreError> {
        for file in index.rows::<FileRow>() {
            let file = file?;
            let mut extents = index.extents(&file)?;
            if extents.iter().any(|extent| is_gone(extent.pack)) || is_said(file.sha256) {
                continue;
            }
            for extent in extents.iter_mut().filter(|extent| extent.pack == PackId::HERE) {
                let start = extent.start.checked_add(base).filter(|at| at.checked_add(extent.len).is_some());
                extent.start = start.ok_or_else(|| {
                    StoreError::damaged(&super::path_of(index.id()), "an extent is beyond all bounds")
                })?;
            }
            self.files.entry(file.sha256).or_insert(FileDraft { size: file.size, extents });
        }
        Ok(())
    }

    fn absorb_objects(&mut self, index: &Index) -> Result<(), StoreError> {
        for object in index.rows::<ObjectRow>() {
            let ObjectRow { id, stored } = object?;
            let draft = match stored {
                Stored::Blob(sha256) => ObjectDraft::Blob(sha256),
                Stored::Pointer(sha256) => ObjectDraft::Pointer(sha256),
                Stored::Body { kind, codec, offset, stored_len, raw_len } => {
                    let bytes = index.data(offset, u64::from(stored_len))?;
                    ObjectDraft::Body { kind, codec, raw_len, bytes }
                }
            };
            self.objects.entry(id).or_insert(draft);
        }
        Ok(())
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
            && self.here.chunks.is_empty()
            && self.files.is_empty()
            && self.objects.is_empty()
    }

    /// Exactly how many bytes [`IndexBuilder::build`] will give.
    pub fn built_len(&self) -> u64 {
        let sections = self.estimated_len();
        sections + sections.div_ceil(BLOCK as u64) * BLOCK_HASH as u64 + TRAILER as u64
    }

    /// How many bytes the sections of [`IndexBuilder::build`] will have.
    pub fn estimated_len(&self) -> u64 {
        let chunks: usize = self.packs.values().chain([&self.here]).map(|pack| pack.chunks.len()).sum();
        let extents: usize = self.files.values().map(|file| file.extents.len()).sum();
        let bodies: usize = self.objects.values().map(ObjectDraft::body_len).sum();
        let packs = self.packs.len() + usize::from(!self.here.chunks.is_empty());
        let rows = chunks * (ChunkRow::LEN + LookupRow::LEN)
            + packs * PackRow::LEN
            + self.files.len() * FileRow::LEN
            + extents * Extent::LEN
            + self.objects.len() * ObjectRow::LEN;
        (rows + bodies + self.here_bytes.len()) as u64
    }

    /// Lays out the file; answers its name and its bytes.
    pub fn build(&self) -> (IndexId, Vec<u8>) {
        let mut tables = Tables::default();
        tables.put_packs(self.packs_in_order());
        tables.put_files(&self.files);
        tables.section(Table::Data).extend_from_slice(&self.here_bytes);
        self.objects.iter().for_each(|(id, draft)| tables.put_object(*id, draft));
        tables.assemble()
    }

    fn packs_in_order(&self) -> impl Iterator<Item = &PackDraft> {
        // `HERE` is all zeros, so it sorts before every other pack.
        Some(&self.here).filter(|here| !here.chunks.is_empty()).into_iter().chain(self.packs.values())
    }
}

/// The sections of an index while it is laid out.
#[derive(Default)]
struct Tables([Vec<u8>; Table::COUNT]);

impl Tables {
    fn section(&mut self, table: Table) -> &mut Vec<u8> {
        &mut self.0[table as usize]
    }

    fn put<R: Row>(&mut self, row: &R) {
        row.encode(self.section(R::TABLE));
    }

    fn put_packs<'a>(&mut self, packs: impl Iterator<Item = &'a PackDraft>) {
        let mut lookup = Vec::new();
        for pack in packs {
            self.put(&PackRow {
                id: pack.id,
                stored_len: pack.stored_len,
                raw_len: pack.raw_len,
                first_chunk: count(lookup.len()),
                chunk_count: count(pack.chunks.len()),
            });
            for chunk in &pack.chunks {
                self.put(chunk);
                lookup
                    .push(LookupRow { prefix: LookupRow::prefix_of(chunk.hash), chunk: count(lookup.len()) });
            }
        }
        lookup.sort_unstable_by_key(|row| (row.prefix, row.chunk));
        lookup.iter().for_each(|row| self.put(row));
    }

    fn put_files(&mut self, files: &BTreeMap<Sha256, FileDraft>) {
        let mut first_extent = 0;
        for (sha256, file) in files {
            let extent_count = count(file.extents.len());
            self.put(&FileRow { sha256: *sha256, size: file.size, first_extent, extent_count });
            file.extents.iter().for_each(|extent| self.put(extent));
            first_extent += extent_count;
        }
    }

    fn put_object(&mut self, id: ObjectId, draft: &ObjectDraft) {
        let stored = match draft {
            ObjectDraft::Blob(sha256) => Stored::Blob(*sha256),
            ObjectDraft::Pointer(sha256) => Stored::Pointer(*sha256),
            ObjectDraft::Body { kind, codec, raw_len, bytes } => {
                let data = self.section(Table::Data);
                let offset = data.len() as u64;
                data.extend_from_slice(bytes);
                let stored_len = count(bytes.len());
                Stored::Body { kind: *kind, codec: *codec, offset, stored_len, raw_len: *raw_len }
            }
        };
        self.put(&ObjectRow { id, stored });
    }

    fn assemble(&self) -> (IndexId, Vec<u8>) {
        let mut file = Vec::with_capacity(self.0.iter().map(Vec::len).sum::<usize>() + 4096);
        let sections = std::array::from_fn(|table| {
            let offset = file.len() as u64;
            file.extend_from_slice(&self.0[table]);
            (offset, self.0[table].len() as u64)
        });
        let hashes: Vec<u8> = file.chunks(BLOCK).flat_map(block_hash).collect();
        let block_count = count(hashes.len() / BLOCK_HASH);
        let mut tail = hashes;
        tail.extend(Trailer { sections, block_count }.encode());
        let id = id_of_tail(&tail);
        file.extend(tail);
        (id, file)
    }
}

/// What an [`IndexBuilder`] holds under an object id.
#[derive(Debug)]
pub enum Added<'a> {
    /// A blob that is this content.
    Blob(Sha256),
    /// A blob that is the LFS pointer of this content.
    Pointer(Sha256),
    /// A body as stored: kind, codec, decoded length, bytes.
    Body(Kind, Codec, u32, &'a [u8]),
}

/// The check of one block of the sections.
pub(super) fn block_hash(block: &[u8]) -> [u8; BLOCK_HASH] {
    *blake3::hash(block).as_bytes().first_chunk().expect("BLAKE3 is 32 bytes")
}

/// The name of the index whose block hashes and trailer are `tail`.
pub(super) fn id_of_tail(tail: &[u8]) -> IndexId {
    IndexId::from_bytes(*blake3::hash(tail).as_bytes())
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("an index never holds four billion rows: a transaction is split before that")
}
