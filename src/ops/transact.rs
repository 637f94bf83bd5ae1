//! Changing a vault: an attempt on the newest state, made again when another writer comes between.
//!
//! Every verb that publishes goes through here, so that none can forget the retry, or report as done what another
//! writer may not have made durable. What is attempted is the caller's.

use std::sync::Arc;

use super::error::OpsError;
use super::{Actor, Repository};
use crate::store::StoreError;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

impl Repository {
    /// Starts a transaction and [`attempts`](attempt) what is to be published.
    pub(super) fn transact<T>(
        &self,
        actor: &Actor,
        command: &str,
        work: impl FnMut(&mut Transaction<'_>, &Arc<View>) -> Result<T, OpsError>,
    ) -> Result<T, OpsError> {
        attempt(&mut self.vault().begin(actor.context(command))?, work)
    }
}

/// Runs `work` on the newest state while nobody else publishes. Where locks don't work another writer can still be
/// first: then again, on theirs. `work` ends in [`Transaction::publish`], or in [`Transaction::confirm`] when
/// everything is as it should be already.
pub(super) fn attempt<T>(
    transaction: &mut Transaction<'_>,
    mut work: impl FnMut(&mut Transaction<'_>, &Arc<View>) -> Result<T, OpsError>,
) -> Result<T, OpsError> {
    loop {
        let view = transaction.lock()?;
        match work(transaction, &view) {
            Err(OpsError::Store(StoreError::Overtaken(_))) => transaction.forget_objects(),
            done => return done,
        }
    }
}
