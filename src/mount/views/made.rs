//! The folders we make up: what is in the top of a vault, among its branches and tags, its commits and its days.
//!
//! Names come from a vault that somebody else may have made: one that no system could show is left out, and a branch
//! that is also the way to others (which Git forbids) is shown as itself. Knows refs and commits, no node numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use hubvault_platform::port::PortError;

use super::super::content::NAME_MAX;
use super::super::errno::port_error;
use super::dates::{self, Days};
use super::listing::{Item, Name};
use super::place::{Folder, Kind};
use super::revisions::Revisions;
use crate::snapshot::ObjectId;
use crate::snapshot::versions::Refs;

/// Most commits that `commits/` lists. All can be named.
const COMMITS: usize = 1000;

/// The note at the top.
pub(super) const NOTE: &[u8] = include_bytes!("note.txt");

/// Days of the commits there are, with the number of the newest transaction then.
#[derive(Debug, Default)]
pub(super) struct Made(Mutex<Option<(u64, Arc<Days>)>>);

fn top(refs: &Refs) -> Vec<(String, Item)> {
    let folder = |name: &str, folder| (name.to_owned(), Item::Folder(folder, true));
    let head = format!("branches/{}", refs.default_branch).into_bytes();
    let mut items = vec![
        ("HEAD".to_owned(), Item::Link(head)),
        ("README.txt".to_owned(), Item::Note),
        folder("branches", Folder::Refs(Kind::Branch, String::new())),
        folder("by-date", Folder::Dates),
        folder("commits", Folder::Commits),
        folder("tags", Folder::Refs(Kind::Tag, String::new())),
    ];
    if !refs.branches.contains_key(&refs.default_branch) {
        items.remove(0);
    }
    items
}

fn refs_of(refs: &Refs, kind: Kind) -> &BTreeMap<String, ObjectId> {
    match kind {
        Kind::Branch => &refs.branches,
        Kind::Tag => &refs.tags,
    }
}

impl Kind {
    fn name(self) -> Name {
        match self {
            Self::Branch => Name::Branch,
            Self::Tag => Name::Tag,
        }
    }
}

/// Refs whose names begin with `prefix`, by the rest of the name.
fn below<'a>(refs: &'a Refs, kind: Kind, prefix: &'a str) -> impl Iterator<Item = (&'a str, ObjectId)> {
    let names = refs_of(refs, kind).range(prefix.to_owned()..);
    names.map_while(move |(name, id)| Some((name.strip_prefix(prefix)?, *id)))
}

fn can_be_shown(name: &str) -> bool {
    let impossible = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    !impossible && name.len() <= NAME_MAX as usize
}

fn days_of(days: &Days) -> Vec<(String, Item)> {
    days.keys().map(|day| (day.clone(), Item::Folder(Folder::Day(day.clone()), false))).collect()
}

fn links(day: &BTreeMap<String, ObjectId>) -> Vec<(String, Item)> {
    day.iter().map(|(name, id)| (name.clone(), Item::Link(dates::target(*id)))).collect()
}

impl Made {
    /// Everything a folder lists, in order. A tag of something else than a commit is not there.
    pub(super) fn list(
        &self,
        revisions: &Revisions,
        refs: &Refs,
        folder: &Folder,
    ) -> Result<Vec<(String, Item)>, PortError> {
        Ok(match folder {
            Folder::Vault => top(refs),
            Folder::Branch(_) => Vec::new(), // lists what is in a commit
            Folder::Refs(kind, prefix) => {
                let mut items: BTreeMap<String, Item> = BTreeMap::new();
                for (rest, id) in below(refs, *kind, prefix) {
                    let (name, item) = match rest.split_once('/') {
                        Some((name, _)) => {
                            let below = Folder::Refs(*kind, format!("{prefix}{name}/"));
                            (name, Item::Folder(below, false))
                        }
                        None => match revisions.versions().commit(id) {
                            Ok((commit, seconds)) => (rest, Item::Revision(commit, seconds, kind.name())),
                            Err(error) => {
                                tracing::debug!(%error, rest, "not shown");
                                continue;
                            }
                        },
                    };
                    if can_be_shown(name) {
                        items.entry(name.to_owned()).or_insert(item);
                    }
                }
                items.into_iter().collect()
            }
            Folder::Commits => {
                let tips: BTreeSet<ObjectId> =
                    refs.branches.values().chain(refs.tags.values()).copied().collect();
                let mut items = BTreeMap::new();
                for (commit, seconds) in tips.iter().filter_map(|id| revisions.versions().commit(*id).ok()) {
                    if items.len() < COMMITS {
                        items.insert(commit.to_string(), Item::Revision(commit, seconds, Name::Id));
                    }
                }
                items.into_iter().collect()
            }
            Folder::Dates => days_of(&*self.days(revisions, refs)?),
            Folder::Day(day) => self.days(revisions, refs)?.get(day).map(links).unwrap_or_default(),
        })
    }

    /// What is called `name` in a folder.
    pub(super) fn find(
        &self,
        revisions: &Revisions,
        refs: &Refs,
        folder: &Folder,
        name: &[u8],
    ) -> Result<Item, PortError> {
        let name = std::str::from_utf8(name).ok().filter(|name| can_be_shown(name));
        let name = name.ok_or(PortError::NotFound)?;
        match folder {
            Folder::Refs(kind, prefix) => {
                let full = format!("{prefix}{name}");
                let deeper = format!("{full}/");
                let leads_on = below(refs, *kind, &deeper).next().is_some();
                match refs_of(refs, *kind).get(&full).map(|id| revisions.versions().commit(*id)) {
                    Some(Ok((commit, seconds))) => Ok(Item::Revision(commit, seconds, kind.name())),
                    Some(Err(error)) if !leads_on => Err(port_error(&error)),
                    _ if leads_on => Ok(Item::Folder(Folder::Refs(*kind, deeper), false)),
                    _ => Err(PortError::NotFound),
                }
            }
            Folder::Commits => {
                let id: ObjectId = name.parse().map_err(|_| PortError::NotFound)?;
                match revisions.versions().commit(id).map_err(|e| port_error(&e))? {
                    (commit, seconds) if commit == id => Ok(Item::Revision(commit, seconds, Name::Id)),
                    _ => Err(PortError::NotFound), // a tag's id
                }
            }
            Folder::Dates => {
                let there = self.days(revisions, refs)?.contains_key(name);
                let found = there.then(|| Item::Folder(Folder::Day(name.to_owned()), false));
                found.ok_or(PortError::NotFound)
            }
            Folder::Day(day) => {
                let days = self.days(revisions, refs)?;
                let id = days.get(day).and_then(|links| links.get(name)).ok_or(PortError::NotFound)?;
                Ok(Item::Link(dates::target(*id)))
            }
            Folder::Vault | Folder::Branch(_) => {
                let found = top(refs).into_iter().find(|(other, _)| other == name);
                found.map(|(_, item)| item).ok_or(PortError::NotFound)
            }
        }
    }

    fn days(&self, revisions: &Revisions, refs: &Refs) -> Result<Arc<Days>, PortError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, days)) = &*kept
            && *number == refs.number
        {
            return Ok(Arc::clone(days));
        }
        let commits = revisions.versions().history(dates::MOST).map_err(|e| port_error(&e))?;
        let days = Arc::new(dates::by_day(&commits));
        *kept = Some((refs.number, Arc::clone(&days)));
        Ok(days)
    }
}
