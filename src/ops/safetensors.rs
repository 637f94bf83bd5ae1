//! The header of a safetensors file: which tensors it holds, and where.
//!
//! Reads 8 bytes and the JSON they announce, never a tensor. The file comes from anybody: a header that is too long, says
//! a name twice, or whose offsets overlap, leave holes or lead out of the file is refused with the reason, as the format
//! demands (<https://huggingface.co/docs/safetensors>). Types that are not known here are kept by name.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::snapshot::{FileReader, SnapshotError};

/// Longest JSON that is read, in bytes; what the Hub's own clients read.
pub const MAX_HEADER: u64 = 25_000_000;
/// The key that holds no tensor.
const METADATA: &str = "__metadata__";

/// Why a file is no safetensors file.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// What is wrong with it.
    #[error("not a valid safetensors file: {0}")]
    Invalid(String),
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] SnapshotError),
}

/// A tensor as the header describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its type, such as `BF16`.
    pub dtype: String,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// Where its bytes start in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Length of the JSON in bytes.
    pub header_bytes: u64,
    /// What the file says about itself.
    pub metadata: BTreeMap<String, String>,
    /// The tensors by where they are in the file.
    pub tensors: Vec<Tensor>,
}

impl Tensor {
    /// Number of elements; `None` when it does not fit.
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n))
    }
}

/// Bits of one element; `None` for a type that is not known.
pub fn bits_of(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// Reads the header of a file.
pub fn read_header(file: &FileReader) -> Result<Header, HeaderError> {
    let mut length = [0; 8];
    if file.read_at(0, &mut length)? < length.len() {
        return Err(invalid("it is shorter than 8 bytes"));
    }
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > MAX_HEADER {
        return Err(invalid(format!(
            "its header would have {header_bytes} bytes; at most {MAX_HEADER} are read"
        )));
    }
    if header_bytes > file.size() - 8 {
        return Err(invalid(format!("its header of {header_bytes} bytes ends beyond the file")));
    }
    let mut source = Failing { file, at: 8, end: 8 + header_bytes, failed: None };
    let parsed = parse(BufReader::new(&mut source));
    if let Some(error) = source.failed {
        return Err(error.into());
    }
    check(
        parsed.map_err(|error| invalid(format!("its header cannot be read: {error}")))?,
        header_bytes,
        file.size(),
    )
}

fn parse(source: impl Read) -> Result<Raw, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(source);
    let raw = Raw::deserialize(&mut json)?;
    json.end()?;
    Ok(raw)
}

fn invalid(detail: impl Into<String>) -> HeaderError {
    HeaderError::Invalid(detail.into())
}

/// Turns offsets into places in the file, and refuses what does not cover its data exactly once.
fn check(raw: Raw, header_bytes: u64, file_size: u64) -> Result<Header, HeaderError> {
    let start = 8 + header_bytes;
    let data = file_size - start;
    let mut tensors = Vec::with_capacity(raw.tensors.len());
    for (name, info) in raw.tensors {
        let [from, to] = info.data_offsets;
        if from > to || to > data {
            return Err(invalid(format!("tensor `{}` lies at {from}..{to} of {data} bytes", brief(&name))));
        }
        let tensor =
            Tensor { name, dtype: info.dtype, shape: info.shape, offset: start + from, bytes: to - from };
        if let Some(bits) = bits_of(&tensor.dtype) {
            let wanted = tensor.elements().and_then(|n| n.checked_mul(bits)).filter(|bits| bits % 8 == 0);
            if wanted.map(|bits| bits / 8) != Some(tensor.bytes) {
                return Err(invalid(format!(
                    "tensor `{}` has {} bytes, which is not {} of its shape",
                    brief(&tensor.name),
                    tensor.bytes,
                    brief(&tensor.dtype)
                )));
            }
        }
        tensors.push(tensor);
    }
    tensors.sort_by(|a, b| (a.offset, a.bytes, &a.name).cmp(&(b.offset, b.bytes, &b.name)));
    let mut covered = start;
    for tensor in &tensors {
        if tensor.offset != covered {
            let what = if tensor.offset < covered {
                "overlaps the one before it"
            } else {
                "leaves a hole before it"
            };
            return Err(invalid(format!("tensor `{}` {what}", brief(&tensor.name))));
        }
        covered += tensor.bytes;
    }
    if covered != file_size {
        return Err(invalid(format!("its last {} bytes belong to no tensor", file_size - covered)));
    }
    Ok(Header { header_bytes, metadata: raw.metadata, tensors })
}

/// The start of a name out of the file, for messages.
fn brief(name: &str) -> String {
    name.chars().take(80).collect()
}

/// The JSON as it is written.
#[derive(Debug, Default)]
struct Raw {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, RawTensor)>,
}

