//! What a conflict says of itself.
//!
//! Exists so that every report uses the same words. "Ours" and "theirs" are Git's: the branch that is merged into, and
//! what is merged.

use super::entry::{ConflictType, OURS, THEIRS};
use super::threeway::Conflict;

/// One sentence without a full stop.
pub(super) fn message(conflict: &Conflict) -> String {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let related = conflict.related.as_deref().map(text).unwrap_or_default();
    let [base, ours, theirs] = conflict.stages;
    let renamed = if conflict.related.is_some() { format!(" (it was `{related}`)") } else { String::new() };
    match conflict.kind {
        ConflictType::ModifyModify
            if base.map(|l| l.id) == ours.map(|l| l.id) || ours.map(|l| l.id) == theirs.map(|l| l.id) =>
        {
            format!("ours and theirs disagree on the executable bit{renamed}")
        }
        ConflictType::ModifyModify => format!("ours and theirs both changed it{renamed}"),
        ConflictType::AddAdd => "ours and theirs both added it, differently".to_owned(),
        ConflictType::DeleteModify if conflict.stages[OURS].is_none() => {
            "ours deleted it, theirs changed it".to_owned()
        }
        ConflictType::DeleteModify => "ours changed it, theirs deleted it".to_owned(),
        ConflictType::RenameRename if base.is_some() => {
            format!("ours renamed a file to this, theirs to `{related}`")
        }
        ConflictType::RenameRename => "ours and theirs renamed different files to this".to_owned(),
        ConflictType::RenameDelete
            if conflict.stages[OURS].is_some() && conflict.stages[THEIRS].is_none() =>
        {
            format!("ours renamed `{related}` to this, theirs deleted it")
        }
        ConflictType::RenameDelete => format!("theirs renamed `{related}` to this, ours deleted it"),
        ConflictType::RenameAdd => {
            format!("one side renamed `{related}` to this, the other has another file there")
        }
        ConflictType::DistinctTypes => "one side has a file, the other a symlink".to_owned(),
        ConflictType::FileDirectory => format!("a folder is in the way, with `{related}` in it"),
        ConflictType::CaseFold => {
            format!("some systems cannot tell it from `{related}` in the same folder")
        }
    }
}
