//! The accident: garbage collection is interrupted, meets a writer or a reader, or a full disk, and takes away
//! something that is still needed.
//!
//! One vault with everything to be collected in it: a dead pack, a pack that is mostly dead, dead history, retired
//! indexes, a killed writer's pack. The collection is cut at every step, each step fails once, the disk is full at
//! every size; and whole commits, openings and reads of others are put before each of its steps, and it before
//! each of theirs. What refs lead to must be the same, byte for byte, and the next collection must finish the job.

use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock};

use hubvault::ops::gc::{GcOptions, GcReport};
use hubvault::ops::merge::{Favor, Landing, MergeOptions};
use hubvault::ops::replay::ReplayOptions;
use hubvault::ops::squash::SquashOptions;
use hubvault::ops::{CommitOperation, CommitOptions, OpsError, RepoPath};
use hubvault::store::StoreError;
use hubvault::store::media::Media as _;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::{Repository, Snapshot};

use super::hooked::{Hooked, on};
use super::upkeep::{Upkeep, bytes};
use super::{FIRST, actor, add, commit, complaints, look, noise, open, workloads};

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

fn upkeep() -> &'static Upkeep<GcReport> {
    static MADE: OnceLock<Upkeep<GcReport>> = OnceLock::new();
    MADE.get_or_init(|| Upkeep::new(&littered(), gc, 2000, true))
}

#[test]
fn it_frees_what_it_says_and_does_what_this_is_there_for() {
    let media = littered();
    let before = bytes(&media);
    let report = gc(&media, FIRST).unwrap();
    assert_eq!(report.reclaimed_size, before - bytes(&media), "{report:?}");
    assert_eq!((report.tolerated_size, report.transactions.len()), (0, 1), "{report:?}");
    let Upkeep { trace, .. } = upkeep();
    let count = |what, end| upkeep().count(what, end);
    assert_eq!((count("publish ", ".idx"), count("publish ", ".record")), (1, 1), "{trace:#?}");
    // A dead one, a mostly dead one (the rest fits inline), a killed writer's.
    assert_eq!(count("remove ", ".pack"), 3, "{trace:#?}");
    assert!(count("remove ", ".idx") >= 3, "{trace:#?}");
    upkeep().judge(&media).unwrap();
}

#[test]
fn the_power_goes_at_every_step() {
    upkeep().survives_the_power(5);
}

#[test]
fn it_would_be_missed_if_files_went_before_the_record_was_durable() {
    upkeep().needs_its_syncs();
}

#[test]
fn every_step_fails_once() {
    upkeep().survives_a_fault(3);
}

#[test]
fn a_full_disk_does_not_keep_it_from_freeing_whole_packs() {
    let (mut in_two, mut nothing, mut at_once) = (0, 0, 0);
    let before = bytes(&littered());
    let rooms = [0, 1, 300, 600, 900, 1200, 2000, 10_000];
    upkeep().survives_a_full_disk(&rooms, 12, |room, media, report| {
        assert_eq!(report.reclaimed_size, before - bytes(media), "room for {room}: {report:?}");
        match report.transactions.len() {
            0 => nothing += 1,
            1 if report.notes.is_empty() => at_once += 1,
            _ => in_two += 1,
        }
        assert_eq!(report.notes.is_empty(), upkeep().is_done(media), "room for {room}: {report:?}");
    });
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

fn theirs() -> Landing {
    Landing { favor: Some(Favor::Theirs), ..Landing::default() }
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
                MergeOptions { allow_unrelated: true, landing: theirs(), ..MergeOptions::default() };
            repository.merge(id, &options, &actor(922)).map(drop)
        }),
        ("cherry-pick", |repository, id| {
            let options = ReplayOptions { landing: theirs(), ..ReplayOptions::default() };
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
        upkeep().judge(&inner).unwrap_or_else(|why| panic!("{at}: {why}"));
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
