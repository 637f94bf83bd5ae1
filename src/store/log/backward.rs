//! The log from its newest record back to the first, one record at a time.
//!
//! What a ref was, who moved it and how to put it back are read from here, so the cost is that of the records that
//! are asked for, and memory is one record. Each record is the one its successor names, by number and checksum: a
//! damaged or missing one is an error that names the file, after everything newer. What a record means is the
//! caller's.

use std::ops::Deref;

use super::record::{Previous, RECORD, Record};
use super::record_path;
use super::scan::{frame_error, read_file};
use crate::store::error::StoreError;
use crate::store::frame;
use crate::store::media::Media;
use crate::store::vault::View;

/// The records that lead to a view, newest first. After an error it ends: nobody knows what came before.
#[derive(Debug)]
pub struct Backward<V> {
    view: V,
    next: Option<Previous>,
}

/// Starts at the newest record of `view`.
pub fn backward<V: Deref<Target = View>>(view: V) -> Backward<V> {
    let next = view.state.tip;
    Backward { view, next }
}

impl<V: Deref<Target = View>> Iterator for Backward<V> {
    type Item = Result<(Previous, Record), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next.take()?;
        let read = read(self.view.catalog.media(), at);
        if let Ok(record) = &read {
            self.next = record.previous;
        }
        Some(read.map(|record| (at, record)))
    }
}

/// The record with this number and checksum.
fn read(media: &dyn Media, at: Previous) -> Result<Record, StoreError> {
    let path = record_path(at.seq);
    let bytes = read_file(media, &path).map_err(StoreError::reading(&path))?;
    let (record, checksum) = frame::decode::<Record>(RECORD, &bytes).map_err(|e| frame_error(&path, &e))?;
    if record.seq != at.seq || checksum != at.checksum {
        return Err(StoreError::damaged(&path, "it is not the one that later transactions were built on"));
    }
    // Numbers go down, so this ends, whatever a hostile record says.
    if record.previous.is_some_and(|previous| previous.seq >= at.seq) {
        return Err(StoreError::damaged(&path, "it was not built on the record before it"));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::id::PackId;
    use crate::store::media::memory::MemoryMedia;
    use crate::store::object::Timestamp;
    use crate::store::publish::{Change, create_vault};
    use crate::store::transaction::Context;
    use crate::store::vault::{Settings, Vault};

    fn vault(transactions: u8) -> (MemoryMedia, Vault) {
        let memory = MemoryMedia::new();
        let settings =
            Settings { vault_id: PackId::from_bytes([9; 16]), created: 0, large_file_threshold: 10 };
        create_vault(&memory, &settings).unwrap();
        let vault = Vault::open(Arc::new(memory.clone())).unwrap();
        for n in 1..=transactions {
            let time = Timestamp { seconds: i64::from(n), offset_minutes: 0 };
            let context =
                Context { time, actor: "A <a@x>".to_owned(), command: format!("c{n}"), nonce: [n; 16] };
            vault.begin(context).unwrap().publish(Change::default()).unwrap();
        }
        (memory, vault)
    }

    #[test]
    fn newest_first_to_the_first() {
        let (_, vault) = vault(70);
        let view = vault.view();
        let found: Vec<u64> = backward(&*view).map(|record| record.unwrap().1.seq).collect();
        assert_eq!(found, (1..=70).rev().collect::<Vec<_>>());
        assert_eq!(backward(&*view).next().unwrap().unwrap().1.command, "c70");
    }

    #[test]
    fn a_damaged_or_missing_record_ends_it_and_is_named() {
        for harm in [false, true] {
            let (memory, vault) = vault(5);
            if harm {
                memory.corrupt(&record_path(2), |bytes| bytes[100] ^= 1).unwrap();
            } else {
                memory.remove_file(&record_path(2)).unwrap();
            }
            let view = vault.view();
            let found: Vec<_> = backward(&*view).collect();
            assert_eq!(found.len(), 4);
            let error = found[3].as_ref().unwrap_err().to_string();
            assert!(error.contains("log/000000/000000002.record"), "{error}");
        }
    }
}
