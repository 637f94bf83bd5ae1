//! The wish that what is going on should end, looked at between one piece of work and the next.
//!
//! Long work that is simply killed leaves its temporary files behind; work that is asked ends as after any other failure,
//! and clears up. Must not know who asks, or why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::error::StoreError;

/// Shared by a handle of an open vault and whoever may ask it to stop. It cannot be taken back, since whoever is still on the
/// way would miss it: what is to go on afterwards, or beside, has a handle of its own
/// ([`Vault::handle`](super::vault::Vault::handle)).
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks. Commits, copies and verifications that go on with this handle end with [`StoreError::Interrupted`], and later
    /// ones too.
    pub fn request(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] once somebody asked.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Relaxed) { Err(StoreError::Interrupted) } else { Ok(()) }
    }
}
