//! What a revision means: the part of Git's `gitrevisions` that names commits.
//!
//! `HEAD` and `@` (the default branch), `refs/...`, a branch, a tag, a full or a unique abbreviated commit id,
//! each followed by any of `~n`, `^n`, `^{commit}` and `^{}`. A name that is both a branch and a tag is refused
//! rather than guessed. `NAME@{n}` and `NAME@{instant}` are what a branch or tag was before. There is no clock here:
//! words like `yesterday` are instants before they get here.

use super::error::{SnapshotError, not_found};
use super::reflog;
use crate::store::id::ObjectId;
use crate::store::index::{ObjectRow, Stored};
use crate::store::object::{Kind, Mode};
use crate::store::refname::RefName;
use crate::store::vault::View;

/// Fewest digits of an abbreviated id, as in Git.
const MIN_ABBREVIATION: usize = 4;

/// Id of the commit that `revision` means.
pub fn commit(view: &View, revision: &str) -> Result<ObjectId, SnapshotError> {
    let (base, steps) = split_steps(revision);
    let mut id = peel(view, base_object(view, base, revision)?, revision)?;
    for step in parse_steps(steps, revision)? {
        id = step.follow(view, id, revision)?;
    }
    Ok(id)
}

/// Id of the commit that an object leads to: its own, or that of what a tag stands for.
pub fn peeled(view: &View, id: ObjectId) -> Result<ObjectId, SnapshotError> {
    commit(view, &id.to_string())
}

/// Id of the object that `revision` names: as [`commit`], and also `REVISION^{tree}`, `REVISION:PATH`
/// (`:PATH` in the default branch) and an annotated tag by its name.
pub fn object(view: &View, revision: &str) -> Result<ObjectId, SnapshotError> {
    if let (at, Some(path)) = split_path(revision) {
        let at = if at.is_empty() { "HEAD" } else { at };
        let (mut mode, mut id) = (Mode::Directory, view.catalog.commit(commit(view, at)?)?.tree);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let folder = if mode == Mode::Directory { Some(view.catalog.tree(id)?) } else { None };
            let found = folder.as_ref().and_then(|folder| folder.find(name.as_bytes()));
            let missing = || SnapshotError::EntryNotFound { path: path.to_owned(), revision: at.to_owned() };
            (mode, id) = found.map(|entry| (entry.mode, entry.id)).ok_or_else(missing)?;
        }
        return Ok(id);
    }
    if let Some(at) = revision.strip_suffix("^{tree}") {
        return Ok(view.catalog.commit(commit(view, at)?)?.tree);
    }
    match split_steps(revision) {
        (base, "") => base_object(view, base, revision),
        _ => commit(view, revision),
    }
}

/// `REVISION:PATH` in two; a `:` within braces belongs to a time.
pub fn split_path(target: &str) -> (&str, Option<&str>) {
    let mut braces = 0_usize;
    for (at, c) in target.char_indices() {
        match c {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            ':' if braces == 0 => return (&target[..at], Some(&target[at + 1..])),
            _ => {}
        }
    }
    (target, None)
}

fn split_steps(revision: &str) -> (&str, &str) {
    let name = revision.find("@{").and_then(|open| Some(open + revision[open..].find('}')?)).unwrap_or(0);
    let end = revision[name..].find(['~', '^']).map_or(revision.len(), |at| name + at);
    revision.split_at(end)
}

/// Numbers from here on are seconds since 1970, smaller ones count changes; as in Git.
const FIRST_INSTANT: u64 = 100_000_000;

/// The log remembers commits that are no longer there.
fn still_there(view: &View, id: ObjectId, revision: &str) -> Result<ObjectId, SnapshotError> {
    if view.catalog.try_object(id)?.is_some() {
        return Ok(id);
    }
    Err(not_found(
        revision,
        &format!("it was {id}, and `hv gc` has removed that: nothing led to it any more"),
    ))
}

/// What is between the braces of `NAME@{...}`.
fn earlier(view: &View, name: &str, when: &str, revision: &str) -> Result<ObjectId, SnapshotError> {
    let name = reflog::find(view, name)?;
    if when.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = when.parse::<u64>()
        && number < FIRST_INSTANT
    {
        let n = usize::try_from(number).unwrap_or(usize::MAX);
        return still_there(view, reflog::nth(view, &name, n, revision)?, revision);
    }
    let seconds = when.strip_prefix('@').unwrap_or(when).parse::<i64>().ok();
    let instant = || when.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    match seconds.filter(|_| !when.starts_with('-')).or_else(instant) {
        Some(seconds) => still_there(view, reflog::at(view, &name, seconds, revision)?, revision),
        None => Err(not_found(
            revision,
            &format!(
                "`{when}` is no number of changes and no time; `hv` takes for example 1, 2026-11-01, \
                 2026-11-01 12:00, yesterday, 3.days.ago, and other programs times with an offset \
                 (2026-11-01T12:00:00+01:00): they have no clock here"
            ),
        )),
    }
}

enum Step {
    /// `~n`: n first parents up.
    Ancestor(u64),
    /// `^n`: the n-th parent; 0 is the commit itself.
    Parent(usize),
}

