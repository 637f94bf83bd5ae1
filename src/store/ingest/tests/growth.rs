//! What a file costs that is edited again and again: sizes, never time. What is known in several places is where it
//! can go wrong, and that takes many versions.

use super::*;

/// What a file of many versions takes.
#[derive(Debug)]
struct Cost {
    /// Bytes of packs that each edit added.
    grown: Vec<u64>,
    /// Extents of the last version.
    extents: usize,
    longest: usize,
}

impl Cost {
    fn mean(&self) -> u64 {
        self.grown.iter().sum::<u64>() / self.grown.len() as u64
    }
}

/// Stores `size` bytes, and `count` versions more of it, each with `edit` other bytes somewhere.
fn edit_somewhere(size: usize, edit: usize, count: u64) -> Cost {
    let (_, vault) = new_vault();
    let mut bytes = noise(1, size);
    let mut cost = Cost { grown: Vec::new(), extents: 0, longest: 0 };
    for n in 0..=count {
        if n > 0 {
            let seed = u64::from_le_bytes(*noise(n ^ 0xabcd, 8).first_chunk().unwrap());
            let at = usize::try_from(seed % (size - edit) as u64).unwrap();
            bytes[at..at + edit].copy_from_slice(&noise(n + 1000, edit));
        }
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&noise(n + 99, 8));
        let mut transaction = vault.begin(Context { nonce, ..context(0) }).unwrap();
        let stored = transaction.add_content(&mut Bytes::new("file", &bytes), true, &mut |_| ()).unwrap();
        transaction.publish(Change::default()).unwrap();
        let record = vault.view().catalog.file(stored.sha256).unwrap();
        cost.extents = record.extents.len();
        cost.longest = cost.longest.max(cost.extents);
        if n > 0 {
            cost.grown.push(stored.new_bytes);
        }
        if n % 20 == 19 || n == count {
            assert!(vault.view().catalog.read_all(&record).unwrap() == bytes, "version {n}");
        }
    }
    cost
}

#[test]
fn edits_cost_themselves_while_the_file_may_have_more_extents_and_little_more_from_then_on() {
    // Measured: 10 KiB (two of the edits meet) and 161 KiB; an edit and a half, and what lies between two of many.
    for (count, most) in [(12, 12 << 10), (40, 200 << 10)] {
        let cost = edit_somewhere(24 << 20, 4 << 10, count);
        assert!(cost.mean() < most, "{}: {cost:?}", cost.mean());
        assert!(cost.longest <= 24 + 16, "{cost:?}");
    }
}
