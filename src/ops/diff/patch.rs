//! A difference as the text `git diff` writes, line by line, so that `git apply` understands it.
//!
//! What has no lines is said in words Git skips when it applies a patch: sizes, shared bytes, tensors. The reader of the
//! lines chooses colours; whether control characters in a text are shown is its business too.

use super::quote::quoted;
use super::tensors;
use super::text::LineKind;
use super::{ChangeKind, Content, FileDiff, FileVersion, TextDiff};

/// What a line of a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchLine {
    /// About the file.
    Header,
    /// `@@ -1,2 +3,4 @@`; what follows it is in [`PatchLine::Function`].
    Hunk,
    /// The rest of a hunk's header line, with the space before it.
    Function,
    /// A line that is in both.
    Context,
    /// A line that went.
    Removed,
    /// A line that came.
    Added,
    /// Something about content that has no lines.
    Note,
}

/// Takes the lines of a patch, with their first character and without newline; a [`PatchLine::Hunk`] is not a whole line
/// when a [`PatchLine::Function`] follows.
pub type Sink<'a, E> = &'a mut dyn FnMut(PatchLine, &[u8]) -> Result<(), E>;

/// The whole patch of a file as text; bytes that are not UTF-8 are replaced.
pub fn to_text(diff: &FileDiff, context: usize) -> String {
    let mut text = Vec::new();
    let mut sink = |kind: PatchLine, line: &[u8]| -> Result<(), std::convert::Infallible> {
        if kind == PatchLine::Function {
            text.pop();
        }
        text.extend_from_slice(line);
        text.push(b'\n');
        Ok(())
    };
    match write(diff, context, &mut sink) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(never) => match never {},
    }
}

/// Writes the patch of one file with `context` lines around each change.
pub fn write<E>(diff: &FileDiff, context: usize, sink: Sink<'_, E>) -> Result<(), E> {
    if let Some(halves) = &diff.halves {
        return halves.iter().try_for_each(|half| write(half, context, sink));
    }
    let old_path = diff.old.as_ref().or(diff.new.as_ref()).map_or("", |version| &version.path);
    let names = Names { a: prefixed("a/", old_path), b: prefixed("b/", diff.path()) };
    sink(PatchLine::Header, format!("diff --git {} {}", names.a, names.b).as_bytes())?;
    header(diff, sink)?;
    let absent = || "/dev/null".to_owned();
    let names = Names {
        a: if diff.old.is_some() { names.a } else { absent() },
        b: if diff.new.is_some() { names.b } else { absent() },
    };
    match &diff.content {
        Content::Same => Ok(()),
        Content::Text(text) => hunks(text, &names, context, sink),
        Content::Opaque { shared } => {
            let is_large = [&diff.old, &diff.new].into_iter().flatten().any(|version| version.lfs);
            let word = if is_large { "Large" } else { "Binary" };
            sink(PatchLine::Note, format!("{word} files {} and {} differ", names.a, names.b).as_bytes())?;
            versions(diff, *shared, sink)
        }
        Content::Tensors(found) => {
            sink(PatchLine::Note, format!("Tensors of {} and {} differ", names.a, names.b).as_bytes())?;
            versions(diff, None, sink)?;
            tensors::write(found, sink)
        }
    }
}

struct Names {
    a: String,
    b: String,
}

fn prefixed(prefix: &str, path: &str) -> String {
    quoted(&format!("{prefix}{path}")).into_owned()
}

