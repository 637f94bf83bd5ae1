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
mod table;
mod tree;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use hubvault_platform::port::{Attributes, NodeId, NodeKind, PortError};

use self::listing::{Item, Listing, Listings, Name, Position};
use self::made::{Made, NOTE};
use self::place::{Folder, Identity, Inside, Node, Place};
use self::revisions::{Revision, Revisions};
use self::table::Table;
use super::content::{Content, FileTimes, kind_of, time_of};
use super::handles::Handles;
use crate::snapshot::versions::{Held, Refs, Versions};
use crate::snapshot::{Mode, ObjectId, SnapshotError, Tree, TreeEntry};

/// A vault, or part of it, as a tree that goes on with it.
#[derive(Debug)]
pub struct Views {
    revisions: Revisions,
    table: Table,
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
            table: Table::new(Node::root(root)),
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

    fn node(&self, id: NodeId) -> Result<Arc<Node>, PortError> {
        self.table.get(id.0).ok_or(PortError::NotFound)
    }

    /// The commit, the path in it and the entries of a folder of a revision.
    fn inside(&self, node: &Node) -> Result<(Arc<Revision>, Vec<u8>, Arc<Tree>), PortError> {
        match &node.place {
            Place::Revision(revision) => {
                let content = self.revisions.content(revision)?;
                let tree = content.folder(content.root())?;
                Ok((Arc::clone(revision), self.revisions.below().as_bytes().to_vec(), tree))
            }
            Place::Inside(inside) => {
                let tree = self.revisions.content(&inside.revision)?.folder(&inside.entry)?;
                Ok((Arc::clone(&inside.revision), inside.path.clone(), tree))
            }
            Place::Folder(Folder::Branch(branch)) => {
                let revision = self.current(branch, &*self.refs()?)?;
                self.inside(&Node::root(Place::Revision(revision)))
            }
            Place::Folder(_) | Place::Note | Place::Link(_) => Err(PortError::NotADirectory),
        }
    }

    /// An entry of a folder of a revision, as a node; `folder` is the folder's node and number.
    fn entry(
        &self,
        (number, folder): (u64, &Node),
        (revision, path, tree): (&Arc<Revision>, &[u8], &Tree),
        entry: &TreeEntry,
    ) -> Result<Node, PortError> {
        let content = self.revisions.content(revision)?;
        let modified = content.modified(path, tree, &entry.name);
        let below = match (entry.mode, path) {
            (Mode::Directory, b"") => entry.name.clone(),
            (Mode::Directory, path) => [path, b"/", &entry.name].concat(),
            _ => Vec::new(),
        };
        let inside = Inside { revision: Arc::clone(revision), entry: entry.clone(), path: below, modified };
        Ok(Node {
            parent: number,
            path: folder.path.child(&entry.name),
            place: Place::Inside(inside),
            settled: !matches!(folder.place, Place::Folder(_)),
        })
    }

    /// Something that we make up, as a node.
    fn item(&self, (number, folder): (u64, &Node), name: &[u8], item: &Item) -> (Identity, Node) {
        let path = folder.path.child(name);
        let (identity, place, settled) = match item {
            Item::Folder(below, settled) => (path.made_up(), Place::Folder(below.clone()), *settled),
            Item::Note => (path.made_up(), Place::Note, true),
            Item::Link(target) => (path.link(target), Place::Link(target.clone()), false),
            Item::Revision(commit, seconds, kind) => {
                let name = String::from_utf8_lossy(name);
                let revision = self.revisions.known(*commit, *seconds, &name, *kind == Name::Branch);
                (path.revision(*commit), Place::Revision(revision), *kind == Name::Id)
            }
        };
        (identity, Node { parent: number, path, place, settled })
    }

    /// What is called `name` in a folder.
    fn child(&self, number: u64, folder: &Node, name: &[u8]) -> Result<(Identity, Node), PortError> {
        match &folder.place {
            Place::Folder(made) if !matches!(made, Folder::Branch(_)) => {
                let refs = self.refs()?;
                let item = self.made.find(&self.revisions, &refs, made, name)?;
                Ok(self.item((number, folder), name, &item))
            }
            _ => {
                let (revision, path, tree) = self.inside(folder)?;
                let entry = tree.find(name).ok_or(PortError::NotFound)?;
                let node = self.entry((number, folder), (&revision, &path, &tree), entry)?;
                Ok((node.path.inside(revision.id, entry), node))
            }
        }
    }

    /// Counts a lookup. A commit that is open already, under this very path, stays the one that is open.
    fn look_up(&self, identity: Identity, node: Node) -> u64 {
        if let Place::Revision(_) = node.place
            && let Some(known) = self.table.get(self.table.number(identity))
            && let Place::Revision(revision) = &known.place
            && !revision.is_left()
        {
            let place = Place::Revision(Arc::clone(revision));
            return self.table.look_up(identity, Node { place, ..node });
        }
        self.table.look_up(identity, node)
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
        Ok(match &node.place {
            Place::Folder(Folder::Branch(branch)) => {
                let refs = self.refs()?;
                ours(NodeKind::Directory, 0, self.current(branch, &refs)?.seconds)
            }
            Place::Folder(_) => ours(NodeKind::Directory, 0, self.refs()?.time),
            Place::Note => ours(NodeKind::File, NOTE.len(), self.refs()?.time),
            Place::Link(target) => ours(NodeKind::Symlink, target.len(), self.refs()?.time),
            Place::Revision(revision) => ours(NodeKind::Directory, 0, revision.seconds),
            Place::Inside(inside) if inside.entry.mode == Mode::Directory => {
                Attributes { modified: inside.modified, ..ours(NodeKind::Directory, 0, 0) }
            }
            Place::Inside(inside) => {
                let attributes = self.revisions.content(&inside.revision)?.describe(number, &inside.entry)?;
                Attributes { modified: inside.modified, ..attributes }
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
            Listing::Tree(revision, content.folder(content.root())?)
        } else {
            Listing::Items(self.made.list(&self.revisions, &refs, made)?)
        });
        self.listings.keep(number, at.moment, &listing);
        Ok((at, listing))
    }

    /// The commit a node belongs to; of a whole vault, the default branch's.
    fn content_of(&self, node: &Node) -> Result<Arc<Content>, PortError> {
        let revision = match &node.place {
            Place::Revision(revision) => Arc::clone(revision),
            Place::Inside(inside) => Arc::clone(&inside.revision),
            Place::Folder(Folder::Branch(branch)) => self.current(branch, &*self.refs()?)?,
            Place::Folder(_) | Place::Note | Place::Link(_) => {
                let refs = self.refs()?;
                self.current(&refs.default_branch, &refs)?
            }
        };
        self.revisions.content(&revision)
    }
}
