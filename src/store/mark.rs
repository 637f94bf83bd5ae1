//! What can be reached: a walk from commits over trees to content, marking the rows it comes by.
//!
//! A mark is one bit for each row of the live indexes, so millions of chunks cost little memory. Where two indexes
//! say something of one thing, only the row that readers are given is marked: the other one is not needed. It
//! decides nothing about what becomes of rows that are not marked, and knows no refs and no clock.

use super::catalog::{Catalog, Pack};
use super::error::StoreError;
use super::id::{ObjectId, PackId, Sha256};
use super::index::{ChunkRow, Extent, FileRow, Index, ObjectRow, PackRow, Stored};
use super::object::{Commit, Kind, Mode, Tag, Tree};

/// One bit for each row of a table.
#[derive(Debug, Clone, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// No row is marked.
    pub fn new(rows: u32) -> Self {
        Self(vec![0; rows.div_ceil(64) as usize])
    }

    /// Whether a row is marked.
    pub fn has(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Marks a row; answers whether it was not marked before.
    pub fn set(&mut self, row: u32) -> bool {
        let fresh = !self.has(row);
        if let Some(word) = self.0.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
        fresh
    }

    /// Takes a mark away; answers whether there was one.
    pub fn clear(&mut self, row: u32) -> bool {
        let was = self.has(row);
        if let Some(word) = self.0.get_mut(row as usize / 64) {
            *word &= !(1 << (row % 64));
        }
        was
    }
}

/// The marks of one index.
#[derive(Debug, Clone)]
pub struct Marks {
    /// Of [`ObjectRow`]s.
    pub objects: Bits,
    /// Of [`FileRow`]s.
    pub files: Bits,
    /// Of [`ChunkRow`]s.
    pub chunks: Bits,
}

/// How much was marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of commits.
    pub commits: u64,
    /// Number of different contents.
    pub files: u64,
    /// Their bytes.
    pub logical: u64,
    /// Bytes of their chunks before compression, each chunk once.
    pub raw: u64,
    /// Bytes these chunks take up.
    pub content: u64,
    /// The same and bodies of commits, trees and tags.
    pub stored: u64,
}

impl Tally {
    /// What was marked since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            commits: self.commits - before.commits,
            files: self.files - before.files,
            logical: self.logical - before.logical,
            raw: self.raw - before.raw,
            content: self.content - before.content,
            stored: self.stored - before.stored,
        }
    }
}

/// What to do about something that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It must be there: an error.
    Refuse,
    /// It was collected before: go on without it. Damage is an error all the same.
    Skip,
}

/// A walk over one catalog.
#[derive(Debug)]
pub struct Marker<'a> {
    catalog: &'a Catalog,
    /// The marks, index by index.
    pub marks: Vec<Marks>,
    /// How much was marked.
    pub tally: Tally,
    missing: Missing,
    pending: Vec<ObjectId>,
}

impl<'a> Marker<'a> {
    /// Nothing is marked yet.
    pub fn new(catalog: &'a Catalog) -> Self {
        let marks = catalog.indexes().iter().map(|index| Marks {
            objects: Bits::new(index.count::<ObjectRow>()),
            files: Bits::new(index.count::<FileRow>()),
            chunks: Bits::new(index.count::<ChunkRow>()),
        });
        Self {
            marks: marks.collect(),
            catalog,
            tally: Tally::default(),
            missing: Missing::Refuse,
            pending: Vec::new(),
        }
    }

    /// Marks an object and all it leads to.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for what cannot be read; for what is not there, [`StoreError::MissingObject`] and
    /// [`StoreError::MissingContent`] as `missing` says.
    pub fn mark(&mut self, root: ObjectId, missing: Missing) -> Result<(), StoreError> {
        self.begin(root, missing);
        while self.step()? {}
        Ok(())
    }

    /// The same in [steps](Self::step), for who looks around between them.
    pub fn begin(&mut self, root: ObjectId, missing: Missing) {
        self.missing = missing;
        self.pending.clear();
        self.pending.push(root);
    }

    /// Marks one more folder, commit or tag; answers whether there was one.
    pub fn step(&mut self) -> Result<bool, StoreError> {
        let Some(id) = self.pending.pop() else { return Ok(false) };
        self.visit(id).map(|()| true)
    }

    /// Marks every object there is, and every content that readers can be given: whatever any commit leads to is among
    /// it. Costs one way through the indexes, however long the history is.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for what cannot be read.
    pub fn mark_all(&mut self) -> Result<(), StoreError> {
        self.missing = Missing::Skip;
        for (at, index) in self.catalog.indexes().iter().enumerate() {
            for ordinal in 0..index.count::<ObjectRow>() {
                self.marks[at].objects.set(ordinal);
            }
            for row in index.rows::<FileRow>() {
                self.file(row?.sha256)?;
            }
        }
        Ok(())
    }

