//! `hv verify`: what it says of a healthy vault and of a damaged one.

use std::fs;
use std::path::Path;

use super::{Desk, entries};
use crate::samples::noise;

#[test]
fn a_healthy_vault() {
    let desk = Desk::new();
    desk.commit_file("f", vec![3; 3 << 20]);
    let quick = desk.on(["verify"]).ok();
    assert!(
        quick
            .out
            .starts_with("Quick verification OK (--full reads content too)\nChecked refs: refs/heads/main\n"),
        "{}",
        quick.out
    );
    assert!(quick.err.is_empty());
    assert!(desk.on(["verify", "--full"]).ok().out.starts_with("Full verification OK\n"));
    let told = desk.on(["verify", "--full", "--json"]).json();
    assert_eq!(
        (&told["ok"], &told["commits"], &told["findings"]),
        (&true.into(), &2.into(), &serde_json::json!([]))
    );
}

#[test]
fn damage_is_named_with_what_it_affects_and_the_rest_stays_readable() {
    let desk = Desk::new();
    let noise: Vec<u8> = (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    desk.commit_file("broken.bin", &noise);
    desk.commit_file("whole.txt", "fine");
    let packs = desk.path("vault/packs");
    let pack = entries(&packs)
        .into_iter()
        .find(|name| Path::new(name).extension().is_some_and(|end| end == "pack"))
        .expect("a pack of its own");
    let path = packs.join(&pack);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let run = desk.on(["verify", "--full"]);
    assert_eq!(run.code, Some(5), "{run:#?}");
    for words in ["Full verification failed", "damaged: ", pack.as_str(), "affects broken.bin@"] {
        assert!(run.out.contains(words), "{words}: {run:#?}");
    }
    assert!(!run.out.contains("whole.txt"), "{run:#?}");
    let told = desk.on(["verify", "--full", "--json"]);
    assert_eq!(told.code, Some(5));
    let told: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["ok"], false);
    let cat = desk.on(["cat", ":broken.bin"]);
    assert_eq!(cat.code, Some(5), "{}", cat.err);
    assert!(
        cat.err.contains("broken.bin") && cat.err.contains(&pack) && cat.err.contains("hv verify"),
        "{}",
        cat.err
    );
    assert!(noise.starts_with(&cat.bytes), "wrong bytes were written");
    assert_eq!(desk.content(":whole.txt"), b"fine");
    fs::remove_file(&path).unwrap();
    // Without its pack: still named, by whichever part of the check comes upon it first.
    let run = desk.on(["verify"]);
    let said = format!("{}{}", run.out, run.err);
    assert!(run.code == Some(5) && said.contains(&pack) && said.contains("missing"), "{run:#?}");
}

#[test]
fn a_commit_that_lacks_a_file_is_named_and_comes_back_with_it() {
    let desk = Desk::new();
    desk.commit_file("first", "1");
    let packs = || -> Vec<_> {
        let names = fs::read_dir(desk.path("vault/packs")).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|ending| ending == "pack")).collect()
    };
    desk.write("in/weights.bin", noise(1, 600_000));
    let head = desk.commit(["--add", ".=in"]);
    let [pack] = packs().try_into().unwrap();
    fs::rename(&pack, desk.path("lost")).unwrap();
    let run = desk.on(["verify", "--full"]).ok();
    let name = pack.file_name().unwrap().to_str().unwrap().to_owned();
    for word in ["(commit: test) is passed over", &name, "put it back", "before anything is committed"] {
        assert!(run.err.contains(word), "{word}: {}", run.err);
    }
    assert_ne!(desk.head(), head);
    fs::rename(desk.path("lost"), pack).unwrap();
    assert_eq!(desk.head(), head);
}

