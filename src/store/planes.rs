//! Arrays of numbers, stored byte by byte: all lowest bytes, then all next ones, and so on.
//!
//! In weights the exponents repeat and the mantissas are noise. Side by side neither zstd nor anybody else tells them
//! apart; each on its own, the exponents shrink to a third. Every number is rotated left by one bit first, which moves
//! the sign (noise too) to the mantissa. Which width the numbers have, and at which byte of the chunk the first one
//! begins, is guessed from the bytes: a chunk begins anywhere, and what they mean does not matter, because undoing it
//! gives back any bytes exactly. Knows no file format and no chunk's name.

use std::sync::LazyLock;

use super::zip;

/// Bytes of a number: f16 and bf16, f32, f64 and i64.
const WIDTHS: [usize; 3] = [2, 4, 8];
/// Bytes that are looked at to guess a layout.
const SAMPLE: usize = 8 << 10;
/// By so much a layout must be better than a narrower one; less is chance.
const CLEARLY: f64 = 0.97;
/// Fewer bytes than this are not worth a guess.
const MIN_LEN: usize = 1 << 10;
/// Bytes of a plane's stored length.
const LENGTH: usize = 3;

/// Width of the numbers in bytes, and at which byte the first one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    width: usize,
    phase: usize,
}

impl Layout {
    /// How many whole numbers there are, and where they end.
    fn numbers(self, len: usize) -> Option<(usize, usize)> {
        let count = len.checked_sub(self.phase)? / self.width;
        Some((count, self.phase + count * self.width))
    }
}

/// `raw` as planes; `None` when that does not look promising.
///
/// Width u8, phase u8, the stored length of each plane (u24, little-endian), the bytes before the first and behind the
/// last number, then the planes from the lowest byte on: each a zstd frame, or as it is when its length is the count of
/// the numbers.
pub(super) fn encode(raw: &[u8]) -> Option<Vec<u8>> {
    let layout = guess(raw)?;
    let (count, end) = layout.numbers(raw.len())?;
    let mut out = vec![u8::try_from(layout.width).ok()?, u8::try_from(layout.phase).ok()?];
    let mut packed = Vec::with_capacity(raw.len());
    for plane in split(&raw[layout.phase..end], layout.width) {
        let frame = zip::compress(&plane, 1).ok().filter(|frame| frame.len() < count);
        let stored = frame.unwrap_or(plane);
        out.extend_from_slice(&u32::try_from(stored.len()).ok()?.to_le_bytes()[..LENGTH]);
        packed.extend_from_slice(&stored);
    }
    out.extend_from_slice(&raw[..layout.phase]);
    out.extend_from_slice(&raw[end..]);
    out.extend_from_slice(&packed);
    Some(out)
}

/// Undoes [`encode`]; `None` when `stored` is no planes of `raw_len` bytes.
pub(super) fn decode(stored: &[u8], raw_len: usize) -> Option<Vec<u8>> {
    let (&[width, phase], rest) = stored.split_first_chunk::<2>()?;
    let layout = Layout { width: width.into(), phase: phase.into() };
    if !WIDTHS.contains(&layout.width) || layout.phase >= layout.width {
        return None;
    }
    let (count, end) = layout.numbers(raw_len)?;
    let (lengths, rest) = rest.split_at_checked(layout.width * LENGTH)?;
    let (head, rest) = rest.split_at_checked(layout.phase)?;
    let (tail, mut rest) = rest.split_at_checked(raw_len - end)?;
    let mut planes = Vec::with_capacity(layout.width);
    for length in lengths.chunks_exact(LENGTH) {
        let &[a, b, c] = length else { return None };
        let (plane, behind) = rest.split_at_checked(u32::from_le_bytes([a, b, c, 0]) as usize)?;
        rest = behind;
        let plane = if plane.len() == count { plane.to_vec() } else { zip::decompress(plane, count).ok()? };
        planes.push(Some(plane).filter(|plane| plane.len() == count)?);
    }
    if !rest.is_empty() {
        return None;
    }
    let mut raw = Vec::with_capacity(raw_len);
    raw.extend_from_slice(head);
    join(&planes, &mut raw);
    raw.extend_from_slice(tail);
    Some(raw)
}

/// The layout whose planes have the least entropy, when that is less than the bytes have as they lie.
fn guess(raw: &[u8]) -> Option<Layout> {
    if raw.len() < MIN_LEN {
        return None;
    }
    let start = (raw.len() - SAMPLE.min(raw.len())) / 2;
    let sample = &raw[start..][..SAMPLE.min(raw.len())];
    let mut best = (entropy(sample), None);
    for width in WIDTHS {
        let bits = |at: usize| split(&sample[at..], width).iter().map(|plane| entropy(plane)).sum::<f64>();
        let phases = (0..width).map(|at| (bits(at), Layout { width, phase: (start + at) % width }));
        if let Some((bits, layout)) = phases.min_by(|a, b| a.0.total_cmp(&b.0))
            && bits < best.0 * CLEARLY
        {
            best = (bits, Some(layout));
        }
    }
    best.1
}

