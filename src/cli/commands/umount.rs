//! `hv umount` and `hv mounts`

use std::path::{Path, PathBuf};

use clap::Args;
use hubvault_platform::{UnmountMode, table};
use serde_json::{Value, json};

use super::say;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::output;

/// End a mount
#[derive(Debug, Args)]
pub(in crate::cli) struct UmountArgs {
    /// The folder it was mounted on
    mountpoint: PathBuf,
    /// Detach it even while files are open
    #[arg(short, long)]
    force: bool,
}

pub(super) fn run(cli: &Cli, args: &UmountArgs) -> Result<(), Failure> {
    let mode = if args.force { UnmountMode::Detach } else { UnmountMode::WhenIdle };
    table::unmount(&args.mountpoint, mode)?;
    if cli.json { output::json(&json!({ "unmounted": args.mountpoint })) } else { Ok(()) }
}

pub(super) fn list(cli: &Cli) -> Result<(), Failure> {
    let mounts = table::mounts()?;
    if cli.json {
        let describe = |mount: &table::MountEntry| -> Value {
            let source = mount.source.to_string_lossy();
            let (vault, revision) = vault_and_revision(&source);
            json!({ "mountpoint": mount.mountpoint, "vault": vault, "revision": revision })
        };
        return output::json(&mounts.iter().map(describe).collect::<Vec<_>>());
    }
    mounts.iter().try_for_each(|mount| {
        say(&format!("{} on {}", mount.source.to_string_lossy(), mount.mountpoint.display()))
    })
}

/// The two sides of the `@` in a mount's source. Both may have more of them; the vault is a folder.
fn vault_and_revision(source: &str) -> (&str, &str) {
    let mut splits = source.rmatch_indices('@').map(|(at, _)| (&source[..at], &source[at + 1..]));
    let fallback = source.rsplit_once('@').unwrap_or((source, ""));
    splits.find(|(vault, _)| Path::new(vault).is_dir()).unwrap_or(fallback)
}
