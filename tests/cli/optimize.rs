//! `hv optimize`: what it says, and what mounts and commits see of it.

use super::compression::weights;
use super::{Desk, entries};

#[test]
fn it_says_what_it_saved_and_ids_stay() {
    let desk = Desk::new();
    let content = weights(1 << 20);
    let head = desk.commit_file("m/w.bin", &content);
    let said = desk.on(["optimize", "--dry-run"]).text();
    assert!(said.contains("would take about") && said.contains("m/w.bin"), "{said}");
    let said = desk.on(["optimize"]).text();
    assert!(said.contains("packs that are worth it (1 of 1) now take") && said.contains("% less"), "{said}");
    assert!(said.contains("2.00 MiB ->") && said.contains("the vault shrank by"), "{said}");
    assert_eq!(desk.head(), head);
    assert!(desk.content(":m/w.bin") == content);
    let said = desk.on(["optimize"]).text();
    assert_eq!(said, "nothing to do: packs are stored as well as they can be (1 looked at)");
    let said = desk.on(["optimize", "HEAD", "--compression", "none", "--json"]).json();
    assert_eq!(said["compression"], "none");
    assert_eq!(said["files"][0]["after_size"], content.len());
    assert!(said["saved_size"].as_i64().unwrap() < 0, "{said}");
    assert_eq!(said["transactions"].as_array().unwrap().len(), 2, "{said}");
    let log = desk.on(["op", "log"]).text();
    assert!(log.contains("optimize"), "{log}");
    desk.on(["verify", "--full"]).ok();
    desk.on(["optimize", "nowhere"]).fails(3, &["nowhere"]);
    desk.on(["optimize", "--include", "other/", "--json"]).ok();
}

#[test]
fn what_cannot_be_read_is_named_and_the_exit_code_says_so() {
    let desk = Desk::new();
    desk.commit_file("good.bin", weights(1 << 20));
    let bad: Vec<u8> = weights(1 << 20).iter().map(|byte| byte ^ 0x10).collect();
    desk.commit_file("bad.bin", &bad);
    let packs = desk.path("vault/packs");
    let names = entries(&packs).into_iter().filter(|name| name.ends_with(".pack"));
    let pack = names.map(|name| packs.join(name)).find(|path| std::fs::read(path).unwrap() == bad);
    let mut bytes = bad;
    bytes[700_000] ^= 1;
    std::fs::write(pack.unwrap(), &bytes).unwrap();
    let said = desk.on(["optimize", "--dry-run"]).text();
    assert!(said.contains("bad.bin") && said.contains("good.bin"), "{said}");
    let ran = desk.on(["optimize", "--json"]);
    assert_eq!(ran.code, Some(5), "{ran:#?}");
    let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["file_count"], 1, "{said}");
    assert!(said["findings"][0]["affects"][0].as_str().unwrap().starts_with("bad.bin@"), "{said}");
    let ran = desk.on(["optimize"]);
    assert_eq!(ran.code, Some(5), "{ran:#?}");
    for words in ["nothing was stored again", "damaged: vault file `packs/", "  left out bad.bin@"] {
        assert!(ran.out.contains(words), "{words}: {ran:#?}");
    }
}
