//! The nodes a kernel knows, by number; each is known from its first lookup until it is forgotten.
//!
//! Two identities that ask for one number (one pair in billions, or somebody's ill will) get two. Knows no vault.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use super::place::{Identity, Node, PathId};

/// Number of the root, as every adapter expects.
pub(super) const ROOT: u64 = 1;

#[derive(Debug)]
struct Known {
    node: Arc<Node>,
    identity: Identity,
    lookups: u64,
}

/// Nodes by number.
#[derive(Debug)]
pub(super) struct Table(RwLock<HashMap<u64, Known>>);

impl Table {
    /// Only the root.
    pub(super) fn new(root: Node) -> Self {
        let known = Known { node: Arc::new(root), identity: PathId::ROOT.made_up(), lookups: 1 };
        Self(RwLock::new(HashMap::from([(ROOT, known)])))
    }

    /// The node with this number.
    pub(super) fn get(&self, number: u64) -> Option<Arc<Node>> {
        let nodes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        nodes.get(&number).map(|known| Arc::clone(&known.node))
    }

    /// The number of an identity, without counting a lookup.
    pub(super) fn number(&self, identity: Identity) -> u64 {
        let nodes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut number = identity.number().max(ROOT + 1);
        while nodes.get(&number).is_some_and(|known| known.identity != identity) {
            number = after(number);
        }
        number
    }

    /// Counts a lookup; a node that is known becomes `node`, which is it as it was found last.
    pub(super) fn look_up(&self, identity: Identity, node: Node) -> u64 {
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut number = identity.number().max(ROOT + 1);
        let node = Arc::new(node);
        loop {
            match nodes.entry(number) {
                Entry::Vacant(free) => {
                    free.insert(Known { node, identity, lookups: 1 });
                    return number;
                }
                Entry::Occupied(mut known) if known.get().identity == identity => {
                    let known = known.get_mut();
                    known.lookups += 1;
                    let before = std::mem::replace(&mut known.node, node);
                    drop(nodes); // giving up a revision removes files
                    drop(before);
                    return number;
                }
                Entry::Occupied(_) => number = after(number),
            }
        }
    }

    /// Takes back lookups; a node without any is no longer known.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut gone = None;
        if number != ROOT
            && let Entry::Occupied(mut known) = nodes.entry(number)
        {
            known.get_mut().lookups = known.get().lookups.saturating_sub(lookups);
            if known.get().lookups == 0 {
                gone = Some(known.remove());
            }
        }
        drop(nodes);
        drop(gone);
    }
}

fn after(number: u64) -> u64 {
    number.wrapping_add(1).max(ROOT + 1)
}

#[cfg(test)]
mod tests {
    use super::super::place::Place;
    use super::*;

    fn node(name: &[u8]) -> (Identity, Node) {
        let path = PathId::ROOT.child(name);
        (path.made_up(), Node { parent: ROOT, path, place: Place::Note, settled: true })
    }

    #[test]
    fn a_node_is_known_until_every_lookup_is_taken_back() {
        let table = Table::new(Node::root(Place::Note));
        let number = table.look_up(node(b"a").0, node(b"a").1);
        assert_eq!(table.look_up(node(b"a").0, node(b"a").1), number);
        assert_eq!(table.number(node(b"a").0), number);
        table.forget(number, 1);
        assert!(table.get(number).is_some());
        table.forget(number, 1);
        assert!(table.get(number).is_none());
        table.forget(ROOT, 9);
        assert!(table.get(ROOT).is_some());
    }

    #[test]
    fn a_number_that_is_taken_is_passed_over() {
        let table = Table::new(Node::root(Place::Note));
        let (identity, wanted) = node(b"a");
        let taken = Known { node: Arc::new(node(b"b").1), identity: node(b"b").0, lookups: 1 };
        table.0.write().unwrap().insert(identity.number(), taken);
        let number = table.look_up(identity, wanted);
        assert_eq!(number, after(identity.number()));
        assert_eq!(table.number(identity), number);
    }
}
