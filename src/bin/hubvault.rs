//! The long name of the program; everything it does is in [`hubvault::cli`].
fn main() -> std::process::ExitCode {
    hubvault::cli::main()
}
