//! A committed revision as a file system: through the port on every platform, and through the kernel, by way
//! of the built program, where there is one.
//!
//! What any tree owes the kernel is tested in `platform`; here it is what a vault shows: the bytes that were
//! committed, for ever. Knows vaults and the command line; must not know FUSE.

use std::collections::BTreeMap;
use std::fs;

use crate::cli::Desk;
use crate::samples::noise;

#[cfg(target_os = "linux")]
mod budget;
#[cfg(target_os = "linux")]
mod damage;
#[cfg(target_os = "linux")]
mod errors;
#[cfg(target_os = "linux")]
mod helper;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod life;
mod loopback;
#[cfg(target_os = "linux")]
mod posix;
mod reads;
#[cfg(target_os = "linux")]
mod users;
mod versions;
#[cfg(target_os = "linux")]
mod views;

/// Files of the sample, by path: small and empty, equal ones, one of many chunks, one that is a pointer to Git,
/// and names that need care.
pub(crate) fn sample() -> BTreeMap<&'static str, Vec<u8>> {
    let big = noise(1, 3_300_007);
    let mut edited = big.clone();
    edited[1_000_000..1_000_100].fill(b'!');
    BTreeMap::from([
        ("a/b/c/d/deep.txt", b"deep".to_vec()),
        ("big.bin", big),
        ("edited.bin", edited),
        ("empty", Vec::new()),
        ("large.safetensors", noise(2, 11 << 20)),
        ("one.txt", b"same".to_vec()),
        ("space and \u{fc}.txt", b"name".to_vec()),
        ("twins/two.txt", b"same".to_vec()),
        ("zeros.bin", vec![0; 1_500_000]),
    ])
}

/// A vault that holds the sample (and on Unix a program and two links).
pub(crate) fn desk() -> Desk {
    let desk = Desk::new();
    for (name, content) in sample() {
        desk.write(&format!("in/{name}"), content);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let program = desk.write("in/run.sh", "#!/bin/sh\nexit 7\n");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        symlink("a/b/c/d/deep.txt", desk.path("in/link")).unwrap();
        symlink("no where", desk.path("in/dangling")).unwrap();
    }
    desk.commit(["--keep-links", "--add", ".=in"]);
    fs::create_dir(desk.path("mnt")).unwrap();
    desk
}
