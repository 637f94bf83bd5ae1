//! What somebody who waits for a lock is told.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

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
        let mut lines = BufReader::new(writer.stderr.take().unwrap()).lines();
        let (tell, hear) = channel();
        let listening = std::thread::spawn(move || lines.try_for_each(|line| tell.send(line.unwrap())));
        let told = hear.recv_timeout(Duration::from_secs(30));
        held.unlock().unwrap();
        let told = told.expect("who waits says so");
        if json {
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            let wanted = serde_json::json!({ "warning": { "file": "locks/publish", "detail": waiting } });
            assert_eq!(told, wanted);
        } else {
            assert_eq!(told, waiting);
        }
        assert!(writer.wait().unwrap().success());
        drop(hear);
        // What it says at the end nobody hears any more.
        drop(listening.join().unwrap());
    }
    desk.on(["cat", ":g"]).ok();
}
