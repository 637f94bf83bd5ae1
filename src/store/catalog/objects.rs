//! Git's objects, out of the indexes: an id is believed only once the body was hashed again.
//!
//! So no object can lead back to itself, and what names an id may trust it. Must not know how content is stored: of a
//! blob, only which content it stands for is known here.

use super::Catalog;
use crate::store::error::StoreError;
use crate::store::id::{ObjectId, Sha256};
use crate::store::index::{Index, ObjectRow, Stored};
use crate::store::object::{self, Commit, Kind, Tag, Tree};
use crate::store::pack;

/// Most bytes an object may decode to: a bound on what a small hostile index can make us allocate. A tree of this size
/// has over a million names; a commit or tag is a message.
pub(in crate::store) const fn max_body(kind: Kind) -> u32 {
    match kind {
        Kind::Tree => 128 << 20,
        Kind::Commit | Kind::Tag | Kind::Blob => 4 << 20,
    }
}

impl Catalog {
    /// The object with this id, if there is one.
    pub fn try_object(&self, id: ObjectId) -> Result<Option<ObjectRow>, StoreError> {
        self.ask_recent(|index| index.object(id))
    }

    /// Up to `limit` objects whose id lies in `from..=to`, each once.
    pub fn objects_between(
        &self,
        from: ObjectId,
        to: ObjectId,
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let mut found = Vec::new();
        for index in &self.indexes {
            found.extend(index.objects_between(from, to, limit)?);
        }
        found.sort_unstable_by_key(|row| row.id);
        found.dedup_by_key(|row| row.id);
        found.truncate(limit);
        Ok(found)
    }

    /// What a blob id stands for: its content and whether the blob is an LFS pointer to it.
    pub fn blob(&self, id: ObjectId) -> Result<(Sha256, bool), StoreError> {
        stands_for(self.try_object(id)?, id)
    }

    /// As [`Self::blob`] for each of many ids, quickest in ascending order.
    pub fn blobs<T>(
        &self,
        ids: impl IntoIterator<Item = (T, ObjectId)>,
        mut found: impl FnMut(T, Result<(Sha256, bool), StoreError>),
    ) {
        let answer = |tag, id, row: Result<Option<ObjectRow>, _>| {
            found(tag, row.and_then(|row| stands_for(row, id)));
        };
        self.ask_each(ids, |id| id.as_bytes(), |id| self.try_object(id), answer);
    }

    /// Kind and body of a tree, commit or tag; blobs have no body here.
    pub fn body(&self, id: ObjectId) -> Result<(Kind, Vec<u8>), StoreError> {
        self.try_body(id)?.ok_or(StoreError::MissingObject(id))
    }

    fn try_body(&self, id: ObjectId) -> Result<Option<(Kind, Vec<u8>)>, StoreError> {
        self.ask_recent(|index| {
            let Some(row) = index.object(id)? else { return Ok(None) };
            Ok(Some(Self::body_of_row(index, &row)?.unwrap_or((Kind::Blob, Vec::new()))))
        })
    }

    /// Kind and body of the object that a row of `index` describes; `None` for a blob, which has none here.
    pub(in crate::store) fn body_of_row(
        index: &Index,
        row: &ObjectRow,
    ) -> Result<Option<(Kind, Vec<u8>)>, StoreError> {
        let Stored::Body { kind, codec, offset, stored_len, raw_len } = row.stored else { return Ok(None) };
        let stored = index.data(offset, u64::from(stored_len))?;
        let body =
            (raw_len <= max_body(kind)).then(|| pack::decode(codec, stored, raw_len as usize)).flatten();
        // Hashed again here, an id can be trusted, and no object can lead back to itself.
        let body = body.filter(|body| object::id_of(kind, body) == row.id);
        let damaged = || index.damaged(format!("object {} is unreadable", row.id));
        Ok(Some((kind, body.ok_or_else(damaged)?)))
    }

    fn body_of(&self, id: ObjectId, expected: Kind) -> Result<Vec<u8>, StoreError> {
        match self.body(id)? {
            (kind, body) if kind == expected => Ok(body),
            (found, _) => Err(StoreError::WrongKind { id, expected, found }),
        }
    }

    /// The tree with this id. The empty tree always exists, as in Git.
    pub fn tree(&self, id: ObjectId) -> Result<Tree, StoreError> {
        if id == Tree::empty().id() {
            return Ok(Tree::empty());
        }
        Tree::decode(&self.body_of(id, Kind::Tree)?).map_err(|source| StoreError::BadObject { id, source })
    }

    /// The commit with this id.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, StoreError> {
        Commit::decode(&self.body_of(id, Kind::Commit)?)
            .map_err(|source| StoreError::BadObject { id, source })
    }

    /// The annotated tag with this id.
    pub fn tag(&self, id: ObjectId) -> Result<Tag, StoreError> {
        Tag::decode(&self.body_of(id, Kind::Tag)?).map_err(|source| StoreError::BadObject { id, source })
    }
}

/// What the row of a blob id says.
fn stands_for(row: Option<ObjectRow>, id: ObjectId) -> Result<(Sha256, bool), StoreError> {
    match row.ok_or(StoreError::MissingObject(id))?.stored {
        Stored::Blob(sha256) => Ok((sha256, false)),
        Stored::Pointer(sha256) => Ok((sha256, true)),
        Stored::Body { kind, .. } => Err(StoreError::WrongKind { id, expected: Kind::Blob, found: kind }),
    }
}
