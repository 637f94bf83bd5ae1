//! The search for pairs: equal files, kept names, then whatever is most similar.
//!
//! Exists apart from `rename` because the order in which Git looks decides between equally good pairs, and this is
//! that order. Knows candidates by their place in the list; must not know what a pair is called in the end.

use std::collections::{HashMap, VecDeque};

use super::{Relevance, RenameOptions};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::similarity::{MAX_SCORE, Measure, Subject, similarity};
use crate::snapshot::tree_diff::{Change, Leaf};
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::{Kind, Mode, id_of};

/// A file that went away or came.
struct Candidate<'a> {
    /// Where in the list of changes.
    at: usize,
    path: &'a [u8],
    leaf: Leaf,
    /// Looked up when it is first compared.
    subject: Option<Subject>,
    /// The candidate on the other side it belongs to, and how similar they are.
    pair: Option<(usize, u16)>,
}

impl Candidate<'_> {
    fn name(&self) -> &[u8] {
        base_name(self.path)
    }

    fn is_regular(&self) -> bool {
        self.leaf.mode != Mode::Symlink
    }

    fn subject(&mut self, catalog: &Catalog) -> Result<Subject, SnapshotError> {
        let subject = match self.subject {
            Some(subject) => subject,
            None => Subject::find(catalog, self.leaf.id)?,
        };
        Ok(*self.subject.insert(subject))
    }
}

/// The last component of a path.
fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// The folder a path is in; empty at the root.
pub(crate) fn folder_of(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(&[], |slash| &path[..slash])
}

/// The state of one search.
pub(super) struct Search<'a> {
    catalog: &'a Catalog,
    options: &'a RenameOptions,
    old: Vec<Candidate<'a>>,
    new: Vec<Candidate<'a>>,
}

/// Equal files that are tried for one addition before the best so far is taken.
const MAX_EQUAL: usize = 100;
/// Candidates kept for each addition.
const KEPT: usize = 4;
/// Memory for the measures of deletions at a time, in bytes.
const MEASURES: usize = 64 << 20;

/// What went away without anything else at its path, if it can have been renamed.
fn gone(change: &Change, options: &RenameOptions) -> Option<Leaf> {
    change.old.filter(|old| change.new.is_none() && counts(old, options))
}

/// What came where nothing was, if it can have been renamed.
fn came(change: &Change, options: &RenameOptions) -> Option<Leaf> {
    change.new.filter(|new| change.old.is_none() && counts(new, options))
}

fn counts(leaf: &Leaf, options: &RenameOptions) -> bool {
    options.empty || leaf.id != id_of(Kind::Blob, b"")
}

/// Whether there is nothing to pair: found out without holding anything for each file.
pub(super) fn is_pointless(changes: &[Change], options: &RenameOptions) -> bool {
    let any = |side: fn(&Change, &RenameOptions) -> Option<Leaf>| {
        changes.iter().any(|change| side(change, options).is_some())
    };
    !any(gone) || !any(came)
}

impl<'a> Search<'a> {
    pub(super) fn new(catalog: &'a Catalog, changes: &'a [Change], options: &'a RenameOptions) -> Self {
        let candidates = |side: fn(&Change, &RenameOptions) -> Option<Leaf>| {
            let files = changes.iter().enumerate().filter_map(move |(at, change)| {
                let leaf = side(change, options)?;
                Some(Candidate { at, path: &change.path, leaf, subject: None, pair: None })
            });
            files.collect()
        };
        Self { catalog, options, old: candidates(gone), new: candidates(came) }
    }

    fn pair(&mut self, old: usize, new: usize, score: u16) {
        self.old[old].pair = Some((new, score));
        self.new[new].pair = Some((old, score));
    }