#[derive(Debug, Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// A map of texts in which no key may come twice.
struct Unique(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if let Some(old) = texts.insert(key, value) {
                        return Err(A::Error::custom(format!(
                            "metadata says a key twice (`{}`)",
                            brief(&old)
                        )));
                    }
                }
                Ok(Unique(texts))
            }
        }
        deserializer.deserialize_map(Texts)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;
        impl<'de> Visitor<'de> for Tensors {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut raw = Raw::default();
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{}` is there twice", brief(&name))));
                    }
                    if name == METADATA {
                        raw.metadata = map.next_value::<Unique>()?.0;
                    } else {
                        raw.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Tensors)
    }
}

/// A part of a file as a stream that remembers why it could not be read: that is damage, not a bad header.
struct Failing<'a> {
    file: &'a FileReader,
    at: u64,
    end: u64,
    failed: Option<SnapshotError>,
}

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        match self.file.read_at(self.at, &mut buffer[..left]) {
            Ok(n) => {
                self.at += n as u64;
                Ok(n)
            }
            Err(error) => {
                self.failed = Some(error);
                Err(io::Error::other("unreadable"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(json: &str, data: u64) -> Result<Header, String> {
        let length = json.len() as u64;
        let raw = parse(json.as_bytes()).map_err(|error| error.to_string())?;
        check(raw, length, 8 + length + data).map_err(|error| error.to_string())
    }

    fn tensor(name: &str, dtype: &str, shape: &str, from: u64, to: u64) -> String {
        format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}")
    }

    #[test]
    fn tensors_are_found_by_where_they_are() {
        let json = format!(
            "{{{},\"__metadata__\":{{\"format\":\"pt\"}},{},{}}}   ",
            tensor("b", "F32", "[2,3]", 4, 28),
            tensor("a", "BF16", "[2]", 0, 4),
            tensor("none", "I64", "[0,7]", 28, 28),
        );
        let found = header(&json, 28).unwrap();
        let names: Vec<&str> = found.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "none"]);
        assert_eq!(found.tensors[1].offset, 8 + json.len() as u64 + 4);
        assert_eq!(found.metadata["format"], "pt");
        assert!(header("{}", 0).unwrap().tensors.is_empty());
    }

    #[test]
    fn what_lies_is_refused() {
        let one = |t: String| format!("{{{t}}}");
        let cases = [
            (one(tensor("a", "F32", "[1]", 0, 8)), 8, "is not F32 of its shape"),
            (one(tensor("a", "F32", "[1]", 0, 4)), 3, "0..4 of 3"),
            (one(tensor("a", "F32", "[1]", 4, 0)), 8, "4..0"),
            (one(tensor("a", "F32", "[18446744073709551615,4]", 0, 4)), 4, "is not F32"),
            (one(tensor("a", "F4", "[1]", 0, 1)), 1, "is not F4"),
            (one(tensor("a", "F32", "[-1]", 0, 4)), 4, "invalid value"),
            (one(tensor("a", "F32", "[1]", 0, 4)), 5, "last 1 bytes"),
            (one(tensor("a", "F32", "[1]", 1, 5)), 5, "leaves a hole"),
            (format!("{{{0},{0}}}", tensor("a", "F32", "[1]", 0, 4)), 4, "there twice"),
            (
                format!("{{{},{}}}", tensor("a", "U8", "[4]", 0, 4), tensor("b", "U8", "[4]", 3, 7)),
                7,
                "overlaps",
            ),
            ("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}".to_owned(), 0, "twice"),
            ("{\"__metadata__\":{\"a\":1}}".to_owned(), 0, "invalid type"),
            ("[]".to_owned(), 0, "invalid type"),
            ("{} x".to_owned(), 0, "trailing"),
            (format!("{{\"a\":{}", "[".repeat(100_000)), 0, "expected"),
            (String::new(), 0, "EOF"),
        ];
        for (json, data, reason) in cases {
            let error = header(&json, data).unwrap_err();
            assert!(error.contains(reason), "{error} for {}", brief(&json));
        }
    }

    proptest! {
        #[test]
        fn noise_is_an_error_or_a_header(json in "[{}\\[\\]\":,a0-9_ ]{0,60}", data in any::<u64>()) {
            drop(header(&json, data / 2));
        }

        #[test]
        fn changed_headers_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), data in 0u64..100) {
            let mut json = format!("{{{},{}}}", tensor("a", "F32", "[2]", 0, 8), tensor("b", "U8", "[4]", 8, 12)).into_bytes();
            let at = at.index(json.len());
            json[at] = byte;
            drop(header(&String::from_utf8_lossy(&json), data));
        }
    }
}
