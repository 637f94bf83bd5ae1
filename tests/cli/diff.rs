//! `hv diff`: which revisions, which paths, and what is said of files that have no lines. Texts are compared with
//! Git's in `git::diff`.

use super::Desk;
use super::show::safetensors;

#[test]
fn one_revision_is_compared_with_the_default_branch() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1\n");
    desk.commit_file("d/g", "2\n");
    let names = |args: &[&str]| desk.on([&["diff", "--name-status"], args].concat()).text();
    assert_eq!(names(&[&first]), "A\td/g");
    assert_eq!(names(&["HEAD", &first]), "D\td/g");
    assert_eq!(names(&[&format!("{first}..")]), "A\td/g");
    assert_eq!(names(&[&format!("..{first}")]), "D\td/g");
    assert_eq!(names(&["HEAD~2", "--", "f"]), "A\tf");
    assert_eq!(names(&["HEAD~2", "--", "d/", "f", "d/g"]), "A\td/g\nA\tf");
    assert_eq!(names(&["HEAD~2", "--", "."]), "A\td/g\nA\tf");
    assert_eq!(names(&["HEAD", "HEAD"]), "");
    desk.on(["diff"]).fails(2, &[]);
    desk.on(["diff", "HEAD...main"]).fails(2, &["three dots"]);
    desk.on(["diff", "nowhere"]).fails(3, &["nowhere"]);
    desk.on(["diff", "HEAD", "--", "../x"]).fails(2, &["../x"]);
    desk.on(["diff", "HEAD~", "-M=0%"]).fails(2, &["percentage"]);
}

#[test]
fn what_has_no_lines_is_shown_by_size_and_hash() {
    let desk = Desk::bare();
    desk.hv(["init", "vault", "--large-file-threshold", "1MiB"]).ok();
    let noise = |seed: u32, len: usize| -> Vec<u8> {
        (0..u32::try_from(len).unwrap())
            .map(|n| n.wrapping_mul(2_654_435_761).rotate_left(seed).to_le_bytes()[1])
            .collect()
    };
    let mut big = noise(1, 3 << 20);
    desk.commit_file("big", &big);
    desk.commit_file("bin", b"\0one");
    big.extend_from_slice(b"more");
    desk.commit_file("big", &big);
    desk.commit_file("bin", b"\0three");
    let patch = desk.on(["diff", "HEAD~2"]).text();
    for line in [
        "Large files a/big and b/big differ\n  size 3145728 -> 3145732 bytes, ",
        " of them shared\n  sha256 ",
        "Binary files a/bin and b/bin differ\n  size 4 -> 6 bytes",
    ] {
        assert!(patch.contains(line), "{line} is not in {patch}");
    }
    let changes = desk.on(["diff", "HEAD~2", "--json"]).json();
    assert!(changes[0]["shared_bytes"].as_u64().unwrap() > 2 << 20, "{changes}");
    assert_eq!((&changes[0]["is_binary"], &changes[0]["new_file"]["lfs"]), (&true.into(), &true.into()));
    assert!(changes[1]["unified_diff"].is_null());
    assert_eq!(desk.on(["diff", "HEAD~2", "--numstat"]).text(), "-\t-\tbig\n-\t-\tbin");
    // Longer than what is compared by lines, and all the same text.
    let lines = |first: &str| format!("{first}\n{}", "line\n".repeat(2 << 20));
    desk.hv(["init", "plain", "--large-file-threshold", "1GiB"]).ok();
    for first in ["a", "b"] {
        desk.write("long", lines(first));
        desk.hv(["-C", "plain", "commit", "-m", first, "long"]).ok();
    }
    assert!(
        desk.hv(["-C", "plain", "diff", "HEAD~"]).text().contains("Binary files a/long and b/long differ")
    );
}

