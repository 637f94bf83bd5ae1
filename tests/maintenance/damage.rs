//! What is damaged is not collected from: what cannot be read could lead to anything, and what is left of it is
//! all there is to repair it from.

use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::gc::GcOptions;
use hubvault::ops::{AddSource, CommitOperation, CommitOptions, InitOptions, OpsError, RepoPath};
use hubvault::store::media::memory::MemoryMedia;

use super::{actor, bytes, noise, open};

fn vault() -> MemoryMedia {
    let media = MemoryMedia::new();
    let repository =
        Repository::init_on(Arc::new(media.clone()), &InitOptions::default(), &actor(1)).unwrap().0;
    for n in 0..3 {
        let path_in_repo = Some(RepoPath::new(&format!("f{n}")).unwrap());
        let add = CommitOperation::Add { path_in_repo, source: AddSource::Bytes(noise(n, 600 << 10)) };
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        repository.create_commit(&[add], &options, &actor(2), &mut |_| ()).unwrap();
    }
    media
}

fn refused(media: &MemoryMedia, file: &str) {
    let before = bytes(media);
    for dry_run in [true, false] {
        let options = GcOptions { dry_run, ..GcOptions::now() };
        let error = match Repository::open_on(Arc::new(media.clone())) {
            Ok(repository) => repository.gc(&options, &actor(3), &mut |_| ()).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(file), "{file}: {error}");
        assert_eq!(error.code(), "damaged", "{file}: {error}");
        assert_eq!(bytes(media), before, "{file}: something went");
    }
}

#[test]
fn nothing_is_removed_from_a_vault_with_damage_in_what_is_needed() {
    let whole = vault();
    let files = whole.files();
    let mut tried = 0;
    for path in files.keys().filter(|path| path.starts_with("packs/") || path.contains(".record")) {
        if path.ends_with(".pack") || path.ends_with(".idx") {
            let lost = whole.settled();
            lost.remove_file(path).unwrap();
            // Without the newest files the newest transaction is passed over, which is said by its own name.
            let is_passed_over =
                open(&lost).warnings().iter().any(|warning| warning.file.ends_with(".record"));
            let name = if is_passed_over { "" } else { path };
            refused(&lost, name);
            let cut = whole.settled();
            cut.corrupt(path, |bytes| bytes.truncate(bytes.len() / 2)).unwrap();
            refused(&cut, path);
        }
        if !path.ends_with(".pack") {
            let flipped = whole.settled();
            flipped
                .corrupt(path, |bytes| {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                })
                .unwrap();
            refused(&flipped, path);
        }
        tried += 1;
    }
    assert!(tried > 6);
}

#[test]
fn a_lost_pack_that_nothing_needs_is_no_reason_to_refuse() {
    let media = vault();
    let repository = open(&media);
    let delete = CommitOperation::Delete { path_in_repo: RepoPath::new("f1").unwrap() };
    let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
    repository.create_commit(&[delete], &options, &actor(4), &mut |_| ()).unwrap();
    let squash = hubvault::ops::squash::SquashOptions::default();
    repository.squash_history("main", &squash, &actor(5), &mut |_| ()).unwrap();
    let dry = GcOptions { dry_run: true, ..GcOptions::now() };
    let report = repository.gc(&dry, &actor(6), &mut |_| ()).unwrap();
    assert_eq!(report.files.len(), 1, "{report:?}");
    let packs: Vec<String> = media.files().into_keys().filter(|path| path.ends_with(".pack")).collect();
    let mut lost = 0;
    for pack in packs {
        let damaged = media.settled();
        damaged.remove_file(&pack).unwrap();
        match open(&damaged).gc(&GcOptions::now(), &actor(7), &mut |_| ()) {
            Ok(_) => {
                lost += 1;
                assert!(open(&damaged).warnings().is_empty(), "a retired pack is not missed");
                assert!(open(&damaged).full_verify().unwrap().ok);
            }
            Err(error) => assert!(matches!(error, OpsError::NotCollected(_)), "{error}"),
        }
    }
    assert_eq!(lost, 1);
}
