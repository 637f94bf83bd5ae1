//! How commits look one after the other, with a graph and a difference beside them: `git log`'s layout.
//!
//! Shared by `log` and `show`. Knows the order of lines on a screen; not which commits there are.

use std::io::Write;

use super::changes::{self, DiffFlags, Format, Look};
use super::failure::Failure;
use super::graph::Graph;
use super::output::{printable, time};
use super::pager::Screen;
use super::style::Paint;
use crate::ops::diff::{Comparison, FileChange};
use crate::ops::{Commit, ObjectId, Signature};

/// A page of commits.
#[derive(Debug)]
pub(super) struct Page<'a> {
    screen: &'a mut Screen,
    oneline: bool,
    format: Option<Format>,
    context: usize,
    graph: Option<Graph>,
    shown_one: bool,
}

/// A difference to be shown with a commit.
pub(super) struct Shown<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) changes: &'a [FileChange],
    /// A line before it.
    pub(super) note: Option<String>,
}

impl<'a> Page<'a> {
    pub(super) fn new(screen: &'a mut Screen, flags: &DiffFlags, format: Option<Format>) -> Self {
        Self { screen, oneline: false, format, context: flags.context, graph: None, shown_one: false }
    }

    /// One line per commit.
    #[must_use]
    pub(super) fn oneline(self, oneline: bool) -> Self {
        Self { oneline, ..self }
    }

    /// A graph at the left.
    #[must_use]
    pub(super) fn graph(self, graph: bool) -> Self {
        let graph = graph.then(|| Graph::new(self.screen.style));
        Self { graph, ..self }
    }

    /// Shows a commit.
    pub(super) fn commit(
        &mut self,
        id: ObjectId,
        commit: &Commit,
        parents: &[ObjectId],
        drawn_parents: Vec<ObjectId>,
        shown: Option<&Shown<'_>>,
    ) -> Result<(), Failure> {
        if let Some(graph) = &mut self.graph {
            graph.next(id, drawn_parents);
        }
        if self.oneline {
            self.short(id, commit)?;
        } else {
            self.long(id, commit, parents)?;
        }
        self.shown_one = true;
        match (shown, self.format) {
            (Some(shown), Some(format)) if !shown.changes.is_empty() => self.difference(shown, format),
            _ => Ok(()),
        }
    }

    fn id(&self, text: &str) -> String {
        self.screen.style.paint(Paint::Commit, text).into_owned()
    }

    fn short(&mut self, id: ObjectId, commit: &Commit) -> Result<(), Failure> {
        self.rows_to_commit()?;
        let line = format!("{} {}", self.id(&id.short()), printable(&commit.title()));
        self.screen.write_all(line.as_bytes())?;
        self.rest(false)?;
        Ok(writeln!(self.screen)?)
    }

    fn long(&mut self, id: ObjectId, commit: &Commit, parents: &[ObjectId]) -> Result<(), Failure> {
        if self.shown_one {
            let padding = self.padding();
            writeln!(self.screen, "{padding}")?;
        }
        self.rows_to_commit()?;
        let line = self.id(&format!("commit {id}"));
        writeln!(self.screen, "{line}")?;
        let text = block(commit, parents);
        for line in text.lines() {
            if let Some(graph) = &mut self.graph {
                let (row, _) = graph.row();
                self.screen.write_all(row.as_bytes())?;
            }
            writeln!(self.screen, "{line}")?;
        }
        self.rest(true)
    }

    fn padding(&mut self) -> String {
        self.graph.as_mut().map(Graph::padding).unwrap_or_default()
    }

    /// Rows of the graph up to the commit's own.
    fn rows_to_commit(&mut self) -> Result<(), Failure> {
        let Some(graph) = &mut self.graph else { return Ok(()) };
        loop {
            let (row, is_own) = graph.row();
            self.screen.write_all(row.as_bytes())?;
            if is_own {
                return Ok(());
            }
            writeln!(self.screen)?;
        }
    }

    /// Rows of the graph for which the commit had no lines; `started` says that the cursor is on a new line.
    fn rest(&mut self, started: bool) -> Result<(), Failure> {
        let Some(graph) = &mut self.graph else { return Ok(()) };
        let mut first = true;
        while !graph.is_finished() {
            if !(first && started) {
                writeln!(self.screen)?;
            }
            first = false;
            let (row, _) = graph.row();
            self.screen.write_all(row.as_bytes())?;
        }
        if started && !first {
            writeln!(self.screen)?;
        }
        Ok(())
    }

    fn difference(&mut self, shown: &Shown<'_>, format: Format) -> Result<(), Failure> {
        if !self.oneline {
            let padding = self.padding();
            writeln!(self.screen, "{padding}")?;
        }
        let mut look = Look::of(self.screen, self.context);
        look.columns = look.columns.saturating_sub(self.graph.as_ref().map_or(0, Graph::width));
        let (screen, graph) = (&mut *self.screen, &mut self.graph);
        let mut sink = |line: &[u8]| {
            let padding = graph.as_mut().map(Graph::padding).unwrap_or_default();
            screen.write_all(padding.as_bytes())?;
            screen.write_all(line)?;
            Ok(screen.write_all(b"\n")?)
        };
        if let Some(note) = &shown.note {
            sink(note.as_bytes())?;
        }
        changes::show(shown.comparison, shown.changes, format, look, &mut sink)
    }
}

/// Who and when, as `git log` shows it.
pub(super) fn person(role: &str, who: &Signature) -> String {
    format!("{role}{} <{}>", printable(&who.name()), printable(&who.email()))
}

/// What follows a commit's first line.
fn block(commit: &Commit, parents: &[ObjectId]) -> String {
    let mut lines = Vec::new();
    if parents.len() > 1 {
        let parents: Vec<String> = parents.iter().map(ObjectId::short).collect();
        lines.push(format!("Merge: {}", parents.join(" ")));
    }
    let author = &commit.author;
    lines.push(person("Author: ", author));
    lines.push(format!("Date:   {}", time(author.time())));
    lines.push(String::new());
    let message = String::from_utf8_lossy(&commit.message);
    for line in message.trim_start_matches('\n').trim_end().lines() {
        lines.push(format!("    {}", printable(&without_tabs(line))));
    }
    lines.join("\n").trim_end().to_owned()
}

/// A line with its tabs as spaces, in columns of eight: what follows is indented, as in Git.
fn without_tabs(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for (number, piece) in line.split('\t').enumerate() {
        if number > 0 {
            let column = text.chars().count();
            text.extend(std::iter::repeat_n(' ', 8 - column % 8));
        }
        text.push_str(piece);
    }
    text
}