#[test]
fn tensors_are_compared_one_by_one() {
    let desk = Desk::new();
    let f32s = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    desk.commit_file(
        "m.safetensors",
        safetensors(&[
            ("same", "F32", &[2], f32s(&[1.0, 2.0])),
            ("moved", "F32", &[4], f32s(&[1.0, 2.0, 3.0, 4.0])),
            ("gone", "U8", &[3], vec![1, 2, 3]),
            ("typed", "F32", &[1], f32s(&[1.5])),
            ("shaped", "F32", &[2, 1], f32s(&[7.0, 8.0])),
        ]),
    );
    desk.commit_file(
        "m.safetensors",
        safetensors(&[
            ("new", "I64", &[], vec![0; 8]),
            ("same", "F32", &[2], f32s(&[1.0, 2.0])),
            ("moved", "F32", &[4], f32s(&[1.0, 2.5, 3.0, 3.0])),
            ("typed", "BF16", &[1], vec![0xc0, 0x3f]),
            ("shaped", "F32", &[1, 2], f32s(&[7.0, 8.0])),
        ]),
    );
    let text = desk.on(["diff", "HEAD~", "--tensor-stats"]).text();
    for line in [
        "Tensors of a/m.safetensors and b/m.safetensors differ\n",
        "- gone: U8 [3], 3 bytes\n",
        "+ new: I64 [], 8 bytes\n",
        "~ changed moved: F32 [4], 2 of 4 elements, max |d| 1.000000e0, mean |d| 3.750000e-1\n",
        "~ retyped typed: F32 [1] -> BF16 [1], 0 of 1 elements",
        "~ reshaped shaped: F32 [2, 1] -> [1, 2], same bytes\n",
        "  1 tensors added, 1 removed, 3 changed, 1 unchanged",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let json = desk.on(["diff", "HEAD~", "--json"]).json();
    assert_eq!(json[0]["tensors"]["unchanged"], 1);
    assert!(json[0]["tensors"]["changed"][0].get("stats").is_none());
    // What is no safetensors file is compared as the bytes it is.
    desk.commit_file("m.safetensors", "not one\n");
    assert!(desk.on(["diff", "HEAD~"]).text().contains("Binary files"));
}

#[test]
fn two_files_of_any_revisions_are_compared() {
    let desk = Desk::new();
    let f32s = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let model = |values: &[f32]| safetensors(&[("w", "F32", &[2], f32s(values))]);
    desk.commit_file("a.safetensors", model(&[1.0, 2.0]));
    desk.commit_file("b.safetensors", model(&[1.0, 4.0]));
    desk.commit_file("d/t", "1\n2\n");
    desk.commit_file("d/t", "1\n3\n");
    let text = desk.on(["diff", "HEAD:a.safetensors", ":b.safetensors", "--tensor-stats"]).text();
    assert!(text.contains("Tensors of a/a.safetensors and b/b.safetensors differ"), "{text}");
    assert!(text.contains("~ changed w: F32 [2], 1 of 2 elements"), "{text}");
    let json = desk.on(["diff", "HEAD:a.safetensors", "HEAD:b.safetensors", "--json"]).json();
    assert_eq!(json[0]["old_file"]["path"], "a.safetensors");
    assert_eq!(json[0]["new_file"]["path"], "b.safetensors");
    assert_eq!(desk.on(["diff", "HEAD~:d/t", "--numstat"]).text(), "1\t1\td/t");
    assert_eq!(desk.on(["diff", "HEAD:d/t", "main:d/t"]).text(), "");
    desk.on(["diff", "HEAD:d", "HEAD:d/t"]).fails(1, &["`d` in HEAD is a folder"]);
    desk.on(["diff", "HEAD:absent", "HEAD:d/t"]).fails(3, &["`absent` is not in HEAD"]);
    desk.on(["diff", "HEAD:d/t", "HEAD"]).fails(2, &["REV:PATH twice"]);
    desk.on(["diff", "HEAD~:d/t", "HEAD:d/t", "--", "d"]).fails(2, &["leave out"]);
}

#[test]
fn a_patch_can_be_applied() {
    let desk = Desk::new();
    let first = (0..50).fold(String::new(), |text, n| format!("{text}line {n}\n"));
    desk.commit_file("f", &first);
    desk.commit_file("f", first.replace("line 7\n", "").replace("line 30\n", "x\ny"));
    let patch = desk.on(["diff", "HEAD~"]).ok().bytes;
    desk.write("work/f", &first);
    desk.write("patch", patch);
    let mut git = desk.command("git");
    let applied = git.args(["apply", "../patch"]).current_dir(desk.path("work")).output();
    if let Ok(applied) = applied {
        assert!(applied.status.success(), "{applied:?}");
        assert_eq!(std::fs::read(desk.path("work/f")).unwrap(), desk.content(":f"));
    }
}
