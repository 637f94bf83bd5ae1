//! When two names are one name on a file system that ignores case or Unicode form (NTFS, APFS, HFS+).
//!
//! Exists so that `Model` and `model`, or `é` in its two spellings, are found to clash before a checkout would
//! write one over the other. Follows the Unicode Standard, section 3.13, D145 (canonical caseless matching);
//! slightly wider than any one file system (`ß` and `ss` clash). It must not know paths or folders.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// Equal for two names exactly when they match without regard to case and Unicode form:
/// `NFC(fold(NFD(name)))` with full case folding.
pub fn collision_key(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfd().default_case_fold().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_clash_somewhere_have_one_key() {
        let pairs = [
            ("Model.BIN", "model.bin"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("STRASSE", "straße"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("\u{212a}elvin", "kelvin"),
            ("\u{1f80}", "\u{3b1}\u{345}\u{313}"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
        ];
        for (a, b) in pairs {
            assert_eq!(collision_key(a), collision_key(b), "{a} {b}");
        }
        assert_ne!(collision_key("a"), collision_key("b"));
        assert_ne!(collision_key("e"), collision_key("é"));
    }

    proptest! {
        #[test]
        fn a_key_agrees_with_caseless_matching(a in "[aAéE\u{301}ßsS\u{345}ᾀΑ]{0,5}", b in "[aAéE\u{301}ßsS\u{345}ᾀΑ]{0,5}") {
            let same = caseless::canonical_caseless_match_str(&a, &b);
            prop_assert_eq!(collision_key(&a) == collision_key(&b), same);
        }

        #[test]
        fn ascii_takes_no_other_path(name in "[ -~]{0,20}") {
            let long: String = name.nfd().default_case_fold().nfc().collect();
            prop_assert_eq!(collision_key(&name), long);
        }
    }
}
