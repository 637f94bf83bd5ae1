//! Acts that change nothing that can be seen, cut short in every way: freeing, and storing again.
//!
//! What refs lead to must be the same afterwards, byte for byte, and doing it again must finish the job. Which act it is,
//! and what its report has to say, is for others to know.

use std::io;

use hubvault::ops::OpsError;
use hubvault::store::media::memory::{MemoryMedia, SyncKind};

use super::{AGAIN, FIRST, NEXT, World, add, commit, complaints, look, open};

/// An act, on a vault that has work for it.
pub(super) struct Upkeep<R> {
    before: MemoryMedia,
    act: fn(&MemoryMedia, n: u64) -> Result<R, OpsError>,
    world: World,
    /// What it leaves when nothing happens to it, and how far from that it may come on other ways: how many indexes
    /// there are depends on the way.
    pub(super) least: i64,
    slack: i64,
    /// Whether it also takes away what earlier ones left over.
    sweeps: bool,
    pub(super) trace: Vec<String>,
}

/// Bytes of all files.
pub(super) fn bytes(media: &MemoryMedia) -> i64 {
    i64::try_from(media.files().values().map(Vec::len).sum::<usize>()).unwrap()
}

/// Bytes of all files but those of the log.
fn without_log(media: &MemoryMedia) -> i64 {
    let files = media.files();
    let kept = files.iter().filter(|(path, _)| !path.starts_with("log/"));
    i64::try_from(kept.map(|(_, bytes)| bytes.len()).sum::<usize>()).unwrap()
}

impl<R: std::fmt::Debug> Upkeep<R> {
    pub(super) fn new(
        before: &MemoryMedia,
        act: fn(&MemoryMedia, u64) -> Result<R, OpsError>,
        slack: i64,
        sweeps: bool,
    ) -> Self {
        let done = before.settled();
        act(&done, FIRST).unwrap();
        Self {
            before: before.settled(),
            act,
            world: look(before).unwrap().unwrap(),
            least: without_log(&done),
            slack,
            sweeps,
            trace: done.operations(),
        }
    }

    /// The vault before it.
    pub(super) fn before(&self) -> MemoryMedia {
        self.before.settled()
    }

    pub(super) fn run(&self, media: &MemoryMedia) -> Result<R, OpsError> {
        (self.act)(media, FIRST)
    }

    /// How many steps of the trace begin and end like this.
    pub(super) fn count(&self, what: &str, end: &str) -> usize {
        self.trace.iter().filter(|step| step.starts_with(what) && step.ends_with(end)).count()
    }

    /// Whether it left as little as it ever does.
    pub(super) fn is_done(&self, media: &MemoryMedia) -> bool {
        (without_log(media) - self.least).abs() < self.slack
    }

    pub(super) fn looks_as_before(&self, media: &MemoryMedia) -> Result<(), String> {
        let found = look(media).map_err(|error| format!("opening and reading: {error}"))?;
        if found.as_ref() == Some(&self.world) { Ok(()) } else { Err("it is not what it was".into()) }
    }

    /// What is wrong with a vault in the middle of it.
    pub(super) fn judge(&self, media: &MemoryMedia) -> Result<(), String> {
        self.looks_as_before(media)?;
        let repository = open(media).map_err(|error| error.to_string())?;
        complaints(&repository, true).map_or(Ok(()), Err)?;
        (self.act)(media, AGAIN).map_err(|error| format!("once more: {error}"))?;
        self.looks_as_before(media).map_err(|why| format!("once more, then {why}"))?;
        if !self.is_done(media) {
            return Err(format!("{} bytes are left, not {}", without_log(media), self.least));
        }
        let repository = open(media).map_err(|error| error.to_string())?;
        let report = repository.verify(false, &mut |_| ()).map_err(|error| error.to_string())?;
        if !report.ok || self.sweeps && !report.leftovers.is_empty() {
            return Err(format!("after doing it again: {report:?}"));
        }
        commit(&repository, "next", &[add("next", "next")], NEXT).map_err(|e| format!("next: {e}"))?;
        complaints(&open(media).map_err(|e| e.to_string())?, false).map_or(Ok(()), Err)
    }

