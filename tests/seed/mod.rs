//! What users of the first hubvault could rely on, one test for each numbered statement of its behaviour.
//!
//! Black boxes: the program from outside, or the public library. Functions carry the statement's number.

mod files;
