//! The accident: two writers at once, and a commit that was reported as made is not in the history.
//!
//! Threads race on one medium; and, where locks do nothing (some network file systems), one writer's whole
//! commit is put before every single step of another's. Nothing reported as done may be missing, nothing may be
//! there that was reported as failed, and all of it survives the power.

use std::collections::BTreeSet;
use std::sync::Mutex;

use hubvault::Repository;
use hubvault::ops::{CommitOptions, OpsError};
use hubvault::store::media::memory::MemoryMedia;

use super::hooked::{Hooked, on};
use super::{actor, add, commit, complaints, look, noise, open, workloads};

/// Commits the file `name`, on top of the head seen now when `pinned`.
fn write(repository: &Repository, name: &str, n: u64, pinned: bool) -> Result<(), OpsError> {
    let parent = pinned.then(|| repository.rev_parse("HEAD").map(|id| id.to_string())).transpose()?;
    let options =
        CommitOptions { message: name.to_owned(), parent_commit: parent, ..CommitOptions::default() };
    let bytes = noise(n, if n.is_multiple_of(7) { 530 << 10 } else { 100 });
    repository.create_commit(&[add(name, bytes)], &options, &actor(n), &mut |_| ()).map(drop)
}

fn names(media: &MemoryMedia) -> BTreeSet<String> {
    look(media).unwrap().unwrap().files.into_keys().map(|(_, path)| path[1..].to_owned()).collect()
}

#[test]
fn racing_threads_lose_nothing() {
    const EACH: u64 = 24;
    let media = workloads::vault_before(10).settled();
    let before = names(&media);
    let commits = |media: &MemoryMedia| open(media).unwrap().history(None).unwrap().count();
    let already = commits(&media);
    let shared = open(&media).unwrap();
    let conflicts = Mutex::new(0);
    let (media_ref, shared_ref, conflicts_ref) = (&media, &shared, &conflicts);
    std::thread::scope(|scope| {
        for writer in 0..4_u64 {
            scope.spawn(move || {
                let own = open(media_ref).unwrap();
                // Two threads share one handle, two have their own.
                let repository = if writer < 2 { shared_ref } else { &own };
                for n in 0..EACH {
                    let number = 1000 + writer * EACH + n;
                    for attempt in 0.. {
                        match write(
                            repository,
                            &format!("w{writer}-{n}"),
                            number + (attempt << 20),
                            n % 3 == 0,
                        ) {
                            Ok(()) => break,
                            Err(OpsError::Conflict { .. }) => *conflicts_ref.lock().unwrap() += 1,
                            Err(error) => panic!("{error}"),
                        }
                        // Taking the newest state in is what a caller does after a conflict.
                        repository.vault().refresh().unwrap();
                    }
                }
            });
        }
    });
    let expected: BTreeSet<String> =
        before.into_iter().chain((0..4).flat_map(|w| (0..EACH).map(move |n| format!("w{w}-{n}")))).collect();
    assert_eq!(names(&media), expected);
    let total = commits(&media);
    assert_eq!(total, already + 4 * usize::try_from(EACH).unwrap(), "each is one commit");
    assert_eq!(complaints(&open(&media).unwrap(), true), None);
    for state in media.after_crash(4) {
        assert_eq!(names(&state), expected);
        assert_eq!(commits(&state), total);
    }
    println!("{} commits by 4 writers, {} conflicts of pinned parents", 4 * EACH, conflicts.lock().unwrap());
}

/// Puts another writer's whole transaction before every step of one's, reads included, and judges the end.
fn interleave(
    before: &MemoryMedia,
    other: fn(&MemoryMedia),
    one: fn(&Repository) -> Result<(), OpsError>,
) -> [u32; 2] {
    let (mut done, mut refused) = (0, 0);
    for step in 0.. {
        let inner = before.settled();
        let others = inner.clone();
        let media = Hooked::new(&inner, false, step, move || other(&others));
        let outcome = on(&media).and_then(|repository| one(&repository));
        if media.is_over() {
            outcome.unwrap();
            return [done, refused];
        }
        let found = names(&inner);
        assert!(found.contains("other"), "before step {step}: the other's commit is lost");
        assert_eq!(found.contains("one"), outcome.is_ok(), "before step {step}: {outcome:?}");
        match outcome {
            Ok(()) => done += 1,
            Err(OpsError::Conflict { .. }) => refused += 1,
            Err(error) => panic!("before step {step}: {error}"),
        }
        assert_eq!(complaints(&open(&inner).unwrap(), true), None, "before step {step}");
        for state in inner.after_crash(2) {
            assert_eq!(names(&state), found, "before step {step}, and the power goes");
            assert_eq!(complaints(&open(&state).unwrap(), true), None, "before step {step}");
        }
    }
    unreachable!()
}

fn other(media: &MemoryMedia) {
    commit(&open(media).unwrap(), "other", &[add("other", b"other".to_vec())], 77).unwrap();
}

#[test]
fn without_locks_the_number_decides_and_both_commits_stay() {
    let before = workloads::vault_before(6);
    let [done, refused] = interleave(&before, other, |repository| write(repository, "one", 7, false));
    assert!(done > 20 && refused == 0, "{done} {refused}");
    let [pinned, conflicts] = interleave(&before, other, |repository| write(repository, "one", 8, true));
    assert!(pinned > 5 && conflicts > 5, "{pinned} {conflicts}");
    println!("{done} interleavings, and {} with a pinned parent, {conflicts} refused", pinned + conflicts);
}

#[test]
fn without_locks_two_that_create_one_ref_do_not_both_win() {
    let before = workloads::vault_before(6);
    let tag = |media: &MemoryMedia| {
        // Refused, when it comes after the one's last word.
        drop(open(media).unwrap().create_tag("v1", Some("other's"), None, false, &actor(77)));
    };
    let (mut won, mut refused) = (0, 0);
    for step in 0.. {
        let inner = before.settled();
        let others = inner.clone();
        let media = Hooked::new(&inner, false, step, move || tag(&others));
        let outcome = on(&media)
            .and_then(|repository| repository.create_tag("v1", Some("one's"), None, false, &actor(78)));
        if media.is_over() {
            assert!(won > 0 && refused > 5, "{won} {refused}");
            return;
        }
        let world = look(&inner).unwrap().unwrap();
        let found = world.refs["refs/tags/v1"].as_str();
        match outcome {
            Ok(id) => {
                assert_eq!(found, id.to_string(), "before step {step}: it said it was done");
                won += 1;
            }
            Err(OpsError::RefExists { at, .. }) => {
                assert_eq!(found, at.to_string(), "before step {step}");
                refused += 1;
            }
            Err(error) => panic!("before step {step}: {error}"),
        }
        assert_eq!(complaints(&open(&inner).unwrap(), true), None, "before step {step}");
    }
}
