//! The parsed configuration: one tree merged from the file and the `--set` overlays, in which every
//! value still knows where it was written. Separate from its meaning (`section.rs` and the typed
//! sections) so that a check can point at a line long after parsing.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Source};

/// A place in one of the sources: which one, and the bytes within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    pub(super) source: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Location {
    fn new(source: usize, span: Range<usize>) -> Self {
        Self {
            source,
            start: span.start,
            end: span.end,
        }
    }
}

/// The keys of one table in the order of their names.
pub(super) type Table = BTreeMap<String, Node>;

/// One value with the place of its key and of itself. An array's element is its own key.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key: Location,
    pub(super) at: Location,
    pub(super) value: Value,
}

/// A TOML value, owned.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Array(Vec<Node>),
    Boolean(bool),
    Datetime,
    Float,
    /// `None`: does not fit 64 bits.
    Integer(Option<i64>),
    String(String),
    Table(Table),
}

impl Value {
    /// What the value is, as a message names it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Float => "a float",
            Self::Integer(_) => "an integer",
            Self::String(_) => "a string",
            Self::Table(_) => "a table",
        }
    }
}

/// The file and its overlays as one tree.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) sources: Vec<Source>,
    pub(super) root: Table,
    /// The parts that could not be read, so that a key may look absent that was written, or look
    /// misplaced. A repeated key does not count: its first value stands.
    unread: Vec<Location>,
}

impl Document {
    /// Reads `text` and lays it over what is there: tables are merged, anything else is replaced.
    /// What is wrong goes to `diagnostics`; what could be read is kept, so that the rest of the
    /// source is still checked.
    pub(super) fn add(&mut self, name: &str, text: &str, diagnostics: &mut Vec<Diagnostic>) {
        let source = self.sources.len();
        self.sources.push(Source {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        let (table, errors) = DeTable::parse_recoverable(text);
        let table = own_table(source, table.get_ref());
        for error in errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            let at = Location::new(source, span);
            if error.message() == "duplicate key" {
                diagnostics.push(duplicate_key(text, &table, at));
            } else {
                self.unread.push(unread_part(text, &at));
                let diagnostic = Diagnostic::new("this is not TOML", at, error.message());
                diagnostics.push(match name.starts_with("--") {
                    true => diagnostic.help(OVERLAY_HELP),
                    false => diagnostic,
                });
            }
        }
        merge(&mut self.root, table);
    }

    /// Whether a part of a source could not be read.
    pub(super) fn is_partial(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Whether what was found at a place only follows from a part that could not be read.
    pub(super) fn is_unread(&self, at: &Location) -> bool {
        let holds = |part: &Location| part.source == at.source && part.start <= at.start;
        self.unread
            .iter()
            .any(|part| holds(part) && at.start <= part.end)
    }

    /// Where `path` was written: the value itself, or the nearest table around it that was. `path`
    /// is made of keys and array indexes with dots between them. `None`: nothing of it was written.
    pub(super) fn locate(&self, path: &str) -> Option<Location> {
        let mut steps = path.split('.');
        let mut node = self.root.get(steps.next()?)?;
        while let Some(next) = steps.next().and_then(|step| node.child(step)) {
            node = next;
        }
        Some(node.at.clone())
    }

    /// Where the value at `path` was written, if it was.
    pub(super) fn find(&self, path: &str) -> Option<Location> {
        let mut steps = path.split('.');
        let top = self.root.get(steps.next()?)?;
        let node = steps.try_fold(top, |node, step| node.child(step))?;
        Some(node.at.clone())
    }
}

impl Node {
    /// The value of a key, or the element of an index.
    fn child(&self, step: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// The shell takes one pair of quotes away, which nobody expects the first time.
const OVERLAY_HELP: &str = "a string needs its own quotes: --set 'storage.sync=\"os\"'";

fn own_table(source: usize, table: &DeTable<'_>) -> Table {
    let own = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        let node = Node {
            key: Location::new(source, key.span()),
            at: Location::new(source, value.span()),
            value: own_value(source, value.get_ref()),
        };
        (name.clone().into_owned(), node)
    };
    table.iter().map(own).collect()
}

/// Recursion is bounded: the parser refuses values nested deeper than its own limit.
fn own_value(source: usize, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => {
            let own = |item: &Spanned<DeValue<'_>>| {
                let at = Location::new(source, item.span());
                Node {
                    key: at.clone(),
                    at,
                    value: own_value(source, item.get_ref()),
                }
            };
            Value::Array(items.iter().map(own).collect())
        }
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Float(_) => Value::Float,
        DeValue::Integer(digits) => {
            Value::Integer(i64::from_str_radix(digits.as_str(), digits.radix()).ok())
        }
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Table(table) => Value::Table(own_table(source, table)),
    }
}

fn merge(base: &mut Table, overlay: Table) {
    for (name, node) in overlay {
        if let Some(Node {
            value: Value::Table(below),
            ..
        }) = base.get_mut(&name)
            && let Value::Table(above) = node.value
        {
            merge(below, above);
        } else {
            base.insert(name, node);
        }
    }
}

/// What a fault of syntax takes with it: its line, and behind the header of a table all its keys.
fn unread_part(text: &str, fault: &Location) -> Location {
    let before = text.get(..fault.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let rest = text.get(start..).unwrap_or_default();
    let end = if rest.trim_start().starts_with('[') {
        rest.find("\n[")
    } else {
        rest.find('\n')
    };
    Location {
        source: fault.source,
        start,
        end: start + end.unwrap_or(rest.len()),
    }
}

/// The parser keeps the first of two equal keys and tells where the second is.
fn duplicate_key(text: &str, table: &Table, at: Location) -> Diagnostic {
    let name = text
        .get(at.start..at.end)
        .unwrap_or_default()
        .trim_matches(['"', '\''])
        .to_owned();
    let mut earlier = Vec::new();
    keys_named(table, &name, &mut earlier);
    earlier.retain(|key| key.start < at.start);
    let title = format!("`{name}` is written twice");
    let diagnostic = Diagnostic::new(title, at, "remove one of the two");
    match earlier.into_iter().max() {
        Some(first) => diagnostic.context(first, "first written here"),
        None => diagnostic,
    }
}

fn keys_named(table: &Table, name: &str, found: &mut Vec<Location>) {
    for (key, node) in table {
        if key == name {
            found.push(node.key.clone());
        }
        match &node.value {
            Value::Table(table) => keys_named(table, name, found),
            Value::Array(items) => {
                for item in items {
                    if let Value::Table(table) = &item.value {
                        keys_named(table, name, found);
                    }
                }
            }
            _ => {}
        }
    }
}
