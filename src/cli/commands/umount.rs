//! `hv umount` and `hv mounts`

use hubvault_platform::{UnmountMode, table};
use serde_json::{Value, json};

use super::say;
use crate::cli::args::{Cli, UmountArgs};
use crate::cli::failure::Failure;
use crate::cli::output;

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
            let (vault, revision) = source.rsplit_once('@').unwrap_or((&source, ""));
            json!({ "mountpoint": mount.mountpoint, "vault": vault, "revision": revision })
        };
        return output::json(&mounts.iter().map(describe).collect::<Vec<_>>());
    }
    mounts.iter().try_for_each(|mount| {
        say(&format!("{} on {}", mount.source.to_string_lossy(), mount.mountpoint.display()))
    })
}
