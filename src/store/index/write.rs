//! Building an index: rows are gathered in any order, sorted and laid out once.
//!
//! The builder also absorbs existing indexes, which is how many small ones become one: content in their data
//! sections moves along, and everything that pointed into it is shifted. Packs are never touched by that. The file is
//! written front to back, and never held whole. Where it goes, and making it durable, belong to `publish`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::draft::PackDraft;
use super::format::{
    BLOCK, BLOCK_HASH, ChunkRow, Codec, Extent, FileRow, LookupRow, ObjectRow, PackRow, Row, Stored, TRAILER,
    Table, Trailer,
};
use super::read::Index;
use crate::store::error::StoreError;
use crate::store::id::{IndexId, ObjectId, PackId, Sha256};
use crate::store::object::Kind;

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
    /// The stored bytes of a body; a blob has none.
    fn body(&self) -> &[u8] {
        if let Self::Body { bytes, .. } = self { bytes } else { &[] }
    }
}

/// Gathers the rows of one index.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    packs: BTreeMap<PackId, Arc<PackDraft>>,
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
    pub fn add_pack(&mut self, pack: impl Into<Arc<PackDraft>>) {
        let pack = pack.into();
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

    /// Takes back what was said of a file's content.
    pub fn forget_file(&mut self, sha256: Sha256) {
        self.files.remove(&sha256);
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
                self.packs.insert(pack.id, Arc::new(draft));
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
            && self.here.chunks().is_empty()
            && self.files.is_empty()
            && self.objects.is_empty()
    }

    /// Exactly how many bytes [`IndexBuilder::write`] will write.
    pub fn built_len(&self) -> u64 {
        let sections = self.estimated_len();
        sections + sections.div_ceil(BLOCK as u64) * BLOCK_HASH as u64 + TRAILER as u64
    }

    /// How many bytes the sections of [`IndexBuilder::write`] will have.
    pub fn estimated_len(&self) -> u64 {
        let chunks: usize = self.packs_in_order().map(|pack| pack.chunks().len()).sum();
        let extents: usize = self.files.values().map(|file| file.extents.len()).sum();
        let bodies: usize = self.objects.values().map(|draft| draft.body().len()).sum();
        let packs = self.packs.len() + usize::from(!self.here.chunks().is_empty());
        let rows = chunks * (ChunkRow::LEN + LookupRow::LEN)
            + packs * PackRow::LEN
            + self.files.len() * FileRow::LEN
            + extents * Extent::LEN
            + self.objects.len() * ObjectRow::LEN;
        (rows + bodies + self.here_bytes.len()) as u64
    }

    /// Writes the file, front to back; answers its name and its length in bytes.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<(IndexId, u64)> {
        let mut layout = Layout::new(out);
        layout.packs(self.packs_in_order())?;
        layout.files(&self.files)?;
        layout.objects(&self.objects, self.here_bytes.len() as u64)?;
        layout.section(Table::Data, |layout| {
            layout.bytes(&self.here_bytes)?;
            self.objects.values().try_for_each(|draft| layout.bytes(draft.body()))
        })?;
        layout.finish()
    }

    fn packs_in_order(&self) -> impl Iterator<Item = &PackDraft> + Clone {
        // `HERE` is all zeros, so it sorts before every other pack.
        let here = Some(&self.here).filter(|here| !here.chunks().is_empty());
        here.into_iter().chain(self.packs.values().map(|pack| &**pack))
    }
}

/// Bytes that are gathered before they are written: blocks whole.
const GATHERED: usize = 64 * BLOCK;

/// An index being written, section by section. Only its lookup table and its block hashes are held.
struct Layout<'w> {
    out: &'w mut dyn Write,
    gathered: Vec<u8>,
    hashes: Vec<u8>,
    /// Bytes written, without those gathered.
    written: u64,
    sections: [(u64, u64); Table::COUNT],
}

impl<'w> Layout<'w> {
    fn new(out: &'w mut dyn Write) -> Self {
        Self { out, gathered: Vec::new(), hashes: Vec::new(), written: 0, sections: Default::default() }
    }

