//! One path of a merge: what base, ours and theirs have there, and what becomes of it.
//!
//! Follows the decisions of Git's `merge-ort` for files that are merged whole, case by case, so that a merge is clean
//! exactly when Git's is, with the same result. Knows one path at a time; not how paths were found or renamed.

use crate::snapshot::tree_diff::Leaf;
use crate::store::id::ObjectId;
use crate::store::object::{Kind, Mode, id_of};

/// The common ancestor.
pub(super) const BASE: usize = 0;
/// The branch that is merged into.
pub(super) const OURS: usize = 1;
/// What is merged.
pub(super) const THEIRS: usize = 2;

/// What a path is in base, ours and theirs.
pub(super) type Stages = [Option<Leaf>; 3];

/// Why a path cannot be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum ConflictType {
    /// Both sides changed the content, or the executable bit, in different ways. Git says `content`.
    #[serde(rename = "modify/modify")]
    ModifyModify,
    /// Both sides added different files.
    #[serde(rename = "add/add")]
    AddAdd,
    /// One side deleted what the other changed.
    #[serde(rename = "delete/modify")]
    DeleteModify,
    /// Both sides renamed one file to different names, or different files to one name.
    #[serde(rename = "rename/rename")]
    RenameRename,
    /// One side renamed what the other deleted.
    #[serde(rename = "rename/delete")]
    RenameDelete,
    /// One side renamed a file to where the other added one.
    #[serde(rename = "rename/add")]
    RenameAdd,
    /// One side has a file where the other has a symlink.
    #[serde(rename = "distinct types")]
    DistinctTypes,
    /// One side has a file where the other has a folder.
    #[serde(rename = "file/directory")]
    FileDirectory,
    /// Two names of one folder differ only by case or Unicode form. Git does not mind; some systems do.
    #[serde(rename = "case-fold")]
    CaseFold,
}

impl ConflictType {
    /// The name, as reports have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ModifyModify => "modify/modify",
            Self::AddAdd => "add/add",
            Self::DeleteModify => "delete/modify",
            Self::RenameRename => "rename/rename",
            Self::RenameDelete => "rename/delete",
            Self::RenameAdd => "rename/add",
            Self::DistinctTypes => "distinct types",
            Self::FileDirectory => "file/directory",
            Self::CaseFold => "case-fold",
        }
    }
}

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What is there after the merge; with a conflict, what Git leaves there.
    pub(super) leaf: Option<Leaf>,
    pub(super) conflict: Option<ConflictType>,
}

impl Outcome {
    const fn clean(leaf: Option<Leaf>) -> Self {
        Self { leaf, conflict: None }
    }

    const fn conflict(leaf: Option<Leaf>, conflict: ConflictType) -> Self {
        Self { leaf, conflict: Some(conflict) }
    }
}

fn is_link(leaf: Leaf) -> bool {
    leaf.mode == Mode::Symlink
}

/// Whether two leaves are of one type, so that their content could be compared.
pub(super) fn same_type(a: Leaf, b: Leaf) -> bool {
    is_link(a) == is_link(b)
}

/// Merges what two sides made of one file: whole, never line by line. Answers what is left and whether the sides
/// agree. The bit and the content are merged apart: one side may change the one, the other side the other.
/// `inner`: for a common ancestor that is itself a merge, where disagreement leaves what was there before.
pub(super) fn merge_leaves(
    base: Option<Leaf>,
    ours: Leaf,
    theirs: Leaf,
    inner: bool,
) -> (Option<Leaf>, bool) {
    let (base_mode, base_id) = (base.map(|base| base.mode), base.map(|base| base.id));
    let (mode, mut clean) = if ours.mode == theirs.mode || Some(ours.mode) == base_mode {
        (theirs.mode, true)
    } else {
        (ours.mode, Some(theirs.mode) == base_mode)
    };
    let id = if ours.id == theirs.id || Some(ours.id) == base_id {
        theirs.id
    } else if Some(theirs.id) == base_id {
        ours.id
    } else {
        clean = false;
        match base.filter(|_| inner) {
            _ if !inner => ours.id,
            Some(base) if same_type(base, ours) => base.id,
            base if is_link(ours) => return (base, false),
            _ => nothing(),
        }
    };
    (Some(Leaf { mode, id }), clean)
}