fn parse_steps(mut text: &str, revision: &str) -> Result<Vec<Step>, SnapshotError> {
    let mut steps = Vec::new();
    while let Some(sign) = text.chars().next() {
        text = &text[sign.len_utf8()..];
        if sign == '^'
            && let Some(rest) = text.strip_prefix("{commit}").or_else(|| text.strip_prefix("{}"))
        {
            text = rest;
            continue;
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = if digits == 0 { Some(1) } else { text[..digits].parse().ok() };
        text = &text[digits..];
        steps.push(match (sign, number) {
            ('~', Some(n)) => Step::Ancestor(n),
            ('^', Some(n)) => Step::Parent(usize::try_from(n).unwrap_or(usize::MAX)),
            _ => {
                return Err(not_found(revision, "after the name only `~n`, `^n` and `^{commit}` may follow"));
            }
        });
    }
    Ok(steps)
}

impl Step {
    fn follow(&self, view: &View, mut id: ObjectId, revision: &str) -> Result<ObjectId, SnapshotError> {
        match *self {
            Self::Ancestor(n) => {
                for _ in 0..n {
                    id = nth_parent(view, id, 1, revision)?;
                }
                Ok(id)
            }
            Self::Parent(0) => Ok(id),
            Self::Parent(n) => nth_parent(view, id, n, revision),
        }
    }
}

fn nth_parent(view: &View, id: ObjectId, n: usize, revision: &str) -> Result<ObjectId, SnapshotError> {
    let parents = view.catalog.commit(id)?.parents;
    parents
        .get(n - 1)
        .copied()
        .ok_or_else(|| not_found(revision, &format!("commit {} has {} parent(s)", id.short(), parents.len())))
}

/// Follows annotated tags to the commit they are about.
fn peel(view: &View, mut id: ObjectId, revision: &str) -> Result<ObjectId, SnapshotError> {
    // A tag of a tag is rare and a chain of a hundred is an attack.
    for _ in 0..100 {
        match view.catalog.body(id)?.0 {
            Kind::Commit => return Ok(id),
            Kind::Tag => id = view.catalog.tag(id)?.target,
            kind => return Err(not_found(revision, &format!("{} is a {kind}, not a commit", id.short()))),
        }
    }
    Err(not_found(revision, "its chain of tags does not end"))
}

fn base_object(view: &View, base: &str, revision: &str) -> Result<ObjectId, SnapshotError> {
    if let Some((name, when)) = base.strip_suffix('}').and_then(|base| base.split_once("@{")) {
        return earlier(view, name, when, revision);
    }
    if base == "HEAD" || base == "@" {
        let branch = view.default_branch()?;
        return view
            .target(branch)
            .ok_or_else(|| not_found(revision, &format!("{branch} has no commit yet")));
    }
    if let Ok(id) = base.parse() {
        let known = view.catalog.try_object(id)?.is_some();
        return if known { Ok(id) } else { Err(not_found(revision, "no object has this id")) };
    }
    if base.starts_with("refs/") {
        let found = RefName::new(base).ok().and_then(|name| view.target(&name));
        return found.ok_or_else(|| not_found(revision, "no such ref; `hv branch` and `hv tag` list them"));
    }
    let branch = RefName::branch(base).ok().and_then(|name| view.target(&name));
    let tag = RefName::tag(base).ok().and_then(|name| view.target(&name));
    match (branch, tag) {
        (Some(_), Some(_)) => Err(SnapshotError::AmbiguousRevision {
            revision: revision.to_owned(),
            detail: format!("it is a branch and a tag; say refs/heads/{base} or refs/tags/{base}"),
        }),
        (Some(id), None) | (None, Some(id)) => Ok(id),
        (None, None) => abbreviated(view, base, revision),
    }
}

/// The one commit (or, failing that, the one tag) whose id starts with these digits.
fn abbreviated(view: &View, digits: &str, revision: &str) -> Result<ObjectId, SnapshotError> {
    let nothing =
        || not_found(revision, "no branch, tag or commit has this name; `hv branch` and `hv tag` list them");
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if digits.len() < MIN_ABBREVIATION || digits.len() > 40 || !digits.chars().all(hex) {
        return Err(nothing());
    }
    let bound = |fill: &str| format!("{digits}{}", fill.repeat(40 - digits.len())).parse::<ObjectId>();
    let (Ok(from), Ok(to)) = (bound("0"), bound("f")) else { return Err(nothing()) };
    let rows = view.catalog.objects_between(from, to, 1000)?;
    let of_kind = |wanted| {
        let is_wanted =
            move |row: &&ObjectRow| matches!(row.stored, Stored::Body { kind, .. } if kind == wanted);
        rows.iter().filter(is_wanted).map(|row| row.id).collect::<Vec<_>>()
    };
    let commits = of_kind(Kind::Commit);
    let found = if commits.is_empty() { of_kind(Kind::Tag) } else { commits };
    match found.as_slice() {
        [] => Err(nothing()),
        [id] => Ok(*id),
        several => Err(SnapshotError::AmbiguousRevision {
            revision: revision.to_owned(),
            detail: format!("{} commits start with it; give more digits", several.len()),
        }),
    }
}
