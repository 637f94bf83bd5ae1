//! Bytes at rest: everything a vault keeps, how it is laid out, and how it becomes durable.
//!
//! ```text
//! vault/
//!   HUBVAULT   marker: vault id, settings fixed at init
//!   log/       one small file per transaction, created if absent; checkpoints between     [log]
//!   packs/     content (*.pack) and what describes it (*.idx), immutable                   [pack, index]
//!   leases/    who is reading what        locks/  advisory locks
//!   tmp/       unpublished work           cache/  disposable
//! ```
//!
//! From the bottom: [`media`] is the disk; [`id`], [`object`], [`chunk`], [`path`], [`refname`] and their like
//! are pure values and encodings; [`pack`] and [`index`] hold content; [`log`] says which of it counts;
//! [`vault`] opens all that and hands out views; [`transaction`], [`ingest`] and [`publish`] add to it.
//! Nothing here knows what a command is, prints, or asks for the time.

pub mod attributes;
mod bulk;
pub mod catalog;
pub mod chunk;
pub mod collect;
pub mod error;
pub mod frame;
pub mod id;
pub mod index;
pub mod ingest;
pub mod interrupt;
pub mod lease;
pub mod log;
pub mod mark;
pub mod media;
mod moves;
pub mod object;
pub mod pack;
pub mod path;
mod planes;
pub mod pointer;
pub mod proof;
pub mod publish;
pub mod recode;
pub mod refname;
#[cfg(test)]
pub(crate) mod samples;
mod scratch;
pub mod sorted;
mod sound;
pub mod stat_cache;
mod text;
pub mod transaction;
pub mod vault;
mod zip;

pub use error::StoreError;
