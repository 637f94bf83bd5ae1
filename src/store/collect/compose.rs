//! Saying again what is still needed of packs and indexes that go: into a transaction, or only counted.
//!
//! Live chunks of a pack keep their order, so what was read forward still is; as they move, their places are noted
//! as runs, and extents are translated run by run. A chunk that fails its check on the way stops the collection:
//! damage is not copied. Counting goes through the same motions without reading a byte of content.

use super::survey::{Fate, Plan, chunks_of};
use super::{Basis, marked};
use crate::store::catalog::{Catalog, Pack};
use crate::store::error::StoreError;
use crate::store::id::PackId;
use crate::store::index::draft::PackDraft;
use crate::store::index::{ChunkRow, FileRow, Index, IndexBuilder, ObjectRow, PackRow, Stored};
use crate::store::log::record::NewPack;
use crate::store::mark::{Marks, is_described_in};
use crate::store::moves::Moves;
use crate::store::object::Kind;
use crate::store::pack::{self, INLINE_LIMIT, PACK_LIMIT};
use crate::store::transaction::Transaction;

/// Where what is said again goes.
pub(super) enum Target<'t, 'v> {
    /// Into a transaction that will be published; `moved` is told how many more bytes of packs were moved.
    Transaction { transaction: &'t mut Transaction<'v>, moved: &'t mut dyn FnMut(u64) },
    /// Nowhere: it is only counted.
    Count(&'t mut Count),
}

/// What a transaction would have brought.
#[derive(Debug, Default)]
pub(super) struct Count {
    builder: IndexBuilder,
    open: Option<PackDraft>,
    names: u64,
    /// The packs it would have brought.
    pub(super) packs: Vec<NewPack>,
}

impl Count {
    fn next_pack(&mut self) -> PackDraft {
        self.names += 1;
        PackDraft::new(PackId::from_bytes((u128::MAX - u128::from(self.names)).to_be_bytes()))
    }

    fn close(&mut self) {
        if let Some(draft) = self.open.take() {
            self.packs.push(NewPack { id: draft.id, len: draft.stored_len() });
            self.builder.add_pack(draft);
        }
    }

    /// Ends it; answers the length of the index.
    pub(super) fn finish(&mut self) -> u64 {
        match self.open.take() {
            Some(draft) if draft.stored_len() <= INLINE_LIMIT => {
                let zeros = vec![0; usize::try_from(draft.stored_len()).unwrap_or(0)];
                self.builder.inline_pack(&draft, &zeros);
            }
            open => {
                self.open = open;
                self.close();
            }
        }
        if self.builder.is_empty() { 0 } else { self.builder.built_len() }
    }
}

impl Target<'_, '_> {
    fn builder(&mut self) -> &mut IndexBuilder {
        match self {
            Self::Transaction { transaction, .. } => &mut transaction.builder,
            Self::Count(count) => &mut count.builder,
        }
    }

    /// The stored bytes of a chunk, checked; nothing but zeros when only counting.
    fn stored(&self, catalog: &Catalog, pack: &Pack, row: &ChunkRow) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Transaction { .. } => checked(catalog, pack, row),
            Self::Count(_) => Ok(vec![0; row.stored_len as usize]),
        }
    }

    /// Moves a chunk to a new pack; answers where to.
    fn move_chunk(
        &mut self,
        catalog: &Catalog,
        pack: &Pack,
        row: &ChunkRow,
    ) -> Result<(PackId, u64), StoreError> {
        match self {
            Self::Count(count) => {
                if count.open.as_ref().is_some_and(|open| open.stored_len() >= PACK_LIMIT) {
                    count.close();
                }
                let mut open = count.open.take().unwrap_or_else(|| count.next_pack());
                let place = (open.id, open.push(row.hash, row.raw_len, row.stored_len, row.codec));
                count.open = Some(open);
                Ok(place)
            }
            Self::Transaction { transaction, moved } => {
                let place = transaction.push_stored(row, &checked(catalog, pack, row)?)?;
                moved(u64::from(row.stored_len));
                Ok(place)
            }
        }
    }
}

/// The stored bytes of a chunk, checked.
fn checked(catalog: &Catalog, pack: &Pack, row: &ChunkRow) -> Result<Vec<u8>, StoreError> {
    let stored = catalog.stored_chunk(pack, row)?;
    pack::open_chunk(row, stored.clone(), &pack.file())?;
    Ok(stored)
}

