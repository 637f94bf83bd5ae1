//! Trees that go on with the vault: all of it, a branch that is followed, or one commit with other file times.
//!
//! Nothing here is told when something is committed: the few folders whose names move are asked for again by the kernel
//! each time, and look whether the vault has moved. All else is numbered by path and content (`place`) and kept for ever.
//! Knows the port and commits; not which kernel asks, nor what keeps a commit from being collected.

mod dates;
mod listing;
mod made;
mod place;
mod revisions;
mod tree;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hubvault_platform::port::{Attributes, NodeId, NodeKind, PortError};

use self::listing::{Item, Listing, Listings, Name, Position};
use self::made::{Made, NOTE};
use self::place::{Folder, Inside, Leaf, Node, Other, PathId, Place};
use self::revisions::{Revision, Revisions};
use super::content::{Content, FileTimes, kind_of, time_of};
use super::folders::Folder as Listed;
use super::handles::Handles;
use super::table::{Key, Table};
use crate::snapshot::versions::{Held, Refs, Versions};
use crate::snapshot::{Mode, ObjectId, SnapshotError, TreeEntry};

/// A folder of a revision: the commit, its path there and its entries.
#[derive(Debug)]
struct Within {
    revision: Arc<Revision>,
    /// `None` when the commit is gone, and only a listing that was begun is left of it.
    content: Option<Arc<Content>>,
    path: Vec<u8>,
    listed: Arc<Listed>,
}

impl Within {
    fn modified(&self, entry: &TreeEntry) -> SystemTime {
        let changed = |content: &Arc<Content>| content.modified(&self.path, &self.listed.tree, &entry.name);
        self.content.as_ref().map_or_else(|| time_of(self.revision.seconds), changed)
    }

    /// An entry, as a node in `folder`, which this is.
    fn node(&self, folder: &Other, entry: &TreeEntry) -> Node {
        let (revision, modified) = (Arc::clone(&self.revision), self.modified(entry));
        let settled = !matches!(folder.place, Place::Folder(_));
        if entry.mode != Mode::Directory {
            return Node::Leaf(Leaf { revision, id: entry.id, mode: entry.mode, modified, settled });
        }
        let name = &entry.name;
        let path = if self.path.is_empty() { name.clone() } else { [&self.path, &b"/"[..], name].concat() };
        let inside = Inside { revision, entry: entry.clone(), path, modified };
        Node::other(folder.path.child(name), Place::Inside(inside), settled)
    }

    /// What `stat` shows of entry number `at`, which has the node number `number`.
    fn describe(&self, number: u64, at: usize, entry: &TreeEntry) -> Result<Attributes, PortError> {
        let content = self.content.as_ref().ok_or(PortError::NotFound)?;
        let attributes = content.describe_listed(number, &self.listed, at, entry)?;
        Ok(Attributes { modified: self.modified(entry), ..attributes })
    }
}

/// A vault, or part of it, as a tree that goes on with it.
#[derive(Debug)]
pub struct Views {
    revisions: Revisions,
    table: Table<Node>,
    files: Handles,
    made: Made,
    listings: Listings,
    /// The commit of the branch that is followed, and the transaction after which it was looked for.
    current: Mutex<Option<(u64, Arc<Revision>)>>,
    /// The branch that is followed.
    followed: Option<String>,
    /// Number of the newest transaction that was seen.
    seen: AtomicU64,
}

impl Views {
    /// Shows the whole vault.
    pub fn vault(versions: Arc<dyn Versions>, times: FileTimes) -> Self {
        Self::at(Revisions::new(versions, "", times), Place::Folder(Folder::Vault))
    }