    /// Pairs found so far: the change that came, the one that went, and their score.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, (usize, u16))> + '_ {
        self.new.iter().filter_map(|new| {
            let (old, score) = new.pair?;
            Some((new.at, (self.old[old].at, score)))
        })
    }

    /// Equal blobs, preferring one of the same name, else the first.
    pub(super) fn pair_equal(&mut self) {
        let mut by_id: HashMap<(ObjectId, bool), VecDeque<usize>> = HashMap::new();
        for (at, old) in self.old.iter().enumerate() {
            by_id.entry((old.leaf.id, old.is_regular())).or_default().push_back(at);
        }
        for new in 0..self.new.len() {
            let target = &self.new[new];
            let Some(equal) = by_id.get_mut(&(target.leaf.id, target.is_regular())) else { continue };
            let named = equal.iter().take(MAX_EQUAL).position(|&old| self.old[old].name() == target.name());
            if let Some(old) = equal.remove(named.unwrap_or(0)) {
                self.pair(old, new, MAX_SCORE);
            }
        }
    }

    fn score(&mut self, old: usize, new: usize, minimum: u16) -> Result<u16, SnapshotError> {
        if !self.old[old].is_regular() || !self.new[new].is_regular() {
            return Ok(0);
        }
        let subjects = (self.old[old].subject(self.catalog)?, self.new[new].subject(self.catalog)?);
        let mut measures = (Measure::default(), Measure::default());
        similarity(self.catalog, (&subjects.0, &mut measures.0), (&subjects.1, &mut measures.1), minimum)
    }

    /// Files that kept their name and three quarters of their content, where the name is the only one of its kind
    /// on both sides, or where the folder's other files say to which of several it went.
    pub(super) fn pair_names(&mut self, relevance: &Relevance<'_>) -> Result<(), SnapshotError> {
        let minimum = self.options.minimum + (MAX_SCORE - self.options.minimum) / 2;
        let only = |candidates: &'_ [Candidate<'a>]| {
            let mut only: HashMap<&'a [u8], Option<usize>> = HashMap::new();
            for (at, candidate) in candidates.iter().enumerate().filter(|(_, c)| c.pair.is_none()) {
                only.entry(base_name(candidate.path)).and_modify(|found| *found = None).or_insert(Some(at));
            }
            only
        };
        let (olds, news) = (only(&self.old), only(&self.new));
        let moved = relevance.folder_gone.map(|is_gone| Moved::new(self, is_gone));
        for old in 0..self.old.len() {
            let source = &self.old[old];
            if source.pair.is_some() || relevance.is_source.is_some_and(|wanted| !wanted(source.path)) {
                continue;
            }
            let name = base_name(source.path);
            let Some(&new) = news.get(name) else { continue };
            let new = match (olds.get(name), new) {
                (Some(Some(_)), Some(new)) => Some(new),
                _ => moved.as_ref().and_then(|moved| moved.target(source.path)),
            };
            let Some(new) = new.filter(|&new| self.new[new].pair.is_none()) else { continue };
            let score = self.score(old, new, minimum)?;
            if score >= minimum {
                self.pair(old, new, score);
            }
        }
        Ok(())
    }

    /// The most similar pairs of what is left. `false` when there is too much of it.
    pub(super) fn pair_similar(&mut self, relevance: &Relevance<'_>) -> Result<bool, SnapshotError> {
        let is_source = |path: &[u8]| relevance.is_source.is_none_or(|wanted| wanted(path));
        let left = self.old.iter().enumerate().filter(|(_, old)| old.pair.is_none() && is_source(old.path));
        let olds: Vec<usize> = left.map(|(at, _)| at).collect();
        let left = self.new.iter().enumerate().filter(|(_, new)| new.pair.is_none());
        let news: Vec<usize> = left.map(|(at, _)| at).collect();
        let limit = self.options.limit;
        if limit > 0 && olds.len().saturating_mul(news.len()) > limit.saturating_mul(limit) {
            return Ok(false);
        }
        let mut best = self.best(&olds, &news)?;
        best.sort_by_key(Match::rank);
        for found in best {
            if found.score < self.options.minimum {
                break;
            }
            if self.new[found.new].pair.is_none() && self.old[found.old].pair.is_none() {
                self.pair(found.old, found.new, found.score);
            }
        }
        Ok(true)
    }

    /// The best few old files for each new one. Measures of old files are kept for as many at a time as the budget
    /// allows, so that memory has a bound whatever is compared.
    fn best(&mut self, olds: &[usize], news: &[usize]) -> Result<Vec<Match>, SnapshotError> {
        let mut best: Vec<Vec<Match>> = news.iter().map(|_| Vec::with_capacity(KEPT)).collect();
        let regular = |candidates: &[Candidate<'_>], at: usize| candidates[at].is_regular();
        let mut pending = olds;
        while !pending.is_empty() {
            let mut weight = 0;
            let mut subjects = Vec::new();
            while let Some(&old) = pending.get(subjects.len()) {
                let subject =
                    if regular(&self.old, old) { Some(self.old[old].subject(self.catalog)?) } else { None };
                weight += subject.map_or(0, |subject| subject.weight());
                if weight > MEASURES && !subjects.is_empty() {
                    break;
                }
                subjects.push((old, subject, Measure::default()));
            }
            pending = &pending[subjects.len()..];
            for (&new, best) in news.iter().zip(&mut best) {
                if !regular(&self.new, new) {
                    continue;
                }
                let target = self.new[new].subject(self.catalog)?;
                let mut measure = Measure::default();
                for (old, subject, known) in &mut subjects {
                    let score = match subject {
                        Some(subject) => similarity(
                            self.catalog,
                            (&*subject, known),
                            (&target, &mut measure),
                            self.options.minimum,
                        )?,
                        None => 0,
                    };
                    // One that is not similar enough takes a place too, as in Git: the order of equals shows it.
                    let same_name = self.old[*old].name() == self.new[new].name();
                    keep(best, Match { score, same_name, old: *old, new });
                }
            }
        }
        Ok(best.into_iter().flatten().collect())
    }
}

