//! `hubvault-passthrough`: the optional helper by which ordinary users' mounts reach native speed. Only a start; the
//! work, and the reasons, are in `lending::helper`.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match hubvault_platform::lending::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(_nobody_to_tell) => std::process::ExitCode::FAILURE,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
