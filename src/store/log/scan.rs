//! Finding the log's files and deciding which of them count.
//!
//! A record counts when its frame is whole and it names the record before it. Copying a vault while a writer is
//! at work can catch newest records without their packs, and a disk without write barriers can tear one: such
//! records at the *end* of the log are as if they had never been, and said so. A record that later ones were
//! built on must be whole; if it is not, that is damage and an error. When only a pack or an index it brought is
//! lost, and content that came later is there, the record counts: what is lost must not take the rest along. What
//! a later record that counts has retired is not missed at all.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::record::{CHECKPOINT, Checkpoint, Previous, RECORD, Record};
use super::{BUCKET, MAX_SEQ, bucket_path, checkpoint_path, record_path};
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

/// What a record file holds.
pub(super) enum Found {
    /// A whole record, its checksum, and what became of the files it brought.
    Whole(Box<Record>, Checksum, Files),
    /// Never written to its end: to be passed over if nothing was built on it.
    Torn,
    /// Not to be passed over: its bytes were changed after they were written.
    Damaged(StoreError),
}

/// The packs and the index a record brought.
#[derive(Default)]
pub(super) struct Files {
    /// Whether any of them is there.
    present: bool,
    /// Those that are not.
    missing: Vec<String>,
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

fn read_record(media: &dyn Media, seq: u64) -> Result<Option<Found>, StoreError> {
    let path = record_path(seq);
    let bytes = match read_file(media, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let (record, checksum) = match frame::decode::<Record>(RECORD, &bytes) {
        Ok(decoded) => decoded,
        Err(FrameError::Torn) => return Ok(Some(Found::Torn)),
        Err(error) => return Ok(Some(Found::Damaged(frame_error(&path, &error)))),
    };
    if record.seq != seq {
        let detail = format!("it says it is transaction {}", record.seq);
        return Ok(Some(Found::Damaged(StoreError::damaged(&path, detail))));
    }
    let files = files(media, &record)?;
    Ok(Some(Found::Whole(Box::new(record), checksum, files)))
}

fn files(media: &dyn Media, record: &Record) -> Result<Files, StoreError> {
    let mut found = Files::default();
    for path in record.packs.iter().map(|new| pack::path_of(new.id)).chain(record.index.map(index::path_of)) {
        match media.len(&path).map_err(StoreError::io("look at", &path))? {
            Some(_) => found.present = true,
            None => found.missing.push(path),
        }
    }
    Ok(found)
}

/// Where in the chain each file was retired last.
struct Retired(HashMap<String, usize>);

impl Retired {
    fn of(found: &BTreeMap<u64, Found>, chain: &[u64]) -> Self {
        let mut retired = HashMap::new();
        for (at, seq) in chain.iter().enumerate() {
            let Some(Found::Whole(record, ..)) = found.get(seq) else { continue };
            let packs = record.retired_packs.iter().map(|&id| pack::path_of(id));
            let paths = packs.chain(record.retired_indexes.iter().map(|&id| index::path_of(id)));
            retired.extend(paths.map(|path| (path, at)));
        }
        Self(retired)
    }

    /// The first file of the record at `at` that is missing, and that none of the `counting` first records retired.
    fn missing<'f>(&self, files: &'f Files, at: usize, counting: usize) -> Option<&'f String> {
        let by = |path: &String| self.0.get(path).is_some_and(|&by| by > at && by < counting);
        files.missing.iter().find(|path| !by(path))
    }
}

