//! Progress of long work, and Ctrl-C in the middle of it: on a terminal, through a pipe, as JSON, and in the library.
//!
//! The long work is a sparse file of 64 GiB: it is interrupted long before its end, whatever the machine.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::download::DownloadOptions;
use hubvault::ops::export::{HfCacheOptions, RepoType};
use hubvault::ops::gc::GcOptions;
use hubvault::ops::patterns::PathFilter;
use hubvault::ops::squash::SquashOptions;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, OpsError, Phase, Progress, RepoPath, Signature,
    Timestamp,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Desk, HV, entries};
use crate::samples::noise;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.commit_file("small", "1");
    File::create(desk.path("huge.bin")).unwrap().set_len(64 << 30).unwrap();
    desk
}

/// A program that ignores no signal but these, however the tests were started.
fn command(desk: &Desk, program: &str, ignored: &str) -> Command {
    let mut command = desk.command("env");
    command.args(["--default-signal=INT,TERM,HUP", &format!("--ignore-signal={ignored}"), program]);
    command
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// Nothing of the work that was ended is left, and what was there is whole.
fn is_tidy(desk: &Desk, head: &str) {
    assert_eq!(desk.head(), head);
    assert_eq!(entries(&desk.path("vault/tmp")), Vec::<String>::new());
    let locks = entries(&desk.path("vault/locks"));
    assert!(!locks.iter().any(|name| name.starts_with("tmp-")), "{locks:?}");
    let report = desk.on(["verify", "--full", "--json"]).json();
    assert!(report["ok"] == true && report["leftovers"] == serde_json::json!([]), "{report}");
}

#[test]
fn a_commit_tells_how_far_it_is_in_json_and_ends_when_it_is_interrupted() {
    for (name, end) in [("INT", Signal::INT), ("TERM", Signal::TERM)] {
        let desk = desk();
        let head = desk.head();
        // As `nohup` starts it: only what is not ignored ends it.
        let mut command = command(&desk, HV, "HUP");
        command.args(["-C", "vault", "--json", "commit", "-m", "huge", "huge.bin"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let events: Vec<Value> =
            (0..2).map(|_| serde_json::from_str(&lines.next().unwrap()).unwrap()).collect();
        signal(&child, Signal::HUP);
        let after: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
        assert!(after["progress"].is_object(), "{after}");
        signal(&child, end);
        let rest: Vec<String> = lines.collect();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{name}: {rest:?}");
        assert!(output.stdout.is_empty(), "{name}: an interrupted commit has no report");
        let error: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "interrupted", "{rest:?}");
        for event in &events {
            let progress = &event["progress"];
            assert_eq!(progress["total_bytes"], 64_u64 << 30, "{event}");
            assert_eq!((&progress["total_files"], &progress["files"]), (&1.into(), &1.into()), "{event}");
            assert!(progress["path"].as_str().unwrap().ends_with("huge.bin"), "{event}");
        }
        let bytes = |event: &Value| event["progress"]["bytes"].as_u64().unwrap();
        assert!(bytes(&events[0]) < bytes(&events[1]) && bytes(&events[1]) < 64 << 30, "{events:?}");
        is_tidy(&desk, &head);
    }
}

#[test]
fn on_a_terminal_there_is_one_bar_and_control_c_takes_it_away() {
    let desk = desk();
    let head = desk.head();
    let mut command = command(&desk, "script", "PIPE");
    let words = format!("{HV} -C vault commit -m huge huge.bin");
    command.args(["--quiet", "--return", "--command", &words, "/dev/null"]).env("TERM", "xterm");
    let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        assert!(std::env::var_os("CI").is_none(), "`script` (util-linux) is needed");
        return eprintln!("\n**** SKIPPED: `script` is not installed, the bar was NOT tested ****\n");
    };
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    let mut out = child.stdout.take().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let has = |shown: &[u8], text: &str| String::from_utf8_lossy(shown).contains(text);
    let mut pressed = false;
    while let Ok(n @ 1..) = out.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..n]);
        if !pressed && has(&shown, "/64.00 GiB") && has(&shown, "iB/s") && has(&shown, "huge.bin") {
            keyboard.write_all(b"\x03").unwrap();
            pressed = true;
        }
    }
    let status = child.wait().unwrap();
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert_eq!(status.code(), Some(130), "{text}");
    let lines = text.trim_end().lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 2, "the bar, redrawn in its place, and the error: {text:?}");
    assert!(text.trim_end().ends_with("error: interrupted before it was done"), "{text:?}");
    is_tidy(&desk, &head);
}