    /// Shows the folder `below` (empty for all) of the branch with this short name, and moves to each new commit.
    ///
    /// # Errors
    /// [`SnapshotError::RevisionNotFound`] when there is no such branch; what [`Views::pinned`] can meet.
    pub fn follow(
        versions: Arc<dyn Versions>,
        branch: &str,
        below: &str,
        times: FileTimes,
    ) -> Result<Self, SnapshotError> {
        let Some(&id) = versions.refs()?.branches.get(branch) else {
            let detail = "there is no such branch to follow; `hv branch` lists them".to_owned();
            return Err(SnapshotError::RevisionNotFound { revision: branch.to_owned(), detail });
        };
        let held = versions.hold(id, branch)?;
        held.snapshot.folder(below)?;
        let revisions = Revisions::new(versions, below, times);
        Ok(Self::at(revisions, Place::Folder(Folder::Branch(branch.to_owned()))).holding(held))
    }

    /// Shows the folder `below` (empty for all) of one commit, which is called `name` in messages.
    ///
    /// # Errors
    /// What opening a commit can meet; [`SnapshotError::EntryNotFound`], [`SnapshotError::NotADirectory`].
    pub fn pinned(
        versions: Arc<dyn Versions>,
        commit: ObjectId,
        name: &str,
        below: &str,
        times: FileTimes,
    ) -> Result<Self, SnapshotError> {
        let held = versions.hold(commit, name)?;
        held.snapshot.folder(below)?;
        let seconds = held.snapshot.commit().committer.time().seconds;
        let revisions = Revisions::new(versions, below, times);
        let revision = revisions.known(commit, seconds, name, false);
        Ok(Self::at(revisions, Place::Revision(revision)).holding(held))
    }

    /// Opens what is shown at the top while `held` still keeps it.
    fn holding(self, held: Held) -> Self {
        let opened = self.node(NodeId::ROOT).and_then(|root| self.content_of(&root));
        if let Err(error) = opened {
            tracing::warn!(%error, "the commit to show cannot be read");
        }
        drop(held);
        self
    }

    fn at(revisions: Revisions, root: Place) -> Self {
        let followed = match &root {
            Place::Folder(Folder::Branch(branch)) => Some(branch.clone()),
            _ => None,
        };
        Self {
            followed,
            revisions,
            table: Table::new(Node::other(PathId::ROOT, root, true)),
            files: Handles::default(),
            made: Made::default(),
            listings: Listings::default(),
            current: Mutex::new(None),
            seen: AtomicU64::new(0),
        }
    }

    /// Where refs point now. What they left since is given up.
    fn refs(&self) -> Result<Arc<Refs>, PortError> {
        let refs = self.revisions.refs()?;
        if self.seen.fetch_max(refs.number, Relaxed) < refs.number {
            // The last commit of a branch that is gone goes on being shown.
            let gone = self.followed.as_ref().is_some_and(|branch| !refs.branches.contains_key(branch));
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let last = current.as_ref().filter(|_| gone).map(|(_, revision)| revision.id);
            drop(current);
            self.revisions
                .release(|id| last == Some(id) || refs.branches.values().any(|target| *target == id));
            self.listings.moved(Position::start(refs.number).moment);
        }
        Ok(refs)
    }