fn header<E>(diff: &FileDiff, sink: Sink<'_, E>) -> Result<(), E> {
    let mut say = |line: String| sink(PatchLine::Header, line.as_bytes());
    match (&diff.old, &diff.new) {
        (None, Some(new)) => say(format!("new file mode {}", new.mode.octal()))?,
        (Some(old), None) => say(format!("deleted file mode {}", old.mode.octal()))?,
        (Some(old), Some(new)) if old.mode != new.mode => {
            say(format!("old mode {}", old.mode.octal()))?;
            say(format!("new mode {}", new.mode.octal()))?;
        }
        _ => {}
    }
    if let (ChangeKind::Renamed { similarity }, Some(old), Some(new)) = (diff.kind, &diff.old, &diff.new) {
        say(format!("similarity index {similarity}%"))?;
        say(format!("rename from {}", quoted(&old.path)))?;
        say(format!("rename to {}", quoted(&new.path)))?;
    }
    let id = |version: &Option<FileVersion>| {
        version.as_ref().map_or_else(|| "0000000".to_owned(), |v| v.oid.short())
    };
    let (old, new) = (id(&diff.old), id(&diff.new));
    let mode = |version: &Option<FileVersion>| version.as_ref().map(|v| v.mode);
    let (old_id, new_id) = (diff.old.as_ref().map(|v| v.oid), diff.new.as_ref().map(|v| v.oid));
    if old_id == new_id {
        return Ok(());
    }
    match (mode(&diff.old), mode(&diff.new)) {
        (Some(a), Some(b)) if a == b => say(format!("index {old}..{new} {}", a.octal())),
        _ => say(format!("index {old}..{new}")),
    }
}

/// Sizes and hashes, for what has no lines.
fn versions<E>(diff: &FileDiff, shared: Option<u64>, sink: Sink<'_, E>) -> Result<(), E> {
    let of = |version: &Option<FileVersion>, show: &dyn Fn(&FileVersion) -> String| {
        version.as_ref().map_or_else(|| "none".to_owned(), show)
    };
    let size = |version: &FileVersion| version.size.to_string();
    let hash = |version: &FileVersion| version.sha256.to_string()[..12].to_owned();
    let shared = shared.map_or_else(String::new, |shared| format!(", {shared} of them shared"));
    let line = format!("  size {} -> {} bytes{shared}", of(&diff.old, &size), of(&diff.new, &size));
    sink(PatchLine::Note, line.as_bytes())?;
    let line = format!("  sha256 {} -> {}", of(&diff.old, &hash), of(&diff.new, &hash));
    sink(PatchLine::Note, line.as_bytes())
}

fn hunks<E>(text: &TextDiff, names: &Names, context: usize, sink: Sink<'_, E>) -> Result<(), E> {
    let hunks = text.hunks(context);
    if hunks.is_empty() {
        return Ok(());
    }
    // A tab shows where a name with spaces ends.
    let end = |name: &str| if name.contains(' ') { "\t" } else { "" };
    sink(PatchLine::Header, format!("--- {}{}", names.a, end(&names.a)).as_bytes())?;
    sink(PatchLine::Header, format!("+++ {}{}", names.b, end(&names.b)).as_bytes())?;
    for hunk in hunks {
        let range = |lines: &std::ops::Range<usize>| match lines.len() {
            0 => format!("{},0", lines.start),
            1 => format!("{}", lines.start + 1),
            n => format!("{},{n}", lines.start + 1),
        };
        sink(PatchLine::Hunk, format!("@@ -{} +{} @@", range(&hunk.old), range(&hunk.new)).as_bytes())?;
        if !hunk.function.is_empty() {
            sink(PatchLine::Function, &[b" ", &hunk.function[..]].concat())?;
        }
        let mut shown = Vec::new();
        for (kind, line) in text.lines(&hunk) {
            let (kind, sign) = match kind {
                LineKind::Context => (PatchLine::Context, b' '),
                LineKind::Removed => (PatchLine::Removed, b'-'),
                LineKind::Added => (PatchLine::Added, b'+'),
            };
            let whole = line.strip_suffix(b"\n");
            shown.clear();
            shown.push(sign);
            shown.extend_from_slice(whole.unwrap_or(line));
            sink(kind, &shown)?;
            if whole.is_none() {
                sink(PatchLine::Context, b"\\ No newline at end of file")?;
            }
        }
    }
    Ok(())
}
