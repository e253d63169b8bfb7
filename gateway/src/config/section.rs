//! The reader of one table: the value of each key that the caller asks for, and, at the end, a
//! diagnostic for each key that nobody asked for. `value.rs` adds the types. Separate from the
//! sections themselves so that these read as a list of keys, limits and defaults.
//!
//! The schema is therefore the code that reads it, and nothing else: [`Reader::keys`] is what was
//! asked for, which a test compares with `configs/busbar.toml`.
//!
//! A value that is refused reads as its default. That keeps the rest of the checks going; the
//! configuration is never used.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::diagnostic::Diagnostic;
use super::document::{Document, Location, Node, Table, Value};

/// One pass over a document.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    document: &'a Document,
    diagnostics: RefCell<Vec<Diagnostic>>,
    keys: RefCell<BTreeSet<String>>,
    unknown: RefCell<Vec<UnknownKey>>,
}

#[derive(Debug)]
struct UnknownKey {
    section: String,
    name: String,
    at: Location,
    siblings: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self {
            document,
            diagnostics: RefCell::default(),
            keys: RefCell::default(),
            unknown: RefCell::default(),
        }
    }

    /// Reads the whole document by `read`.
    pub(super) fn root<T>(&'a self, read: impl FnOnce(&mut Section<'a>) -> T) -> T {
        Section::read(self, String::new(), Some(&self.document.root), read)
    }

    /// Adds a fault that the reader itself does not know.
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// All keys that were asked for, as `section.key`; an array of tables has no index.
    #[cfg(test)]
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.keys.borrow().clone()
    }

    /// All faults. Unknown keys are judged last, when every key there is has been asked for.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        let keys = self.keys.into_inner();
        diagnostics.extend(
            self.unknown
                .into_inner()
                .iter()
                .map(|key| key.diagnostic(&keys)),
        );
        diagnostics
    }
}

impl UnknownKey {
    fn diagnostic(&self, keys: &BTreeSet<String>) -> Diagnostic {
        let title = format!("unknown key `{}`", join(&self.section, &self.name));
        let near = |key: &&&str| strsim::damerau_levenshtein(key, &self.name) <= distance_max(key);
        let closest = self
            .siblings
            .iter()
            .filter(near)
            .min_by_key(|key| strsim::damerau_levenshtein(key, &self.name));
        if let Some(closest) = closest {
            return Diagnostic::new(title, self.at.clone(), format!("did you mean `{closest}`?"));
        }
        let elsewhere = keys
            .iter()
            .find(|key| key.rsplit('.').next() == Some(&self.name));
        if let Some(elsewhere) = elsewhere {
            return Diagnostic::new(
                title,
                self.at.clone(),
                format!("did you mean `{elsewhere}`?"),
            );
        }
        let mut siblings = self.siblings.clone();
        siblings.sort_unstable();
        let place = if self.section.is_empty() {
            "the top level"
        } else {
            &self.section
        };
        Diagnostic::new(title, self.at.clone(), "there is no such key here")
            .help(format!("the keys of {place} are: {}", siblings.join(", ")))
    }
}

/// A third of the name may be wrong, so that `sync` is not proposed for `port`.
fn distance_max(key: &str) -> usize {
    (key.len() / 3).max(1)
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

/// One table being read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// Keys and array indexes from the top, with dots between them.
    path: String,
    table: Option<&'a Table>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    fn read<T>(
        reader: &'a Reader<'a>,
        path: String,
        table: Option<&'a Table>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut section = Self {
            reader,
            path,
            table,
            known: Vec::new(),
        };
        let value = read(&mut section);
        section.report_unknown();
        value
    }

    fn report_unknown(self) {
        for (name, node) in self.table.into_iter().flatten() {
            if !self.known.contains(&name.as_str()) {
                self.reader.unknown.borrow_mut().push(UnknownKey {
                    section: self.schema_path(),
                    name: name.clone(),
                    at: node.key.clone(),
                    siblings: self.known.clone(),
                });
            }
        }
    }

    /// The path without array indexes.
    fn schema_path(&self) -> String {
        let is_key = |step: &&str| !step.starts_with(|first: char| first.is_ascii_digit());
        self.path
            .split('.')
            .filter(is_key)
            .collect::<Vec<_>>()
            .join(".")
    }

    /// The path of a key of this table, as a message names it.
    pub(super) fn name(&self, key: &str) -> String {
        join(&self.schema_path(), key)
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.reader.keys.borrow_mut().insert(self.name(key));
        self.table?.get(key)
    }

    pub(super) fn refuse(&self, node: &Node, title: String, right: impl Into<String>) {
        self.reader
            .report(Diagnostic::new(title, node.at.clone(), right));
    }

    pub(super) fn refuse_kind(&self, key: &str, node: &Node, expected: &str) {
        let title = format!("`{}` is {}", self.name(key), node.value.kind());
        self.refuse(node, title, format!("must be {expected}"));
    }

    /// Reads the table `key` by `read`. A table that is absent is read as an empty one.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.known.push(key);
        let node = self.table.and_then(|table| table.get(key));
        let table = node.and_then(|node| match &node.value {
            Value::Table(table) => Some(table),
            _ => {
                self.refuse_kind(key, node, &format!("a table: [{}]", self.name(key)));
                None
            }
        });
        Self::read(self.reader, join(&self.path, key), table, read)
    }

    /// Reads each `[[key]]` by `read`; `None` if there is none, or one is no table.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        self.known.push(key);
        let node = self.table?.get(key)?;
        let Value::Array(items) = &node.value else {
            self.refuse_kind(key, node, &format!("tables: [[{}]]", self.name(key)));
            return None;
        };
        let mut read_item = |(index, item): (usize, &'a Node)| {
            let Value::Table(table) = &item.value else {
                self.refuse_kind(key, item, &format!("a table: [[{}]]", self.name(key)));
                return None;
            };
            let path = format!("{}.{index}", join(&self.path, key));
            Some(Self::read(self.reader, path, Some(table), &mut read))
        };
        let found = items.iter().enumerate();
        let values: Vec<_> = found.filter_map(&mut read_item).collect();
        (values.len() == items.len()).then_some(values)
    }

    /// A key that must be there: reports it when it is not.
    pub(super) fn require(&self, key: &'static str, example: &str) {
        if self.table.is_none_or(|table| table.contains_key(key)) {
            return;
        }
        let title = format!("`{}` is missing", self.name(key));
        let at = self.reader.document.locate(&self.path);
        let right = format!("this needs `{key}`, for example {key} = {example}");
        self.reader.report(Diagnostic::new(title, at, right));
    }

    /// Whether the key was written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Reports a fault of a key that was written.
    pub(super) fn refuse_key(&self, key: &str, title: &str, right: &str) {
        let node = self.table.and_then(|table| table.get(key));
        let at = node.map(|node| node.at.clone());
        self.reader.report(Diagnostic::new(
            format!("`{}`: {title}", self.name(key)),
            at,
            right,
        ));
    }
}
