//! How a difference looks: patch, statistics or names. Shared by `diff`, `show` and `log`.
//!
//! Lines go to a sink, because a graph may stand before each. Knows what to print, not what is compared.

use clap::Args;

use super::diffstat::{self, Count, FileStat};
use super::failure::Failure;
use super::output::tame;
use super::pager::Screen;
use super::paths::{Use, repo_path};
use super::style::{Paint, Style};
use crate::ops::RepoPath;
use crate::ops::diff::patch::{self, PatchLine};
use crate::ops::diff::quote::{quoted, renamed};
use crate::ops::diff::{Comparison, DiffOptions, FileChange, FileDiff, FileVersion};

/// What to show of a difference, in Git's words.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct DiffFlags {
    /// Show the changed lines
    #[arg(short, long, group = "format")]
    pub(super) patch: bool,
    /// Show a line per file with how much changed
    #[arg(long, group = "format")]
    stat: bool,
    /// Show only the totals
    #[arg(long, group = "format")]
    shortstat: bool,
    /// Show lines added and removed as numbers
    #[arg(long, group = "format")]
    numstat: bool,
    /// Show only the paths
    #[arg(long, group = "format")]
    name_only: bool,
    /// Show paths and what happened: A added, D deleted, M modified, R renamed, T other type
    #[arg(long, group = "format")]
    name_status: bool,
    /// How much of a moved file must be as it was
    #[arg(
        short = 'M',
        long,
        value_name = "N%",
        num_args = 0..=1,
        require_equals = true,
        default_value = "50%",
        default_missing_value = "50%",
        value_parser = percent
    )]
    find_renames: u8,
    /// Show moved files as deleted and added
    #[arg(long)]
    no_renames: bool,
    /// Lines around each change
    #[arg(short = 'U', long = "unified", value_name = "N", default_value_t = 3)]
    pub(super) context: usize,
    /// Read changed tensors of safetensors files and say by how much they changed
    #[arg(long)]
    tensor_stats: bool,
}

/// One way to show a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Patch,
    Stat,
    ShortStat,
    NumStat,
    NameOnly,
    NameStatus,
}

/// Takes finished lines, without newline.
pub(super) type LineSink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure>;

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|n| (1..=100).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a percentage from 1% to 100%"))
}

impl DiffFlags {
    /// The format that was asked for.
    pub(super) fn format(&self) -> Option<Format> {
        let asked = [
            (self.patch, Format::Patch),
            (self.stat, Format::Stat),
            (self.shortstat, Format::ShortStat),
            (self.numstat, Format::NumStat),
            (self.name_only, Format::NameOnly),
            (self.name_status, Format::NameStatus),
        ];
        asked.into_iter().find(|(asked, _)| *asked).map(|(_, format)| format)
    }

    /// What to compare.
    pub(super) fn options(&self, paths: &[String]) -> Result<DiffOptions, Failure> {
        Ok(DiffOptions {
            paths: limits(paths)?,
            renames: !self.no_renames,
            similarity: self.find_renames,
            tensor_stats: self.tensor_stats,
        })
    }
}

/// The paths after `--`; the root is no limit.
pub(super) fn limits(paths: &[String]) -> Result<Vec<RepoPath>, Failure> {
    let is_root = |path: &String| matches!(path.as_str(), "." | "./" | "/");
    if paths.iter().any(is_root) {
        return Ok(Vec::new());
    }
    paths.iter().map(|path| repo_path(path, Use::Limit)).collect()
}

/// How to show lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) style: Style,
    /// Control characters in files are shown, not passed on.
    pub(super) is_terminal: bool,
    pub(super) columns: usize,
    pub(super) context: usize,
}

impl Look {
    /// As a screen needs it.
    pub(super) fn of(screen: &Screen, context: usize) -> Self {
        let &Screen { style, is_terminal, columns, .. } = screen;
        Self { style, is_terminal, columns, context }
    }
}