/// The blob without content.
fn nothing() -> ObjectId {
    id_of(Kind::Blob, b"")
}

/// What is known of a path besides its stages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circumstances {
    /// The side to follow, because the other one left the file as it was or has the same: known before renames moved
    /// anything.
    pub(super) follow: Option<usize>,
    /// The conflict it already has from a rename.
    pub(super) renamed: Option<ConflictType>,
    /// Whether a folder stays at this path.
    pub(super) in_the_way: bool,
    /// Whether the merge makes a common ancestor of others.
    pub(super) inner: bool,
}

/// What becomes of a path.
pub(super) fn decide(stages: &Stages, known: Circumstances) -> Outcome {
    if known.in_the_way {
        return beside_a_folder(stages, known);
    }
    let Circumstances { follow, renamed, inner, .. } = known;
    let [base, ours, theirs] = *stages;
    let with = |leaf| Outcome { leaf, conflict: renamed };
    if let Some(side) = follow {
        // That it is gone from there is no conflict.
        return stages[side].map_or(Outcome::clean(None), |leaf| with(Some(leaf)));
    }
    match (base, ours, theirs) {
        (_, Some(a), Some(b)) if !same_type(a, b) => {
            Outcome::conflict(if inner { base } else { ours }, ConflictType::DistinctTypes)
        }
        (_, Some(a), Some(b)) => {
            let (leaf, clean) = merge_leaves(base, a, b, inner);
            let kind = if base.is_some() { ConflictType::ModifyModify } else { ConflictType::AddAdd };
            if clean { with(leaf) } else { Outcome::conflict(leaf, renamed.unwrap_or(kind)) }
        }
        (Some(_), Some(_), None) | (Some(_), None, Some(_)) => {
            let left = if inner { base } else { ours.or(theirs) };
            Outcome::conflict(left, renamed.unwrap_or(ConflictType::DeleteModify))
        }
        (None, one, None) | (None, None, one) => with(one),
        (Some(_), None, None) => with(None),
    }
}

/// A file whose place a folder has. When it is gone anyway, that is no conflict.
fn beside_a_folder(stages: &Stages, known: Circumstances) -> Outcome {
    let gone = stages[OURS].is_none() && stages[THEIRS].is_none();
    let outcome = decide(stages, Circumstances { in_the_way: false, ..known });
    match outcome.leaf {
        None if gone || outcome.conflict.is_none() => Outcome::clean(None),
        leaf => Outcome::conflict(leaf, ConflictType::FileDirectory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(mode: Mode, n: u8) -> Leaf {
        Leaf { mode, id: ObjectId::from_bytes([n; 20]) }
    }

    #[test]
    fn bit_and_content_are_merged_apart() {
        let base = leaf(Mode::File, 1);
        let (ours, theirs) = (leaf(Mode::Executable, 1), leaf(Mode::File, 2));
        let merged = (Some(leaf(Mode::Executable, 2)), true);
        assert_eq!(merge_leaves(Some(base), ours, theirs, false), merged);
        assert_eq!(merge_leaves(Some(base), theirs, ours, false), merged);
        // Added with one content and two bits: nobody can say which is meant.
        assert!(!merge_leaves(None, ours, base, false).1);
    }

    #[test]
    fn what_both_changed_is_a_conflict_that_leaves_ours() {
        let stages = [1, 2, 3].map(|n| Some(leaf(Mode::File, n)));
        let outcome = decide(&stages, Circumstances::default());
        assert_eq!(outcome, Outcome::conflict(stages[OURS], ConflictType::ModifyModify));
        assert_eq!(
            decide(&stages, Circumstances { inner: true, ..Circumstances::default() }).leaf,
            stages[BASE]
        );
    }
}
