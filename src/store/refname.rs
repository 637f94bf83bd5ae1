//! Names of branches and tags, under exactly the rules of `git check-ref-format`.
//!
//! Exists so that every name a vault gives a version can be fetched, typed and stored by Git. A [`RefName`] is
//! the full name, made only by the check (Git's `refs.c:check_refname_format`). This file must not know what a
//! name points to, which names are taken, or how they are stored: whether a name is also a file name is not asked.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::text::serialised_as_text;

const HEADS: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

/// Why a text is no name for a branch or tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` is not a usable name: {reason}", .name.escape_debug())]
pub struct RefNameError {
    name: String,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum Reason {
    #[error("it is empty or has an empty part between slashes")]
    Empty,
    #[error("a full name has a slash, like `refs/heads/main`")]
    OneLevel,
    #[error("no part may start with a dot")]
    LeadingDot,
    #[error("no part may end in `.lock`")]
    Lock,
    #[error("it may not end in a dot")]
    TrailingDot,
    #[error("it may not contain `..`")]
    TwoDots,
    #[error("it may not contain `@{{`")]
    AtBrace,
    #[error("it may not contain spaces, control characters or any of ~ ^ : ? * [ \\")]
    Character,
    #[error("it may not start with a dash")]
    Dash,
    #[error("`HEAD` already means the current version")]
    Head,
    #[error("40 hexadecimal digits would be taken for an id")]
    LooksLikeId,
}

/// A full name such as `refs/heads/main`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// Checks a full name, as `git check-ref-format` does: nothing is normalised.
    pub fn new(full: &str) -> Result<Self, RefNameError> {
        match check_format(full) {
            Ok(()) => Ok(Self(full.to_owned())),
            Err(reason) => Err(refuse(full, reason)),
        }
    }

    /// The branch with this short name, as `git check-ref-format --branch` allows it; 40 hexadecimal digits
    /// are refused too.
    pub fn branch(short: &str) -> Result<Self, RefNameError> {
        Self::within(HEADS, short)
    }

    /// The tag with this short name, under the rules for [`branch`](Self::branch).
    pub fn tag(short: &str) -> Result<Self, RefNameError> {
        Self::within(TAGS, short)
    }

    fn within(namespace: &str, short: &str) -> Result<Self, RefNameError> {
        check_short(short).map_err(|reason| refuse(short, reason))?;
        let full = format!("{namespace}{short}");
        check_format(&full).map_err(|reason| refuse(short, reason))?;
        Ok(Self(full))
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without `refs/heads/` or `refs/tags/`; the full name if it is neither branch nor tag.
    pub fn short(&self) -> &str {
        let short = self.0.strip_prefix(HEADS).or_else(|| self.0.strip_prefix(TAGS));
        short.unwrap_or(&self.0)
    }

    /// Whether it is under `refs/heads/`.
    pub fn is_branch(&self) -> bool {
        self.0.starts_with(HEADS)
    }

    /// Whether it is under `refs/tags/`.
    pub fn is_tag(&self) -> bool {
        self.0.starts_with(TAGS)
    }

    /// Whether Git could not hold both, because one would be a folder on the way to the other
    /// (`refs/heads/a` and `refs/heads/a/b`). Equal names do not conflict.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let below = |long: &Self, short: &Self| {
            long.0.strip_prefix(&short.0).is_some_and(|rest| rest.starts_with('/'))
        };
        below(self, other) || below(other, self)
    }
}

fn refuse(name: &str, reason: Reason) -> RefNameError {
    RefNameError { name: name.chars().take(80).collect(), reason }
}

fn check_short(short: &str) -> Result<(), Reason> {
    match short {
        "" => Err(Reason::Empty),
        "HEAD" => Err(Reason::Head),
        _ if short.starts_with('-') => Err(Reason::Dash),
        _ if short.len() == 40 && short.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err(Reason::LooksLikeId)
        }
        _ => Ok(()),
    }
}

fn check_format(full: &str) -> Result<(), Reason> {
    full.split('/').try_for_each(check_component)?;
    if full.ends_with('.') {
        return Err(Reason::TrailingDot);
    }
    if full.contains('/') { Ok(()) } else { Err(Reason::OneLevel) }
}

fn check_component(part: &str) -> Result<(), Reason> {
    let forbidden = |byte| matches!(byte, 0..=b' ' | 0x7f | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\');
    match part {
        "" => Err(Reason::Empty),
        _ if part.bytes().any(forbidden) => Err(Reason::Character),
        _ if part.contains("..") => Err(Reason::TwoDots),
        _ if part.contains("@{") => Err(Reason::AtBrace),
        _ if part.starts_with('.') => Err(Reason::LeadingDot),
        // Git's rule is about file names on disk, so its case matters.
        _ if part.as_bytes().ends_with(b".lock") => Err(Reason::Lock),
        _ => Ok(()),
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for RefName {
    type Err = RefNameError;

    fn from_str(full: &str) -> Result<Self, RefNameError> {
        Self::new(full)
    }
}

serialised_as_text!(RefName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_follow_check_ref_format() {
        for name in [
            "refs/heads/main",
            "a/b",
            "refs/heads/a.b",
            "refs/heads/-",
            "refs/heads/@",
            "refs/x/é{",
            "a/lock",
        ] {
            assert_eq!(RefName::new(name).unwrap().as_str(), name);
        }
        let refused = [
            "",
            "main",
            "@",
            "refs/heads/",
            "/refs/heads/a",
            "refs//a",
            "refs/.a",
            "refs/a.lock",
            "refs/a.lock/b",
            "refs/a.",
            "refs/a..b",
            "refs/a@{b",
            "refs/a b",
            "refs/a~",
            "refs/a^",
            "refs/a:",
            "refs/a?",
            "refs/a*",
            "refs/a[",
            "refs/a\\b",
            "refs/a\n",
            "refs/a\x7f",
        ];
        for name in refused {
            assert!(RefName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn short_names_may_not_be_taken_for_something_else() {
        let id = "0123456789abcdefABCD0123456789abcdefabcd";
        for short in ["", "HEAD", "-x", id] {
            assert!(RefName::branch(short).is_err() && RefName::tag(short).is_err(), "{short}");
        }
        let branch = RefName::branch("topic/HEAD").unwrap();
        assert_eq!((branch.as_str(), branch.short()), ("refs/heads/topic/HEAD", "topic/HEAD"));
        assert!(branch.is_branch() && !branch.is_tag());
        assert!(RefName::tag(&id[1..]).unwrap().is_tag());
        assert_eq!(RefName::new("refs/notes/x").unwrap().short(), "refs/notes/x");
        let error = RefName::branch("a\nb").unwrap_err().to_string();
        assert!(error.contains("a\\nb") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn a_name_and_a_folder_of_that_name_conflict() {
        let name = |short| RefName::branch(short).unwrap();
        assert!(name("a").conflicts_with(&name("a/b")) && name("a/b/c").conflicts_with(&name("a")));
        assert!(!name("a").conflicts_with(&name("a")) && !name("a").conflicts_with(&name("ab")));
        assert!(!name("a").conflicts_with(&RefName::tag("a/b").unwrap()));
    }

    #[test]
    fn json_form_is_the_full_name_and_is_checked() {
        let name = RefName::branch("main").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"refs/heads/main\"");
        assert_eq!(serde_json::from_str::<RefName>("\"refs/heads/main\"").unwrap(), name);
        assert!(serde_json::from_str::<RefName>("\"refs/heads/a..b\"").is_err());
    }
}
