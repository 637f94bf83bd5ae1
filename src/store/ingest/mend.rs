//! Contents that lie in a damaged chunk of which there is a good copy: they are given that one.
//!
//! One commit of a good file brings back the chunks it has, and with them every version that shares them. Reads indexes
//! only; the damaged pack is left as it is, for a collection to take away.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::append;
use super::known::Known;
use crate::store::error::StoreError;
use crate::store::id::PackId;
use crate::store::index::{Extent, FileRow};
use crate::store::transaction::{Transaction, reading_back};

/// Damaged decoded bytes of a pack, in order, and where the same bytes are now.
type Mended = HashMap<PackId, Vec<(Range<u64>, (PackId, u64))>>;

impl Transaction<'_> {
    /// Says every content again that lies in chunks which were found damaged and are somewhere else too: they have been
    /// stored again since, or had been before. A content
    /// some of which lies inside an index is left out: no other index can point there. So is what a damaged index says:
    /// what was stored again must be published all the same.
    ///
    /// # Errors
    /// [`StoreError::Io`] when what was moved to `tmp/` cannot be read back.
    pub fn mend(&mut self) -> Result<(), StoreError> {
        for (hash, len) in self.sound.not_again() {
            if let Some(place) = Known::of(self).places(hash, len).first() {
                self.sound.stored(hash, *place);
            }
        }
        let mut mended = Mended::new();
        for ((pack, range), again) in self.sound.again() {
            mended.entry(*pack).or_default().push((range.clone(), again));
        }
        if mended.is_empty() {
            return Ok(());
        }
        mended.values_mut().for_each(|ranges| ranges.sort_unstable_by_key(|(range, _)| range.start));
        let base = Arc::clone(&self.base);
        for index in base.catalog.indexes() {
            // Rows that overlap could lead around the same extents without end.
            if unless_unreadable(index.check_layout()).is_none() {
                continue;
            }
            for row in index.rows::<FileRow>() {
                let Some(row) = unless_unreadable(row) else { continue };
                let Some(extents) = unless_unreadable(index.extents(&row)) else { continue };
                let is_mixed = extents.iter().any(|extent| extent.pack == PackId::HERE);
                if is_mixed || !extents.iter().any(|extent| mended.contains_key(&extent.pack)) {
                    continue;
                }
                let given = unless_unreadable(base.catalog.try_file(row.sha256)).flatten();
                let said = translate(&extents, &mended);
                if given.is_some_and(|given| given.extents == extents)
                    && said != extents
                    && self.builder.file_size(row.sha256).map_err(reading_back)?.is_none()
                {
                    self.builder.add_file(row.sha256, row.size, said);
                }
            }
        }
        Ok(())
    }
}

/// What was read; a warning instead when it cannot be.
fn unless_unreadable<T>(found: Result<T, StoreError>) -> Option<T> {
    found.inspect_err(|error| tracing::warn!(%error, "what it says of damaged chunks is left as it is")).ok()
}

fn translate(extents: &[Extent], mended: &Mended) -> Vec<Extent> {
    let mut said = Vec::with_capacity(extents.len());
    for extent in extents {
        let (mut at, end) = (extent.start, extent.start.saturating_add(extent.len));
        for (range, (pack, start)) in mended.get(&extent.pack).into_iter().flatten() {
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from >= to {
                continue;
            }
            if at < from {
                append(&mut said, Extent { pack: extent.pack, start: at, len: from - at });
            }
            append(&mut said, Extent { pack: *pack, start: start + (from - range.start), len: to - from });
            at = to;
        }
        if at < end {
            append(&mut said, Extent { pack: extent.pack, start: at, len: end - at });
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_damaged_is_elsewhere() {
        let pack = |n| PackId::from_bytes([n; 16]);
        let extent = |n, start, len| Extent { pack: pack(n), start, len };
        let mended = Mended::from([(pack(1), vec![(10..20, (pack(9), 100)), (30..40, (pack(9), 110))])]);
        let said = |extents: &[Extent]| translate(extents, &mended);
        assert_eq!(said(&[extent(1, 0, 10), extent(2, 10, 20)]), [extent(1, 0, 10), extent(2, 10, 20)]);
        assert_eq!(
            said(&[extent(1, 5, 40)]),
            [extent(1, 5, 5), extent(9, 100, 10), extent(1, 20, 10), extent(9, 110, 10), extent(1, 40, 5)]
        );
        assert_eq!(said(&[extent(1, 12, 3)]), [extent(9, 102, 3)]);
        assert_eq!(said(&[extent(1, 15, 5), extent(1, 30, 2)]), [extent(9, 105, 7)]);
    }
}
