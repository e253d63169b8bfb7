//! Writing the field types of MQTT 5 §1.5 to a byte vector: the counterpart of
//! [`Reader`](super::Reader). Lengths that do not fit are cut here, once, so that no encoder can
//! write a packet whose length fields lie.

use super::reader::VARINT_MAX;

/// Appends a Two Byte Integer.
pub fn u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a Four Byte Integer.
pub fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a Variable Byte Integer. Values above [`VARINT_MAX`] cannot be written and are cut to
/// it.
pub fn varint(out: &mut Vec<u8>, value: u32) {
    debug_assert!(value <= VARINT_MAX);
    let mut left = value.min(VARINT_MAX);
    loop {
        let [.., low] = left.to_be_bytes();
        left >>= 7;
        if left == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The number of bytes [`varint`] writes for `value`.
#[must_use]
pub fn varint_len(value: u32) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

/// Appends Binary Data; bytes past the 65,535th cannot be said and are left out.
pub fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    u16(out, length);
    out.extend(bytes.iter().take(usize::from(length)));
}

/// Appends a UTF-8 encoded string of at most 65,535 bytes; a longer one is cut before the
/// character that does not fit.
pub fn string(out: &mut Vec<u8>, text: &str) {
    let fits = text.floor_char_boundary(text.len().min(usize::from(u16::MAX)));
    binary(out, text.get(..fits).unwrap_or_default().as_bytes());
}

/// Writes one packet: the first byte, the remaining length, then what `body` appends. For packets
/// that are rare and small; PUBLISH counts its length first instead of moving its bytes.
pub fn packet(out: &mut Vec<u8>, first_byte: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(first_byte);
    let start = out.len();
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(VARINT_MAX);
    let mut prefix = Vec::with_capacity(4);
    varint(&mut prefix, length);
    out.splice(start..start, prefix);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_string_is_cut_at_a_character() {
        let text = format!("{}é", "a".repeat(65_534));
        let mut out = Vec::new();
        string(&mut out, &text);
        assert_eq!(out.len(), 2 + 65_534);
        assert_eq!(out[..2], [0xFF, 0xFE]);
    }

    #[test]
    fn long_binary_data_is_cut_to_what_its_length_can_say() {
        let mut out = Vec::new();
        binary(&mut out, &[7; 70_000]);
        assert_eq!(out.len(), 2 + 65_535);
        assert_eq!(out[..2], [0xFF, 0xFF]);
    }

    #[test]
    fn a_packet_carries_its_length() {
        let mut out = vec![0xAA];
        packet(&mut out, 0x20, |body| body.extend([7; 200]));
        assert_eq!(out[..4], [0xAA, 0x20, 0xC8, 0x01]);
        assert_eq!(out.len(), 4 + 200);
    }
}
