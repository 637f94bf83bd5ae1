//! hubvault: a local, embedded, versioned repository for large machine-learning artifacts.
pub mod store;
/// Words and screens.
#[cfg(feature = "cli")]
pub mod cli {
    /// Entry.
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}