/// `n * log2(n)` for every `n` up to a sample's length. Looked up, because a guess needs thousands of them.
static BITS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let bits = |count: u16| f64::from(count) * f64::from(count.max(1)).log2();
    (0..=u16::try_from(SAMPLE).unwrap_or(u16::MAX)).map(bits).collect()
});

/// Bits that at most [`SAMPLE`] bytes like these take up when each is stored by how often it comes. Few bytes look more
/// alike than many of their kind would; the last term makes up for it (Miller and Madow), or the widest layout would win.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u16; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let seen = counts.iter().filter(|&&count| count > 0);
    let (different, known) =
        seen.fold((0.0, 0.0), |(n, known), &count| (n + 1.0, known + BITS[usize::from(count)]));
    BITS[bytes.len()] - known + (different - 1.0) / 2.0 * std::f64::consts::LOG2_E
}

/// The planes of whole numbers; a remainder is left out.
fn split(numbers: &[u8], width: usize) -> Vec<Vec<u8>> {
    match width {
        2 => split_by::<2>(numbers),
        4 => split_by::<4>(numbers),
        _ => split_by::<8>(numbers),
    }
}

fn split_by<const W: usize>(numbers: &[u8]) -> Vec<Vec<u8>> {
    let mut planes = vec![vec![0; numbers.len() / W]; W];
    for (at, number) in numbers.chunks_exact(W).enumerate() {
        let value = number.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        let rotated = value << 1 | value >> (8 * W - 1);
        for (plane, byte) in planes.iter_mut().zip(rotated.to_le_bytes()) {
            plane[at] = byte;
        }
    }
    planes
}

fn join(planes: &[Vec<u8>], out: &mut Vec<u8>) {
    match planes.len() {
        2 => join_by::<2>(planes, out),
        4 => join_by::<4>(planes, out),
        _ => join_by::<8>(planes, out),
    }
}

fn join_by<const W: usize>(planes: &[Vec<u8>], out: &mut Vec<u8>) {
    let Ok(planes) = <&[Vec<u8>; W]>::try_from(planes) else { return };
    let planes = planes.each_ref().map(Vec::as_slice);
    for at in 0..planes[0].len() {
        let rotated = planes.iter().rev().fold(0_u64, |value, plane| value << 8 | u64::from(plane[at]));
        let value = rotated >> 1 | (rotated & 1) << (8 * W - 1);
        out.extend_from_slice(&value.to_le_bytes()[..W]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::samples::noise;

    /// About normal, sigma 0.02, as weights are.
    fn weights(count: usize) -> Vec<f32> {
        let sum = |four: &[u8]| four.iter().map(|&byte| f32::from(byte) - 127.5).sum::<f32>();
        let value = |five: &[u8]| sum(&five[1..]) / 7000.0 * (1.0 + f32::from(five[0]) / 2560.0);
        noise(7, count * 5).chunks_exact(5).map(value).collect()
    }

    #[test]
    fn weights_shrink_wherever_a_chunk_begins() {
        let f32s: Vec<u8> = weights(16 << 10).iter().flat_map(|value| value.to_le_bytes()).collect();
        let bf16s: Vec<u8> = weights(32 << 10)
            .iter()
            .flat_map(|value| [value.to_le_bytes()[2], value.to_le_bytes()[3]])
            .collect();
        for (bytes, width, most) in [(&bf16s, 2, 70), (&f32s, 4, 86)] {
            for phase in 0..width {
                let raw = &bytes[width - phase..bytes.len() - 1];
                assert_eq!(guess(raw).unwrap().width, width, "from {phase}");
                let stored = encode(raw).unwrap();
                assert!(stored.len() * 100 < raw.len() * most, "{width}: {} of {}", stored.len(), raw.len());
                assert!(decode(&stored, raw.len()).unwrap() == raw);
            }
        }
    }

    #[test]
    fn noise_and_short_things_are_left_alone() {
        assert_eq!(encode(&noise(1, MIN_LEN - 1)), None);
        assert_eq!(encode(&[]), None);
        let stored = encode(&noise(1, 64 << 10));
        assert!(stored.is_none_or(|stored| stored.len() > 63 << 10), "noise does not shrink");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_come_back(seed: u64, len in 0usize..5000, width in 0usize..3, few in 1u8..255) {
            let width = WIDTHS[width];
            let raw: Vec<u8> = noise(seed, len).iter().enumerate()
                .map(|(at, byte)| if at % width == 1 { byte % few } else { *byte }).collect();
            if let Some(stored) = encode(&raw) {
                let (longer, same) = (decode(&stored, len + 1), decode(&stored, len));
                prop_assert_ne!(longer.as_ref(), Some(&raw));
                prop_assert_eq!(same, Some(raw));
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_answer_more_than_was_asked_for(
            head in (0u8..10, 0u8..10), rest in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..200,
        ) {
            let stored: Vec<u8> = [head.0, head.1].into_iter().chain(rest).collect();
            prop_assert!(decode(&stored, len).is_none_or(|raw| raw.len() == len));
        }
    }
}