/// Says again all that is needed of what the plan moves or rewrites.
pub(super) fn compose(basis: &Basis<'_>, plan: &Plan, target: &mut Target<'_, '_>) -> Result<(), StoreError> {
    let (catalog, marks) = (&basis.view.catalog, &basis.marks);
    let mut moves = Moves::default();
    for (at, row) in &plan.moved {
        let pack = Pack::of(&catalog.indexes()[*at], *row);
        for ordinal in chunks_of(row).filter(|&ordinal| marks[*at].chunks.has(ordinal)) {
            basis.interrupt.check()?;
            let chunk: ChunkRow = catalog.indexes()[*at].row(ordinal)?;
            let place = target.move_chunk(catalog, &pack, &chunk)?;
            moves.note((row.id, 0), &chunk, place);
        }
    }
    let rewritten = || (0..catalog.indexes().len()).filter(|&at| plan.rewritten[at]);
    for at in rewritten() {
        catalog.indexes()[at].check_layout()?;
        packs(catalog, at, &marks[at], plan, target, &mut moves)?;
    }
    for (at, index) in catalog.indexes().iter().enumerate() {
        files(index, at, &marks[at], plan, target, &moves)?;
    }
    for at in rewritten() {
        objects(&catalog.indexes()[at], &marks[at], target)?;
    }
    Ok(())
}

/// Packs that stay, and live content inside the index.
fn packs(
    catalog: &Catalog,
    at: usize,
    marks: &Marks,
    plan: &Plan,
    target: &mut Target<'_, '_>,
    moves: &mut Moves,
) -> Result<(), StoreError> {
    let index = &catalog.indexes()[at];
    for row in index.rows::<PackRow>() {
        let row = row?;
        if row.id != PackId::HERE {
            if plan.fate(row.id) == Some(Fate::Keep) && is_described_in(catalog, at, row.id)? {
                target.builder().add_pack(PackDraft::read(index, &row)?);
            }
            continue;
        }
        let pack = Pack::of(index, row);
        // Noted even when nothing of it is live, so that no extent can be taken over as it is.
        moves.leave((PackId::HERE, at));
        for ordinal in chunks_of(&row).filter(|&ordinal| marks.chunks.has(ordinal)) {
            let chunk: ChunkRow = index.row(ordinal)?;
            let stored = target.stored(catalog, &pack, &chunk)?;
            let start = target.builder().push_inline(&chunk, &stored);
            moves.note((PackId::HERE, at), &chunk, (PackId::HERE, start));
        }
    }
    Ok(())
}

/// Live files of a rewritten index, and those of any index that lie in a pack that moves.
fn files(
    index: &Index,
    at: usize,
    marks: &Marks,
    plan: &Plan,
    target: &mut Target<'_, '_>,
    moves: &Moves,
) -> Result<(), StoreError> {
    for ordinal in marked::<FileRow>(index, &marks.files) {
        let row: FileRow = index.row(ordinal)?;
        let extents = index.extents(&row)?;
        if !plan.rewritten[at] && !plan.moves(&extents) {
            continue;
        }
        let said = moves.translate(at, &extents).ok_or_else(|| {
            index.damaged(format!("sha256:{} lies in chunks that were not kept", row.sha256))
        })?;
        target.builder().add_file(row.sha256, row.size, said);
    }
    Ok(())
}

/// Live objects of a rewritten index.
fn objects(index: &Index, marks: &Marks, target: &mut Target<'_, '_>) -> Result<(), StoreError> {
    for ordinal in marked::<ObjectRow>(index, &marks.objects) {
        let ObjectRow { id, stored } = index.row(ordinal)?;
        match stored {
            Stored::Blob(sha256) => target.builder().add_blob(id, sha256, false),
            Stored::Pointer(sha256) => target.builder().add_blob(id, sha256, true),
            Stored::Body { kind: Kind::Blob, .. } => {}
            Stored::Body { kind, codec, offset, stored_len, raw_len } => {
                let bytes = match target {
                    Target::Count(_) => vec![0; stored_len as usize],
                    Target::Transaction { .. } => index.data(offset, u64::from(stored_len))?,
                };
                target.builder().add_body(id, kind, codec, raw_len, bytes);
            }
        }
    }
    Ok(())
}