#[test]
fn every_ref_that_leads_to_damage_is_named() {
    let desk = Desk::new();
    let base = desk.head();
    desk.commit_file("d/broken.bin", noise(4, 700_000));
    desk.on(["branch", "prod"]).ok();
    desk.on(["tag", "v1.0"]).ok();
    desk.on(["tag", "-m", "annotated", "v1.1"]).ok();
    desk.commit_file("other.txt", "later");
    // Has the file, by way of a commit of its own.
    desk.commit(["-r", "prod", "--copy", "d=e"]);
    desk.on(["branch", "clean", &base]).ok();
    desk.commit(["-r", "clean", "--add", "fine=in/other.txt"]);
    // By its second parent.
    desk.on(["branch", "joined", "clean"]).ok();
    desk.on(["merge", "prod", "--target", "joined"]).ok();
    let packs = desk.path("vault/packs");
    let pack = entries(&packs).into_iter().find(|name| name.ends_with(".pack")).expect("a pack of its own");
    let whole = fs::read(packs.join(&pack)).unwrap();
    let mut bytes = whole.clone();
    bytes[300_000] ^= 1;
    fs::write(packs.join(&pack), bytes).unwrap();
    let all = "refs/heads/joined, refs/heads/main, refs/heads/prod, refs/tags/v1.0, refs/tags/v1.1";
    let said = desk.on(["verify", "--full"]).out;
    assert!(said.contains(&format!("  in the history of {all}\n")), "{said}");
    fs::write(packs.join(&pack), &whole[..600_000]).unwrap();
    let said = desk.on(["verify"]).out;
    assert!(said.contains(&format!("  in the history of {all}\n")), "{said}");
}

/// What a user does who has read that something is damaged, word for word.
#[test]
fn a_damaged_file_is_mended_as_verify_says() {
    let desk = Desk::new();
    let content = noise(2, 1_600_000);
    let local = desk.write("model.bin", &content);
    desk.commit([&local]);
    let packs = desk.path("vault/packs");
    let pack = entries(&packs).into_iter().find(|name| name.ends_with(".pack")).expect("a pack of its own");
    let mut bytes = fs::read(packs.join(&pack)).unwrap();
    bytes[700_000] ^= 1;
    fs::write(packs.join(&pack), bytes).unwrap();
    let said = desk.on(["verify", "--full"]).out;
    assert!(said.contains("affects model.bin@") && said.contains("`hv commit --rehash`"), "{said}");
    let said = desk.on(["commit", "-m", "again", "--rehash", "model.bin"]).ok();
    assert!(said.out.contains("that were missing or damaged here are stored now"), "{said:?}");
    assert!(!said.err.contains("grew by 0 B"), "{said:?}");
    assert!(desk.content(":model.bin") == content, "{said:?}");
    let said = desk.on(["verify", "--full"]);
    assert!(said.code == Some(5) && said.out.contains("affects no file"), "{said:?}");
    desk.on(["gc", "--prune=now"]).ok();
    desk.on(["verify", "--full"]).ok();
    assert!(desk.content(":model.bin") == content);
}

#[test]
fn an_index_that_cannot_be_opened_is_named_once() {
    let desk = Desk::new();
    desk.commit_file("a", noise(1, 600_000));
    desk.commit_file("b", "1");
    desk.commit_file("c", "2");
    let packs = desk.path("vault/packs");
    let indexes = || entries(&packs).into_iter().filter(|name| name.ends_with(".idx"));
    for index in indexes() {
        let whole = fs::read(packs.join(&index)).unwrap();
        let mut bytes = whole.clone();
        let len = bytes.len();
        bytes[len - 40..].fill(0);
        fs::write(packs.join(&index), bytes).unwrap();
        let said = desk.on(["verify"]);
        let about: Vec<_> =
            said.out.lines().filter(|line| line.starts_with("damaged: ") && line.contains(&index)).collect();
        assert!(said.code == Some(5) && about.len() == 1, "{said:?}");
        assert_eq!(about[0].matches("is damaged").count(), 1, "{said:?}");
        assert!(!said.out.contains("hv gc"), "{said:?}");
        desk.on(["gc"]).fails(5, &[&about[0]["damaged: ".len()..]]);
        fs::write(packs.join(&index), whole).unwrap();
    }
    assert!(indexes().count() > 2);
}