    /// The commit a followed branch is at. When the branch is gone, the last one it was at.
    fn current(&self, branch: &str, refs: &Refs) -> Result<Arc<Revision>, PortError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let target = refs.branches.get(branch);
        if let Some((number, known)) = &*current
            && (*number > refs.number || target.is_none_or(|id| *id == known.id))
        {
            return Ok(Arc::clone(known));
        }
        let revision = self.revisions.find(*target.ok_or(PortError::NotFound)?, branch)?;
        // What is read is there from here on, also when the branch moves on before it is.
        self.revisions.content(&revision)?;
        let before = current.replace((refs.number, Arc::clone(&revision)));
        drop(current);
        drop(before);
        Ok(revision)
    }

    /// The one commit that is shown now; `None` for a whole vault, and when it cannot be told.
    fn shown_commit(&self) -> Option<ObjectId> {
        let root = self.folder(NodeId::ROOT).ok()?;
        match &root.place {
            Place::Revision(revision) => Some(revision.id),
            Place::Folder(Folder::Branch(branch)) => Some(self.current(branch, &*self.refs().ok()?).ok()?.id),
            _ => None,
        }
    }

    fn node(&self, id: NodeId) -> Result<Node, PortError> {
        self.table.get(id.0).map(|(_, node)| node).ok_or(PortError::NotFound)
    }

    /// The node of a folder.
    fn folder(&self, id: NodeId) -> Result<Arc<Other>, PortError> {
        match self.node(id)? {
            Node::Other(folder) => Ok(folder),
            Node::Leaf(_) => Err(PortError::NotADirectory),
        }
    }

    /// What a folder of a revision holds.
    fn inside(&self, folder: &Other) -> Result<Within, PortError> {
        match &folder.place {
            Place::Revision(revision) => self.top(revision),
            Place::Inside(inside) => {
                let content = self.revisions.content(&inside.revision)?;
                let listed = content.listing(&inside.entry)?;
                let (revision, path) = (Arc::clone(&inside.revision), inside.path.clone());
                Ok(Within { revision, content: Some(content), path, listed })
            }
            Place::Folder(Folder::Branch(branch)) => {
                let revision = self.current(branch, &*self.refs()?)?;
                self.top(&revision)
            }
            Place::Folder(_) | Place::Note | Place::Link(_) => Err(PortError::NotADirectory),
        }
    }

    /// The same of the folder of a revision that is shown.
    fn top(&self, revision: &Arc<Revision>) -> Result<Within, PortError> {
        let content = self.revisions.content(revision)?;
        let listed = content.listing(content.root())?;
        let path = self.revisions.below().as_bytes().to_vec();
        Ok(Within { revision: Arc::clone(revision), content: Some(content), path, listed })
    }

    /// What a file is called, for a message: its name is kept only in its folder.
    fn name_of(&self, number: u64) -> Option<String> {
        let (parent, node) = self.table.get(number)?;
        let Node::Leaf(leaf) = node else { return None };
        let folder = self.folder(NodeId(parent)).ok()?;
        // A branch may have moved on since.
        let within = match folder.place {
            Place::Inside(_) => self.inside(&folder),
            _ => self.top(&leaf.revision),
        };
        let within = within.ok()?;
        let key = |entry: &TreeEntry| folder.path.child(&entry.name).inside(within.revision.id, entry);
        let named = |entry: &&TreeEntry| entry.id == leaf.id && self.table.number(key(entry)) == number;
        let entry = within.listed.tree.entries().iter().find(named)?;
        Some(format!("{}@{}", String::from_utf8_lossy(&entry.name), within.content?.snapshot().revision()))
    }

    /// Something that we make up, as a node.
    fn item(&self, folder: &Other, name: &[u8], item: &Item) -> (Key, Node) {
        let path = folder.path.child(name);
        let (key, place, settled) = match item {
            Item::Folder(below, settled) => (path.made_up(), Place::Folder(below.clone()), *settled),
            Item::Note => (path.made_up(), Place::Note, true),
            Item::Link(target) => (path.link(target), Place::Link(target.clone()), false),
            Item::Revision(commit, seconds, kind) => {
                let name = String::from_utf8_lossy(name);
                let revision = self.revisions.known(*commit, *seconds, &name, *kind == Name::Branch);
                (path.revision(*commit), Place::Revision(revision), *kind == Name::Id)
            }
        };
        (key, Node::other(path, place, settled))
    }

    /// What is called `name` in a folder.
    fn child(&self, folder: &Other, name: &[u8]) -> Result<(Key, Node), PortError> {
        match &folder.place {
            Place::Folder(made) if !matches!(made, Folder::Branch(_)) => {
                let refs = self.refs()?;
                let item = self.made.find(&self.revisions, &refs, made, name)?;
                Ok(self.item(folder, name, &item))
            }
            _ => {
                let within = self.inside(folder)?;
                let entry = within.listed.tree.find(name).ok_or(PortError::NotFound)?;
                let node = within.node(folder, entry);
                Ok((folder.path.child(name).inside(within.revision.id, entry), node))
            }
        }
    }

    /// Counts a lookup. A commit that is open already, under this very path, stays the one that is open.
    fn look_up(&self, parent: u64, key: Key, node: Node) -> u64 {
        if let Node::Other(found) = &node
            && let Place::Revision(_) = found.place
            && let Ok(known) = self.folder(NodeId(self.table.number(key)))
            && let Place::Revision(revision) = &known.place
            && !revision.is_left()
        {
            let place = Place::Revision(Arc::clone(revision));
            return self.table.look_up(key, parent, Node::other(found.path, place, found.settled));
        }
        self.table.look_up(key, parent, node)
    }

    fn describe(&self, number: u64, node: &Node) -> Result<Attributes, PortError> {
        let ours = |kind, size: usize, seconds| Attributes {
            node: NodeId(number),
            kind,
            size: size as u64,
            executable: false,
            modified: time_of(seconds),
            links: 1,
            blocks512: (size as u64).div_ceil(512),
        };
        let other = match node {
            Node::Leaf(leaf) => {
                let attributes = self.revisions.content(&leaf.revision)?.describe(number, &leaf.entry())?;
                return Ok(Attributes { modified: leaf.modified, ..attributes });
            }
            Node::Other(other) => other,
        };
        Ok(match &other.place {
            Place::Folder(Folder::Branch(branch)) => {
                let refs = self.refs()?;
                ours(NodeKind::Directory, 0, self.current(branch, &refs)?.seconds)
            }
            Place::Folder(_) => ours(NodeKind::Directory, 0, self.refs()?.time),
            Place::Note => ours(NodeKind::File, NOTE.len(), self.refs()?.time),
            Place::Link(target) => ours(NodeKind::Symlink, target.len(), self.refs()?.time),
            Place::Revision(revision) => ours(NodeKind::Directory, 0, revision.seconds),
            Place::Inside(inside) => {
                Attributes { modified: inside.modified, ..ours(NodeKind::Directory, 0, 0) }
            }
        })
    }

    /// What a folder that moves lists: at the moment `offset` says, or now.
    fn listing(
        &self,
        number: u64,
        made: &Folder,
        offset: u64,
    ) -> Result<(Position, Arc<Listing>), PortError> {
        let refs = self.refs()?;
        let now = Position::start(refs.number);
        let at = if offset == 0 { now } else { Position::from_offset(offset) };
        if let Some(kept) = self.listings.find(number, at.moment, offset == 0) {
            return Ok((at, kept));
        }
        if at.moment != now.moment {
            return Err(PortError::StaleHandle); // begun long ago, and left
        }
        let listing = Arc::new(if let Folder::Branch(branch) = made {
            let revision = self.current(branch, &refs)?;
            let content = self.revisions.content(&revision)?;
            Listing::Tree(revision, content.listing(content.root())?)
        } else {
            Listing::Items(self.made.list(&self.revisions, &refs, made)?)
        });
        self.listings.keep(number, at.moment, &listing);
        Ok((at, listing))
    }

    /// The commit a node belongs to; of a whole vault, the default branch's.
    fn content_of(&self, node: &Node) -> Result<Arc<Content>, PortError> {
        let revision = match node {
            Node::Leaf(leaf) => Arc::clone(&leaf.revision),
            Node::Other(other) => match &other.place {
                Place::Revision(revision) => Arc::clone(revision),
                Place::Inside(inside) => Arc::clone(&inside.revision),
                Place::Folder(Folder::Branch(branch)) => self.current(branch, &*self.refs()?)?,
                Place::Folder(_) | Place::Note | Place::Link(_) => {
                    let refs = self.refs()?;
                    self.current(&refs.default_branch, &refs)?
                }
            },
        };
        self.revisions.content(&revision)
    }
}