/// Shows changes in a format.
pub(super) fn show(
    comparison: &Comparison,
    changes: &[FileChange],
    format: Format,
    look: Look,
    sink: LineSink<'_>,
) -> Result<(), Failure> {
    match format {
        Format::NameOnly => changes.iter().try_for_each(|change| sink(quoted(&path_of(change)).as_bytes())),
        Format::NameStatus => changes.iter().try_for_each(|change| sink(name_status(change).as_bytes())),
        Format::Patch => {
            changes.iter().try_for_each(|change| patch_lines(&comparison.file(change)?, look, sink))
        }
        Format::NumStat => changes.iter().try_for_each(|change| {
            let diff = comparison.file(change)?;
            let counts = diff.line_counts().map(|(added, removed)| (added.to_string(), removed.to_string()));
            let (added, removed) = counts.unwrap_or_else(|| ("-".to_owned(), "-".to_owned()));
            sink(format!("{added}\t{removed}\t{}", shown_name(&diff)).as_bytes())
        }),
        Format::Stat | Format::ShortStat => {
            let files = changes.iter().map(|change| Ok(file_stat(&comparison.file(change)?)));
            let files = files.collect::<Result<Vec<_>, Failure>>()?;
            let lines = match format {
                Format::Stat => diffstat::lines(&files, look.columns, look.style),
                _ => diffstat::summary(&files).into_iter().collect(),
            };
            lines.iter().try_for_each(|line| sink(line.as_bytes()))
        }
    }
}

fn path_of(change: &FileChange) -> String {
    String::from_utf8_lossy(change.path()).into_owned()
}

fn name_status(change: &FileChange) -> String {
    let (status, path) = (change.kind.status(), path_of(change));
    match &change.old {
        Some(old) if old.path() != path => format!("{status}\t{}\t{}", quoted(&old.path()), quoted(&path)),
        _ => format!("{status}\t{}", quoted(&path)),
    }
}

fn shown_name(diff: &FileDiff) -> String {
    diff.old_path().map_or_else(|| quoted(diff.path()).into_owned(), |old| renamed(old, diff.path()))
}

fn file_stat(diff: &FileDiff) -> FileStat {
    let size = |version: &Option<FileVersion>| version.as_ref().map_or(0, |version| version.size);
    let count = diff.line_counts().map_or_else(
        || Count::Bytes(size(&diff.old), size(&diff.new)),
        |(added, removed)| Count::Lines(added, removed),
    );
    FileStat { name: shown_name(diff), count }
}

fn patch_lines(diff: &FileDiff, look: Look, sink: LineSink<'_>) -> Result<(), Failure> {
    // A hunk's header comes in two pieces, and the second may be missing.
    let mut hunk: Option<String> = None;
    patch::write(diff, look.context, &mut |kind, line| {
        if kind == PatchLine::Function {
            let start = hunk.take().unwrap_or_default();
            return sink(&[start.as_bytes(), &shown_line(line, look)].concat());
        }
        if let Some(hunk) = hunk.take() {
            sink(hunk.as_bytes())?;
        }
        let paint = match kind {
            PatchLine::Header => Paint::Meta,
            PatchLine::Hunk => Paint::Hunk,
            PatchLine::Removed => Paint::Old,
            PatchLine::Added => Paint::New,
            PatchLine::Function | PatchLine::Context | PatchLine::Note => {
                return sink(&shown_line(line, look));
            }
        };
        let text = shown_line(line, look);
        let Ok(text) = std::str::from_utf8(&text) else { return sink(&text) };
        let painted = look.style.paint(paint, text);
        if kind == PatchLine::Hunk {
            hunk = Some(painted.into_owned());
            return Ok(());
        }
        sink(painted.as_bytes())
    })
}

/// A line of a file as it may be shown here.
fn shown_line(line: &[u8], look: Look) -> Vec<u8> {
    if look.is_terminal { tame(&String::from_utf8_lossy(line)).into_bytes() } else { line.to_vec() }
}
