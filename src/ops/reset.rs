//! `reset_ref`: moves a branch to another commit. What it leaves stays readable by its id until `gc`.

use super::error::OpsError;
use super::models::RefMove;
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::refname::RefName;

impl Repository {
    /// Moves the branch with the short name `ref_name` to `to_revision`. A branch that is there already is left
    /// alone, and no transaction is made.
    ///
    /// # Errors
    /// [`OpsError::BranchNotFound`], also for tags and full names: a tag stays where it is.
    pub fn reset_ref(&self, ref_name: &str, to_revision: &str, actor: &Actor) -> Result<RefMove, OpsError> {
        let name = RefName::branch(ref_name)?;
        let message = format!("reset: moving to {to_revision}");
        self.move_existing(&name, ("reset", &message), actor, &|view, _| {
            Ok(Some(resolve::commit(view, to_revision)?))
        })
    }
}
