//! Passthrough for ordinary users: a small privileged helper registers files with the kernel for them.
//!
//! Only who has `CAP_SYS_ADMIN` may tell the kernel to read a file by itself. The helper has that one right and can
//! do nothing with it but this: its parent hands it, over the socket that is its standard input, the FUSE connection
//! once and then one open file at a time, and gets back the number the kernel gave. Messages are 8 bytes: a word that
//! says what, and a number. `helper` is the privileged side, `client` the other.

mod client;
mod helper;
mod wire;

pub(crate) use client::{Lender, is_granted};
pub use helper::run;
