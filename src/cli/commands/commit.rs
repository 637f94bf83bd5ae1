//! `hv commit`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, ArgMatches, Args};

use super::{open_to_write, say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity::AuthorFlag;
use crate::cli::message::Message;
use crate::cli::paths::{Use, is_pattern, repo_path};
use crate::cli::progress::watched;
use crate::cli::{identity, output, parse};
use crate::ops::diff::quote::quoted;
use crate::ops::{
    AddSource, Changed, CommitOperation, CommitOptions, CommitOutcome, Compression, Links, RepoPath,
};

/// Commit files, in one step or not at all
///
/// Operations are applied in the order given. A plain LOCAL file or folder goes to the root, under its own name. Folders
/// add and replace files: what only the branch has stays (`hv upload --delete '*'` makes it the same as the folder).
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("said").required(true).args(["message", "file"])))]
pub(in crate::cli) struct CommitArgs {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    reading: Reading,
    /// Add a file or folder at a path (`.` is the root, for folders)
    #[arg(long, value_name = "REPO_PATH=LOCAL")]
    add: Vec<String>,
    /// Remove a file or folder
    #[arg(long, value_name = "PATH")]
    delete: Vec<String>,
    /// Copy a file or folder within the repository, or from another revision of it
    #[arg(long, value_name = "[REV:]SRC=DST")]
    copy: Vec<String>,
    /// Files and folders to add under their own names
    local: Vec<PathBuf>,
}

/// Where a commit goes, and what is said in it.
#[derive(Debug, Args)]
pub(in crate::cli) struct How {
    #[command(flatten)]
    message: Message,
    /// Branch to commit to [default: the default branch]
    #[arg(short, long, value_name = "BRANCH")]
    revision: Option<String>,
    /// Commit only if the branch is at this commit; a conflict otherwise
    #[arg(long, value_name = "REV")]
    parent: Option<String>,
    /// Author [default: `HUBVAULT_AUTHOR`, else as Git is configured]
    #[arg(long, value_name = "NAME <EMAIL>")]
    author: Option<String>,
    /// Author date: ISO 8601, RFC 2822, or seconds since 1970 with an offset
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Commit even when nothing changes
    #[arg(long)]
    allow_empty: bool,
}

impl How {
    /// Whether they name the author.
    pub(super) fn author_flag(&self) -> AuthorFlag {
        if self.author.is_some() { AuthorFlag::Used } else { AuthorFlag::Unused }
    }

    /// The options of a commit; without a message, `default` is one.
    pub(super) fn options(&self, default: &str) -> Result<CommitOptions, Failure> {
        Ok(CommitOptions {
            message: self.message.text()?.unwrap_or_else(|| default.to_owned()),
            description: self.message.description.clone(),
            revision: self.revision.clone(),
            parent_commit: self.parent.clone(),
            author: Some(identity::author(self.author.as_deref(), self.date.as_deref())?),
            allow_empty: self.allow_empty,
            ..CommitOptions::default()
        })
    }
}

/// How local files are read and stored.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reading {
    /// Commit symlinks even when they dangle or lead out of the folder that is committed
    #[arg(long, conflicts_with = "follow_links")]
    keep_links: bool,
    /// Commit what symlinks lead to, in their place
    #[arg(long)]
    follow_links: bool,
    /// Read every file, also those that have not changed since they were last committed, and what the vault has of them: what
    /// is damaged there is stored again
    #[arg(long)]
    rehash: bool,
    /// Compress new content: none, what shrinks much (auto), or weights too (max) [default: as the vault is set to]
    #[arg(long, value_name = "HOW", value_parser = parse::compression)]
    compression: Option<Compression>,
}

impl Reading {
    /// The options of a commit with them.
    pub(super) fn apply(&self, options: CommitOptions) -> CommitOptions {
        let Self { keep_links, follow_links, rehash, compression } = *self;
        let links = match (keep_links, follow_links) {
            (true, _) => Links::Keep,
            (_, true) => Links::Follow,
            _ => Links::Whole,
        };
        CommitOptions { links, rehash, compression, ..options }
    }
}

pub(super) fn run(cli: &Cli, args: &CommitArgs, matches: &ArgMatches) -> Result<(), Failure> {
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    let operations = operations(args, matches)?;
    if operations.is_empty() && !args.how.allow_empty {
        return Err(Failure::usage("nothing to do: name files to add, or use --add, --delete or --copy"));
    }
    let repository = open_to_write(cli)?;
    let options = args.reading.apply(args.how.options("")?);
    let actor = identity::actor()?;
    let outcome = watched(cli.json, &repository, |progress| {
        repository.create_commit(&operations, &options, &actor, progress)
    })?;
    show(cli, &outcome, args.how.author_flag())
}

/// Says what a commit did.
pub(super) fn show(cli: &Cli, outcome: &CommitOutcome, author: AuthorFlag) -> Result<(), Failure> {
    if cli.json {
        output::json(outcome)?;
    } else {
        describe(outcome)?;
    }
    if outcome.committed { identity::warn_of_nobody(cli.json, author) } else { Ok(()) }
}

