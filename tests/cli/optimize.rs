//! `hv optimize`: what it says, and what mounts and commits see of it.

use super::Desk;
use super::compression::weights;

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
