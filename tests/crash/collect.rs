//! The accident: garbage collection is interrupted, meets a writer or a reader, or a full disk, and takes away
//! something that is still needed.
//!
//! One vault with everything to be collected in it: a dead pack, a pack that is mostly dead, dead history, retired
//! indexes, a killed writer's pack. The collection is cut at every step, each step fails once, the disk is full at
//! every size; and whole commits, openings and reads of others are put before each of its steps, and it before
//! each of theirs. What refs lead to must be the same, byte for byte, and the next collection must finish the job.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, OnceLock};

use hubvault::ops::gc::{GcOptions, GcReport};
use hubvault::ops::merge::{Favor, MergeOptions};
use hubvault::ops::replay::ReplayOptions;
use hubvault::ops::squash::SquashOptions;
use hubvault::ops::{CommitOperation, CommitOptions, OpsError, RepoPath};
use hubvault::store::StoreError;
use hubvault::store::media::Media as _;
use hubvault::store::media::memory::{MemoryMedia, SyncKind};
use hubvault::{Repository, Snapshot};

use super::hooked::{Hooked, on};
use super::{AGAIN, FIRST, NEXT, World, actor, add, commit, complaints, look, noise, open, workloads};

/// A vault with all kinds of garbage, and one more commit that nothing leads to.
fn littered() -> MemoryMedia {
    static MADE: OnceLock<MemoryMedia> = OnceLock::new();
    MADE.get_or_init(|| {
        let media = workloads::vault_before(3);
        let repository = open(&media).unwrap();
        let small: Vec<_> = (0..12).map(|n| add(&format!("s/{n}"), noise(n, 100 << 10))).collect();
        commit(&repository, "small", &small, 100).unwrap();
        commit(&repository, "dead", &[add("dead", noise(50, 530 << 10)), add("tiny", vec![9])], 101).unwrap();
        let delete = |path: String| CommitOperation::Delete { path_in_repo: RepoPath::new(&path).unwrap() };
        let mut operations: Vec<_> = (0..9).map(|n| delete(format!("s/{n}"))).collect();
        operations.extend([delete("dead".to_owned()), add("live", noise(51, 530 << 10))]);
        commit(&repository, "deleted", &operations, 102).unwrap();
        let options = SquashOptions::default();
        repository.squash_history("main", &options, &actor(103), &mut |_| ()).unwrap();
        // What a killed writer left, by the names it had.
        let mut sink = media.create(&format!("packs/{}.pack", "ab".repeat(16))).unwrap();
        sink.write_all(&[1; 5000]).unwrap();
        sink.sync().unwrap();
        media.settled()
    })
    .settled()
}

fn gc(media: &MemoryMedia, n: u64) -> Result<GcReport, OpsError> {
    open(media)?.gc(&GcOptions::now(), &actor(n), &mut |_| ())
}

pub(super) fn bytes(media: &MemoryMedia) -> i64 {
    i64::try_from(media.files().values().map(Vec::len).sum::<usize>()).unwrap()
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| look(&littered()).unwrap().unwrap())
}

/// What a finished collection leaves: names and bytes, but for the log.
fn least() -> i64 {
    static LEAST: OnceLock<i64> = OnceLock::new();
    *LEAST.get_or_init(|| {
        let media = littered();
        gc(&media, FIRST).unwrap();
        without_log(&media)
    })
}

pub(super) fn without_log(media: &MemoryMedia) -> i64 {
    let files = media.files();
    let kept = files.iter().filter(|(path, _)| !path.starts_with("log/"));
    i64::try_from(kept.map(|(_, bytes)| bytes.len()).sum::<usize>()).unwrap()
}

/// What is wrong with a vault in the middle of a collection: what it shows must be as before, clean, and the next
/// collection must get rid of the rest.
fn judge(media: &MemoryMedia) -> Result<(), String> {
    let found = look(media).map_err(|error| format!("opening and reading: {error}"))?;
    if found.as_ref() != Some(world()) {
        return Err("it is not what it was".into());
    }
    let repository = open(media).map_err(|error| error.to_string())?;
    complaints(&repository, true).map_or(Ok(()), Err)?;
    gc(media, AGAIN).map_err(|error| format!("collecting again: {error}"))?;
    // How many indexes there are in the end depends on the way there.
    if (without_log(media) - least()).abs() > 2000 {
        return Err(format!("{} bytes are left, not {}", without_log(media), least()));
    }
    let repository = open(media).map_err(|error| error.to_string())?;
    let report = repository.verify(false, &mut |_| ()).map_err(|error| error.to_string())?;
    if !report.ok || !report.leftovers.is_empty() {
        return Err(format!("after collecting again: {report:?}"));
    }
    commit(&repository, "next", &[add("next", b"next".to_vec())], NEXT).map_err(|e| format!("next: {e}"))?;
    complaints(&open(media).map_err(|e| e.to_string())?, false).map_or(Ok(()), Err)
}

