//! What an optimization leaves out because it cannot be read, and what that is called in history.
//!
//! Contents are what the store names; people know paths. They are looked for only when something was left out. Must not
//! know how anything is read or stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::ops::error::OpsError;
use crate::ops::history::History;
use crate::ops::join;
use crate::ops::verify::Finding;
use crate::snapshot::Mode;
use crate::snapshot::budget::Budget;
use crate::store::StoreError;
use crate::store::id::{ObjectId, Sha256};
use crate::store::recode::Hurt;
use crate::store::vault::View;

/// What is left out, by what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    problems: Vec<Hurt>,
    contents: HashSet<Sha256>,
}

/// A content's name in history.
struct Name {
    path: String,
    /// Full name of the ref it was met under.
    found_under: String,
}

impl LeftOut {
    /// Adds to it; answers whether that is a content more.
    pub(super) fn add(&mut self, found: Vec<Hurt>) -> bool {
        let before = self.contents.len();
        for hurt in found {
            self.contents.extend(&hurt.contents);
            match self.problems.iter_mut().find(|known| known.problem == hurt.problem) {
                Some(known) => known.contents.extend(hurt.contents),
                None => self.problems.push(hurt),
            }
        }
        self.contents.len() > before
    }

    /// The contents.
    pub(super) fn contents(&self) -> &HashSet<Sha256> {
        &self.contents
    }

    /// The same as `verify` would say it. What refs led to once and no longer do is called by its hash.
    pub(super) fn findings(mut self, view: &Arc<View>) -> Result<Vec<Finding>, OpsError> {
        if self.problems.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.names(view)?;
        self.problems.sort_by(|a, b| a.problem.cmp(&b.problem));
        let finding = |hurt: Hurt| {
            let mut finding = Finding::new(hurt.problem);
            let mut contents = hurt.contents;
            contents.sort_unstable();
            contents.dedup();
            for content in contents {
                match names.get(&content) {
                    Some(name) => finding.affect(name.path.clone(), &name.found_under),
                    None => finding.affect_unnamed(format!("sha256:{content}")),
                }
            }
            finding
        };
        Ok(self.problems.into_iter().map(finding).collect())
    }

    /// One path and commit for each content.
    fn names(&self, view: &Arc<View>) -> Result<HashMap<Sha256, Name>, OpsError> {
        let (mut names, mut seen, mut budget) = (HashMap::new(), HashSet::new(), Budget::default());
        let mut history = History::empty(view);
        for (reference, &id) in &view.state.refs {
            history.add(id)?;
            for step in &mut history {
                let (id, commit) = step?;
                let mut pending = vec![(commit.tree, String::new())];
                while let Some((tree, folder)) = pending.pop() {
                    if !seen.insert(tree) {
                        continue;
                    }
                    budget.take(folder.as_bytes()).map_err(OpsError::from)?;
                    for entry in view.catalog.tree(tree)?.entries() {
                        let path = join(&folder, &String::from_utf8_lossy(&entry.name));
                        if entry.mode == Mode::Directory {
                            pending.push((entry.id, path));
                        } else if seen.insert(entry.id)
                            && let Some(content) = self.content(view, entry.id)?
                        {
                            let name = Name {
                                path: format!("{path}@{}", id.short()),
                                found_under: reference.to_string(),
                            };
                            names.entry(content).or_insert(name);
                        }
                    }
                }
            }
        }
        Ok(names)
    }

    /// The content of a blob, when it is left out.
    fn content(&self, view: &View, blob: ObjectId) -> Result<Option<Sha256>, StoreError> {
        let (content, _) = view.catalog.blob(blob)?;
        Ok(self.contents.contains(&content).then_some(content))
    }
}
