//! Finding the log's files and deciding which of them count.
//!
//! A record counts when its frame is whole and it names the record before it. Copying a vault while a writer is
//! at work can catch newest records without their packs, and a disk without write barriers can tear one: such
//! records at the *end* of the log are as if they had never been, and said so. A record that later ones were
//! built on must be whole; if it is not, that is damage and an error. When only a pack or an index it brought is
//! lost, and content that came later is there, the record counts: what is lost must not take the rest along.

use std::io;

use super::record::{CHECKPOINT, Checkpoint, Previous, RECORD, Record};
use super::{BUCKET, CHECKPOINT_EVERY, MAX_SEQ, bucket_path, checkpoint_path, record_path};
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
    /// A whole record, its checksum, and what became of the files it brought.
    Whole(Box<Record>, Checksum, Files),
    /// Never written to its end: to be passed over if nothing was built on it.
    Torn,
    /// Not to be passed over: its bytes were changed after they were written.
    Damaged(StoreError),
}

/// The packs and the index a record brought.
enum Files {
    /// It brought none.
    None,
    /// All are there.
    Present,
    /// This one is not.
    Missing(String),
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
        Err(FrameError::Torn) => return Ok(Found::Torn),
        Err(error) => return Ok(Found::Damaged(frame_error(&path, &error))),
    };
    if record.seq != seq {
        return Ok(Found::Damaged(StoreError::damaged(
            &path,
            format!("it says it is transaction {}", record.seq),
        )));
    }
    let files = files(media, &record)?;
    Ok(Found::Whole(Box::new(record), checksum, files))
}

fn files(media: &dyn Media, record: &Record) -> Result<Files, StoreError> {
    let mut found = Files::None;
    for path in record.packs.iter().map(|new| pack::path_of(new.id)).chain(record.index.map(index::path_of)) {
        match media.len(&path).map_err(StoreError::io("look at", &path))? {
            Some(_) => found = Files::Present,
            None => return Ok(Files::Missing(path)),
        }
    }
    Ok(found)
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
    let tail = Tail { records: Vec::new(), next: from.map_or(1, |at| at.seq + 1), warnings: Vec::new() };
    let mut fold = Fold { tail, tip: from, held: Vec::new(), passed: Vec::new() };
    let mut newest = None;
    loop {
        let seq = fold.tail.next;
        match read_record(media, seq)? {
            Found::Absent => match newest {
                // Numbers are never skipped, so this is the end, or a lost file, or a record published since.
                None => {
                    newest = Some(newest_seq(media)?);
                    continue;
                }
                Some(newest) if newest <= seq => break,
                Some(_) => {
                    fold.pass(seq, Err(StoreError::damaged(&record_path(seq), "the file is missing")));
                    // Only numbers that have a file are looked at: a hostile name must not keep us counting.
                    match record_after(media, seq)? {
                        Some(next) => fold.tail.next = next,
                        None => break,
                    }
                    continue;
                }
            },
            Found::Whole(record, checksum, files) => fold.whole(*record, checksum, files)?,
            Found::Torn => fold.pass(seq, Ok("it was never written to its end".to_owned())),
            Found::Damaged(error) => fold.pass(seq, Err(error)),
        }
        fold.tail.next = seq + 1;
    }
    fold.finish()
}

/// Records being read, and what is not decided about them yet.
struct Fold {
    tail: Tail,
    /// The newest record that counts.
    tip: Option<Previous>,
    /// Records after it, from one that lacks a file on: they count once a later one is known to have come whole.
    held: Vec<(Record, Checksum, Files)>,
    /// Numbers without a usable record since.
    passed: Vec<(u64, Result<String, StoreError>)>,
}

impl Fold {
    fn pass(&mut self, seq: u64, why: Result<String, StoreError>) {
        self.passed.push((seq, why));
    }

    fn whole(&mut self, record: Record, checksum: Checksum, files: Files) -> Result<(), StoreError> {
        let held_tip = self.held.last().map(|(record, checksum, _)| at(record, *checksum));
        if record.previous == self.tip {
            // Whoever wrote it passed over what is held.
            self.drop_held();
        } else if held_tip.is_none() || record.previous != held_tip {
            return Err(self.unlinked(record.seq));
        }
        self.warn_of_passed();
        let missing = matches!(files, Files::Missing(_));
        let undecided = !self.held.is_empty() && matches!(files, Files::None);
        self.held.push((record, checksum, files));
        if !missing && !undecided {
            self.keep_held();
        }
        Ok(())
    }