#[test]
fn work_that_waits_for_others_ends_too_and_at_once_when_it_is_asked_twice() {
    let desk = desk();
    let head = desk.head();
    let held = File::options().read(true).write(true).open(desk.path("vault/locks/publish")).unwrap();
    held.lock().unwrap();
    desk.write("other", "2");
    for times in [1, 2] {
        let mut command = command(&desk, HV, "PIPE");
        command.args(["-C", "vault", "commit", "-m", "x", "other"]);
        let mut waiting = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(waiting.stderr.take().unwrap());
        lines.read_line(&mut told).unwrap();
        assert!(told.contains("waiting for"), "{told}");
        (0..times).for_each(|_| {
            signal(&waiting, Signal::INT);
            // Two signals that nobody has seen yet are one.
            std::thread::sleep(std::time::Duration::from_millis(200));
        });
        assert_eq!(waiting.wait().unwrap().code(), Some(130), "{times}");
    }
    drop(held);
    assert_eq!(desk.head(), head, "what was interrupted never happened");
    let head = desk.commit(["--add", "b=other"]);
    is_tidy(&desk, &head);
}

fn actor(step: u8) -> Actor {
    let signature = Signature::new("A", "a@x", Timestamp { seconds: 1, offset_minutes: 0 }).unwrap();
    Actor { signature, nonce: [step; 16] }
}

