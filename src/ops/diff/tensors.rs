//! Two safetensors files, tensor by tensor.
//!
//! Which tensors came, went or changed is asked of the headers and of where the bytes are stored; only tensors that are
//! stored anew are read, in pieces. How much a tensor changed is counted in `f64`, in one pass.

use serde::Serialize;

use super::patch::{PatchLine, Sink};
use crate::ops::OpsError;
use crate::ops::safetensors::{HeaderError, Tensor, bits_of, read_header};
use crate::snapshot::FileReader;
use crate::snapshot::compare::same_bytes;

/// Elements of each file held at a time while numbers are compared.
const ELEMENTS: u64 = 64 << 10;

/// How the tensors of two files differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorDiff {
    /// Tensors only the new file has.
    pub added: Vec<Tensor>,
    /// Tensors only the old file had.
    pub removed: Vec<Tensor>,
    /// Tensors of both that are not the same, in the new file's order.
    pub changed: Vec<TensorChange>,
    /// How many are the same in both.
    pub unchanged: usize,
    /// Whether the `__metadata__` differs.
    pub metadata_changed: bool,
}

/// A tensor that both files have and that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorChange {
    /// As it was.
    pub old: Tensor,
    /// As it is.
    pub new: Tensor,
    /// `reshaped`, `retyped` or `changed`.
    pub change: &'static str,
    /// Whether its bytes are others; a tensor may be reshaped only.
    pub content_changed: bool,
    /// By how much, when that was asked for and both are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<TensorStats>,
}

/// How far apart the numbers of two tensors are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct TensorStats {
    /// Number of elements.
    pub elements: u64,
    /// How many have another value.
    pub changed: u64,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Mean absolute difference over all elements that could be compared.
    pub mean_abs: f64,
    /// How many could not be compared: NaN, or an infinity, on one side only.
    pub incomparable: u64,
}

/// Whether a path is that of a safetensors file.
pub fn is_safetensors(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("safetensors"))
}

/// Compares two files; `None` when one of them is not what its name says.
pub fn compare(old: &FileReader, new: &FileReader, stats: bool) -> Result<Option<TensorDiff>, OpsError> {
    let header = |file: &FileReader| match read_header(file) {
        Ok(header) => Ok(Some(header)),
        Err(HeaderError::Invalid(_)) => Ok(None),
        Err(HeaderError::Read(error)) => Err(error),
    };
    let (Some(before), Some(after)) = (header(old)?, header(new)?) else { return Ok(None) };
    let mut known: std::collections::HashMap<String, Tensor> =
        before.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut diff = TensorDiff {
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        metadata_changed: before.metadata != after.metadata,
    };
    for tensor in after.tensors {
        let Some(was) = known.remove(&tensor.name) else {
            diff.added.push(tensor);
            continue;
        };
        let content_changed =
            was.bytes != tensor.bytes || !same_bytes(old, was.offset, new, tensor.offset, tensor.bytes)?;
        let change = if was.dtype != tensor.dtype {
            "retyped"
        } else if was.shape != tensor.shape {
            "reshaped"
        } else if content_changed {
            "changed"
        } else {
            diff.unchanged += 1;
            continue;
        };
        let stats = if stats && content_changed { measure(old, &was, new, &tensor)? } else { None };
        diff.changed.push(TensorChange { old: was, new: tensor, change, content_changed, stats });
    }
    diff.removed = known.into_values().collect();
    diff.removed.sort_by_key(|tensor| tensor.offset);
    Ok(Some(diff))
}

/// How far the numbers are apart; `None` when they are no numbers or not as many.
fn measure(
    old: &FileReader,
    was: &Tensor,
    new: &FileReader,
    is: &Tensor,
) -> Result<Option<TensorStats>, OpsError> {
    let (Some(from), Some(to)) = (Numbers::of(&was.dtype), Numbers::of(&is.dtype)) else { return Ok(None) };
    let elements = match (was.elements(), is.elements()) {
        (Some(a), Some(b)) if a == b => a,
        _ => return Ok(None),
    };
    let mut stats = TensorStats { elements, ..TensorStats::default() };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let (mut sum, mut done) = (0.0, 0);
    while done < elements {
        let n = ELEMENTS.min(elements - done);
        fill(old, was.offset + done * from.width, n * from.width, &mut a)?;
        fill(new, is.offset + done * to.width, n * to.width, &mut b)?;
        if was.dtype != is.dtype || a != b {
            let values = (from.values(&a), to.values(&b));
            for (x, y) in values.0.zip(values.1) {
                sum += stats.add(x, y);
            }
        }
        done += n;
    }
    let compared = elements - stats.incomparable;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean over 2^53 elements may be off by one part in 2^53"
    )]
    if compared > 0 {
        stats.mean_abs = sum / compared as f64;
    }
    Ok(Some(stats))
}

impl TensorStats {
    /// Counts one pair; answers their distance.
    fn add(&mut self, x: f64, y: f64) -> f64 {
        // Bits, so that a zero that changed its sign is a change; any NaN is any other.
        if x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()) {
            return 0.0;
        }
        self.changed += 1;
        let distance = (x - y).abs();
        if !distance.is_finite() {
            self.incomparable += 1;
            return 0.0;
        }
        self.max_abs = self.max_abs.max(distance);
        distance
    }
}

fn fill(file: &FileReader, at: u64, len: u64, buffer: &mut Vec<u8>) -> Result<(), OpsError> {
    buffer.resize(usize::try_from(len).unwrap_or(0), 0);
    let n = file.read_at(at, buffer)?;
    // The header was checked against the file's length.
    debug_assert_eq!(n, buffer.len());
    Ok(())
}

