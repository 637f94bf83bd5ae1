//! Bytes at rest.
pub mod attributes;
pub mod chunk;
pub mod id;
pub mod media;
pub mod object;
pub mod path;
pub mod pointer;
pub mod refname;
