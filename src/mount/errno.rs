//! Our errors as the port's, decided once: what is missing is missing, everything else is an I/O error.
//!
//! An I/O error says nothing to the program that reads; its reason goes along for the adapter's log.

use hubvault_platform::port::PortError;

use crate::snapshot::SnapshotError;

/// The port's error for one of ours.
pub(super) fn port_error(error: &SnapshotError) -> PortError {
    match error {
        SnapshotError::EntryNotFound { .. } | SnapshotError::RevisionNotFound { .. } => PortError::NotFound,
        SnapshotError::IsADirectory { .. } => PortError::IsADirectory,
        SnapshotError::NotADirectory { .. } => PortError::NotADirectory,
        _ => PortError::Io(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::StoreError;

    #[test]
    fn damage_is_an_io_error_and_absence_is_not() {
        let damaged = StoreError::Damaged { file: "packs/x.pack".into(), detail: "gone".into() };
        assert!(matches!(port_error(&SnapshotError::Store(damaged)), PortError::Io(_)));
        let absent = SnapshotError::EntryNotFound { path: "a".into(), revision: "main".into() };
        assert_eq!(port_error(&absent), PortError::NotFound);
    }
}
