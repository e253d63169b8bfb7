//! The typed values of a [`Section`]: what each kind of value accepts, and what a message says
//! would be right. Separate from `section.rs`, which knows keys and tables but no types.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::document::{Node, Value};
use super::section::Section;
use super::units::{
    BadUnit, DURATION_UNITS, SIZE_UNITS, format_duration, format_size, parse_duration, parse_size,
};

/// The longest of most durations.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A timeout that cannot be switched off: it bounds what a silent peer may hold.
pub(super) const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;

impl Section<'_> {
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(node) = self.take(key) else {
            return default;
        };
        let Value::Boolean(value) = node.value else {
            self.refuse_kind(key, node, "true or false");
            return default;
        };
        value
    }

    pub(super) fn integer<T>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let Some(node) = self.take(key) else {
            return default;
        };
        let Value::Integer(number) = node.value else {
            self.refuse_kind(key, node, "an integer");
            return default;
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        let Some(number) = number.filter(|number| range.contains(number)) else {
            let title = format!("`{}` is out of range", self.name(key));
            self.refuse(
                node,
                title,
                format!("must be {} to {}", range.start(), range.end()),
            );
            return default;
        };
        number
    }

    /// A size in bytes, written with its unit.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        self.quantity(key, &SIZE, range, default)
    }

    /// A duration in whole milliseconds, written with its unit.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        self.quantity(key, &DURATION, range, default)
    }

    fn quantity<T: PartialOrd + Copy>(
        &mut self,
        key: &'static str,
        unit: &Quantity<T>,
        range: RangeInclusive<T>,
        default: T,
    ) -> T {
        let Some(node) = self.take(key) else {
            return default;
        };
        let (parsed, written) = match &node.value {
            Value::String(text) => ((unit.parse)(text), text.clone()),
            // The commonest slip gets the same advice with and without quotes.
            Value::Integer(Some(number @ 0..)) => (
                Err(BadUnit::NoUnit(number.unsigned_abs())),
                number.to_string(),
            ),
            _ => {
                self.refuse_kind(
                    key,
                    node,
                    &format!("{} such as {}", unit.noun, unit.example),
                );
                return default;
            }
        };
        match parsed {
            Ok(value) if range.contains(&value) => return value,
            Ok(_) => {
                let title = format!("`{}` is out of range", self.name(key));
                let (low, high) = ((unit.format)(*range.start()), (unit.format)(*range.end()));
                self.refuse(node, title, format!("must be \"{low}\" to \"{high}\""));
            }
            Err(reason) => self.refuse_unit(key, node, unit, &written, &reason),
        }
        default
    }

    fn refuse_unit<T>(
        &self,
        key: &str,
        node: &Node,
        unit: &Quantity<T>,
        written: &str,
        reason: &BadUnit,
    ) {
        let title = format!("`{}` is not {}", self.name(key), unit.noun);
        let number = written.trim_end_matches(|c: char| !c.is_ascii_digit());
        let right = match reason {
            BadUnit::NoNumber => format!("write a whole number and a unit: {}", unit.example),
            BadUnit::NoUnit(number) => {
                format!(
                    "a unit is missing: \"{number}{}\" if that was meant",
                    unit.base
                )
            }
            BadUnit::Unknown(Some(meant)) => format!("did you mean \"{number}{meant}\"?"),
            BadUnit::Unknown(None) => "there is no such unit".to_owned(),
            BadUnit::TooLarge => "this is more than 64 bits hold".to_owned(),
        };
        let help = format!("units of {}: {}", unit.noun, unit.units);
        self.reader
            .report(Diagnostic::new(title, node.at.clone(), right).help(help));
    }

    pub(super) fn text(&mut self, key: &'static str, default: &str) -> String {
        self.parsed(key, "a string", default.to_owned(), |text| {
            Ok(text.to_owned())
        })
    }

    /// A string that `parse` understands; its error says what would be right.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let Some(node) = self.take(key) else {
            return default;
        };
        self.parse_node(key, node, expected, &parse)
            .unwrap_or(default)
    }

    /// One string or an array of strings that `parse` understands.
    pub(super) fn parsed_list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(node) = self.take(key) else {
            return default;
        };
        let items = match &node.value {
            Value::Array(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let parse_item = |item| self.parse_node(key, item, expected, &parse);
        let values: Vec<_> = items.iter().filter_map(parse_item).collect();
        if values.len() == items.len() {
            values
        } else {
            default
        }
    }

    fn parse_node<T>(
        &self,
        key: &str,
        node: &Node,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::String(text) = &node.value else {
            self.refuse_kind(key, node, expected);
            return None;
        };
        let refuse = |right| {
            self.refuse(
                node,
                format!("`{}` is not {expected}", self.name(key)),
                right,
            );
        };
        parse(text).map_err(refuse).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        let quoted: Vec<_> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let expected = format!("one of {}", quoted.join(", "));
        self.parsed(key, &expected, default, |text| {
            let found = words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value);
            found.ok_or_else(|| format!("must be {expected}"))
        })
    }
}

/// What sizes and durations differ in.
struct Quantity<T> {
    noun: &'static str,
    example: &'static str,
    /// The unit that a bare number is probably in.
    base: &'static str,
    units: &'static str,
    parse: fn(&str) -> Result<T, BadUnit>,
    format: fn(T) -> String,
}

const SIZE: Quantity<u64> = Quantity {
    noun: "a size",
    example: "\"64MiB\"",
    base: "B",
    units: SIZE_UNITS,
    parse: parse_size,
    format: format_size,
};

const DURATION: Quantity<Duration> = Quantity {
    noun: "a duration",
    example: "\"10s\"",
    base: "s",
    units: DURATION_UNITS,
    parse: parse_duration,
    format: format_duration,
};
