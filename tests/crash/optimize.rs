//! The accident: storing content again is interrupted, meets a full disk, a writer, a reader or a collection, and what
//! was there before is gone or what is there now is not it.
//!
//! A vault with two large files to be recoded. The run is cut at every step, each step fails once, the disk is full at every size, and others do their work before each of its
//! steps and it before each of theirs. What can be seen must be the same, byte for byte, and the next run must finish.

use std::io;
use std::sync::OnceLock;

use hubvault::ops::Compression;
use hubvault::ops::OpsError;
use hubvault::ops::gc::GcOptions;
use hubvault::ops::optimize::{OptimizeOptions, OptimizeReport};
use hubvault::store::StoreError;
use hubvault::store::media::memory::{MemoryMedia, SyncKind};

use super::collect::{bytes, without_log};
use super::hooked::{Hooked, on};
use super::{AGAIN, FIRST, NEXT, World, actor, add, commit, complaints, look, noise, open, workloads};

/// Bytes that are worth compressing, and still take something when they are.
fn weights(seed: u64, len: usize) -> Vec<u8> {
    noise(seed, len).iter().map(|byte| byte % 4).collect()
}

/// Quick to encode: what is tried here is not how well.
fn how() -> OptimizeOptions {
    OptimizeOptions { compression: Compression::Auto, ..OptimizeOptions::default() }
}

/// Just enough for a pack of its own.
const LEN: usize = 530 << 10;

fn raw() -> MemoryMedia {
    static MADE: OnceLock<MemoryMedia> = OnceLock::new();
    MADE.get_or_init(|| {
        let media = workloads::vault_before(3);
        let repository = open(&media).unwrap();
        repository.set_compression(Compression::None, &actor(99)).unwrap();
        commit(&repository, "first", &[add("w", weights(1, LEN)), add("s", vec![7])], 100).unwrap();
        repository.create_tag("first", None, None, false, &actor(101)).unwrap();
        commit(&repository, "second", &[add("w", weights(2, LEN))], 102).unwrap();
        media.settled()
    })
    .settled()
}

fn run(media: &MemoryMedia, n: u64) -> Result<OptimizeReport, OpsError> {
    open(media)?.optimize(&how(), &actor(n), &mut |_| ())
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| look(&raw()).unwrap().unwrap())
}

/// What a run that was not interrupted leaves, without the log.
fn least() -> i64 {
    static LEAST: OnceLock<i64> = OnceLock::new();
    *LEAST.get_or_init(|| {
        let media = raw();
        run(&media, FIRST).unwrap();
        without_log(&media)
    })
}

/// What is wrong with a vault that was left in the middle of it: all must be as before, and the next run finish.
fn judge(media: &MemoryMedia) -> Result<(), String> {
    let found = look(media).map_err(|error| format!("opening and reading: {error}"))?;
    if found.as_ref() != Some(world()) {
        return Err("it is not what it was".into());
    }
    let repository = open(media).map_err(|error| error.to_string())?;
    complaints(&repository, true).map_or(Ok(()), Err)?;
    run(media, AGAIN).map_err(|error| format!("once more: {error}"))?;
    if look(media).map_err(|error| format!("once more, then: {error}"))?.as_ref() != Some(world()) {
        return Err("once more, and it is not what it was".into());
    }
    // How many indexes there are in the end depends on the way there.
    if (without_log(media) - least()).abs() > 20_000 {
        return Err(format!("{} bytes are left, not {}", without_log(media), least()));
    }
    let repository = open(media).map_err(|error| error.to_string())?;
    let report = repository.verify(false, &mut |_| ()).map_err(|error| error.to_string())?;
    if !report.ok {
        return Err(format!("after running again: {report:?}"));
    }
    commit(&repository, "next", &[add("next", b"next".to_vec())], NEXT).map_err(|e| format!("next: {e}"))?;
    complaints(&open(media).map_err(|e| e.to_string())?, false).map_or(Ok(()), Err)
}

fn trace() -> &'static [String] {
    static TRACE: OnceLock<Vec<String>> = OnceLock::new();
    TRACE.get_or_init(|| {
        let media = raw();
        run(&media, FIRST).unwrap();
        media.operations()
    })
}

#[test]
fn it_does_what_this_is_there_for() {
    let media = raw();
    let before = bytes(&media);
    let report = run(&media, FIRST).unwrap();
    assert_eq!(report.reclaimed_size, before - bytes(&media), "{report:?}");
    assert_eq!((report.transactions.len(), report.optimized_pack_count), (2, 2), "{report:?}");
    let count = |what: &str, end: &str| {
        trace().iter().filter(|step| step.starts_with(what) && step.ends_with(end)).count()
    };
    assert_eq!((count("publish ", ".pack"), count("publish ", ".record")), (1, 2), "{:#?}", trace());
    assert_eq!(count("remove ", ".pack"), 2, "{:#?}", trace());
    judge(&media).unwrap();
}

