//! `hv umount` and `hv mounts`

use std::path::{Path, PathBuf};

use clap::Args;
use hubvault_platform::{UnmountMode, table};
use serde_json::{Map, Value, json};

use super::say;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{notices, output};
use crate::snapshot::resolve::split_path;

/// End mounts
#[derive(Debug, Args)]
pub(in crate::cli) struct UmountArgs {
    /// Folders they were mounted on
    #[arg(value_name = "MOUNTPOINT", required_unless_present = "all")]
    mountpoints: Vec<PathBuf>,
    /// Detach them even while files are open
    #[arg(short, long)]
    force: bool,
    /// End every mount this user may end, busy ones only with --force
    #[arg(short, long, conflicts_with = "mountpoints")]
    all: bool,
}

/// Ends each of them; one that cannot be ended does not keep the others.
pub(super) fn run(cli: &Cli, args: &UmountArgs) -> Result<(), Failure> {
    let mode = if args.force { UnmountMode::Detach } else { UnmountMode::WhenIdle };
    let mut wanted = args.mountpoints.clone();
    if args.all {
        // Newest first: one may lie in another.
        wanted.extend(table::mounts()?.into_iter().rev().map(|mount| mount.mountpoint));
    }
    let (mut ended, mut failed) = (Vec::new(), None);
    for mountpoint in wanted {
        match table::unmount(&mountpoint, mode) {
            Ok(()) => ended.push(mountpoint),
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    notices::warning(cli.json, None, &earlier.to_string())?;
                }
            }
        }
    }
    if cli.json && (failed.is_none() || !ended.is_empty()) {
        output::json(&json!({ "unmounted": ended }))?;
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// What a mount's server says about itself, as JSON: numbers as numbers. Nothing when it does not answer.
fn report(mount: &table::MountEntry) -> Map<String, Value> {
    let lines = table::report(&mount.mountpoint).unwrap_or_default();
    let value = |text: String| text.parse::<u64>().map_or(Value::String(text), Value::from);
    let mut about: Map<_, _> = lines.into_iter().map(|(name, text)| (name, value(text))).collect();
    if !about.is_empty() {
        about.insert("follow".to_owned(), json!(about.contains_key("follow")));
        about.entry("commit").or_insert(Value::Null);
    }
    about
}

/// A mount as JSON.
fn describe(mount: &table::MountEntry) -> Value {
    let source = mount.source.to_string_lossy();
    let (vault, revision) = vault_and_revision(&source);
    let (revision, path) = split_path(revision);
    let mut about = report(mount);
    about.insert("mountpoint".to_owned(), json!(mount.mountpoint));
    about.insert("vault".to_owned(), json!(vault));
    about.insert("revision".to_owned(), json!(Some(revision).filter(|revision| !revision.is_empty())));
    about.insert("path".to_owned(), json!(path.unwrap_or_default()));
    Value::Object(about)
}

pub(super) fn list(cli: &Cli) -> Result<(), Failure> {
    let mounts = table::mounts()?;
    if cli.json {
        return output::json(&mounts.iter().map(describe).collect::<Vec<_>>());
    }
    for mount in &mounts {
        let source = mount.source.to_string_lossy();
        say(&format!("{source} on {}", mount.mountpoint.display()))?;
        let about = report(mount);
        say(&format!("    {}", working(mount, &source, &about)))?;
    }
    Ok(())
}

/// What a mount shows and how, on one line.
fn working(mount: &table::MountEntry, source: &str, about: &Map<String, Value>) -> String {
    let Some(mode) = about.get("mode").and_then(Value::as_str) else {
        let place = mount.mountpoint.display();
        return if table::is_dead(&mount.mountpoint) {
            format!("its server has ended: `hv mount` there again, or `hv umount {place}`")
        } else {
            "does not answer this user".to_owned()
        };
    };
    let number = |name: &str| about.get(name).and_then(Value::as_u64).unwrap_or(0);
    let commit = about.get("commit").and_then(Value::as_str).map(|id| &id[..7.min(id.len())]);
    let shown = match (commit, about.get("follow") == Some(&Value::Bool(true))) {
        (Some(id), true) => format!("follows the branch, now at {id}; "),
        (Some(id), false) => format!("stays at {id}; "),
        (None, true) => "follows the branch; ".to_owned(),
        (None, false) if vault_and_revision(source).1.is_empty() => {
            "the whole vault, as it moves; ".to_owned()
        }
        (None, false) => String::new(),
    };
    format!(
        "{shown}{mode}, pid {}: {} passed through, {} streamed, {} of cache in use",
        number("pid"),
        output::count(number("files_passed_through"), "file"),
        output::bytes(number("bytes_streamed")),
        output::bytes(number("cache_bytes"))
    )
}

/// The two sides of the `@` in a mount's source. Both may have more of them; the vault is a folder. Of a whole vault
/// there is no revision.
fn vault_and_revision(source: &str) -> (&str, &str) {
    if Path::new(source).is_dir() {
        return (source, "");
    }
    let mut splits = source.rmatch_indices('@').map(|(at, _)| (&source[..at], &source[at + 1..]));
    let fallback = source.rsplit_once('@').unwrap_or((source, ""));
    splits.find(|(vault, _)| Path::new(vault).is_dir()).unwrap_or(fallback)
}
