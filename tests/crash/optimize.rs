//! The accident: storing content again is interrupted, meets a full disk, a writer, a reader or a collection, and what
//! was there before is gone or what is there now is not it.
//!
//! A vault with two large files to be recoded. The run is cut at every step, each step fails once, the disk is full at
//! every size, and others do their work before each of its steps and it before each of theirs. What can be seen must be the same, byte for byte, and the next run must finish.

use std::sync::OnceLock;

use hubvault::ops::Compression;
use hubvault::ops::OpsError;
use hubvault::ops::gc::GcOptions;
use hubvault::ops::optimize::{OptimizeOptions, OptimizeReport};
use hubvault::store::StoreError;
use hubvault::store::media::memory::MemoryMedia;

use super::hooked::{Hooked, on};
use super::upkeep::{Upkeep, bytes};
use super::{FIRST, actor, add, commit, complaints, look, noise, open, workloads};

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

fn upkeep() -> &'static Upkeep<OptimizeReport> {
    static MADE: OnceLock<Upkeep<OptimizeReport>> = OnceLock::new();
    MADE.get_or_init(|| Upkeep::new(&raw(), run, 20_000, false))
}

#[test]
fn it_does_what_this_is_there_for() {
    let media = raw();
    let before = bytes(&media);
    let report = run(&media, FIRST).unwrap();
    assert_eq!(report.reclaimed_size, before - bytes(&media), "{report:?}");
    assert_eq!((report.transactions.len(), report.optimized_pack_count), (2, 2), "{report:?}");
    let Upkeep { trace, .. } = upkeep();
    let count = |what, end| upkeep().count(what, end);
    assert_eq!((count("publish ", ".pack"), count("publish ", ".record")), (1, 2), "{trace:#?}");
    assert_eq!(count("remove ", ".pack"), 2, "{trace:#?}");
    upkeep().judge(&media).unwrap();
}

#[test]
fn the_power_goes_at_every_step() {
    upkeep().survives_the_power(3);
}

#[test]
fn it_would_be_missed_if_files_went_before_what_replaces_them_was_durable() {
    upkeep().needs_its_syncs();
}

#[test]
fn every_step_fails_once() {
    upkeep().survives_a_fault(2);
}

#[test]
fn a_full_disk_is_said_and_what_was_there_stays() {
    let (mut at_once, mut in_steps, mut nothing) = (0, 0, 0);
    upkeep().survives_a_full_disk(&[0, 1, 600, 2000], 16, |room, _, report| {
        match (report.optimized_pack_count, report.transactions.len()) {
            (0, _) => nothing += 1,
            (_, 2) => at_once += 1,
            _ => in_steps += 1,
        }
        assert_eq!(report.optimized_pack_count < 2, !report.notes.is_empty(), "room for {room}: {report:?}");
    });
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
        upkeep().judge(&inner).unwrap_or_else(|why| panic!("step {step}: {why}"));
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
