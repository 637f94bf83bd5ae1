//! `--compression`: what it saves, and that nothing else changes.

use super::Desk;
use crate::samples::noise;

/// bf16 values, about normal: exponents repeat, mantissas are noise.
pub(crate) fn weights(count: usize) -> Vec<u8> {
    let bytes = noise(3, count * 5);
    let sum = |four: &[u8]| four.iter().map(|&byte| f32::from(byte) - 127.5).sum::<f32>() / 7000.0;
    let value = |five: &[u8]| sum(&five[1..]) * (1.0 + f32::from(five[0]) / 2560.0);
    bytes.chunks_exact(5).flat_map(|five| value(five).to_le_bytes()[2..].to_vec()).collect()
}

#[test]
fn weights_and_text_take_less_and_read_the_same() {
    let text = "some words of a text that repeats itself\n".repeat(40_000).into_bytes();
    let files = [
        ("large.bin", weights(2 << 20)),
        ("small.bin", weights(100_000)),
        ("noise.bin", noise(5, 1 << 20)),
        ("t.txt", text),
    ];
    let stored = |how: &str| {
        let desk = Desk::new();
        for (name, content) in &files {
            desk.write(&format!("in/{name}"), content);
        }
        let said = desk.on(["commit", "-m", "x", "--compression", how, "--add", ".=in", "--json"]).json();
        for (name, content) in &files {
            assert!(desk.on(["cat", &format!(":{name}")]).ok().bytes == *content, "{how}: {name}");
        }
        desk.on(["verify", "--full"]).ok();
        let sizes = desk.on(["du", "main", "--json"]).json();
        let of = |name: &str| {
            let paths = sizes["paths"].as_array().unwrap();
            paths.iter().find(|path| path["path"] == name).unwrap()["stored_size"].as_u64().unwrap()
        };
        (said["oid"].clone(), files.each_ref().map(|(name, content)| of(name) * 100 / content.len() as u64))
    };
    let (none, auto, max) = (stored("none"), stored("auto"), stored("max"));
    assert_eq!(none.1, [100, 100, 100, 100]);
    // Large weights stay what a kernel can read by itself.
    assert_eq!((auto.1[0], auto.1[2]), (100, 100), "{auto:?}");
    assert!(auto.1[3] < 10, "{auto:?}");
    assert!(max.1[0] < 75 && max.1[1] < 75 && max.1[2] == 100 && max.1[3] < 10, "{max:?}");
}

#[test]
fn a_vault_is_set_to_how_its_commits_compress() {
    let desk = Desk::bare();
    desk.hv(["init", "vault", "--compression", "max"]).ok();
    assert_eq!(desk.on(["status", "--json"]).json()["compression"], "max");
    let content = weights(1 << 20);
    let grew = |name: &str, more: &[&str], seed: u8| {
        let local = desk
            .write(&format!("in/{name}"), content.iter().map(|byte| byte ^ seed << 2).collect::<Vec<_>>());
        let local = local.display().to_string();
        let args = [&["upload", &local, name, "-m", "x", "--json"], more].concat();
        desk.on(args).json()["stored_bytes"].as_u64().unwrap() * 100 / content.len() as u64
    };
    assert!(grew("a", &[], 0) < 75);
    assert!(grew("b", &["--compression", "none"], 1) >= 100, "what is said counts more than what is set");
    let set = desk.on(["settings", "--compression", "none", "--json"]).json();
    assert_eq!((&set["compression"], set["transaction"].is_u64()), (&"none".into(), true), "{set}");
    assert!(grew("c", &[], 2) >= 100);
    assert!(grew("d", &["--compression", "max"], 3) < 75);
    // It is in the log like anything else, and undone like anything else.
    let number = set["transaction"].to_string();
    desk.on(["undo", &number]).ok();
    assert!(desk.on(["settings"]).text().contains("max"));
    desk.on(["undo"]).ok();
    assert!(desk.on(["settings"]).text().contains("none"));
    let again = desk.on(["settings", "--compression", "none", "--json"]).json();
    assert!(again["transaction"].is_null(), "{again}");
    desk.on(["settings", "--compression", "auto"]).ok();
    desk.on(["undo", &number]).fails(4, &["compression setting"]);
    desk.on(["verify", "--full"]).ok();
}

#[test]
fn a_wrong_word_is_an_error_of_usage() {
    let desk = Desk::new();
    desk.on(["commit", "-m", "x", "--compression", "best", "f"]).fails(2, &["none, auto or max"]);
}