    /// Cuts it at every step; answers what is wrong, and with how many states it was tried.
    fn cut(&self, limit: usize, arm: &dyn Fn(&MemoryMedia), enough: bool) -> (usize, Vec<String>) {
        let (mut states, mut wrong) = (0, Vec::new());
        for (step, operation) in self.trace.iter().enumerate().rev() {
            let media = self.before();
            arm(&media);
            media.crash_at(step);
            drop(self.run(&media));
            for state in media.after_crash(limit).into_iter().chain([media.after_kill()]) {
                states += 1;
                if let Err(why) = self.judge(&state) {
                    wrong.push(format!("cut at step {step} ({operation}): {why}"));
                    if enough {
                        return (states, wrong);
                    }
                }
            }
        }
        (states, wrong)
    }

    /// The power goes at every step.
    pub(super) fn survives_the_power(&self, limit: usize) {
        let (states, wrong) = self.cut(limit, &|_| (), false);
        println!("{states} states");
        assert!(wrong.is_empty(), "{} of {states}: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        assert!(states > 60);
    }

    /// It would be missed if files went before what replaces them was durable: to the disk, a removal before the record's
    /// last sync is the same as one that the sync did not come before.
    pub(super) fn needs_its_syncs(&self) {
        let lies: [(&str, fn(&str, SyncKind) -> bool); 3] = [
            ("the record's name", |path, kind| path.starts_with("log/0") && kind == SyncKind::Dir),
            ("packs/", |path, kind| path == "packs" && kind == SyncKind::Dir),
            ("any file", |_, kind| kind == SyncKind::File),
        ];
        for (what, lie) in lies {
            let (_, wrong) = self.cut(12, &|media| media.skip_syncs(lie), true);
            println!(
                "without the sync of {what}: {}",
                wrong.first().map_or("NOTHING NOTICED", String::as_str)
            );
            assert!(!wrong.is_empty(), "nobody notices that {what} is not synced");
        }
    }

    /// Every step fails once.
    pub(super) fn survives_a_fault(&self, limit: usize) {
        for (step, operation) in self.trace.iter().enumerate() {
            let media = self.before();
            media.fail_at(step, io::ErrorKind::Other);
            let done = self.run(&media);
            let at = format!("step {step} fails ({operation})");
            // A file that cannot be removed is noted; tidying is not.
            let tidy = operation.starts_with("remove ");
            assert!(
                done.is_err() || tidy || operation.contains("checkpoint"),
                "{at}: it says that all is well"
            );
            for state in media.after_crash(limit).into_iter().chain([media.after_kill()]) {
                self.judge(&state).unwrap_or_else(|why| panic!("{at}: {why}"));
            }
        }
    }

    /// The disk is full after so many bytes, from none to all it needs. `check` is given what it leaves and reports.
    pub(super) fn survives_a_full_disk(
        &self,
        rooms: &[usize],
        parts: usize,
        mut check: impl FnMut(usize, &MemoryMedia, &R),
    ) {
        let writes = self.trace.iter().filter(|step| step.starts_with("write "));
        let written: usize =
            writes.map(|step| step.rsplit_once('+').unwrap().1.parse::<usize>().unwrap()).sum();
        let shares = (1..=parts).map(|n| n * written / parts);
        for room in rooms.iter().copied().chain(shares) {
            let media = self.before();
            media.full_after(room);
            let report = self.run(&media).unwrap_or_else(|error| panic!("room for {room}: {error}"));
            check(room, &media, &report);
            self.looks_as_before(&media).unwrap_or_else(|why| panic!("room for {room}: {why}"));
            assert_eq!(complaints(&open(&media).unwrap(), true), None, "room for {room}");
            media.full_after(usize::MAX);
            self.judge(&media).unwrap_or_else(|why| panic!("room for {room}, then more: {why}"));
        }
    }
}
