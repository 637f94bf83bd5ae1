//! How much memory a mount may keep when nobody says: a share of what this machine, or this container, has.

use std::fs;

/// The share: one part in so many.
const SHARE: u64 = 16;
/// Never more, in bytes: with what is on its way to the kernel, no mount passes 256 MB.
const MOST: u64 = 128 << 20;
/// Never less: a few chunks for each of many readers.
const LEAST: u64 = 32 << 20;
/// Where the machine does not tell.
const UNKNOWN: u64 = 128 << 20;

/// The default of `--cache-size`.
pub(super) fn default_cache() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let container =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    share(machine.into_iter().chain(container).min())
}

fn share(memory: Option<u64>) -> u64 {
    memory.map_or(UNKNOWN, |memory| (memory / SHARE).clamp(LEAST, MOST))
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sixteenth_within_bounds() {
        assert_eq!(total("MemTotal:        8192000 kB\nMemFree: 1 kB\n"), Some(8_192_000 << 10));
        assert_eq!(total("nothing"), None);
        assert_eq!(share(Some(1 << 30)), 64 << 20);
        assert_eq!(share(Some(64 << 30)), MOST);
        assert_eq!(share(Some(1 << 20)), LEAST);
        assert_eq!(share(None), UNKNOWN);
    }
}
