//! Identifiers that must never mix: each is its own type, so a tree id cannot be passed as a chunk hash.
//!
//! An [`ObjectId`] is Git's and public; a [`Sha256`] names a file's whole content, as on the Hub; a
//! [`ChunkHash`], a [`PackId`] and an [`IndexId`] belong to storage and never show in anything public.
//! This file knows how to write and read ids, not how any of them is computed.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::text::serialised_as_text;

/// Text that is not the hexadecimal form of the id it was parsed as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a {expected}-digit lower-case hexadecimal id")]
pub struct ParseIdError {
    text: String,
    expected: usize,
}

fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let refuse = || ParseIdError { text: text.chars().take(80).collect(), expected: N * 2 };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(refuse());
    }
    let mut bytes = [0u8; N];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    if seen & NO_DIGIT == 0 { Ok(bytes) } else { Err(refuse()) }
}

/// Marks what is no digit in [`VALUES`].
const NO_DIGIT: u8 = 0x80;

/// The value of each byte as a digit. A table, because ids are most of what a log record and a commit hold.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit: u8 = 0;
    while digit < 16 {
        values[DIGITS[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length of the binary form in bytes.
            pub const LEN: usize = $len;

            /// Wraps the binary form.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The binary form.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Its hexadecimal digits, as ASCII.
            pub fn hex(&self) -> [u8; $len * 2] {
                let mut digits = [0; $len * 2];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(&self.0) {
                    pair[0] = DIGITS[usize::from(byte >> 4)];
                    pair[1] = DIGITS[usize::from(byte & 15)];
                }
                digits
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode_hex(text).map(Self)
            }
        }

        serialised_as_text!($name);
    };
}

id!(
    /// A Git object id: SHA-1 of `"<kind> <length>\0"` and the body; 40 hexadecimal digits.
    ObjectId,
    20
);
id!(
    /// SHA-256 of a file's whole content; 64 hexadecimal digits, as the Hub's and Git LFS's `oid sha256:`.
    Sha256,
    32
);
id!(
    /// BLAKE3, keyed with Xet's public data key, of one chunk's raw bytes.
    ChunkHash,
    32
);
id!(
    /// Name of a pack (a file of content bytes); random, so two writers never share one.
    PackId,
    16
);
id!(
    /// Name of an index: BLAKE3 of its block hashes and trailer, so the name vouches for every byte.
    IndexId,
    32
);

impl ObjectId {
    /// The first seven digits, as Git abbreviates an id for people.
    pub fn short(&self) -> String {
        self.to_string()[..7].to_owned()
    }
}

impl PackId {
    /// Stands for the data section of the index that mentions it: content too small for a pack of its own.
    pub const HERE: Self = Self([0; 16]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_everything_else() {
        let id = ObjectId::from_bytes(*b"\x00\x01\xfe\xffabcdefghijklmnop");
        assert_eq!(id.to_string().parse(), Ok(id));
        let text = id.to_string();
        for bad in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('f', "g"), ""] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn json_form_is_the_hex_string() {
        let id = PackId::from_bytes([7; 16]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<PackId>(&json).unwrap(), id);
    }
}
