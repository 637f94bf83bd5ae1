//! `hv umount` and `hv mounts`

use std::path::{Path, PathBuf};

use clap::Args;
use hubvault_platform::{UnmountMode, table};
use serde_json::{Value, json};

use super::say;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;
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
                    tracing::error!(error = %earlier, "still mounted");
                }
            }
        }
    }
    if cli.json && (failed.is_none() || !ended.is_empty()) {
        output::json(&json!({ "unmounted": ended }))?;
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// What a mount's server says about itself, as JSON: numbers as numbers.
fn report(mount: &table::MountEntry) -> serde_json::Map<String, Value> {
    let lines = table::report(&mount.mountpoint).unwrap_or_default();
    let value = |text: String| text.parse::<u64>().map_or(Value::String(text), Value::from);
    lines.into_iter().map(|(name, text)| (name, value(text))).collect()
}

pub(super) fn list(cli: &Cli) -> Result<(), Failure> {
    let mounts = table::mounts()?;
    if cli.json {
        let describe = |mount: &table::MountEntry| -> Value {
            let source = mount.source.to_string_lossy();
            let (vault, revision) = vault_and_revision(&source);
            let (revision, path) = split_path(revision);
            let mut about = report(mount);
            about.insert("mountpoint".to_owned(), json!(mount.mountpoint));
            about.insert("vault".to_owned(), json!(vault));
            about
                .insert("revision".to_owned(), json!(Some(revision).filter(|revision| !revision.is_empty())));
            about.insert("path".to_owned(), json!(path.unwrap_or_default()));
            Value::Object(about)
        };
        return output::json(&mounts.iter().map(describe).collect::<Vec<_>>());
    }
    for mount in &mounts {
        let place = format!("{} on {}", mount.source.to_string_lossy(), mount.mountpoint.display());
        say(&place)?;
        let about = report(mount);
        let number = |name: &str| about.get(name).and_then(Value::as_u64).unwrap_or(0);
        match about.get("mode").and_then(Value::as_str) {
            Some(mode) => say(&format!(
                "    {mode}, pid {}: {} files passed through, {} streamed, {} of cache in use",
                number("pid"),
                number("files_passed_through"),
                output::bytes(number("bytes_streamed")),
                output::bytes(number("cache_bytes"))
            ))?,
            None => say("    does not answer this user")?,
        }
    }
    Ok(())
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
