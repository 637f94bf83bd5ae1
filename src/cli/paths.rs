//! Paths in the repository as they are typed: checked in one place for all commands, so that a pattern, or `REV:PATH`
//! where only a path is taken, is answered with what to write instead.
//!
//! Knows the words of the commands; not what is at a path, but for [`or_path`], which looks.

use super::failure::Failure;
use crate::Repository;
use crate::ops::RepoPath;
use crate::snapshot::resolve::split_path;

/// What a path is typed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// To be copied out of a revision that `-r` names.
    Download,
    /// To limit what is shown, after `--`.
    Limit,
    /// To be changed on a branch that `-r` names.
    Change,
    /// To be removed from a branch that `-r` names.
    Remove,
    /// As the place where an upload goes.
    Upload,
    /// To settle a conflict.
    Settle,
}

impl Use {
    /// What to do instead of writing a pattern.
    fn instead_of_a_pattern(self) -> &'static str {
        match self {
            Self::Download => "to choose by pattern use --include",
            Self::Limit => "this takes files and folders: name them, or the folder they are in",
            Self::Change => {
                "this takes files and folders: name them, or the folder they are in; `hv upload FOLDER` chooses with \
                 --include, and removes with --delete, by pattern"
            }
            Self::Remove => {
                "`hv rm` takes files and folders: name them, or the folder they are in (`hv ls REV:DIR` lists it); \
                 `hv upload FOLDER --delete PATTERN` removes what matches while it uploads"
            }
            Self::Upload => "this is where files go: to choose them by pattern use --include",
            Self::Settle => "this takes the paths of conflicts: name each; -X ours or -X theirs settles all",
        }
    }

    /// What to do instead of writing `REV:PATH`.
    fn instead_of_a_revision(self, revision: &str, path: &str) -> String {
        match self {
            _ if revision.is_empty() => format!("write `{path}`"),
            Self::Download | Self::Change | Self::Remove | Self::Upload => {
                format!("write `{path}` and use -r {revision}")
            }
            Self::Limit => format!("write the revision before the `--`: `{revision} -- {path}`"),
            Self::Settle => format!("write `{path}`: both sides are known"),
        }
    }
}

/// A path in the repository.
///
/// # Errors
/// What is no path, with what to write instead.
pub(super) fn repo_path(text: &str, used: Use) -> Result<RepoPath, Failure> {
    RepoPath::new(text).map_err(|error| match advice(text, used) {
        Some(advice) => Failure::new("unsupported-path", advice),
        None => Failure::new("unsupported-path", error),
    })
}

/// What to say of a text that is no path, when it can be seen what was meant.
fn advice(text: &str, used: Use) -> Option<String> {
    let has_drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if let (revision, Some(path)) = split_path(text)
        && !has_drive
        && !path.is_empty()
    {
        let instead = used.instead_of_a_revision(revision, path);
        return Some(format!(
            "`{text}` is REV:PATH (no path has a `:` in it), and this takes a path: {instead}"
        ));
    }
    let pattern =
        || format!("`{text}` is a pattern (no path has `*` or `?` in it): {}", used.instead_of_a_pattern());
    is_pattern(text).then(pattern)
}

/// Whether a text can only be meant as a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// A failure to find a revision; when one of the `words` is a path there, says how to mean that.
pub(super) fn or_path(repository: &Repository, failure: Failure, words: &[String]) -> Failure {
    if !failure.is("revision-not-found") {
        return failure;
    }
    // The path is looked for in a revision that is named beside it, else in the default branch.
    let named = words.iter().find_map(|word| repository.snapshot(Some(word)).ok());
    let Some(snapshot) = named.or_else(|| repository.snapshot(None).ok()) else { return failure };
    let is_path = |word: &&String| {
        repository.rev_parse(word).is_err() && RepoPath::new(word).is_ok() && snapshot.entry(word).is_ok()
    };
    match words.iter().find(is_path) {
        Some(path) => failure.and(&format!("to mean the path, write `-- {path}`")),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_answered_with_what_to_write() {
        let said = |text, used| format!("{:?}", repo_path(text, used));
        assert!(said("sv/*.py", Use::Download).contains("use --include"));
        assert!(said("*.yaml", Use::Limit).contains("takes files and folders"));
        assert!(said("main:d/f", Use::Download).contains("write `d/f` and use -r main"));
        assert!(said("main@{2026-01-01 10:00}:f", Use::Remove).contains("use -r main@{2026-01-01 10:00}"));
        assert!(said(":d/f", Use::Limit).contains("write `d/f`"));
        assert!(said("main:f?", Use::Limit).contains("`main -- f?`"));
        assert!(said("c:/a", Use::Change).contains("starts with a drive"));
        assert!(said("a|b", Use::Change).contains("which Windows cannot store"));
        assert!(said("d/f", Use::Settle).starts_with("Ok("));
    }
}
