//! `hv commit`

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args};

use super::{open_to_write, say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::progress::Bar;
use crate::cli::{identity, output, parse};
use crate::ops::{AddSource, CommitOperation, CommitOptions, CommitOutcome, Compression, RepoPath};

/// Commit files, in one step or not at all
///
/// Operations are applied in the order given. A plain LOCAL file or folder goes in under its own name.
#[derive(Debug, Args)]
pub(in crate::cli) struct CommitArgs {
    /// Message; its first line is the title
    #[arg(short, long, value_name = "MSG")]
    message: String,
    /// The rest of the message
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
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

/// How local files are read and stored.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reading {
    /// Commit symlinks even when they dangle or lead out of the folder that is committed
    #[arg(long)]
    keep_links: bool,
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
        let Self { keep_links, rehash, compression } = *self;
        CommitOptions { keep_links, rehash, compression, ..options }
    }
}

pub(super) fn run(cli: &Cli, args: &CommitArgs, matches: &ArgMatches) -> Result<(), Failure> {
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    let operations = operations(args, matches)?;
    if operations.is_empty() && !args.allow_empty {
        return Err(Failure::usage("nothing to do: name files to add, or use --add, --delete or --copy"));
    }
    let repository = open_to_write(cli)?;
    let options = CommitOptions {
        message: args.message.clone(),
        description: args.description.clone(),
        revision: args.revision.clone(),
        parent_commit: args.parent.clone(),
        author: Some(identity::author(args.author.as_deref(), args.date.as_deref())?),
        allow_empty: args.allow_empty,
        ..CommitOptions::default()
    };
    let options = args.reading.apply(options);
    let bar = Bar::new(cli.json, &repository);
    let outcome =
        repository.create_commit(&operations, &options, &identity::actor()?, &mut |event| bar.commit(event));
    bar.finish();
    show(cli, &outcome?)
}

/// Says what a commit did.
pub(super) fn show(cli: &Cli, outcome: &CommitOutcome) -> Result<(), Failure> {
    if cli.json {
        return output::json(outcome);
    }
    for skipped in &outcome.skipped {
        tell(&format!("left out: {}", skipped.display()))?;
    }
    if outcome.committed {
        let title = outcome.commit_message.lines().next().unwrap_or_default();
        say(&format!("[{} {}] {title}", outcome.branch, outcome.oid.short()))?;
    } else {
        say(&format!("nothing to commit: {} already holds exactly this", outcome.branch))?;
        if outcome.new_bytes > 0 {
            say(&format!(
                "{} of it were lost or damaged, and are there again",
                output::bytes(outcome.new_bytes)
            ))?;
        }
    }
    tell(&format!(
        "{} file{} {}, {}: {} new, {} shared; the vault grew by {}",
        outcome.files,
        if outcome.files == 1 { "" } else { "s" },
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

/// The operations in the order they were typed, whichever option they came by.
fn operations(args: &CommitArgs, matches: &ArgMatches) -> Result<Vec<CommitOperation>, Failure> {
    let mut found: Vec<(usize, CommitOperation)> = Vec::new();
    let places = |id: &str| matches.indices_of(id).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    for (at, text) in places("add").into_iter().zip(&args.add) {
        found.push((at, add(text)?));
    }
    for (at, path) in places("delete").into_iter().zip(&args.delete) {
        found.push((at, CommitOperation::Delete { path_in_repo: repo_path(path)? }));
    }
    for (at, text) in places("copy").into_iter().zip(&args.copy) {
        let (source, target) = parse::pair("--copy", text).map_err(Failure::usage)?;
        // No path has a colon in it.
        let (revision, source) = source.rsplit_once(':').map_or((None, source), |(r, s)| (Some(r), s));
        let src_revision = revision.map(str::to_owned);
        let (source, path_in_repo) = (repo_path(source)?, repo_path(target)?);
        found.push((at, CommitOperation::Copy { source, src_revision, path_in_repo }));
    }
    for (at, local) in places("local").into_iter().zip(&args.local) {
        found.push((at, add_under_own_name(local)?));
    }
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, operation)| operation).collect())
}

fn add(text: &str) -> Result<CommitOperation, Failure> {
    let (path, local) = parse::pair("--add", text).map_err(Failure::usage)?;
    let path_in_repo = if matches!(path, "." | "./" | "/") { None } else { Some(repo_path(path)?) };
    Ok(CommitOperation::Add { path_in_repo, source: AddSource::Local(local.into()) })
}

fn add_under_own_name(local: &Path) -> Result<CommitOperation, Failure> {
    // `.` and `..` have names too; symlinks keep the name they were given by.
    let canonical = if local.file_name().is_none() { local.canonicalize().ok() } else { None };
    let named = canonical.as_deref().unwrap_or(local);
    let name = named.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::usage(format!("`{}` has no usable name of its own; use --add NAME={0}", local.display()))
    })?;
    Ok(CommitOperation::Add {
        path_in_repo: Some(repo_path(name)?),
        source: AddSource::Local(local.to_owned()),
    })
}

/// A path in the repository.
pub(super) fn repo_path(text: &str) -> Result<RepoPath, Failure> {
    RepoPath::new(text).map_err(|error| Failure::new("unsupported-path", error))
}
