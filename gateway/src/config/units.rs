//! Sizes and durations as they are written: a whole number directly followed by its unit. A number
//! without a unit is refused, because half of all readers guess it wrong.

use std::time::Duration;

/// Bytes by unit name, largest first so that printing finds the shortest form.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Milliseconds by unit name, largest first.
const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is no size or duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadUnit {
    /// The text does not start with a whole number.
    NoNumber,
    /// There is a number and nothing behind it.
    NoUnit(u64),
    /// The unit is none of ours; carries the one that was probably meant.
    Unknown(Option<&'static str>),
    /// The product does not fit 64 bits.
    TooLarge,
}

/// Reads `"64MiB"` as bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, BadUnit> {
    parse(text, &SIZES)
}

/// Reads `"10s"` as a duration.
pub(super) fn parse_duration(text: &str) -> Result<Duration, BadUnit> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// Writes bytes in the largest unit that divides them.
pub(super) fn format_size(bytes: u64) -> String {
    format(bytes, &SIZES, "B")
}

/// Writes a duration in the largest unit that divides it.
pub(super) fn format_duration(duration: Duration) -> String {
    format(
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        &DURATIONS,
        "s",
    )
}

/// The names of all units of size, for a message.
pub(super) const SIZE_UNITS: &str =
    "B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (of 1000)";

/// The names of all units of time, for a message.
pub(super) const DURATION_UNITS: &str = "ms, s, m, h, d";

fn parse(text: &str, units: &[(&'static str, u64)]) -> Result<u64, BadUnit> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(BadUnit::NoNumber);
    }
    let number: u64 = number.parse().map_err(|_too_long| BadUnit::TooLarge)?;
    if unit.is_empty() {
        return Err(BadUnit::NoUnit(number));
    }
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => number.checked_mul(*factor).ok_or(BadUnit::TooLarge),
        None => Err(BadUnit::Unknown(probable_unit(unit.trim(), units))),
    }
}

/// `mb`, `M`, `Mi` and `sec` have one reading each that is worth proposing.
fn probable_unit(unit: &str, units: &[(&'static str, u64)]) -> Option<&'static str> {
    let lower = unit.to_ascii_lowercase();
    let same = units
        .iter()
        .find(|(name, _)| name.to_ascii_lowercase() == lower);
    let begins = |(name, _): &&(&'static str, u64)| {
        let name = name.to_ascii_lowercase();
        name.starts_with(&lower) || lower.starts_with(&name)
    };
    same.or_else(|| units.iter().find(begins))
        .map(|(name, _)| *name)
}

fn format(value: u64, units: &[(&'static str, u64)], zero: &str) -> String {
    let shortest = units
        .iter()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    match shortest {
        Some((name, factor)) => format!("{}{name}", value / factor),
        None => format!("{value}{zero}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("2MB"), Ok(2_000_000));
        assert_eq!(parse_size("0B"), Ok(0));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
    }

    #[test]
    fn a_number_alone_or_a_foreign_unit_is_refused() {
        assert_eq!(parse_size("64"), Err(BadUnit::NoUnit(64)));
        assert_eq!(parse_size("64mb"), Err(BadUnit::Unknown(Some("MB"))));
        assert_eq!(parse_size("64M"), Err(BadUnit::Unknown(Some("MiB"))));
        assert_eq!(parse_size("64 MiB"), Err(BadUnit::Unknown(Some("MiB"))));
        assert_eq!(parse_duration("10sec"), Err(BadUnit::Unknown(Some("s"))));
        assert_eq!(parse_duration("10 parsecs"), Err(BadUnit::Unknown(None)));
        assert_eq!(parse_duration("-1s"), Err(BadUnit::NoNumber));
        assert_eq!(parse_size(""), Err(BadUnit::NoNumber));
        assert_eq!(parse_size("99999999TiB"), Err(BadUnit::TooLarge));
        assert_eq!(parse_size("99999999999999999999B"), Err(BadUnit::TooLarge));
    }

    #[test]
    fn the_shortest_form_is_written() {
        assert_eq!(format_size(64 << 20), "64MiB");
        assert_eq!(format_size(2_000_000), "2MB");
        assert_eq!(format_size(131_073), "131073B");
        assert_eq!(format_size(0), "0B");
        assert_eq!(format_duration(Duration::from_secs(90)), "90s");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }
}