fn cut(limit: usize, arm: &dyn Fn(&MemoryMedia), enough: bool) -> (usize, Vec<String>) {
    let (mut states, mut wrong) = (0, Vec::new());
    for (step, operation) in trace().iter().enumerate().rev() {
        let media = raw();
        arm(&media);
        media.crash_at(step);
        drop(run(&media, FIRST));
        for state in media.after_crash(limit).into_iter().chain([media.after_kill()]) {
            states += 1;
            if let Err(why) = judge(&state) {
                wrong.push(format!("cut at step {step} ({operation}): {why}"));
                if enough {
                    return (states, wrong);
                }
            }
        }
    }
    (states, wrong)
}

#[test]
fn the_power_goes_at_every_step() {
    let (states, wrong) = cut(3, &|_| (), false);
    println!("{states} states");
    assert!(wrong.is_empty(), "{} of {states}: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    assert!(states > 60);
}

#[test]
fn it_would_be_missed_if_files_went_before_what_replaces_them_was_durable() {
    let lies: [(&str, fn(&str, SyncKind) -> bool); 3] = [
        ("the record's name", |path, kind| path.starts_with("log/0") && kind == SyncKind::Dir),
        ("packs/", |path, kind| path == "packs" && kind == SyncKind::Dir),
        ("any file", |_, kind| kind == SyncKind::File),
    ];
    for (what, lie) in lies {
        let (_, wrong) = cut(12, &|media| media.skip_syncs(lie), true);
        println!("without the sync of {what}: {}", wrong.first().map_or("NOTHING NOTICED", String::as_str));
        assert!(!wrong.is_empty(), "nobody notices that {what} is not synced");
    }
}

#[test]
fn every_step_fails_once() {
    for (step, operation) in trace().iter().enumerate() {
        let media = raw();
        media.fail_at(step, io::ErrorKind::Other);
        let done = run(&media, FIRST);
        let at = format!("step {step} fails ({operation})");
        // A file that cannot be removed is noted; tidying is not.
        let tidy = operation.starts_with("remove ");
        assert!(done.is_err() || tidy || operation.contains("checkpoint"), "{at}: it says that all is well");
        for state in media.after_crash(2).into_iter().chain([media.after_kill()]) {
            judge(&state).unwrap_or_else(|why| panic!("{at}: {why}"));
        }
    }
}

#[test]
fn a_full_disk_is_said_and_what_was_there_stays() {
    let (mut at_once, mut in_steps, mut nothing) = (0, 0, 0);
    let written: usize = {
        let writes = trace().iter().filter(|step| step.starts_with("write "));
        writes.map(|step| step.rsplit_once('+').unwrap().1.parse::<usize>().unwrap()).sum()
    };
    for room in [0, 1, 600, 2000].into_iter().chain((1..16).map(|n| n * written / 16)).chain([written]) {
        let media = raw();
        media.full_after(room);
        let report = run(&media, FIRST).unwrap_or_else(|error| panic!("room for {room}: {error}"));
        match (report.optimized_pack_count, report.transactions.len()) {
            (0, _) => nothing += 1,
            (_, 2) => at_once += 1,
            _ => in_steps += 1,
        }
        assert_eq!(report.optimized_pack_count < 2, !report.notes.is_empty(), "room for {room}: {report:?}");
        assert!(look(&media).unwrap().as_ref() == Some(world()), "room for {room}");
        assert_eq!(complaints(&open(&media).unwrap(), true), None, "room for {room}");
        media.full_after(usize::MAX);
        judge(&media).unwrap_or_else(|why| panic!("room for {room}, then more: {why}"));
    }
    println!("{at_once} times at once, {in_steps} times file by file, {nothing} times no room for one");
    assert!(at_once > 0 && in_steps > 0 && nothing > 0);
}

/// Commits what is in the vault already, and an edit of it.
fn reuse(media: &MemoryMedia, n: u64) {
    let mut edited = weights(1, LEN);
    edited.extend_from_slice(&noise(7, 3000));
    let operations = [add("again", weights(1, LEN)), add("longer", edited)];
    commit(&open(media).unwrap(), "reuse", &operations, n).unwrap();
}

fn check_reused(media: &MemoryMedia, at: &str) {
    let found = look(media).unwrap_or_else(|error| panic!("{at}: {error}")).unwrap();
    let head = &found.refs["refs/heads/main"];
    let content = |path: &str| &found.files[&(head.clone(), path.to_owned())];
    assert!(*content("/again") == weights(1, LEN), "{at}");
    assert!(content("/longer")[..LEN] == weights(1, LEN), "{at}");
    assert_eq!(complaints(&open(media).unwrap(), true), None, "{at}");
}

#[test]
fn what_is_committed_meanwhile_never_lies_in_what_goes() {
    for freed in [false, true] {
        for step in (0..).step_by(3) {
            let inner = raw();
            let other = inner.clone();
            let media = Hooked::new(&inner, false, step, move || reuse(&other, 903));
            let done =
                on(&media).and_then(|repository| repository.optimize(&how(), &actor(904), &mut |_| ()));
            if media.is_over() {
                break;
            }
            let at = format!("a commit before step {step}");
            done.unwrap_or_else(|error| panic!("{at}: {error}"));
            check_reused(&inner, &at);
            if freed {
                open(&inner).unwrap().gc(&GcOptions::now(), &actor(905), &mut |_| ()).unwrap();
            } else {
                run(&inner, 906).unwrap();
            }
            check_reused(&inner, &at);
        }
    }
}

#[test]
fn others_who_store_or_free_meanwhile_do_no_harm() {
    let (mut done, mut refused) = (0, 0);
    for step in (0..).step_by(2) {
        let inner = raw();
        let other = inner.clone();
        let media = Hooked::new(&inner, false, step, move || drop(run(&other, 910).unwrap()));
        let outcome = on(&media).and_then(|repository| repository.optimize(&how(), &actor(911), &mut |_| ()));
        if media.is_over() {
            break;
        }
        match outcome {
            Ok(_) => done += 1,
            // Or its temporary files were taken for a dead writer's, or its packs are gone.
            Err(OpsError::Store(_)) => refused += 1,
            Err(error) => panic!("step {step}: {error}"),
        }
        judge(&inner).unwrap_or_else(|why| panic!("step {step}: {why}"));
    }
    println!("{done} times done, {refused} times refused");
    assert!(done > 5, "{done} {refused}");
}

#[test]
fn a_commit_that_began_before_is_not_built_on_what_is_gone() {
    let (mut made, mut refused) = (0, 0);
    for step in 0.. {
        let inner = raw();
        let other = inner.clone();
        let media = Hooked::new(&inner, false, step, move || drop(run(&other, 920).unwrap()));
        let operations = [add("again", weights(1, LEN)), add("s", vec![7])];
        let outcome = on(&media).and_then(|repository| commit(&repository, "again", &operations, 921));
        if media.is_over() {
            break;
        }
        match outcome {
            Ok(()) => made += 1,
            Err(OpsError::Store(
                StoreError::Collected(_) | StoreError::Io { .. } | StoreError::Unconfirmed { .. },
            )) => refused += 1,
            Err(error) => panic!("step {step}: {error}"),
        }
        look(&inner).unwrap_or_else(|error| panic!("step {step}: {error}"));
        assert_eq!(complaints(&open(&inner).unwrap(), true), None, "step {step}");
    }
    println!("{made} times made, {refused} times refused");
    assert!(made > 3 && refused > 3, "{made} {refused}");
}

/// A file that has grown, and whose new part was lost: its pack is gone.
fn half_lost() -> (MemoryMedia, Vec<u8>) {
    let mut grown = weights(1, 1200 << 10);
    grown.extend_from_slice(&noise(7, 200 << 10));
    let media = workloads::vault_before(3);
    let repository = open(&media).unwrap();
    commit(&repository, "first", &[add("w", weights(1, 1200 << 10))], 100).unwrap();
    let packs = |media: &MemoryMedia| -> Vec<String> {
        media.files().into_keys().filter(|path| path.ends_with(".pack")).collect()
    };
    let before = packs(&media);
    commit(&repository, "grown", &[add("grown", grown.clone())], 101).unwrap();
    commit(&repository, "later", &[add("s", vec![7])], 102).unwrap();
    let new: Vec<String> = packs(&media).into_iter().filter(|path| !before.contains(path)).collect();
    assert_eq!((before.len(), new.len()), (1, 1), "{before:?} {new:?}");
    let snapshot = repository.snapshot(None).unwrap();
    assert_eq!(snapshot.open_path("grown").unwrap().extents(), 2, "the old part is shared");
    media.remove_file(&new[0]).unwrap();
    assert!(look(&media).is_err());
    (media.settled(), grown)
}

#[test]
fn what_was_lost_and_is_stored_again_meanwhile_stays() {
    let (lost, grown) = half_lost();
    let how = OptimizeOptions { compression: Compression::None, ..OptimizeOptions::default() };
    let mut healed = 0;
    for step in 0.. {
        let (inner, content) = (lost.settled(), grown.clone());
        let other = inner.clone();
        let media = Hooked::new(&inner, false, step, move || {
            commit(&open(&other).unwrap(), "again", &[add("grown", content), add("t", vec![8])], 930)
                .unwrap();
        });
        let done = on(&media).and_then(|repository| repository.optimize(&how, &actor(931), &mut |_| ()));
        if media.is_over() {
            break;
        }
        done.unwrap_or_else(|error| panic!("step {step}: {error}"));
        let found = look(&inner).unwrap_or_else(|error| panic!("step {step}: {error}")).unwrap();
        let head = found.refs["refs/heads/main"].clone();
        assert!(found.files[&(head, "/grown".to_owned())] == grown, "step {step}");
        healed += 1;
    }
    assert!(healed > 10, "{healed}");
}