/// Turns a frame's error into one that names the file.
pub fn frame_error(path: &str, error: &FrameError) -> StoreError {
    match *error {
        FrameError::Torn => StoreError::damaged(path, "it was never written to its end"),
        FrameError::Damaged(detail) => StoreError::damaged(path, detail),
        FrameError::Version(found) => {
            StoreError::UnsupportedVersion { file: path.to_owned(), found, supported: frame::LOG_VERSION }
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
    /// Whether one of the records has all its files: then every record before these counts, whatever became of its
    /// files.
    pub is_certain: bool,
}

/// Reads the records after `from` (or all of them).
///
/// # Errors
/// [`StoreError::Damaged`] when a record that others were built on is missing or damaged, or when the newest
/// one was changed after it was written.
pub fn tail(media: &dyn Media, from: Option<Previous>) -> Result<Tail, StoreError> {
    judge(read_all(media, from, &|next| record_from(media, next))?, from)
}

/// As [`tail`], for a state that was read before: its end was looked for among all names then, and what was published
/// since came one after the other. So it ends where the next two numbers are free.
pub fn since(media: &dyn Media, tip: Option<Previous>) -> Result<Tail, StoreError> {
    let beyond = |next| if has_grown(media, next + 1) { record_from(media, next) } else { Ok(None) };
    judge(read_all(media, tip, &beyond)?, tip)
}

/// Which of the records after `from` count.
pub(super) fn judge(
    (mut found, next): (BTreeMap<u64, Found>, u64),
    from: Option<Previous>,
) -> Result<Tail, StoreError> {
    let chain = chain(&mut found, from)?;
    let retired = Retired::of(&found, &chain);
    let (counting, is_certain) = counting(&found, &chain, &retired);
    let mut tail = Tail { records: Vec::new(), next, warnings: Vec::new(), is_certain };
    for (seq, found) in found {
        let place = chain.binary_search(&seq);
        match (found, place) {
            (Found::Whole(record, checksum, files), Ok(at)) if at < counting => {
                if let Some(file) = retired.missing(&files, at, counting) {
                    let detail = format!("transaction {seq} brought it, and it is missing");
                    tail.warnings.push(Warning { file: file.clone(), detail });
                }
                tail.records.push((*record, checksum));
            }
            (passed, place) => {
                let detail = passed.passed_over(seq, place.is_ok());
                tail.warnings.push(Warning { file: record_path(seq), detail });
            }
        }
    }
    Ok(tail)
}

/// Whether a record was published after those of a tail whose next number was `next`. What a tail misses may have
/// been retired by it.
pub fn has_grown(media: &dyn Media, next: u64) -> bool {
    matches!(media.len(&record_path(next)), Ok(Some(_)))
}

/// Reads one record that is known to count.
///
/// # Errors
/// [`StoreError::Damaged`] when it is not the one that later records name.
pub fn record(media: &dyn Media, at: Previous) -> Result<Record, StoreError> {
    let path = record_path(at.seq);
    let bytes = read_file(media, &path).map_err(StoreError::reading(&path))?;
    let (record, checksum) = frame::decode::<Record>(RECORD, &bytes).map_err(|e| frame_error(&path, &e))?;
    if checksum == at.checksum && record.seq == at.seq {
        return Ok(record);
    }
    Err(StoreError::damaged(&path, "it is not the one that later transactions were built on"))
}

impl Found {
    /// Why a record that does not count does not.
    fn why_not(&self, in_chain: bool) -> String {
        match self {
            Self::Torn => "it was never written to its end".to_owned(),
            Self::Damaged(error) => error.to_string(),
            Self::Whole(_, _, files) => match files.missing.first() {
                Some(file) => format!("`{file}`, which it needs, is missing"),
                None if in_chain => "it was built on one that is passed over".to_owned(),
                None => "later ones were built on what came before it".to_owned(),
            },
        }
    }

    /// The same with what it did, and what brings it back where that can be.
    fn passed_over(&self, seq: u64, in_chain: bool) -> String {
        let why = self.why_not(in_chain);
        let Self::Whole(record, _, files) = self else {
            return format!("transaction {seq} is passed over: {why}");
        };
        let what = record.refs.first().map_or(&record.command, |change| &change.message);
        let advice = if in_chain && !files.missing.is_empty() {
            "; put it back, from where this vault was copied, before anything is committed here: the next commit settles \
             that this one never was"
        } else {
            ""
        };
        format!("transaction {seq} ({what}) is passed over: {why}{advice}")
    }
}

/// Every record file after `from`, and the number after the last. `beyond` answers the first number from one that has no
/// file on that has.
pub(super) fn read_all(
    media: &dyn Media,
    from: Option<Previous>,
    beyond: &dyn Fn(u64) -> Result<Option<u64>, StoreError>,
) -> Result<(BTreeMap<u64, Found>, u64), StoreError> {
    let first = from.map_or(1, |at| at.seq + 1);
    let mut found = BTreeMap::new();
    let mut next = first;
    loop {
        if let Some(record) = read_record(media, next)? {
            found.insert(next, record);
            next += 1;
            continue;
        }
        // Numbers are never skipped, so this is the end, or a lost file, or a record published since. Only
        // numbers that have a file are looked at: a hostile name must not keep us counting.
        match beyond(next)? {
            Some(seq) => next = seq,
            None => break,
        }
    }
    let after = found.last_key_value().map_or(first, |(seq, _)| seq + 1);
    Ok((found, after))
}

/// The records that lead from `from` to the newest one, each built on the one before: what records name decides,
/// not which files happen to be there. The newest one may be unfinished (then it never was), but not changed.
fn chain(found: &mut BTreeMap<u64, Found>, from: Option<Previous>) -> Result<Vec<u64>, StoreError> {
    let newest = found.iter().rev().find(|(_, record)| !matches!(record, Found::Torn)).map(|(seq, _)| *seq);
    let mut chain = Vec::new();
    let mut at = newest;
    while let Some(seq) = at {
        let Some(Found::Whole(record, ..)) = found.get(&seq) else { return Err(needed(found, seq)) };
        chain.push(seq);
        at = match record.previous {
            previous if previous == from => None,
            Some(previous) if previous.seq < seq && from.is_none_or(|from| previous.seq > from.seq) => {
                match found.get(&previous.seq) {
                    Some(Found::Whole(_, checksum, _)) if *checksum != previous.checksum => {
                        let detail = "it is not the one that later transactions were built on";
                        return Err(StoreError::damaged(&record_path(previous.seq), detail));
                    }
                    _ => Some(previous.seq),
                }
            }
            _ => {
                return Err(StoreError::damaged(
                    &record_path(seq),
                    "it was not built on the record before it",
                ));
            }
        };
    }
    chain.reverse();
    Ok(chain)
}

/// The error for a record that is needed and cannot be had.
fn needed(found: &mut BTreeMap<u64, Found>, seq: u64) -> StoreError {
    match found.remove(&seq) {
        Some(Found::Damaged(error)) => error,
        Some(found) => StoreError::damaged(
            &record_path(seq),
            format!("later transactions need it, and {}", found.why_not(true)),
        ),
        None => StoreError::damaged(&record_path(seq), "the file is missing"),
    }
}

/// Most often that the records at the end are judged again because what retired their files does not count: a bound
/// on what a hostile log can make us do.
const JUDGED: usize = 8;

/// How many records of the chain count. At its end, records whose files are not there, and what was built on
/// them, do not: a copy made while a writer was at work lacks them. But when content that came later is there,
/// what is missing was lost, and must not take the rest along. Files that a later record retired are not missed,
/// if that record counts.
///
/// Also whether that would be the same for all records before them, whatever these say and brought.
fn counting(found: &BTreeMap<u64, Found>, chain: &[u64], retired: &Retired) -> (usize, bool) {
    let (mut counting, mut is_certain) = (chain.len(), true);
    for _ in 0..JUDGED {
        let files = |at: usize| match found.get(&chain[at]) {
            Some(Found::Whole(_, _, files)) => Some((files, retired.missing(files, at, counting))),
            _ => None,
        };
        let is_whole = |at: usize| matches!(files(at), Some((files, None)) if files.present);
        let certain = (0..counting).rev().find(|&at| is_whole(at)).map_or(0, |at| at + 1);
        is_certain &= certain > 0;
        let first_missing = (certain..counting).find(|&at| matches!(files(at), Some((_, Some(_)))));
        match first_missing {
            Some(fewer) => counting = fewer,
            None => break,
        }
    }
    (counting, is_certain)
}

/// Names of the files in one folder of the log.
pub(super) fn names(media: &dyn Media, bucket: u64) -> Result<Vec<String>, StoreError> {
    let path = bucket_path(bucket * BUCKET);
    match media.list(&path) {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::io("list", &path)(error)),
    }
}

/// Numbers of the files with this ending among the names in one folder of the log, ascending. Only names that we
/// would give: any other is a stranger's.
pub(super) fn numbers(names: &[String], bucket: u64, ending: &str) -> Vec<u64> {
    let ours = |name: &String| number(name, 9, ending).filter(|number| number / BUCKET == bucket);
    let mut found: Vec<u64> = names.iter().filter_map(ours).collect();
    found.sort_unstable();
    found
}

/// The number in a name that is `width` digits, more only when needed, and this ending.
fn number(name: &str, width: usize, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    let long = digits.len() > width && !digits.starts_with('0');
    let ours = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == width || long);
    if ours { digits.parse().ok() } else { None }
}

