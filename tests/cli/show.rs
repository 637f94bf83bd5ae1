//! `hv show`: what a name stands for, and how each kind looks.

use serde_json::{Map, Value, json};

use super::Desk;

/// A safetensors file of these tensors, one after the other.
pub(super) fn safetensors(tensors: &[(&str, &str, &[u64], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let range = [data.len(), data.len() + bytes.len()];
        header.insert((*name).to_owned(), json!({ "dtype": dtype, "shape": shape, "data_offsets": range }));
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn commits_tags_folders_and_files() {
    let desk = Desk::new();
    desk.commit_file("d/f", "one\n");
    desk.commit_file("d/f", "two\n");
    let head = desk.head();
    let shown = desk.on(["show"]).text();
    assert!(shown.starts_with(&format!("commit {head}\nAuthor: ")), "{shown}");
    assert!(shown.ends_with("@@ -1 +1 @@\n-one\n+two"), "{shown}");
    assert_eq!(
        desk.on(["show", "--name-status", "--oneline"]).text(),
        format!("{} test\nM\td/f", &head[..7])
    );
    desk.on(["tag", "v1", "-m", "the tag"]).ok();
    let tag = desk.on(["show", "v1", "--stat"]).text();
    assert!(tag.starts_with("tag v1\nTagger: ") && tag.contains("\n\nthe tag\n\ncommit "), "{tag}");
    assert_eq!(desk.on(["show", "HEAD:d"]).text(), "tree HEAD:d\n\nf");
    assert_eq!(desk.on(["show", "HEAD^{tree}"]).text(), "tree HEAD^{tree}\n\nd/");
    assert_eq!(desk.on(["show", "HEAD~:d/f"]).ok().out, "one\n");
    assert_eq!(desk.on(["show", ":d/f"]).ok().out, "two\n");
    desk.on(["show", ":d/g"]).fails(3, &["d/g"]);
    desk.on(["show", "nowhere"]).fails(3, &["nowhere"]);
}

#[test]
fn json_has_the_fields_of_the_first_product() {
    let desk = Desk::new();
    desk.commit_file("f", "one\n");
    desk.commit_file("f", "two\n");
    let detail = desk.on(["show", "--json"]).json()[0].clone();
    let parent = desk.on(["rev-parse", "HEAD~"]).text();
    assert_eq!(detail["commit"]["id"], desk.head());
    assert_eq!(
        (&detail["parent_commit_ids"][0], &detail["compare_parent_commit_id"]),
        (&parent.clone().into(), &parent.into())
    );
    let change = &detail["changes"][0];
    assert_eq!(
        (&change["path"], &change["change_type"], &change["is_binary"]),
        (&"f".into(), &"modified".into(), &false.into())
    );
    assert_eq!((&change["old_file"]["size"], &change["new_file"]["path"]), (&4.into(), &"f".into()));
    assert_eq!(change["new_file"]["oid"], change["new_file"]["blob_id"]);
    assert!(change["unified_diff"].as_str().unwrap().ends_with("-one\n+two\n"));
    let root = desk.on(["show", "HEAD~2", "--json"]).json()[0].clone();
    assert_eq!((&root["compare_parent_commit_id"], &root["changes"]), (&Value::Null, &json!([])));
}

#[test]
fn the_header_of_safetensors_is_a_table() {
    let desk = Desk::new();
    let file =
        safetensors(&[("layer.0.weight", "BF16", &[4, 2], vec![0; 16]), ("bias", "F32", &[], vec![0; 4])]);
    desk.commit_file("m.safetensors", &file);
    let start = file.len() - 20;
    let table = desk.on(["show", ":m.safetensors"]).text();
    let lines: Vec<String> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "NAME DTYPE SHAPE BYTES OFFSET");
    assert!(lines.contains(&format!("layer.0.weight BF16 [4, 2] 16 {start}")), "{table}");
    assert!(table.contains("2 tensors, 9 parameters, 20 B of data"), "{table}");
    let json = desk.on(["show", "--json", ":m.safetensors"]).json()[0].clone();
    assert_eq!(json["totals"], json!({ "tensors": 2, "parameters": 9, "data_bytes": 20 }));
    assert_eq!(json["safetensors"]["tensors"][0]["shape"], json!([4, 2]));
}

#[test]
fn a_header_that_lies_is_an_error_and_nothing_else() {
    let desk = Desk::new();
    let good = safetensors(&[("a", "F32", &[1], vec![0; 4])]);
    let with_length = |length: u64| [&length.to_le_bytes()[..], &good[8..]].concat();
    let cases = [
        ("empty", Vec::new(), "shorter"),
        ("long", with_length(u64::MAX), "at most"),
        ("beyond", with_length(1 << 20), "beyond"),
        ("short", with_length(3), "cannot be read"),
        ("cut", good[..good.len() - 1].to_vec(), "0..4 of 3"),
        ("more", [&good[..], b"x"].concat(), "no tensor"),
        ("text", b"plain text, no header at all".to_vec(), "at most"),
    ];
    for (name, content, reason) in cases {
        desk.commit_file(&format!("{name}.safetensors"), content);
        desk.on(["show", &format!(":{name}.safetensors")])
            .fails(1, &["not a valid safetensors file", reason, "hv cat"]);
    }
}