    /// Later content is there, so what is missing before it was lost: the rest must stay readable.
    fn keep_held(&mut self) {
        for (record, checksum, files) in self.held.drain(..) {
            if let Files::Missing(file) = files {
                let detail = format!("transaction {} brought it, and it is missing", record.seq);
                self.tail.warnings.push(Warning { file, detail });
            }
            self.tip = Some(at(&record, checksum));
            self.tail.records.push((record, checksum));
        }
    }

    fn drop_held(&mut self) {
        for (record, _, files) in self.held.drain(..) {
            let why = match files {
                Files::Missing(file) => format!("`{file}`, which it needs, is missing"),
                Files::None | Files::Present => "it was built on one that is passed over".to_owned(),
            };
            self.tail.warnings.push(warning(record.seq, &Ok(why)));
        }
    }

    fn warn_of_passed(&mut self) {
        self.tail.warnings.extend(self.passed.drain(..).map(|(seq, why)| warning(seq, &why)));
    }

    /// The error for a record that was built on one that is not there: about that one, where it is known.
    fn unlinked(&mut self, seq: u64) -> StoreError {
        let first = (!self.passed.is_empty()).then(|| self.passed.swap_remove(0));
        match first {
            Some((_, Err(error))) => error,
            Some((seq, Ok(why))) => {
                StoreError::damaged(&record_path(seq), format!("later transactions need it, and {why}"))
            }
            None => StoreError::damaged(&record_path(seq), "it was not built on the record before it"),
        }
    }

    fn finish(mut self) -> Result<Tail, StoreError> {
        self.drop_held();
        for (seq, why) in self.passed {
            // What is merely unfinished never happened; what was changed afterwards must not pass for that.
            match why {
                Err(error) => return Err(error),
                unfinished => self.tail.warnings.push(warning(seq, &unfinished)),
            }
        }
        Ok(self.tail)
    }
}

fn at(record: &Record, checksum: Checksum) -> Previous {
    Previous { seq: record.seq, checksum }
}

fn warning(seq: u64, why: &Result<String, StoreError>) -> Warning {
    let detail = match why {
        Ok(why) => why.clone(),
        Err(error) => error.to_string(),
    };
    Warning { file: record_path(seq), detail: format!("transaction {seq} is passed over: {detail}") }
}

/// Numbers of the files with this ending in one folder of the log, ascending. Only names that we would give:
/// any other is a stranger's.
fn numbers(media: &dyn Media, bucket: u64, ending: &str) -> Result<Vec<u64>, StoreError> {
    let path = bucket_path(bucket * BUCKET);
    let names = match media.list(&path) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(StoreError::io("list", &path)(error)),
    };
    let ours = |name: &String| {
        let number: u64 = name.strip_suffix(ending)?.parse().ok()?;
        let fits = number / BUCKET == bucket && *name == format!("{number:09}{ending}");
        fits.then_some(number)
    };
    let mut found: Vec<u64> = names.iter().filter_map(ours).collect();
    found.sort_unstable();
    Ok(found)
}

fn buckets(media: &dyn Media) -> Result<Vec<u64>, StoreError> {
    let names = media.list("log").map_err(StoreError::io("list", "log"))?;
    let ours = |name: &String| {
        let bucket: u64 = name.parse().ok()?;
        (bucket < MAX_SEQ / BUCKET && *name == format!("{bucket:06}")).then_some(bucket)
    };
    let mut found: Vec<u64> = names.iter().filter_map(ours).collect();
    found.sort_unstable();
    Ok(found)
}

/// Number of the first record file after `seq`.
fn record_after(media: &dyn Media, seq: u64) -> Result<Option<u64>, StoreError> {
    for bucket in buckets(media)?.into_iter().filter(|&bucket| bucket >= seq / BUCKET) {
        let found = numbers(media, bucket, ".record")?.into_iter().find(|&number| number > seq);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
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