    fn visit(&mut self, id: ObjectId) -> Result<(), StoreError> {
        let Some((at, ordinal, row)) = locate_object(self.catalog, id)? else {
            // The empty tree need not be stored.
            if self.missing == Missing::Skip || id == Tree::empty().id() {
                return Ok(());
            }
            return Err(StoreError::MissingObject(id));
        };
        if !self.marks[at].objects.set(ordinal) {
            return Ok(());
        }
        if let Stored::Blob(sha256) | Stored::Pointer(sha256) = row.stored {
            return self.file(sha256);
        }
        if let Stored::Body { stored_len, .. } = row.stored {
            self.tally.stored += u64::from(stored_len);
        }
        let Some((kind, body)) = Catalog::body_of_row(&self.catalog.indexes()[at], &row)? else {
            return Ok(());
        };
        let bad = |source| StoreError::BadObject { id, source };
        match kind {
            Kind::Commit => {
                let commit = Commit::decode(&body).map_err(bad)?;
                self.tally.commits += 1;
                self.pending.push(commit.tree);
                self.pending.extend(commit.parents);
            }
            Kind::Tag => self.pending.push(Tag::decode(&body).map_err(bad)?.target),
            Kind::Tree => {
                for entry in Tree::decode(&body).map_err(bad)?.into_entries() {
                    if entry.mode == Mode::Directory {
                        self.pending.push(entry.id);
                    } else {
                        self.visit_leaf(entry.id)?;
                    }
                }
            }
            Kind::Blob => {}
        }
        Ok(())
    }

    /// A blob: marked at once, so that a folder of a million files is not a million things to remember.
    fn visit_leaf(&mut self, id: ObjectId) -> Result<(), StoreError> {
        match locate_object(self.catalog, id)? {
            Some((at, ordinal, ObjectRow { stored: Stored::Blob(sha256) | Stored::Pointer(sha256), .. })) => {
                if self.marks[at].objects.set(ordinal) {
                    self.file(sha256)
                } else {
                    Ok(())
                }
            }
            Some((_, _, ObjectRow { stored: Stored::Body { kind, .. }, .. })) => {
                Err(StoreError::WrongKind { id, expected: Kind::Blob, found: kind })
            }
            None if self.missing == Missing::Skip => Ok(()),
            None => Err(StoreError::MissingObject(id)),
        }
    }

    fn file(&mut self, sha256: Sha256) -> Result<(), StoreError> {
        let Some((at, ordinal, row)) = locate_file(self.catalog, sha256)? else {
            return match self.missing {
                Missing::Skip => Ok(()),
                Missing::Refuse => Err(StoreError::MissingContent(sha256)),
            };
        };
        if !self.marks[at].files.set(ordinal) {
            return Ok(());
        }
        self.tally.files += 1;
        self.tally.logical += row.size;
        for extent in self.catalog.indexes()[at].extents(&row)? {
            let (holder, pack) = locate_pack_of(self.catalog, at, &extent)?.ok_or_else(|| {
                let detail = format!("it points into pack {}, which no index describes", extent.pack);
                self.catalog.indexes()[at].damaged(detail)
            })?;
            self.chunks(holder, pack, &extent)?;
        }
        Ok(())
    }

    /// Marks the chunks of a pack that hold some of an extent.
    fn chunks(&mut self, holder: usize, pack: PackRow, extent: &Extent) -> Result<(), StoreError> {
        for found in Pack::of(&self.catalog.indexes()[holder], pack).chunks_in(extent) {
            let (ordinal, chunk) = found?;
            if self.marks[holder].chunks.set(ordinal) {
                self.tally.raw += u64::from(chunk.raw_len);
                self.tally.content += u64::from(chunk.stored_len);
                self.tally.stored += u64::from(chunk.stored_len);
            }
        }
        Ok(())
    }
}

/// The row that readers are given for an object: which index, which row.
pub fn locate_object(catalog: &Catalog, id: ObjectId) -> Result<Option<(usize, u32, ObjectRow)>, StoreError> {
    locate(catalog, |index| index.find_object(id))
}

/// The row that readers are given for a content.
pub fn locate_file(catalog: &Catalog, sha256: Sha256) -> Result<Option<(usize, u32, FileRow)>, StoreError> {
    locate(catalog, |index| {
        let Some((ordinal, row)) = index.find_file(sha256)? else { return Ok(None) };
        let is_gone = index.extents(&row)?.iter().any(|extent| catalog.is_retired(extent.pack));
        Ok((!is_gone).then_some((ordinal, row)))
    })
}

/// The row that readers are given for a pack of its own file.
pub fn locate_pack(catalog: &Catalog, id: PackId) -> Result<Option<(usize, PackRow)>, StoreError> {
    if catalog.is_retired(id) {
        return Ok(None);
    }
    let found = locate(catalog, |index| Ok(index.pack(id)?.map(|row| (0, row))))?;
    Ok(found.map(|(at, _, row)| (at, row)))
}

/// Whether the description of a pack that readers are given is in the index with this number.
pub fn is_described_in(catalog: &Catalog, at: usize, id: PackId) -> Result<bool, StoreError> {
    Ok(locate_pack(catalog, id)?.is_some_and(|(holder, _)| holder == at))
}

/// The pack that an extent in the index with this number lies in.
pub fn locate_pack_of(
    catalog: &Catalog,
    at: usize,
    extent: &Extent,
) -> Result<Option<(usize, PackRow)>, StoreError> {
    match extent.pack {
        PackId::HERE => Ok(catalog.indexes()[at].pack(PackId::HERE)?.map(|pack| (at, pack))),
        id => locate_pack(catalog, id),
    }
}

fn locate<R>(
    catalog: &Catalog,
    find: impl Fn(&Index) -> Result<Option<(u32, R)>, StoreError>,
) -> Result<Option<(usize, u32, R)>, StoreError> {
    for (at, index) in catalog.indexes().iter().enumerate().rev() {
        if let Some((ordinal, row)) = find(index)? {
            return Ok(Some((at, ordinal, row)));
        }
    }
    Ok(None)
}
