//! `log`: the commits that lead to a revision, newest first, read as they are asked for.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use super::Repository;
use super::error::OpsError as Error;
use super::models::{CommitAuthor, FormattedMessage, GitCommitInfo};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::object::Commit;
use crate::store::vault::View;

/// Commits reachable from one, each after every commit that is newer by committer date, as `git log` orders
/// them. Costs what is taken from it: the first commit is one lookup.
#[derive(Debug)]
pub struct History {
    view: Arc<View>,
    pending: BinaryHeap<Reached>,
    seen: HashSet<ObjectId>,
    /// Breaks ties by the order in which commits were reached.
    reached: u64,
    /// Why parents could not be read.
    unreadable: Vec<Error>,
}

/// A commit that was read and waits for its turn.
#[derive(Debug)]
struct Reached {
    /// Its time and, among equal times, the order in which commits were reached: unique.
    place: (i64, Reverse<u64>),
    id: ObjectId,
    commit: Commit,
}

impl PartialEq for Reached {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Reached {}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

impl Repository {
    /// The history of `revision` (default: the default branch).
    pub fn history(&self, revision: Option<&str>) -> Result<History, Error> {
        History::from(&self.vault().view(), revision.unwrap_or("HEAD"))
    }

    /// The history of `revision` as the Hub lists it, newest first, read as it is asked for. `formatted` adds title
    /// and message as HTML.
    pub fn list_repo_commits(
        &self,
        revision: Option<&str>,
        formatted: bool,
    ) -> Result<impl Iterator<Item = Result<GitCommitInfo, Error>> + use<>, Error> {
        let history = self.history(revision)?;
        Ok(history.map(move |commit| {
            let (id, commit) = commit?;
            let mut info = describe(id, &commit);
            info.formatted = formatted.then(|| self::formatted(&info));
            Ok(info)
        }))
    }
}

impl History {
    /// The history of `revision` in one state of the vault.
    pub fn from(view: &Arc<View>, revision: &str) -> Result<Self, Error> {
        let mut history = Self::empty(view);
        history.reach(resolve::commit(view, revision)?)?;
        Ok(history)
    }

    /// The history of nothing yet.
    pub(super) fn empty(view: &Arc<View>) -> Self {
        Self {
            view: Arc::clone(view),
            pending: BinaryHeap::new(),
            seen: HashSet::new(),
            reached: 0,
            unreadable: Vec::new(),
        }
    }

    /// Goes on with the history of what a ref points at; commits that were reached before are not met again.
    pub(super) fn add(&mut self, id: ObjectId) -> Result<(), Error> {
        self.reach(resolve::peeled(&self.view, id)?)
    }

    fn reach(&mut self, id: ObjectId) -> Result<(), Error> {
        if self.seen.insert(id) {
            let commit = self.view.catalog.commit(id)?;
            self.reached += 1;
            let place = (commit.committer.time().seconds, Reverse(self.reached));
            self.pending.push(Reached { place, id, commit });
        }
        Ok(())
    }

    fn step(&mut self, id: ObjectId, commit: Commit) -> (ObjectId, Commit) {
        for &parent in &commit.parents {
            // A parent that cannot be read must not hide its child: it is told of after all that can be.
            if let Err(error) = self.reach(parent) {
                self.unreadable.push(error);
            }
        }
        (id, commit)
    }
}

impl Iterator for History {
    type Item = Result<(ObjectId, Commit), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.pending.pop() {
            Some(Reached { id, commit, .. }) => Some(Ok(self.step(id, commit))),
            None => self.unreadable.pop().map(Err),
        }
    }
}

/// A commit as history listings show it.
pub fn describe(id: ObjectId, commit: &Commit) -> GitCommitInfo {
    let author = &commit.author;
    GitCommitInfo {
        commit_id: id,
        title: commit.title(),
        message: commit.body().trim_end().to_owned(),
        created_at: iso(author.time().seconds),
        authors: vec![CommitAuthor { user: author.name().into_owned(), email: author.email().into_owned() }],
        parents: commit.parents.clone(),
        formatted: None,
    }
}

/// Title and message as HTML, as the Hub formats them.
pub fn formatted(commit: &GitCommitInfo) -> FormattedMessage {
    let html = |text: &str| {
        let mut html = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#x27;"),
                '\n' => html.push_str("<br />\n"),
                other => html.push(other),
            }
        }
        html
    };
    FormattedMessage { title: html(&commit.title), message: html(&commit.message) }
}

/// ISO 8601 in UTC, as the Hub writes it.
pub fn iso(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("@{seconds}"), |time| format!("{time:.3}"))
}
