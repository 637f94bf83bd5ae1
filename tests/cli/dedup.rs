//! `hv dedup`: what two revisions or paths store together.

use super::Desk;
use crate::samples::noise;

#[test]
fn revisions_and_paths_say_what_they_share() {
    let desk = Desk::new();
    let first = noise(1, 4 << 20);
    let mut second = first.clone();
    second.splice(2 << 20..2 << 20, noise(2, 300_000));
    desk.commit_file("d/weights", &first);
    desk.commit_file("d/weights", &second);
    desk.commit_file("other", noise(3, 100_000));
    let found = desk.on(["dedup", "main~2", "main~1", "--json"]).json();
    let size = |of: &str, what: &str| found[of][what].as_u64().unwrap();
    let shared = found["shared_size"].as_u64().unwrap();
    assert_eq!((size("left", "logical_size"), size("left", "stored_size")), (4 << 20, 4 << 20));
    assert_eq!(size("right", "logical_size"), (4 << 20) + 300_000);
    assert!(shared > 3_800_000 && shared <= 4 << 20, "{found}");
    for side in ["left", "right"] {
        assert_eq!(size(side, "stored_size"), shared + size(side, "unique_size"), "{found}");
    }
    assert!(size("right", "unique_size") >= 300_000, "{found}");

    let same = desk.on(["dedup", "main~1:d/weights", ":d", "--json"]).json();
    assert_eq!(same["left"]["unique_size"], 0, "{same}");
    assert_eq!(same["right"]["unique_size"], 0, "{same}");
    let apart = desk.on(["dedup", ":d", ":other"]).text();
    assert_eq!(apart.matches("(0 % shared)").count(), 2, "{apart}");
    desk.on(["dedup", "main", "main:none"]).fails(3, &["none"]);
    desk.on(["dedup", "nowhere", "main"]).fails(3, &["nowhere"]);
}
