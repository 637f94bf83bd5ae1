//! Finding the log's files and deciding which of them count.
//!
//! A record counts when its frame is whole, it names the record before it, and the files it brought are there.
//! Copying a vault while a writer is at work can catch newest records without their packs, and a disk without
//! write barriers can tear one: such records at the *end* of the log are as if they had never been, and said
//! so. A record that later ones were built on must be good; if it is not, that is damage and an error.

use std::io;

use super::record::{CHECKPOINT, Checkpoint, Previous, RECORD, Record};
use super::{BUCKET, CHECKPOINT_EVERY, bucket_path, checkpoint_path, record_path};
use crate::store::error::StoreError;
use crate::store::frame::{self, Checksum, FrameError};
use crate::store::index;
use crate::store::media::Media;
use crate::store::pack;

/// Something that was passed over and that the user should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file, relative to the vault.
    pub file: String,
    /// What is wrong with it and what was done about it.
    pub detail: String,
}

/// What reading one record gave.
enum Found {
    /// No such file.
    Absent,
    /// A good record whose files are all there.
    Good(Box<Record>, Checksum),
    /// To be passed over if nothing was built on it: why.
    Incomplete(String),
    /// Not to be passed over: its bytes were changed after they were written.
    Damaged(StoreError),
}

/// Reads a whole small file.
pub fn read_file(media: &dyn Media, path: &str) -> io::Result<Vec<u8>> {
    let file = media.open(path)?;
    let limit = frame::MAX_JSON as u64 + 1024;
    let len = usize::try_from(file.len().min(limit)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn read_record(media: &dyn Media, seq: u64) -> Result<Found, StoreError> {
    let path = record_path(seq);
    let bytes = match read_file(media, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let (record, checksum) = match frame::decode::<Record>(RECORD, &bytes) {
        Ok(decoded) => decoded,
        Err(FrameError::Torn) => return Ok(Found::Incomplete("it was never written to its end".to_owned())),
        Err(error) => return Ok(Found::Damaged(frame_error(&path, &error))),
    };
    if record.seq != seq {
        return Ok(Found::Damaged(StoreError::damaged(
            &path,
            format!("it says it is transaction {}", record.seq),
        )));
    }
    Ok(match missing_file(media, &record)? {
        Some(missing) => Found::Incomplete(format!("`{missing}`, which it needs, is missing")),
        None => Found::Good(Box::new(record), checksum),
    })
}

fn missing_file(media: &dyn Media, record: &Record) -> Result<Option<String>, StoreError> {
    let files = record.packs.iter().map(|new| pack::path_of(new.id)).chain(record.index.map(index::path_of));
    for path in files {
        if media.len(&path).map_err(StoreError::io("look at", &path))?.is_none() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Turns a frame's error into one that names the file.
pub fn frame_error(path: &str, error: &FrameError) -> StoreError {
    match *error {
        FrameError::Torn => StoreError::damaged(path, "it was never written to its end"),
        FrameError::Damaged(detail) => StoreError::damaged(path, detail),
        FrameError::Version(found) => {
            StoreError::UnsupportedVersion { file: path.to_owned(), found, supported: 1 }
        }
    }
}

/// Records that follow a known one, and where they end.
#[derive(Debug)]
pub struct Tail {
    /// The records in order.
    pub records: Vec<(Record, Checksum)>,
    /// Number of the next record to write: one past every file there is.
    pub next: u64,
    /// Records that were passed over.
    pub warnings: Vec<Warning>,
}

/// Reads the records after `from` (or all of them).
///
/// # Errors
/// [`StoreError::Damaged`] when a record that others were built on is missing or damaged, or when the newest
/// one was changed after it was written.
pub fn tail(media: &dyn Media, from: Option<Previous>) -> Result<Tail, StoreError> {
    let mut chain = Chain { tip: from, records: Vec::new(), warnings: Vec::new(), passed: Vec::new() };
    let mut next = from.map_or(1, |at| at.seq + 1);
    let mut newest = None;
    loop {
        match (read_record(media, next)?, newest) {
            // Numbers are never skipped, so this is the end, or a lost file, or a record published since.
            (Found::Absent, None) => {
                newest = Some(newest_seq(media)?);
                continue;
            }
            (Found::Absent, Some(newest)) if newest <= next => break,
            (found, _) => chain.follow(next, found)?,
        }
        next += 1;
    }
    let (records, warnings) = chain.end()?;
    Ok(Tail { records, next, warnings })
}

/// Why a record does not count, until it is known whether that matters.
enum Why {
    /// As if it had never been written.
    Unfinished(String),
    /// Lost or changed afterwards.
    Damaged(StoreError),
}

/// Records that count, each built on the one before, and those that may have to be passed over.
struct Chain {
    tip: Option<Previous>,
    records: Vec<(Record, Checksum)>,
    warnings: Vec<Warning>,
    passed: Vec<(u64, Why)>,
}

impl Chain {
    fn follow(&mut self, seq: u64, found: Found) -> Result<(), StoreError> {
        let why = match found {
            Found::Good(record, checksum) if record.previous == self.tip => {
                self.pass_over();
                self.tip = Some(Previous { seq, checksum });
                self.records.push((*record, checksum));
                return Ok(());
            }
            Found::Good(..) => return Err(self.broken_at(seq)),
            Found::Absent => Why::Damaged(StoreError::damaged(&record_path(seq), "the file is missing")),
            Found::Incomplete(why) => Why::Unfinished(why),
            Found::Damaged(error) => Why::Damaged(error),
        };
        self.passed.push((seq, why));
        Ok(())
    }

    /// A later record was built on what came before the doubtful ones: they never counted.
    fn pass_over(&mut self) {
        for (seq, why) in self.passed.drain(..) {
            let why = match why {
                Why::Unfinished(why) => why,
                Why::Damaged(error) => error.to_string(),
            };
            let detail = format!("transaction {seq} is passed over: {why}");
            self.warnings.push(Warning { file: record_path(seq), detail });
        }
    }

    /// Record `seq` is good and was built on one that does not count: that one is to blame, if there is one.
    fn broken_at(&mut self, seq: u64) -> StoreError {
        match self.passed.drain(..).next() {
            Some((_, Why::Damaged(error))) => error,
            Some((seq, Why::Unfinished(why))) => {
                StoreError::damaged(&record_path(seq), format!("later transactions need it, and {why}"))
            }
            None => StoreError::damaged(&record_path(seq), "it was not built on the record before it"),
        }
    }

    /// What is merely unfinished at the end never happened; what was changed afterwards must not pass for that.
    fn end(mut self) -> Result<(Vec<(Record, Checksum)>, Vec<Warning>), StoreError> {
        let (damaged, unfinished): (Vec<_>, Vec<_>) =
            self.passed.drain(..).partition(|(_, why)| matches!(why, Why::Damaged(_)));
        if let Some((_, Why::Damaged(error))) = damaged.into_iter().next() {
            return Err(error);
        }
        self.passed = unfinished;
        self.pass_over();
        Ok((self.records, self.warnings))
    }
}

/// Numbers of the files with this ending in one folder of the log, ascending.
fn numbers(media: &dyn Media, bucket: u64, ending: &str) -> Result<Vec<u64>, StoreError> {
    let path = bucket_path(bucket * BUCKET);
    let names = match media.list(&path) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(StoreError::io("list", &path)(error)),
    };
    let mut found: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(ending)?.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

fn buckets(media: &dyn Media) -> Result<Vec<u64>, StoreError> {
    let names = media.list("log").map_err(StoreError::io("list", "log"))?;
    let mut found: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// Number of the newest record file; 0 when there is none.
fn newest_seq(media: &dyn Media) -> Result<u64, StoreError> {
    for bucket in buckets(media)?.into_iter().rev() {
        if let Some(&newest) = numbers(media, bucket, ".record")?.last() {
            return Ok(newest);
        }
    }
    Ok(0)
}

/// The checkpoint to start from: the newest good one that leaves at least [`CHECKPOINT_EVERY`] records to be
/// read and checked against the files they brought. An unreadable one is passed over with a warning.
pub fn checkpoint(media: &dyn Media) -> Result<(Option<Checkpoint>, Vec<Warning>), StoreError> {
    let newest = newest_seq(media)?;
    let mut warnings = Vec::new();
    for bucket in buckets(media)?.into_iter().rev() {
        for seq in numbers(media, bucket, ".checkpoint")?.into_iter().rev() {
            if seq.saturating_add(CHECKPOINT_EVERY) > newest {
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

/// Every checkpoint there is, read and checked: what `verify` looks at.
pub fn check_checkpoints(media: &dyn Media) -> Result<Vec<Warning>, StoreError> {
    let mut warnings = Vec::new();
    for bucket in buckets(media)? {
        for seq in numbers(media, bucket, ".checkpoint")? {
            if let Err(error) = read_checkpoint(media, seq) {
                warnings.push(Warning { file: checkpoint_path(seq), detail: error.to_string() });
            }
        }
    }
    Ok(warnings)
}

fn read_checkpoint(media: &dyn Media, seq: u64) -> Result<Checkpoint, StoreError> {
    let path = checkpoint_path(seq);
    let bytes = read_file(media, &path).map_err(StoreError::reading(&path))?;
    let (checkpoint, _) =
        frame::decode::<Checkpoint>(CHECKPOINT, &bytes).map_err(|e| frame_error(&path, &e))?;
    if checkpoint.at.seq != seq {
        return Err(StoreError::damaged(&path, "it belongs to another transaction"));
    }
    Ok(checkpoint)
}