fn describe(outcome: &CommitOutcome) -> Result<(), Failure> {
    for skipped in &outcome.skipped {
        tell(&format!("left out: {}", skipped.display()))?;
    }
    if outcome.committed {
        let title = outcome.commit_message.lines().next().unwrap_or_default();
        say(&format!("[{} {}] {title}", outcome.branch, outcome.oid.short()))?;
    } else {
        say(&format!("nothing to commit: {} already holds all of this", outcome.branch))?;
        if outcome.new_bytes > 0 {
            let bytes = output::bytes(outcome.new_bytes);
            say(&format!("{bytes} that were missing or damaged here are stored now"))?;
        }
    }
    if let Some(changed) = &outcome.changed {
        show_changed(changed)?;
    }
    if outcome.files == 0 {
        return Ok(());
    }
    tell(&format!(
        "{} {}, {}: {} new, {} shared; the vault grew by {}",
        output::count(outcome.files, "file"),
        match outcome.unchanged_files {
            0 => "read".to_owned(),
            unchanged => format!("({unchanged} unchanged, not read)"),
        },
        output::bytes(outcome.logical_bytes),
        output::bytes(outcome.new_bytes),
        output::bytes(outcome.shared_bytes),
        output::bytes(outcome.stored_bytes),
    ))
}

/// The files of a commit when they are few, and how many there are.
fn show_changed(changed: &Changed) -> Result<(), Failure> {
    if changed.files() <= Changed::FIRST as u64 {
        for (letter, path) in &changed.first {
            say(&format!(" {letter} {}", quoted(path)))?;
        }
    }
    let counts = [(changed.added, "added"), (changed.modified, "changed"), (changed.deleted, "deleted")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    say(&format!(" {}", if counts.is_empty() { "no file changed".to_owned() } else { counts.join(", ") }))
}

/// The operations in the order they were typed, whichever option they came by.
fn operations(args: &CommitArgs, matches: &ArgMatches) -> Result<Vec<CommitOperation>, Failure> {
    let mut found: Vec<(usize, CommitOperation)> = Vec::new();
    let places = |id: &str| matches.indices_of(id).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    for (at, text) in places("add").into_iter().zip(&args.add) {
        found.push((at, add(text)?));
    }
    for (at, path) in places("delete").into_iter().zip(&args.delete) {
        found.push((at, CommitOperation::Delete { path_in_repo: repo_path(path, Use::Change)? }));
    }
    for (at, text) in places("copy").into_iter().zip(&args.copy) {
        let (source, target) = parse::pair("--copy", text).map_err(Failure::usage)?;
        // No path has a colon in it.
        let (revision, source) = source.rsplit_once(':').map_or((None, source), |(r, s)| (Some(r), s));
        let src_revision = revision.map(str::to_owned);
        let (source, path_in_repo) = (repo_path(source, Use::Change)?, repo_path(target, Use::Change)?);
        found.push((at, CommitOperation::Copy { source, src_revision, path_in_repo }));
    }
    let mut named: BTreeMap<RepoPath, &Path> = BTreeMap::new();
    for (at, local) in places("local").into_iter().zip(&args.local) {
        let path = own_name(local)?;
        if let Some(other) = named.insert(path.clone(), local).filter(|other| other != local) {
            return Err(Failure::usage(format!(
                "`{}` and `{}` would both go in as `{path}`: say where each goes with --add REPO_PATH=LOCAL",
                other.display(),
                local.display()
            )));
        }
        found.push((
            at,
            CommitOperation::Add { path_in_repo: Some(path), source: AddSource::Local(local.clone()) },
        ));
    }
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, operation)| operation).collect())
}

fn add(text: &str) -> Result<CommitOperation, Failure> {
    let (path, local) = parse::pair("--add", text).map_err(Failure::usage)?;
    let path_in_repo =
        if matches!(path, "." | "./" | "/") { None } else { Some(repo_path(path, Use::Change)?) };
    Ok(CommitOperation::Add { path_in_repo, source: AddSource::Local(local.into()) })
}

/// Where a file or folder goes that is given without a place: to the root, under its own name.
fn own_name(local: &Path) -> Result<RepoPath, Failure> {
    // `.` and `..` have names too; symlinks keep the name they were given by.
    let canonical = if local.file_name().is_none() { local.canonicalize().ok() } else { None };
    let named = canonical.as_deref().unwrap_or(local);
    let name = named.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::usage(format!("`{}` has no usable name of its own; use --add NAME={0}", local.display()))
    })?;
    if !local.is_symlink() && !local.exists() && is_pattern(name) {
        return Err(Failure::usage(format!(
            "`{}` is a pattern that matches nothing here: name files and folders; `hv upload FOLDER --include PATTERN` \
             commits what matches",
            local.display()
        )));
    }
    RepoPath::new(name).map_err(|error| Failure::new("unsupported-path", error))
}
