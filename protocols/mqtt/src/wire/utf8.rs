//! UTF-8 encoded strings and which characters may stand in them. Apart from
//! [`Reader`](super::Reader), because topics are checked in the same pass as their wildcards.
//!
//! ```text
//! +--------+--------+----------------------+
//! | length (u16 BE) | UTF-8 bytes, no NUL  |    MQTT 5 §1.5.4
//! +--------+--------+----------------------+
//! ```

use bytes::Bytes;

use super::Malformed;

/// A string from the wire that has passed [`check`]; a slice of the frame it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Utf8String(Bytes);

impl Utf8String {
    /// Takes a slice that [`check`] has accepted.
    pub(super) fn checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the text, sharing the frame's memory.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// True for the empty string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Bytes> for Utf8String {
    type Error = Malformed;

    /// # Errors
    /// [`Malformed::Utf8`] and what else [`check`] finds.
    fn try_from(bytes: Bytes) -> Result<Self, Malformed> {
        check(&bytes)?;
        Ok(Self(bytes))
    }
}

/// Checks a string as MQTT wants it.
///
/// # Errors
/// [`Malformed::Utf8`] for bytes that are no UTF-8, for NUL \[MQTT-1.5.4-2\], and for what MQTT 5
/// §1.5.4 lets a receiver refuse and Mosquitto refuses: control characters and noncharacters.
pub fn check(bytes: &[u8]) -> Result<&str, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8)?;
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Malformed::Utf8);
        }
    } else if text.chars().any(is_forbidden) {
        return Err(Malformed::Utf8);
    }
    Ok(text)
}

/// True for U+0000 to U+001F, U+007F to U+009F, and the 66 noncharacters.
fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_may_stand_in_a_string() {
        for text in [
            "",
            "a",
            " ~",
            "é",
            "\u{A0}",
            "\u{FDCF}",
            "\u{FDF0}",
            "\u{FFFD}",
            "\u{2A6D4}",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(text));
        }
        // The byte order mark is a character like any other. [MQTT-1.5.4-3]
        assert_eq!(check(b"\xEF\xBB\xBFa"), Ok("\u{FEFF}a"));
    }

    #[test]
    fn characters_that_are_refused() {
        let controls = ["\0", "\u{1}", "\u{1F}", "\u{7F}", "\u{80}", "\u{9F}"];
        let noncharacters = [
            "\u{FDD0}",
            "\u{FDEF}",
            "\u{FFFE}",
            "\u{FFFF}",
            "\u{1FFFE}",
            "\u{10FFFF}",
        ];
        for text in controls.into_iter().chain(noncharacters) {
            assert_eq!(
                check(text.as_bytes()),
                Err(Malformed::Utf8),
                "{}",
                text.escape_unicode()
            );
            let inside = format!("é{text}z");
            assert_eq!(
                check(inside.as_bytes()),
                Err(Malformed::Utf8),
                "{}",
                text.escape_unicode()
            );
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        let overlong: [&[u8]; 3] = [b"\xC0\x80", b"\xE0\x80\x80", b"\xF0\x80\x80\x80"];
        let surrogates: [&[u8]; 2] = [b"\xED\xA0\x80", b"\xED\xBF\xBF"];
        let cut: [&[u8]; 4] = [b"\xC3", b"\xE2\x82", b"\xF0\x9F\x98", b"\x80"];
        for bytes in overlong
            .into_iter()
            .chain(surrogates)
            .chain(cut)
            .chain([b"\xF4\x90\x80\x80" as &[u8]])
        {
            assert_eq!(check(bytes), Err(Malformed::Utf8), "{bytes:02x?}");
        }
    }
}
