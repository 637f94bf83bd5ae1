//! `hv status`: where a vault stands.

use super::Desk;

#[test]
fn it_tells_where_the_vault_stands() {
    let desk = Desk::new();
    let head = desk.commit_file("f", "1");
    desk.on(["branch", "side"]).ok();
    desk.on(["tag", "v1"]).ok();
    let said = desk.on(["status"]).ok();
    assert!(said.err.is_empty(), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "On branch main");
    assert_eq!(lines[1], format!("  at {} test", &head[..7]));
    assert!(lines[2].starts_with("Vault ") && lines[2].ends_with("vault"), "{}", lines[2]);
    assert_eq!(
        lines[3],
        "  2 branches, 1 tag, 4 transactions; files of 10.00 MiB and more are LFS pointers to Git"
    );
    let told = desk.on(["status", "--json"]).json();
    assert_eq!((&told["head"], &told["head_title"]), (&head.into(), &"test".into()));
    assert_eq!((&told["branches"], &told["tags"], &told["transaction"]), (&2.into(), &1.into(), &4.into()));
    assert_eq!((&told["leases"], &told["warnings"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn the_vault_is_chosen_by_flag_then_variable_then_place() {
    let desk = Desk::new();
    let vault = |command: &mut std::process::Command| {
        let run: super::Run = command.args(["status", "--json"]).output().unwrap().into();
        let path = run.json()["vault"].as_str().unwrap().replace('\\', "/");
        path.rsplit('/').next().unwrap().to_owned()
    };
    desk.hv(["init", "other"]).ok();
    assert_eq!(vault(desk.command(super::HV).current_dir(desk.path("other"))), "other");
    assert_eq!(vault(desk.command(super::HV).env("HUBVAULT_DIR", "vault")), "vault");
    assert_eq!(vault(desk.command(super::HV).env("HUBVAULT_DIR", "vault").args(["-C", "other"])), "other");
    // The variable is no word of the command line.
    let wrong = desk.command(super::HV).env("HUBVAULT_DIR", "vault").arg("merge").output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains(" merge ") && !said.contains("--vault"), "{said}");
    desk.hv(["status"]).fails(3, &["no vault here", "hv init"]);
}