/// A pair that may become a rename.
struct Match {
    score: u16,
    same_name: bool,
    old: usize,
    new: usize,
}

impl Match {
    /// Better matches come first; equal ones stay in the order they were found in.
    fn rank(&self) -> impl Ord + use<> {
        (std::cmp::Reverse(self.score), !self.same_name)
    }
}

/// Keeps a match if it is among the best few: in a free place, else in the place of the first of the worst.
fn keep(best: &mut Vec<Match>, found: Match) {
    if best.len() < KEPT {
        best.push(found);
        return;
    }
    let mut worst = 0;
    for at in 1..best.len() {
        if best[at].rank() > best[worst].rank() {
            worst = at;
        }
    }
    if found.rank() < best[worst].rank() {
        best[worst] = found;
    }
}

/// Where the files of folders that went away went, as equal files tell.
struct Moved<'a> {
    /// From a folder to the one most of its files went to.
    folders: HashMap<&'a [u8], &'a [u8]>,
    /// Additions that have no pair, by path.
    free: HashMap<&'a [u8], usize>,
}

impl<'a> Moved<'a> {
    fn new(search: &Search<'a>, is_gone: &dyn Fn(&[u8]) -> bool) -> Self {
        let mut counts: HashMap<&'a [u8], Vec<(&'a [u8], usize)>> = HashMap::new();
        let mut free = HashMap::new();
        for (at, new) in search.new.iter().enumerate() {
            let Some((old, _)) = new.pair else {
                free.insert(new.path, at);
                continue;
            };
            let (from, to) = (folder_of(search.old[old].path), folder_of(new.path));
            if is_gone(from) {
                let counted = counts.entry(from).or_default();
                match counted.iter_mut().find(|(folder, _)| *folder == to) {
                    Some((_, count)) => *count += 1,
                    None => counted.push((to, 1)),
                }
            }
        }
        let most = |counted: Vec<(&'a [u8], usize)>| {
            counted.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })
        };
        let folders =
            counts.into_iter().filter_map(|(from, counted)| Some((from, most(counted)?.0))).collect();
        Self { folders, free }
    }

    /// The addition that a file of one of these folders most likely became.
    fn target(&self, path: &[u8]) -> Option<usize> {
        let folder = self.folders.get(folder_of(path))?;
        let wanted = [folder, &b"/"[..], base_name(path)].concat();
        self.free.get(&wanted[..]).copied()
    }
}
