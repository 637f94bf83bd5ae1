//! `hv upload`: what the command line adds to the library's verb.

use super::Desk;

#[test]
fn a_path_that_ends_in_a_slash_is_a_folder_to_put_the_file_into() {
    let desk = Desk::new();
    desk.write("run.sh", "1");
    for place in ["dir/", ".", "plain"] {
        desk.on(["upload", "run.sh", place]).ok();
    }
    assert_eq!(desk.files("main"), ["dir/run.sh", "plain", "run.sh"]);
}

#[test]
fn messages_are_taken_by_the_names_of_huggingface_cli_too() {
    let desk = Desk::new();
    desk.write("f", "1");
    desk.on(["upload", "f", "--commit-message", "title", "--commit-description", "more"]).ok();
    assert!(desk.on(["log", "-n1"]).text().ends_with("    title\n    \n    more"));
}