    fn place(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    /// The next section is what `fill` puts.
    fn section(&mut self, table: Table, fill: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let start = self.place();
        fill(self)?;
        self.sections[table as usize] = (start, self.place() - start);
        Ok(())
    }

    fn rows<R: Row>(&mut self, rows: impl Iterator<Item = R>) -> io::Result<()> {
        self.section(R::TABLE, |layout| {
            for row in rows {
                row.encode(&mut layout.gathered);
                layout.spill(GATHERED)?;
            }
            Ok(())
        })
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.gathered.extend_from_slice(bytes);
        self.spill(GATHERED)
    }

    /// Writes whole blocks once there are `least` bytes; the last block of all need not be whole.
    fn spill(&mut self, least: usize) -> io::Result<()> {
        if self.gathered.len() < least {
            return Ok(());
        }
        let whole = if least == 0 { self.gathered.len() } else { self.gathered.len() / BLOCK * BLOCK };
        let (blocks, _) = self.gathered.split_at(whole);
        self.hashes.extend(blocks.chunks(BLOCK).flat_map(block_hash));
        self.out.write_all(blocks)?;
        self.written += whole as u64;
        self.gathered.drain(..whole);
        Ok(())
    }

    fn packs<'a>(&mut self, packs: impl Iterator<Item = &'a PackDraft> + Clone) -> io::Result<()> {
        let mut first_chunk = 0;
        self.rows(packs.clone().map(|pack| {
            let chunk_count = count(pack.chunks().len());
            first_chunk += chunk_count;
            PackRow {
                id: pack.id,
                stored_len: pack.stored_len(),
                raw_len: pack.raw_len(),
                first_chunk: first_chunk - chunk_count,
                chunk_count,
            }
        }))?;
        self.rows(packs.clone().flat_map(|pack| pack.chunks().iter()))?;
        let mut lookup: Vec<LookupRow> = Vec::with_capacity(first_chunk as usize);
        let hashes = packs.flat_map(|pack| pack.chunks().iter()).map(|chunk| chunk.hash);
        lookup.extend(
            (0..).zip(hashes).map(|(chunk, hash)| LookupRow { prefix: LookupRow::prefix_of(hash), chunk }),
        );
        lookup.sort_unstable_by_key(|row| (row.prefix, row.chunk));
        self.rows(lookup.into_iter())
    }

    fn files(&mut self, files: &BTreeMap<Sha256, FileDraft>) -> io::Result<()> {
        let mut first_extent = 0;
        self.rows(files.iter().map(|(sha256, file)| {
            let extent_count = count(file.extents.len());
            first_extent += extent_count;
            let first_extent = first_extent - extent_count;
            FileRow { sha256: *sha256, size: file.size, first_extent, extent_count }
        }))?;
        self.rows(files.values().flat_map(|file| file.extents.iter().copied()))
    }

    /// Rows of objects whose bodies come one after the other from `data` on in the data section.
    fn objects(&mut self, objects: &BTreeMap<ObjectId, ObjectDraft>, data: u64) -> io::Result<()> {
        let mut next = data;
        self.rows(objects.iter().map(|(&id, draft)| {
            let offset = next;
            next += draft.body().len() as u64;
            let stored = match draft {
                ObjectDraft::Blob(sha256) => Stored::Blob(*sha256),
                ObjectDraft::Pointer(sha256) => Stored::Pointer(*sha256),
                ObjectDraft::Body { kind, codec, raw_len, bytes } => {
                    let (kind, codec, raw_len, stored_len) = (*kind, *codec, *raw_len, count(bytes.len()));
                    Stored::Body { kind, codec, offset, stored_len, raw_len }
                }
            };
            ObjectRow { id, stored }
        }))
    }

    /// Ends the file; answers its name and its length.
    fn finish(mut self) -> io::Result<(IndexId, u64)> {
        self.spill(0)?;
        let block_count = count(self.hashes.len() / BLOCK_HASH);
        let mut tail = self.hashes;
        tail.extend(Trailer { sections: self.sections, block_count }.encode());
        self.out.write_all(&tail)?;
        Ok((id_of_tail(&tail), self.written + tail.len() as u64))
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
