//! The way from the refs to every file, each thing once.
//!
//! What is met is told of in the order in which it is met, although files are put together meanwhile by others. What is
//! wrong with a file is `contents`' business.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::contents::{Answer, Contents, Desk, News};
use super::{Check, WALK};
use crate::ops::error::OpsError;
use crate::ops::history::History;
use crate::ops::join;
use crate::store::id::ObjectId;
use crate::store::object::{self, Kind, Mode};
use crate::store::path::MAX_DEPTH;

/// Something the walk came upon.
struct Met {
    /// Where: the path, or what stands for one.
    path: String,
    /// The ref whose history is followed.
    name: Arc<str>,
    /// The blob or tree; `None` for what is not known by an id.
    id: Option<ObjectId>,
    what: What,
}

enum What {
    /// A file that is asked about.
    File,
    /// Something that is wrong with what is no file.
    Problem(String),
}

/// Goes through the history of every ref.
pub(super) struct Walk<'w, 'a, 'c> {
    check: &'w mut Check<'a>,
    contents: &'w Contents<'c>,
    /// Whom files are asked of; without one they are looked at here.
    desk: Option<&'w Desk>,
    progress: &'w mut dyn FnMut(u64),
    seen: HashSet<ObjectId>,
    following: Arc<str>,
    /// What was met and not told of.
    met: VecDeque<Met>,
    /// How many files were asked about, and answered.
    asked: u64,
    answered: u64,
}

impl<'w, 'a, 'c> Walk<'w, 'a, 'c> {
    pub(super) fn new(
        check: &'w mut Check<'a>,
        contents: &'w Contents<'c>,
        desk: Option<&'w Desk>,
        progress: &'w mut dyn FnMut(u64),
    ) -> Self {
        let (seen, met) = (HashSet::new(), VecDeque::new());
        Self { check, contents, desk, progress, seen, following: "".into(), met, asked: 0, answered: 0 }
    }

    /// All of them.
    pub(super) fn refs(mut self) {
        let view = self.check.view;
        // One walk for all refs: a commit that two of them lead to is looked at once.
        let mut history = History::empty(view);
        for (name, &id) in &view.state.refs {
            self.check.report.checked_refs.push(name.to_string());
            self.following = name.to_string().into();
            if let Err(error) = history.add(id) {
                self.lost(&error);
                continue;
            }
            for commit in &mut history {
                match commit {
                    Ok((id, commit)) => {
                        self.seen.insert(id);
                        self.check.report.commits += 1;
                        self.tree(commit.tree, id);
                    }
                    Err(error) => self.lost(&error),
                }
            }
        }
        self.tell(true);
    }

    /// A commit that cannot be read takes what came before it along.
    fn lost(&mut self, error: &OpsError) {
        let path = format!("{}: what came before", self.following);
        self.meet(path, None, What::Problem(error.to_string()));
    }

    fn problem(&mut self, problem: &impl ToString, path: &str, tree: ObjectId, commit: ObjectId) {
        self.meet(at(path, commit), Some(tree), What::Problem(problem.to_string()));
    }

    fn tree(&mut self, root: ObjectId, commit: ObjectId) {
        let mut pending = vec![(root, String::new())];
        while let Some((id, path)) = pending.pop() {
            if self.check.is_interrupted() {
                return;
            }
            if !self.seen.insert(id) {
                continue;
            }
            let tree = match self.contents.catalog.tree(id) {
                Ok(tree) if object::id_of(Kind::Tree, &tree.encode()) == id => tree,
                Ok(_) => {
                    let problem = format!("tree {id} does not have the id it is stored under");
                    self.problem(&problem, &path, id, commit);
                    continue;
                }
                Err(error) => {
                    self.problem(&error, &format!("{path}/"), id, commit);
                    continue;
                }
            };
            for entry in tree.entries() {
                let path = join(&path, &String::from_utf8_lossy(&entry.name));
                if entry.mode == Mode::Directory && path.matches('/').count() >= MAX_DEPTH {
                    // A chain of a million folders is an attack on memory; nothing of ours is that deep.
                    let start: String = path.chars().take(40).collect();
                    self.problem(
                        &format!("folders are nested over {MAX_DEPTH} deep"),
                        &start,
                        entry.id,
                        commit,
                    );
                } else if entry.mode == Mode::Directory {
                    pending.push((entry.id, path));
                } else if self.seen.insert(entry.id) {
                    self.file(entry.id, &path, commit);
                }
            }
        }
    }

    fn file(&mut self, blob: ObjectId, path: &str, commit: ObjectId) {
        self.check.report.files += 1;
        let Some(desk) = self.desk else {
            let answer = self.contents.check(blob, &|_| ());
            self.answer(at(path, commit), &Arc::clone(&self.following), Some(blob), answer);
            return;
        };
        desk.ask(self.asked, blob);
        self.asked += 1;
        self.meet(at(path, commit), Some(blob), What::File);
        self.tell(false);
    }

    fn meet(&mut self, path: String, id: Option<ObjectId>, what: What) {
        self.met.push_back(Met { path, name: Arc::clone(&self.following), id, what });
        if self.desk.is_none() {
            self.tell(true);
        }
    }

    /// Tells of what was met and is known, in order; of all of it when nothing more will be met.
    fn tell(&mut self, all: bool) {
        while let Some(met) = self.met.pop_front() {
            if let What::Problem(problem) = &met.what {
                self.affect(problem, met.path, &met.name, met.id);
                continue;
            }
            // Nobody answers any longer when a worker panicked, and then the scope does.
            let news = self.desk.and_then(|desk| desk.news(self.answered, self.met.len(), all));
            let Some(News { read, answer }) = news else { return };
            self.check.report.bytes += read;
            if read > 0 {
                (self.progress)(read);
            }
            if let Some(answer) = answer {
                self.answered += 1;
                self.answer(met.path, &met.name, met.id, answer);
            } else {
                self.met.push_front(met);
                if !all {
                    return;
                }
            }
        }
    }

    fn answer(&mut self, path: String, name: &str, id: Option<ObjectId>, answer: Answer) {
        match answer {
            Ok(hurt) => {
                let mut findings = self.check.bad_chunks(hurt.chunks);
                findings.extend(hurt.packs);
                findings.sort_unstable();
                findings.dedup();
                for finding in findings {
                    self.note(finding, path.clone(), name, id);
                }
            }
            Err(error) => self.affect(&error, path, name, id),
        }
    }

    fn affect(&mut self, problem: &impl ToString, path: String, name: &str, id: Option<ObjectId>) {
        let finding = self.check.finding(WALK, problem);
        self.note(finding, path, name, id);
    }

    fn note(&mut self, finding: usize, path: String, name: &str, id: Option<ObjectId>) {
        self.check.report.findings[finding].affect(path, name);
        if let Some(id) = id {
            self.check.hurt.entry(id).or_default().insert(finding);
        }
    }
}

/// How a path of a commit is told of.
fn at(path: &str, commit: ObjectId) -> String {
    format!("{path}@{}", commit.short())
}
