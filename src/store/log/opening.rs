//! Where the reading of a log begins, so that opening costs the same however long it is.
//!
//! A checkpoint holds what all records up to it say, those too whose files a copy may lack. So it may be used only where
//! these count whatever became of their files: when one of the records after it has all of its own, or when the
//! checkpoint is old enough that nobody was writing them while the vault was copied. Which records count is `scan`'s
//! business, and what they mean `state`'s.

use super::record::Checkpoint;
use super::scan::{self, Tail, Warning, buckets, names, numbers, read_checkpoint};
use super::{CHECKPOINT_EVERY, checkpoint_path};
use crate::store::error::StoreError;
use crate::store::media::Media;

/// A checkpoint, and the log after it; all of the log without one.
#[derive(Debug)]
pub struct Opening {
    /// The state to begin with.
    pub checkpoint: Option<Checkpoint>,
    /// What follows it. Its warnings begin with those about checkpoints.
    pub tail: Tail,
}

/// Reads as little of the log as will do.
///
/// # Errors
/// [`StoreError::Damaged`] when a record that others were built on is missing or damaged, or when the newest
/// one was changed after it was written.
pub fn open(media: &dyn Media) -> Result<Opening, StoreError> {
    if let Some(newest) = newest(media)?
        && let Some(short) = short(media, newest)
    {
        return Ok(short);
    }
    let (checkpoint, mut warnings) = checkpoint(media)?;
    let (checkpoint, tail) = match scan::tail(media, checkpoint.as_ref().map(|checkpoint| checkpoint.at)) {
        Ok(tail) => (checkpoint, tail),
        // A checkpoint is only a shortcut: the whole log decides.
        Err(error) => (None, scan::tail(media, None).map_err(|_| error)?),
    };
    warnings.extend(tail.warnings);
    Ok(Opening { checkpoint, tail: Tail { warnings, ..tail } })
}

/// From the last checkpoint before the newest record, when nothing at all is out of the ordinary after it.
fn short(media: &dyn Media, newest: u64) -> Option<Opening> {
    let seq = newest.checked_sub(1)? / CHECKPOINT_EVERY * CHECKPOINT_EVERY;
    let checkpoint = if seq == 0 { None } else { Some(read_checkpoint(media, seq).ok()?) };
    let from = checkpoint.as_ref().map(|checkpoint| checkpoint.at);
    let (found, next) = scan::read_all(media, from, &|_| Ok(None)).ok()?;
    // All names were listed before: where one is missing in between, reading ended before the newest.
    let tail = if next > newest { scan::judge((found, next), from).ok()? } else { return None };
    let is_settled = tail.warnings.is_empty() && (tail.is_certain || from.is_none());
    is_settled.then_some(Opening { checkpoint, tail })
}

/// Number of the newest record file.
fn newest(media: &dyn Media) -> Result<Option<u64>, StoreError> {
    for bucket in buckets(media)?.into_iter().rev() {
        let found = numbers(&names(media, bucket)?, bucket, ".record").pop();
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The checkpoint to start from: the newest good one that leaves at least [`CHECKPOINT_EVERY`] records to be
/// read and checked against the files they brought. An unreadable one is passed over with a warning.
fn checkpoint(media: &dyn Media) -> Result<(Option<Checkpoint>, Vec<Warning>), StoreError> {
    let mut newest = None;
    let mut warnings = Vec::new();
    for bucket in buckets(media)?.into_iter().rev() {
        let names = names(media, bucket)?;
        if newest.is_none() {
            newest = numbers(&names, bucket, ".record").pop();
        }
        for seq in numbers(&names, bucket, ".checkpoint").into_iter().rev() {
            if newest.is_none_or(|newest| seq.saturating_add(CHECKPOINT_EVERY) > newest) {
                continue;
            }
            match read_checkpoint(media, seq) {
                Ok(checkpoint) => return Ok((Some(checkpoint), warnings)),
                Err(error) => {
                    warnings.push(Warning {
                        file: checkpoint_path(seq),
                        detail: format!("passed over: {error}"),
                    });
                }
            }
        }
    }
    Ok((None, warnings))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::frame;
    use crate::store::id::IndexId;
    use crate::store::log::record::{CHECKPOINT, Previous, RECORD};
    use crate::store::log::record_path;
    use crate::store::media::memory::MemoryMedia;
    use crate::store::pack::Compression;

    fn write(memory: &MemoryMedia, path: &str, bytes: &[u8]) {
        let mut sink = memory.create(path).unwrap();
        sink.write_all(bytes).unwrap();
        sink.sync().unwrap();
    }

    /// A log whose records are empty files: looking for the checkpoint reads names only.
    fn log(newest: u64, checkpoints: &[u64]) -> MemoryMedia {
        let memory = MemoryMedia::new();
        ["log", "log/000000", "log/000001"].iter().for_each(|folder| memory.create_dir(folder).unwrap());
        for &seq in checkpoints {
            let at = Previous { seq, checksum: frame::encode(RECORD, &seq).1 };
            let (refs, default_branch) = (BTreeMap::new(), "refs/heads/main".parse().unwrap());
            let (indexes, retired_packs) = (Vec::<IndexId>::new(), std::collections::BTreeSet::new());
            let checkpoint = Checkpoint {
                at,
                refs,
                default_branch,
                compression: Compression::default(),
                indexes,
                retired_packs,
                collected: 0,
            };
            write(&memory, &checkpoint_path(seq), &frame::encode(CHECKPOINT, &checkpoint).0);
        }
        (1..=newest).for_each(|seq| write(&memory, &record_path(seq), b""));
        memory
    }

    #[test]
    fn the_newest_checkpoint_that_leaves_enough_records_is_found_on_both_sides_of_a_folders_end() {
        let every: Vec<u64> = (1..17).map(|n| n * CHECKPOINT_EVERY).collect();
        let at = |memory: &MemoryMedia| {
            let (found, warnings) = checkpoint(memory).unwrap();
            (found.map(|found| found.at.seq), warnings.len())
        };
        for (newest, expected) in [(60, None), (127, None), (128, Some(64)), (999, Some(896))] {
            assert_eq!(at(&log(newest, &every)), (expected, 0), "{newest}");
        }
        for (newest, expected) in [(1000, 896), (1023, 896), (1024, 960), (1087, 960), (1088, 1024)] {
            assert_eq!(at(&log(newest, &every)), (Some(expected), 0), "{newest}");
        }
        let memory = log(1010, &every);
        memory.corrupt(&checkpoint_path(896), |bytes| bytes[100] ^= 1).unwrap();
        assert_eq!(at(&memory), (Some(832), 1), "a damaged one is passed over with a warning");
        memory.remove_file(&checkpoint_path(896)).unwrap();
        assert_eq!(at(&memory), (Some(832), 0), "a lost one is not missed");
    }
}
