//! Work of a library's user that is asked to end: just that piece of it, and nothing has to be opened again.

use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, Progress, RepoPath, Signature, Timestamp,
};
use hubvault::store::media::memory::MemoryMedia;

fn actor(step: u8) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000 + i64::from(step), offset_minutes: 0 };
    Actor { signature: Signature::new("A", "a@example.org", time).unwrap(), nonce: [step; 16] }
}

fn add(path: &str) -> CommitOperation {
    let path_in_repo = Some(RepoPath::new(path).unwrap());
    CommitOperation::Add { path_in_repo, source: AddSource::Bytes(vec![7; 3 << 20]) }
}

#[test]
fn an_interrupt_ends_what_its_handle_does_and_nothing_else() {
    let media = MemoryMedia::new();
    let repository =
        Repository::init_on(Arc::new(media.clone()), &InitOptions::default(), &actor(1)).unwrap().0;
    let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
    let work = repository.handle();
    let stop = work.vault().interrupt().clone();
    let mut other = None;
    let ended = work.create_commit(&[add("ended")], &options, &actor(2), &mut |event| {
        if matches!(event, Progress::Read(_)) {
            stop.request();
            // Beside it, while it is on the way.
            let beside = || repository.create_commit(&[add("beside")], &options, &actor(3), &mut |_| ());
            other.get_or_insert_with(beside);
        }
    });
    assert_eq!(ended.unwrap_err().code(), "interrupted");
    assert!(other.unwrap().unwrap().committed);
    // It is not taken back; the next piece of work has a handle of its own, and sees what there is.
    assert_eq!(work.quick_verify().unwrap_err().code(), "interrupted");
    let next = work.handle();
    next.create_commit(&[add("next")], &options, &actor(4), &mut |_| ()).unwrap();
    for handle in [&repository, &next, &work] {
        assert_eq!(handle.list_repo_files(None).unwrap(), ["beside", "next"]);
    }
    assert!(
        !media.files().keys().any(|path| path.starts_with("tmp/")),
        "what was interrupted is cleared away"
    );
}
