//! What the documents say is what happens: their commands are run, their tables compared with the program.
//!
//! A newcomer's first minutes are the tests here. Knows the texts and the built program; must not know the code.

mod compatibility;
// The first steps in the README mount.
#[cfg(target_os = "linux")]
mod readme;
#[cfg(unix)]
mod tutorial;
