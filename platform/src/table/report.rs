//! Asking a live mount about itself, through an attribute of its top directory that its server answers.
//!
//! Unlike everything else about mounts this touches the mount, which may be dead (an error) or hang (given up soon).

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

/// How long an answer is waited for: a server that works answers in well under a millisecond.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest answer.
const LONGEST: usize = 4096;

pub(super) fn ask(mountpoint: &Path) -> Option<Vec<(String, String)>> {
    let answer = String::from_utf8(attribute(mountpoint)?.ok()?).ok()?;
    let lines = answer.lines().filter_map(|line| line.split_once(' '));
    let report: Vec<_> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (!report.is_empty()).then_some(report)
}

/// Whether the server is gone: then the kernel answers for it. What names and attributes it remembers of a mount it
/// still shows, so looking there would not tell.
pub(super) fn is_dead(mountpoint: &Path) -> bool {
    matches!(attribute(mountpoint), Some(Err(Errno::NOTCONN)))
}

/// The attribute, or why there is none; `None` when nobody answers.
fn attribute(mountpoint: &Path) -> Option<Result<Vec<u8>, Errno>> {
    let path = mountpoint.to_path_buf();
    let (sender, receiver) = mpsc::channel();
    // A thread that hangs in the kernel is left behind; the program ends soon.
    let asking = thread::Builder::new().name("mount-report".into()).spawn(move || {
        let mut answer = vec![0; LONGEST];
        let length = rustix::fs::lgetxattr(&path, crate::fuse::REPORT, &mut answer[..]);
        let answer = length.map(|length| {
            answer.truncate(length);
            answer
        });
        let _nobody_waits_any_longer = sender.send(answer);
    });
    asking.ok()?;
    receiver.recv_timeout(PATIENCE).ok()
}
