//! The short name of the same program as `hubvault`.
fn main() -> std::process::ExitCode {
    hubvault::cli::main()
}
