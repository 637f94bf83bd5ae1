//! Whether any content is a pack file by itself, found without walking a tree: from the packs, and the sizes of files.

use std::collections::HashSet;

use super::Catalog;
use crate::store::error::StoreError;
use crate::store::id::PackId;
use crate::store::index::{FileRow, PackRow};

/// Most rows that are looked at; a few milliseconds.
const ROWS: u32 = 200_000;

/// Rows read at a time.
const AT_A_TIME: u32 = 4096;

impl Catalog {
    /// Whether some content may be stored whole, raw and alone in a pack file. `false` is certain; `true` may be said
    /// of a vault with so many files that looking at all of them would take too long.
    pub fn may_hold_whole_files(&self) -> Result<bool, StoreError> {
        let mut lengths = HashSet::new();
        let mut left = ROWS;
        for index in &self.indexes {
            left = left.saturating_sub(index.count::<PackRow>());
            if left == 0 {
                return Ok(true);
            }
            for row in index.rows::<PackRow>() {
                let row = row?;
                if row.id != PackId::HERE && row.raw_len == row.stored_len {
                    lengths.insert(row.raw_len);
                }
            }
        }
        if lengths.is_empty() {
            return Ok(false);
        }
        for index in &self.indexes {
            let count = index.count::<FileRow>();
            left = left.saturating_sub(count);
            if left == 0 {
                return Ok(true);
            }
            for first in (0..count).step_by(AT_A_TIME as usize) {
                let rows: Vec<FileRow> = index.rows_at(first, AT_A_TIME)?;
                // Small content shares a pack or lies in an index, and then has no length of a pack but by chance.
                if rows.iter().any(|row| row.extent_count == 1 && lengths.contains(&row.size)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
