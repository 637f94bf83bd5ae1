//! The transaction log: one small file per transaction, numbered, created if absent.
//!
//! ```text
//! log/000000/000000001.record        a transaction; names the checksum of the one before it
//! log/000000/000000064.checkpoint    the state after it: only ever a shortcut
//! ```
//!
//! State is the fold of the log ([`state`]); nothing else says what a ref is or which indexes are live.
//! [`record`] is the bytes, [`scan`] finds the files and decides which of them count, [`opening`] where to begin,
//! [`backward`] reads from the end.

pub mod backward;
pub mod opening;
pub mod record;
pub mod scan;
pub mod state;

/// Records per folder, so that finding the newest never lists them all.
pub const BUCKET: u64 = 1000;

/// A checkpoint is written after every so many transactions.
pub const CHECKPOINT_EVERY: u64 = 64;

/// Transaction numbers stay below this: a file that claims a higher one is a stranger's, and arithmetic on
/// numbers cannot overflow.
pub const MAX_SEQ: u64 = 1 << 48;

/// The folder of transaction `seq`.
pub fn bucket_path(seq: u64) -> String {
    format!("log/{:06}", seq / BUCKET)
}

/// The record file of transaction `seq`.
pub fn record_path(seq: u64) -> String {
    format!("{}/{seq:09}.record", bucket_path(seq))
}

/// The checkpoint file after transaction `seq`.
pub fn checkpoint_path(seq: u64) -> String {
    format!("{}/{seq:09}.checkpoint", bucket_path(seq))
}
