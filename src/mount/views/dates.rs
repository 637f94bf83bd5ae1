//! Commits by the day they were made: names of days and of links, from times that may be anything.
//!
//! Knows seconds and ids; not how a commit is found, or shown.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::snapshot::ObjectId;

/// Most commits that are listed by date, newest first: what a listing may cost.
pub(super) const MOST: usize = 100_000;

/// Links of each day by name; days as `2026-11-25`, links as `14-05-09-f18d3c0`, in UTC, both in order of time.
pub(super) type Days = BTreeMap<String, BTreeMap<String, ObjectId>>;

/// Sorts commits by day. Times that are no year of four digits have no place in it.
pub(super) fn by_day(commits: &[(i64, ObjectId)]) -> Days {
    let mut days = Days::new();
    for (seconds, id) in commits {
        let Ok(time) = Timestamp::from_second(*seconds) else { continue };
        let day = time.strftime("%Y-%m-%d").to_string();
        if day.len() == "2026-11-25".len() && !day.starts_with('-') {
            let name = format!("{}-{}", time.strftime("%H-%M-%S"), id.short());
            days.entry(day).or_default().insert(name, *id);
        }
    }
    days
}

/// Where a link of a day leads.
pub(super) fn target(id: ObjectId) -> Vec<u8> {
    format!("../../commits/{id}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_utc_and_impossible_times_are_left_out() {
        let id = ObjectId::from_bytes([0xab; 20]);
        let commits = [0, 86_399, 86_400, -1, i64::MAX, i64::MIN, 253_402_300_800, -62_167_219_201];
        let days = by_day(&commits.map(|seconds| (seconds, id)));
        assert_eq!(days.keys().collect::<Vec<_>>(), ["1969-12-31", "1970-01-01", "1970-01-02"]);
        let names: Vec<_> = days["1970-01-01"].keys().collect();
        assert_eq!(names, ["00-00-00-abababa", "23-59-59-abababa"]);
    }
}