pub(super) fn buckets(media: &dyn Media) -> Result<Vec<u64>, StoreError> {
    let names = media.list("log").map_err(StoreError::io("list", "log"))?;
    let ours = |name: &String| number(name, 6, "").filter(|&bucket| bucket < MAX_SEQ / BUCKET);
    let mut found: Vec<u64> = names.iter().filter_map(ours).collect();
    found.sort_unstable();
    Ok(found)
}

/// Number of the first record file from `seq` on.
fn record_from(media: &dyn Media, seq: u64) -> Result<Option<u64>, StoreError> {
    for bucket in buckets(media)?.into_iter().filter(|&bucket| bucket >= seq / BUCKET) {
        let names = names(media, bucket)?;
        let found = numbers(&names, bucket, ".record").into_iter().find(|&number| number >= seq);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Every checkpoint there is, by the transaction it follows: what `verify` looks at.
pub fn checkpoints(media: &dyn Media) -> Result<Vec<(u64, Result<Checkpoint, StoreError>)>, StoreError> {
    let mut found = Vec::new();
    for bucket in buckets(media)? {
        found.extend(
            numbers(&names(media, bucket)?, bucket, ".checkpoint")
                .into_iter()
                .map(|seq| (seq, read_checkpoint(media, seq))),
        );
    }
    Ok(found)
}

pub(super) fn read_checkpoint(media: &dyn Media, seq: u64) -> Result<Checkpoint, StoreError> {
    let path = checkpoint_path(seq);
    let bytes = read_file(media, &path).map_err(StoreError::reading(&path))?;
    let (checkpoint, _) =
        frame::decode::<Checkpoint>(CHECKPOINT, &bytes).map_err(|e| frame_error(&path, &e))?;
    if checkpoint.at.seq != seq {
        return Err(StoreError::damaged(&path, "it belongs to another transaction"));
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_ours_when_we_would_give_it() {
        for seq in [0, 1, 999, 1000, 123_456_789, 999_999_999, 1_000_000_000, MAX_SEQ] {
            assert_eq!(number(&format!("{seq:09}.record"), 9, ".record"), Some(seq));
        }
        for name in
            ["1.record", "0000000001.record", "+00000001.record", "00000000x.record", ".record", "000000001"]
        {
            assert_eq!(number(name, 9, ".record"), None, "{name}");
        }
        assert_eq!(number("99999999999999999999.record", 9, ".record"), None);
    }
}
