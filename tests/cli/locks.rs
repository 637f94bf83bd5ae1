//! What somebody who waits for a lock is told.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::Desk;

#[test]
fn a_writer_says_what_it_waits_for() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let held = File::options().read(true).write(true).open(desk.path("vault/locks/publish")).unwrap();
    let waiting = "waiting for another process that is writing to this vault";
    for (at, json) in [false, true].into_iter().enumerate() {
        held.lock().unwrap();
        desk.write("g", at.to_string());
        let mut command = desk.command(super::HV);
        command.args(["-C", "vault", "commit", "-m", "x", "--author", "A <a@b>", "g"]);
        command.args(json.then_some("--json")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut writer = command.spawn().unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(writer.stderr.take().unwrap());
        lines.read_line(&mut told).unwrap();
        if json {
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            let wanted = serde_json::json!({ "warning": { "file": "locks/publish", "detail": waiting } });
            assert_eq!(told, wanted);
        } else {
            assert_eq!(told.trim_end(), waiting);
        }
        held.unlock().unwrap();
        assert!(writer.wait().unwrap().success());
    }
    desk.on(["cat", ":g"]).ok();
}