fn trace() -> Vec<String> {
    let media = littered();
    gc(&media, FIRST).unwrap();
    media.operations()
}

#[test]
fn it_frees_what_it_says_and_does_what_this_is_there_for() {
    let media = littered();
    let before = bytes(&media);
    let report = gc(&media, FIRST).unwrap();
    assert_eq!(report.reclaimed_size, before - bytes(&media), "{report:?}");
    assert_eq!((report.tolerated_size, report.transactions.len()), (0, 1), "{report:?}");
    let trace = media.operations();
    let count = |what: &str, end: &str| {
        trace.iter().filter(|step| step.starts_with(what) && step.ends_with(end)).count()
    };
    assert_eq!((count("publish ", ".idx"), count("publish ", ".record")), (1, 1), "{trace:#?}");
    // A dead one, a mostly dead one (the rest fits inline), a killed writer's.
    assert_eq!(count("remove ", ".pack"), 3, "{trace:#?}");
    assert!(count("remove ", ".idx") >= 3, "{trace:#?}");
    assert!(look(&media).unwrap().as_ref() == Some(world()));
    judge(&media).unwrap();
}

/// Cuts the collection at every step; answers what is wrong, and with how many states it was tried.
fn cut(limit: usize, arm: &dyn Fn(&MemoryMedia), enough: bool) -> (usize, Vec<String>) {
    let (mut states, mut wrong) = (0, Vec::new());
    for (step, operation) in trace().iter().enumerate().rev() {
        let media = littered();
        arm(&media);
        media.crash_at(step);
        drop(gc(&media, FIRST));
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
    let (states, wrong) = cut(5, &|_| (), false);
    println!("{states} states");
    assert!(wrong.is_empty(), "{} of {states}: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    assert!(states > 60);
}

#[test]
fn it_would_be_missed_if_files_went_before_the_record_was_durable() {
    // To the disk, a removal before the record's last sync is the same as one that the sync did not come before.
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
        let media = littered();
        media.fail_at(step, io::ErrorKind::Other);
        let done = gc(&media, FIRST);
        let at = format!("step {step} fails ({operation})");
        // A file that cannot be removed is noted; tidying is not.
        let tidy = operation.starts_with("remove ");
        assert!(done.is_err() || tidy || operation.contains("checkpoint"), "{at}: it says that all is well");
        for state in media.after_crash(3).into_iter().chain([media.after_kill()]) {
            judge(&state).unwrap_or_else(|why| panic!("{at}: {why}"));
        }
    }
}

#[test]
fn a_full_disk_does_not_keep_it_from_freeing_whole_packs() {
    let (mut in_two, mut nothing, mut at_once) = (0, 0, 0);
    let written: usize = {
        let writes = trace().into_iter().filter(|step| step.starts_with("write "));
        writes.map(|step| step.rsplit_once('+').unwrap().1.parse::<usize>().unwrap()).sum()
    };
    let budgets = [0, 1, 300, 600, 900, 1200, 2000, 10_000].into_iter();
    for room in budgets.chain((1..12).map(|n| n * written / 12)).chain([written]) {
        let media = littered();
        media.full_after(room);
        let before = bytes(&media);
        let report = gc(&media, FIRST).unwrap_or_else(|error| panic!("room for {room}: {error}"));
        assert_eq!(report.reclaimed_size, before - bytes(&media), "room for {room}: {report:?}");
        match report.transactions.len() {
            0 => nothing += 1,
            1 if report.notes.is_empty() => at_once += 1,
            _ => in_two += 1,
        }
        assert!(
            report.notes.is_empty() == ((without_log(&media) - least()).abs() < 2000),
            "room for {room}: {report:?}"
        );
        assert!(look(&media).unwrap().as_ref() == Some(world()), "room for {room}");
        assert_eq!(complaints(&open(&media).unwrap(), true), None, "room for {room}");
        media.full_after(usize::MAX);
        judge(&media).unwrap_or_else(|why| panic!("room for {room}, then more: {why}"));
    }
    println!(
        "{at_once} times at once, {in_two} times whole packs first, {nothing} times no room for a record"
    );
    assert!(at_once > 0 && in_two > 5 && nothing > 0);
}

/// Commits what is in the vault and dead: it would be taken for known.
fn revive(repository: &Repository, n: u64) -> Result<(), OpsError> {
    let operations =
        [add("back", noise(50, 530 << 10)), add("s/0", noise(0, 100 << 10)), add("tiny", vec![9])];
    let options = CommitOptions { message: "revive".to_owned(), ..CommitOptions::default() };
    repository.create_commit(&operations, &options, &actor(n), &mut |_| ()).map(drop)
}

fn check_revived(media: &MemoryMedia, revived: bool, at: &str) {
    let found = look(media).unwrap_or_else(|error| panic!("{at}: {error}")).unwrap();
    let head = &found.refs["refs/heads/main"];
    let content = |path: &str| found.files.get(&(head.clone(), path.to_owned()));
    assert_eq!(content("/back").is_some_and(|bytes| *bytes == noise(50, 530 << 10)), revived, "{at}");
    assert_eq!(content("/s/0").is_some_and(|bytes| *bytes == noise(0, 100 << 10)), revived, "{at}");
    assert_eq!(complaints(&open(media).unwrap(), true), None, "{at}");
}

#[test]
fn without_locks_a_commit_never_relies_on_what_is_collected_meanwhile() {
    let (mut done, mut refused) = (0, 0);
    for step in 0.. {
        let inner = littered();
        let collected = inner.clone();
        let media = Hooked::new(&inner, false, step, move || drop(gc(&collected, 900).unwrap()));
        let outcome = on(&media).and_then(|repository| revive(&repository, 901));
        if media.is_over() {
            break;
        }
        let at = format!("collected before step {step} of a commit");
        match outcome {
            Ok(()) => done += 1,
            // Or its temporary files were taken for a dead writer's.
            Err(OpsError::Store(
                StoreError::Collected(_) | StoreError::Io { .. } | StoreError::Unconfirmed { .. },
            )) => refused += 1,
            Err(ref error) => panic!("{at}: {error}"),
        }
        check_revived(&inner, outcome.is_ok(), &at);
        gc(&inner, 902).unwrap();
        check_revived(&inner, outcome.is_ok(), &at);
    }
    println!("{done} times made, {refused} times refused");
    assert!(done > 5 && refused > 5, "{done} {refused}");
}

/// Puts a ref on, or makes a commit of, something that only its id leads to.
type Rescue = fn(&Repository, &str) -> Result<(), OpsError>;

#[test]
fn a_ref_never_goes_to_what_is_collected_meanwhile() {
    let rescues: [(&str, Rescue); 4] = [
        ("branch", |repository, id| repository.create_branch("back", Some(id), false, &actor(920)).map(drop)),
        ("tag", |repository, id| {
            repository.create_tag("back", Some("kept"), Some(id), false, &actor(921)).map(drop)
        }),
        ("merge", |repository, id| {
            let options =
                MergeOptions { allow_unrelated: true, favor: Some(Favor::Theirs), ..MergeOptions::default() };
            repository.merge(id, &options, &actor(922)).map(drop)
        }),
        ("cherry-pick", |repository, id| {
            let options = ReplayOptions { favor: Some(Favor::Theirs), ..ReplayOptions::default() };
            repository.cherry_pick(id, &options, &actor(923)).map(drop)
        }),
    ];
    let dead = dead_commit(&littered());
    for (what, rescue) in rescues {
        let (mut done, mut refused) = (0, 0);
        for step in 0.. {
            let inner = littered();
            let collected = inner.clone();
            // Opened before: what counts is what it looks at afterwards.
            let media = Hooked::new(&inner, false, usize::MAX, || ());
            let repository = on(&media).unwrap();
            media.set(step, move || drop(gc(&collected, 924).unwrap()));
            let outcome = rescue(&repository, &dead);
            if media.is_over() {
                break;
            }
            let at = format!("collected before step {step} of a {what}");
            if outcome.is_ok() {
                done += 1;
            } else {
                refused += 1;
            }
            look(&inner).unwrap_or_else(|error| panic!("{at} ({outcome:?}): {error}"));
            assert_eq!(complaints(&open(&inner).unwrap(), true), None, "{at}");
            gc(&inner, 925).unwrap_or_else(|error| panic!("{at} ({outcome:?}), then again: {error}"));
        }
        println!("{what}: {done} times made, {refused} times refused");
        assert!(done > 0 && refused > 3, "{what}: {done} {refused}");
    }
}

#[test]
fn without_locks_a_collection_never_takes_what_is_committed_meanwhile() {
    let mut tried = 0;
    for step in 0.. {
        let inner = littered();
        let other = inner.clone();
        let media = Hooked::new(&inner, false, step, move || revive(&open(&other).unwrap(), 903).unwrap());
        let outcome =
            on(&media).and_then(|repository| repository.gc(&GcOptions::now(), &actor(904), &mut |_| ()));
        if media.is_over() {
            break;
        }
        let at = format!("a commit before step {step} of a collection");
        outcome.unwrap_or_else(|error| panic!("{at}: {error}"));
        tried += 1;
        check_revived(&inner, true, &at);
        gc(&inner, 905).unwrap();
        check_revived(&inner, true, &at);
    }
    assert!(tried > 80, "{tried}");
}

#[test]
fn whoever_opens_the_vault_meanwhile_sees_it_whole() {
    let mut tried = 0;
    for step in 0.. {
        let inner = littered();
        let collected = inner.clone();
        let media = Hooked::new(&inner, true, step, move || drop(gc(&collected, 906).unwrap()));
        let repository = on(&media).unwrap();
        if media.is_over() {
            break;
        }
        tried += 1;
        let view = repository.vault().view();
        assert_eq!((view.catalog.broken(), &view.warnings[..]), (&[][..], &[][..]), "before step {step}");
        assert_eq!(complaints(&repository, true), None, "before step {step}");
    }
    assert!(tried > 20, "{tried}");
}

fn read_all(snapshot: &Snapshot) -> Result<usize, hubvault::SnapshotError> {
    let mut files = std::collections::BTreeMap::new();
    super::read_all(snapshot, "", &mut files)?;
    Ok(files.len())
}

#[test]
fn what_is_being_read_stays_where_its_reader_looks_for_it() {
    let media = littered();
    let dead = dead_commit(&media);
    let (mut read, mut late) = (0, 0);
    for step in 0.. {
        let inner = littered();
        let reader = open(&inner).unwrap();
        let found = Arc::new(Mutex::new(None));
        let (leased, name) = (Arc::clone(&found), dead.clone());
        let media = Hooked::new(&inner, true, step, move || {
            *leased.lock().unwrap() = Some(reader.leased_snapshot(Some(&name), &actor(907), "test", 1));
        });
        on(&media).unwrap().gc(&GcOptions::now(), &actor(908), &mut |_| ()).unwrap();
        if media.is_over() {
            break;
        }
        let at = format!("a reader comes before step {step}");
        match found.lock().unwrap().take().unwrap() {
            // It came when the commit was gone already.
            Err(OpsError::Snapshot(_) | OpsError::Store(_)) => late += 1,
            Err(error) => panic!("{at}: {error}"),
            Ok((snapshot, lease)) => {
                read += 1;
                assert_eq!(read_all(&snapshot).unwrap_or_else(|error| panic!("{at}: {error}")), 15);
                gc(&inner, 909).unwrap();
                gc(&inner, 910).unwrap();
                assert_eq!(read_all(&snapshot).unwrap_or_else(|error| panic!("{at}, later: {error}")), 15);
                drop(lease);
            }
        }
        judge(&inner).unwrap_or_else(|why| panic!("{at}: {why}"));
    }
    println!("{read} readers read all, {late} came too late");
    assert!(read > 50 && late > 3, "{read} {late}");
}

/// The commit that has the dead files.
fn dead_commit(media: &MemoryMedia) -> String {
    let options = GcOptions { dry_run: true, ..GcOptions::now() };
    let report = open(media).unwrap().gc(&options, &actor(1), &mut |_| ()).unwrap();
    report.commits.iter().find(|commit| commit.title == "dead").unwrap().oid.to_string()
}

#[test]
fn who_asks_for_a_branch_gets_it_also_when_it_is_squashed_before_the_lease() {
    let mut squashed = 0;
    for step in 0.. {
        let inner = littered();
        let other = inner.clone();
        let act = move || {
            let repository = open(&other).unwrap();
            commit(&repository, "next", &[add("next", noise(60, 100 << 10))], 910).unwrap();
            let options = SquashOptions { gc: Some(GcOptions::now()), ..SquashOptions::default() };
            repository.squash_history("main", &options, &actor(911), &mut |_| ()).unwrap();
        };
        let media = Hooked::new(&inner, true, step, act);
        let repository = on(&media).unwrap();
        let before = media.is_over();
        let (snapshot, lease) = repository
            .leased_snapshot(None, &actor(912), "test", 1)
            .unwrap_or_else(|error| panic!("squashed before step {step}: {error}"));
        if media.is_over() {
            break;
        }
        squashed += u64::from(before);
        gc(&inner, 913).unwrap();
        let mut visit = |path: &[u8], entry: &hubvault::snapshot::TreeEntry| {
            if entry.mode != hubvault::snapshot::Mode::Directory {
                let file = snapshot.open_file(entry, &String::from_utf8_lossy(path))?;
                let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
                assert_eq!(file.read_at(0, &mut bytes)?, bytes.len());
            }
            Ok(true)
        };
        snapshot.walk(snapshot.root().id, b"", &mut visit).unwrap();
        drop(lease);
    }
    assert!(squashed > 3, "only {squashed} steps between opening and the lease");
}