/// How bytes are numbers.
struct Numbers {
    width: u64,
    value: fn(&[u8]) -> f64,
}

impl Numbers {
    #[expect(
        clippy::cast_precision_loss,
        reason = "differences of 64-bit integers are approximate by nature of f64"
    )]
    fn of(dtype: &str) -> Option<Self> {
        fn bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.first_chunk().copied().unwrap_or([0; N])
        }
        let value: fn(&[u8]) -> f64 = match dtype {
            "F64" => |b| f64::from_le_bytes(bytes(b)),
            "F32" => |b| f32::from_le_bytes(bytes(b)).into(),
            "BF16" => |b| f32::from_bits(u32::from(u16::from_le_bytes(bytes(b))) << 16).into(),
            "F16" => |b| half(u16::from_le_bytes(bytes(b))),
            "F8_E5M2" => |b| half(u16::from(b[0]) << 8),
            "F8_E4M3" => |b| e4m3(b[0]),
            "I64" => |b| i64::from_le_bytes(bytes(b)) as f64,
            "U64" => |b| u64::from_le_bytes(bytes(b)) as f64,
            "I32" => |b| i32::from_le_bytes(bytes(b)).into(),
            "U32" => |b| u32::from_le_bytes(bytes(b)).into(),
            "I16" => |b| i16::from_le_bytes(bytes(b)).into(),
            "U16" => |b| u16::from_le_bytes(bytes(b)).into(),
            "I8" => |b| i8::from_le_bytes(bytes(b)).into(),
            "U8" | "BOOL" => |b| b[0].into(),
            _ => return None,
        };
        Some(Self { width: bits_of(dtype)? / 8, value })
    }

    fn values<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = f64> + use<'a> {
        let value = self.value;
        bytes.chunks_exact(usize::try_from(self.width).unwrap_or(1)).map(value)
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction.abs() < f64::EPSILON => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// The 8-bit float with 4 exponent bits and no infinity (OCP, `E4M3FN`).
fn e4m3(bits: u8) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 3 & 0xf), f64::from(bits & 7) / 8.0);
    let magnitude = match (exponent, bits & 7) {
        (15, 7) => f64::NAN,
        (0, _) => fraction * 2f64.powi(-6),
        _ => (1.0 + fraction) * 2f64.powi(exponent - 7),
    };
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

/// The difference in lines for people.
pub(super) fn write<E>(diff: &TensorDiff, sink: Sink<'_, E>) -> Result<(), E> {
    for tensor in &diff.removed {
        sink(PatchLine::Removed, format!("- {}", shown(tensor)).as_bytes())?;
    }
    for tensor in &diff.added {
        sink(PatchLine::Added, format!("+ {}", shown(tensor)).as_bytes())?;
    }
    for change in &diff.changed {
        let (old, new) = (&change.old, &change.new);
        let what = match change.change {
            "changed" => format!("{} {:?}", new.dtype, new.shape),
            "reshaped" => format!("{} {:?} -> {:?}", new.dtype, old.shape, new.shape),
            _ => format!("{} {:?} -> {} {:?}", old.dtype, old.shape, new.dtype, new.shape),
        };
        let mut parts = vec![format!("~ {} {}: {what}", change.change, super::quote::quoted(&new.name))];
        if let Some(stats) = &change.stats {
            parts.push(format!("{} of {} elements", stats.changed, stats.elements));
            parts.push(format!("max |d| {:.6e}, mean |d| {:.6e}", stats.max_abs, stats.mean_abs));
            if stats.incomparable > 0 {
                parts.push(format!("{} not comparable", stats.incomparable));
            }
        } else if change.change == "reshaped" && !change.content_changed {
            parts.push("same bytes".to_owned());
        }
        let line = parts.join(", ");
        sink(PatchLine::Note, line.as_bytes())?;
    }
    if diff.metadata_changed {
        sink(PatchLine::Note, b"~ metadata changed")?;
    }
    let summary = format!(
        "  {} tensors added, {} removed, {} changed, {} unchanged",
        diff.added.len(),
        diff.removed.len(),
        diff.changed.len(),
        diff.unchanged
    );
    sink(PatchLine::Note, summary.as_bytes())
}

/// A tensor in words.
fn shown(tensor: &Tensor) -> String {
    let name = super::quote::quoted(&tensor.name);
    format!("{name}: {} {:?}, {} bytes", tensor.dtype, tensor.shape, tensor.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f64.powi(-24)),
            (0x0400, 2f64.powi(-14)),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits).to_bits(), f64::to_bits(value), "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan() && half(0xfc00) == f64::NEG_INFINITY);
        for (bits, value) in [(0x38, 1.0), (0x7e, 448.0), (0x01, 2f64.powi(-9)), (0xb8, -1.0)] {
            assert_eq!(e4m3(bits).to_bits(), f64::to_bits(value), "{bits:#x}");
        }
        assert!(e4m3(0x7f).is_nan());
    }

    #[test]
    fn what_cannot_be_compared_is_counted_and_spoils_nothing() {
        let mut stats = TensorStats::default();
        let pairs = [(1.0, 1.5), (f64::NAN, f64::NAN), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (0.0, -0.0)];
        let sum: f64 = pairs.map(|(x, y)| stats.add(x, y)).iter().sum();
        assert_eq!((stats.changed, stats.incomparable), (4, 2));
        assert_eq!((sum.to_bits(), stats.max_abs.to_bits()), (0.5f64.to_bits(), 0.5f64.to_bits()));
    }
}