/// Does `work` on a new repository, and interrupts it at the first bytes it tells of.
fn interrupted<T: std::fmt::Debug>(
    desk: &Desk,
    work: impl FnOnce(&Repository, &mut dyn FnMut(Progress<'_>)) -> Result<T, OpsError>,
) {
    interrupted_in(None, desk, work);
}

/// The same at the first bytes of a phase.
fn interrupted_in<T: std::fmt::Debug>(
    phase: Option<Phase>,
    desk: &Desk,
    work: impl FnOnce(&Repository, &mut dyn FnMut(Progress<'_>)) -> Result<T, OpsError>,
) {
    let repository = Arc::new(Repository::open(&desk.path("vault")).unwrap());
    let (mut told, mut now) = (0, None);
    let result = work(&repository, &mut |event| {
        if let Progress::Phase(begun) = event {
            now = Some(begun);
        }
        if matches!(event, Progress::Read(_)) && (phase.is_none() || phase == now) {
            told += 1;
            repository.vault().interrupt().request();
        }
    });
    let error = result.expect_err("it went on");
    assert_eq!(error.code(), "interrupted", "{error}");
    assert!(told > 0, "it was interrupted before it began");
}

#[test]
fn every_kind_of_long_work_ends_when_it_is_asked_and_leaves_nothing_behind() {
    let desk = Desk::new();
    for n in 0..4 {
        desk.write(&format!("in/{n}.bin"), noise(n, 20 << 20));
    }
    let head = desk.commit(["--add", ".=in"]);
    desk.write("other.bin", noise(9, 20 << 20));
    interrupted(&desk, |repository, progress| {
        let operation = CommitOperation::Add {
            path_in_repo: Some(RepoPath::new("other.bin").unwrap()),
            source: AddSource::Local(desk.path("other.bin")),
        };
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        repository.create_commit(&[operation], &options, &actor(1), progress)
    });
    is_tidy(&desk, &head);
    interrupted(&desk, |repository, progress| repository.verify(true, progress));
    for local_dir in [None, Some(desk.path("out"))] {
        let options = DownloadOptions { local_dir, ..DownloadOptions::default() };
        interrupted(&desk, |repository, progress| {
            repository.snapshot_download(&PathFilter::default(), &[], &options, &actor(2), progress)
        });
    }
    assert!(!desk.path("out/.cache/hubvault/tmp").exists());
    assert!(entries(&desk.path("out")).len() < 5, "not all four files and the notes are there");
    interrupted(&desk, |repository, progress| {
        let options = HfCacheOptions {
            revision: "main".to_owned(),
            cache_dir: desk.path("cache"),
            repo_id: "a".to_owned(),
            repo_type: RepoType::Model,
            refs: Vec::new(),
            pid: 1,
        };
        repository.export_hf_cache(&options, &actor(3), progress)
    });
    assert_eq!(entries(&desk.path("cache/models--a")), [".cache", "blobs"]);
    let mut notes = entries(&desk.path("cache/models--a/.cache/hubvault"));
    notes.retain(|name| name != "manifest");
    assert_eq!(notes, [".gitignore", "export.lock", "lock"]);
    is_tidy(&desk, &head);
    let names = ["0.bin", "1.bin", "2.bin", "3.bin"];
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert_eq!(entries(&desk.path("out")), [&[".cache"], &names[..]].concat());
}

#[test]
fn a_collection_that_is_interrupted_has_freed_nothing_and_the_next_one_does() {
    let desk = Desk::new();
    // Small files share a pack, so that what is live of it must move.
    for n in 0..20 {
        desk.write(&format!("in/{}/{n}", if n < 10 { "dead" } else { "live" }), noise(n, 100 << 10));
    }
    desk.commit(["--add", ".=in"]);
    let head = desk.commit(["--delete", "dead/"]);
    desk.on(["squash", "--no-gc"]).ok();
    let squashed = desk.head();
    assert_ne!(squashed, head);
    let files = || entries(&desk.path("vault/packs"));
    let before = files();
    for phase in [Phase::Looking, Phase::Collecting] {
        interrupted_in(Some(phase), &desk, |repository, progress| {
            repository.gc(&GcOptions::now(), &actor(4), progress)
        });
        assert_eq!(files(), before, "{phase:?}");
        is_tidy(&desk, &squashed);
    }
    let report = desk.on(["gc", "--prune=now", "--json"]).json();
    assert!(report["reclaimed_chunk_size"].as_u64().unwrap() >= 1000 << 10, "{report}");
    assert_eq!(desk.on(["cat", "main:live/19"]).ok().bytes, noise(19, 100 << 10));
    is_tidy(&desk, &squashed);
}

#[test]
fn a_squash_that_is_interrupted_while_it_frees_has_squashed() {
    let desk = Desk::new();
    desk.commit_file("a", "1");
    let head = desk.commit_file("a", "2");
    interrupted_in(Some(Phase::Looking), &desk, |repository, progress| {
        let options = SquashOptions { gc: Some(GcOptions::now()), ..SquashOptions::default() };
        repository.squash_history("main", &options, &actor(5), progress)
    });
    let squashed = desk.head();
    assert_ne!(squashed, head);
    assert_eq!(desk.on(["cat", "main:a"]).ok().out, "2");
    is_tidy(&desk, &squashed);
}

#[test]
fn a_collection_says_at_once_what_it_waits_for_and_ends_when_it_is_asked() {
    let desk = Desk::new();
    let head = desk.commit_file("a", "1");
    let committing = File::options().read(true).write(true).open(desk.path("vault/locks/gc")).unwrap();
    committing.lock_shared().unwrap();
    for (words, told) in
        [(["gc"].as_slice(), "waiting for a commit"), (&["--json", "gc"], r#""phase":"waiting""#)]
    {
        let mut command = command(&desk, HV, "PIPE");
        command.args(["-C", "vault"]).args(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.next().unwrap();
        assert!(line.contains(told), "{line}");
        signal(&child, Signal::INT);
        let rest: Vec<String> = lines.collect();
        assert!(rest.last().unwrap().contains("interrupted"), "{rest:?}");
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    }
    drop(committing);
    is_tidy(&desk, &head);
}

/// A folder is first asked for as if it were a file: what was ignored at the start stays so for the second piece of work.
#[test]
fn a_signal_that_is_ignored_ends_no_download_of_a_folder() {
    let desk = Desk::new();
    for n in 0..6 {
        desk.write(&format!("in/{n}.bin"), noise(n, 20 << 20));
    }
    desk.commit(["--add", "folder=in"]);
    let mut command = command(&desk, HV, "HUP");
    command.args(["-C", "vault", "download", "folder", "--local-dir", "out"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !desk.path("out/.cache/hubvault/tmp").exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    signal(&child, Signal::HUP);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(entries(&desk.path("out/folder")).len(), 6);
}
