//! Recoding: content that is there is stored another way, pack by pack, without being read from outside again.
//!
//! A pack is never changed. What files need of it goes into new packs, and every file record that lies in it is said
//! again, in one ordinary transaction whose index is newer and so the one that is believed. That the old pack is then
//! not needed any more is for a collection to find out, which knows who still reads it. `survey` finds out which packs
//! are worth it, `sources` what files need of them, `run` writes. Nothing here knows refs or paths.

mod run;
mod sources;
mod survey;

pub use run::Recoded;
pub use survey::{Candidate, stored_len, survey};
