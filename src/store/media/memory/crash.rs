//! What a crash may leave: every state the media rules allow, or a fair choice of them when there are many.
//!
//! Each unsynced change is an axis of its own: a name has one of the states it went through since its folder was
//! synced; a file holds its synced bytes, or half or all of the later ones, or zeros in their place. A surviving
//! state is one choice on every axis, for what can still be reached from the root. This file is pure: trees in,
//! trees out, the same for the same input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tree::{Image, Node, NodeId, Tree};

/// One unsynced change and its possible outcomes: the first is "lost", the last is "kept".
#[derive(Debug)]
enum Axis {
    Name { folder: NodeId, name: String, states: Vec<Option<NodeId>> },
    Bytes { file: NodeId, contents: Vec<Arc<Vec<u8>>> },
}

impl Axis {
    fn len(&self) -> usize {
        match self {
            Self::Name { states, .. } => states.len(),
            Self::Bytes { contents, .. } => contents.len(),
        }
    }
}

/// States in which the medium may be found after a crash now, each once. All of them when the combinations are
/// no more than `limit`; otherwise nothing kept, all kept, everything that differs from those in one change, and
/// more chosen by `seed` up to `limit` combinations.
pub(super) fn survivors(tree: &Tree, limit: usize, seed: u64) -> Vec<Image> {
    let axes = axes(tree);
    let sizes: Vec<usize> = axes.iter().map(Axis::len).collect();
    let combinations = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    let choices = match combinations {
        Some(count) if count <= limit => (0..count).map(|index| nth(&sizes, index)).collect(),
        _ => sample(&sizes, limit, seed),
    };
    let images: BTreeSet<Image> = choices.iter().map(|choice| outcome(tree, &axes, choice)).collect();
    images.into_iter().collect()
}

/// The unsynced changes in all that is, or may become again, reachable.
fn axes(tree: &Tree) -> Vec<Axis> {
    let mut axes = Vec::new();
    let (mut open, mut seen) = (vec![0], BTreeSet::from([0]));
    while let Some(id) = open.pop() {
        match &tree.nodes[id] {
            Node::File(file) => {
                let contents = contents(&file.bytes, file.durable);
                axes.push(Axis::Bytes { file: id, contents });
            }
            Node::Folder(folder) => {
                for (name, history) in &folder.pending {
                    let states = states(history);
                    axes.push(Axis::Name { folder: id, name: name.clone(), states });
                }
                let ever = folder.pending.values().flatten().flatten();
                open.extend(folder.names.values().chain(ever).filter(|id| seen.insert(**id)));
            }
        }
    }
    axes.retain(|axis| axis.len() > 1);
    axes
}

/// Each state of a name once: the durable one first, unless it is also the current one, which is last.
fn states(history: &[Option<NodeId>]) -> Vec<Option<NodeId>> {
    let now = history.last().copied().flatten();
    let mut seen = BTreeSet::from([now]);
    let mut states: Vec<_> = history.iter().filter(|state| seen.insert(**state)).copied().collect();
    states.push(now);
    states
}

/// What a file of which only `durable` bytes are safe may hold.
fn contents(bytes: &Arc<Vec<u8>>, durable: usize) -> Vec<Arc<Vec<u8>>> {
    let (safe, later) = bytes.split_at(durable);
    if later.is_empty() {
        return vec![Arc::clone(bytes)];
    }
    let with = |tail: &[u8]| Arc::new([safe, tail].concat());
    let mut contents =
        vec![with(&[]), with(&later[..later.len() / 2]), with(&vec![0; later.len()]), Arc::clone(bytes)];
    contents.dedup();
    contents
}

/// The combination with this number, counting through the axes like the digits of an odometer.
fn nth(sizes: &[usize], mut index: usize) -> Vec<usize> {
    let digit = |size: &usize| {
        let digit = index % size;
        index /= size;
        digit
    };
    sizes.iter().map(digit).collect()
}

fn sample(sizes: &[usize], limit: usize, seed: u64) -> Vec<Vec<usize>> {
    let kept: Vec<usize> = sizes.iter().map(|size| size - 1).collect();
    let mut choices = vec![vec![0; sizes.len()], kept];
    for base in choices.clone() {
        for (axis, size) in sizes.iter().enumerate() {
            for option in (0..*size).filter(|option| *option != base[axis]) {
                let mut choice = base.clone();
                choice[axis] = option;
                choices.push(choice);
            }
        }
    }
    let mut state = seed;
    while choices.len() < limit {
        choices.push(sizes.iter().map(|size| below(*size, &mut state)).collect());
    }
    choices
}

/// A number below `size` from the `SplitMix64` sequence.
fn below(size: usize, state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) % size as u64).unwrap_or(0)
}

/// The medium after one choice on every axis.
fn outcome(tree: &Tree, axes: &[Axis], choice: &[usize]) -> Image {
    let (mut names, mut bytes) = (BTreeMap::new(), BTreeMap::new());
    for (axis, option) in axes.iter().zip(choice) {
        match axis {
            Axis::Name { folder, name, states } => {
                names.insert((*folder, name.as_str()), states[*option]);
            }
            Axis::Bytes { file, contents } => {
                bytes.insert(*file, &contents[*option]);
            }
        }
    }
    tree.image_with(&|folder, name, now| names.get(&(folder, name)).copied().unwrap_or(now), &|id, file| {
        Arc::clone(bytes.get(&id).copied().unwrap_or(&file.bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsynced_bytes_survive_not_at_all_in_part_as_zeros_or_whole() {
        let options = |bytes: &[u8], durable| {
            contents(&Arc::new(bytes.to_vec()), durable)
                .iter()
                .map(|bytes| bytes.to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(options(b"abcdef", 2), [&b"ab"[..], b"abcd", b"ab\0\0\0\0", b"abcdef"]);
        assert_eq!(options(b"abcdef", 6), [b"abcdef"]);
        assert_eq!(options(b"x", 0), [&b""[..], b"\0", b"x"]);
        assert_eq!(options(b"", 0), [b""]);
    }

    #[test]
    fn a_name_may_be_found_in_any_state_since_the_last_sync() {
        assert_eq!(states(&[None, Some(1)]), [None, Some(1)]);
        assert_eq!(states(&[None, Some(1), None, Some(2)]), [None, Some(1), Some(2)]);
        assert_eq!(states(&[Some(1), None, Some(1)]), [None, Some(1)]);
        assert_eq!(states(&[None, None]), [None]);
    }

    #[test]
    fn counting_reaches_every_combination_once() {
        let sizes = [2, 3, 4];
        let all: BTreeSet<_> = (0..24).map(|index| nth(&sizes, index)).collect();
        assert_eq!(all.len(), 24);
        assert!(all.iter().all(|choice| choice.iter().zip(sizes).all(|(option, size)| *option < size)));
    }

    #[test]
    fn a_sample_has_all_single_differences_and_is_the_same_each_time() {
        let sizes = [4; 20];
        let choices = sample(&sizes, 500, 7);
        assert_eq!(choices.len(), 500);
        assert_eq!(choices, sample(&sizes, 500, 7));
        assert_ne!(choices, sample(&sizes, 500, 8));
        for (base, axis, option) in [(0, 3, 2), (3, 19, 0), (0, 0, 3), (3, 0, 1)] {
            let mut single = vec![base; 20];
            single[axis] = option;
            assert!(choices.contains(&single));
        }
        assert_eq!(sample(&sizes, 0, 7).len(), 2 + 2 * 20 * 3, "these are never left out");
    }
}
