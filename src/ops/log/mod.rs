//! `log`: the commits that lead to some revisions and not to others, as many as are asked for and no more.
//!
//! The order, the filters and the history of paths are those of `git log` in its default mode. Commits come as they are
//! found, except in topological order, which is known only when all of them are. Knows commits; not how they are shown.

mod paths;
mod topology;
mod walk;

use std::collections::HashSet;
use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};

use self::paths::PathHistory;
use self::topology::Sorted;
use self::walk::Walk;
use super::Repository;
use super::error::OpsError;
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::object::Commit;
use crate::store::path::RepoPath;
use crate::store::vault::View;

/// Which commits, and in which order.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct LogOptions {
    /// Where to start: revisions, `^REV` for "nothing that leads to this", `A..B` for `^A B`. Empty: the default branch.
    pub revisions: Vec<String>,
    /// Every branch and tag as well.
    pub all: bool,
    /// At most this many.
    pub max_count: Option<usize>,
    /// Leave out this many first.
    pub skip: usize,
    /// Follow only the first parent of merges.
    pub first_parent: bool,
    /// Only commits with at least this many parents.
    pub min_parents: usize,
    /// Only commits with at most this many parents.
    pub max_parents: Option<usize>,
    /// Stop at commits older than this, in seconds since 1970.
    pub since: Option<i64>,
    /// Leave out commits newer than this, in seconds since 1970.
    pub until: Option<i64>,
    /// Only commits whose author (`Name <email>`) matches one of these.
    pub authors: Vec<Pattern>,
    /// Only commits with a line in the message that matches one of these.
    pub messages: Vec<Pattern>,
    /// Only commits that change these files, or what is in these folders, as compared with their parents; a merge that
    /// equals a parent there is passed through to that parent alone.
    pub paths: Vec<RepoPath>,
    /// No parent before all its children, and lines of history not mixed; what a graph needs. Reads all of the
    /// history before the first commit comes.
    pub topological: bool,
    /// The last one first.
    pub reverse: bool,
}

/// A text to look for: a regular expression as `grep -E` understands it.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] with what is wrong with it.
    pub fn new(text: &str, ignore_case: bool, fixed: bool) -> Result<Self, OpsError> {
        let literal = fixed.then(|| regex_lite::escape(text));
        let expression = literal.as_deref().unwrap_or(text);
        let built = RegexBuilder::new(expression).case_insensitive(ignore_case).build();
        built
            .map(Self)
            .map_err(|error| OpsError::Invalid(format!("`{text}` is not a regular expression: {error}")))
    }
}

/// A commit of a log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Its id.
    pub id: ObjectId,
    /// The commit itself.
    pub commit: Commit,
    /// Its parents as far as they matter here: a history of paths leads past what changed nothing.
    pub parents: Vec<ObjectId>,
    /// Those of the parents that belong to this log, for drawing; only in topological order.
    pub drawn_parents: Vec<ObjectId>,
}

/// The commits, one at a time.
#[derive(Debug)]
pub struct Log {
    source: Source,
    skip: usize,
    left: usize,
}

#[derive(Debug)]
enum Source {
    Walk(Box<Walk>),
    Sorted(Box<Sorted>),
    Reversed(std::vec::IntoIter<LogEntry>),
}

/// What a commit must be like to be listed.
#[derive(Debug, Clone)]
struct Filter {
    until: Option<i64>,
    min_parents: usize,
    max_parents: usize,
    authors: Vec<Pattern>,
    messages: Vec<Pattern>,
}

impl Filter {
    fn accepts(&self, commit: &Commit, parents: usize) -> bool {
        let matches = |patterns: &[Pattern], text: &str| {
            patterns.is_empty()
                || patterns.iter().any(|pattern| text.lines().any(|line| pattern.0.is_match(line)))
        };
        let is_old_enough = self.until.is_none_or(|until| commit.committer.time().seconds <= until);
        is_old_enough
            && (self.min_parents..=self.max_parents).contains(&parents)
            && (self.authors.is_empty()
                || matches(&self.authors, &format!("{} <{}>", commit.author.name(), commit.author.email())))
            && (self.messages.is_empty()
                || matches(&self.messages, &String::from_utf8_lossy(&commit.message)))
    }
}

impl Repository {
    /// Starts listing commits.
    ///
    /// # Errors
    /// A revision that does not exist. What cannot be read later is an error of the iterator, after all that can be.
    pub fn log(&self, options: &LogOptions) -> Result<Log, OpsError> {
        Log::new(&self.vault().view(), options)
    }
}

impl Log {
    fn new(view: &Arc<View>, options: &LogOptions) -> Result<Self, OpsError> {
        let (starts, ends) = revisions(view, options)?;
        let excluded = if ends.is_empty() { HashSet::new() } else { walk::ancestors(view, &ends)? };
        let filter = Filter {
            until: options.until,
            min_parents: options.min_parents,
            max_parents: options.max_parents.unwrap_or(usize::MAX),
            authors: options.authors.clone(),
            messages: options.messages.clone(),
        };
        let paths = (!options.paths.is_empty()).then(|| PathHistory::new(&options.paths));
        let mut walk = Walk::new(view, filter, paths, options);
        walk.exclude(excluded, &ends);
        for start in starts {
            walk.reach(start)?;
        }
        let source = if options.topological {
            Source::Sorted(Box::new(Sorted::new(walk)))
        } else {
            Source::Walk(Box::new(walk))
        };
        let log = Self { source, skip: options.skip, left: options.max_count.unwrap_or(usize::MAX) };
        if !options.reverse {
            return Ok(log);
        }
        let mut all = log.collect::<Result<Vec<_>, _>>()?;
        all.reverse();
        Ok(Self { source: Source::Reversed(all.into_iter()), skip: 0, left: usize::MAX })
    }
}

impl Iterator for Log {
    type Item = Result<LogEntry, OpsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.left == 0 {
                return None;
            }
            let next = match &mut self.source {
                Source::Walk(walk) => walk.next_shown(),
                Source::Sorted(sorted) => sorted.next_shown(),
                Source::Reversed(entries) => entries.next().map(Ok),
            }?;
            if next.is_ok() && self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.left -= 1;
            return Some(next);
        }
    }
}

/// The commits to start from, and those to end at.
fn revisions(view: &View, options: &LogOptions) -> Result<(Vec<ObjectId>, Vec<ObjectId>), OpsError> {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let or_head = |revision: &str| -> Result<ObjectId, OpsError> {
        Ok(resolve::commit(view, if revision.is_empty() { "HEAD" } else { revision })?)
    };
    for revision in &options.revisions {
        if let Some(revision) = revision.strip_prefix('^') {
            ends.push(resolve::commit(view, revision)?);
        } else if let Some((from, to)) = revision.split_once("..") {
            if to.starts_with('.') {
                return Err(OpsError::Invalid(format!(
                    "`{revision}`: three dots are not understood here; write `A..B` for what B has and A has not"
                )));
            }
            ends.push(or_head(from)?);
            starts.push(or_head(to)?);
        } else {
            starts.push(resolve::commit(view, revision)?);
        }
    }
    if options.all {
        for target in view.state.refs.values() {
            starts.push(resolve::commit(view, &target.to_string())?);
        }
    }
    if starts.is_empty() && !options.all {
        starts.push(resolve::commit(view, "HEAD")?);
    }
    Ok((starts, ends))
}
