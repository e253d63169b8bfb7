//! `COMMAND DOCS`: what each command is for, since when Redis has it, and what it takes.
//!
//! ```text
//! set ; 1.0.0 ; string ; key value [NX|XX] [EX seconds|PX milliseconds] ; Sets a string.
//!                        │         │      └ token and value, or another
//!                        │         └ in brackets: may be left out
//!                        └ lower case: a value; `...` after it: several; `-` alone: nothing
//! ```
//!
//! Since when and to which group a command belongs is Redis 7.2's; what it does is said as it is
//! here.
//!
//! `redis-cli` completes and hints by it.

use super::{Call, all, lookup, server::named};
use crate::error::Error;
use crate::wire::reply::ReplyWriter;
use crate::wire::request::Request;

/// One line for each command and subcommand.
const DOCS: &str = include_str!("docs.txt");

/// The documentation of one command or subcommand.
#[derive(Debug)]
struct Doc {
    /// As in the command table.
    name: &'static str,
    since: &'static str,
    group: &'static str,
    usage: &'static str,
    summary: &'static str,
}

fn docs() -> impl Iterator<Item = Doc> {
    DOCS.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(" ; ").collect();
        let [name, since, group, usage, summary] = *fields.as_slice() else {
            return None;
        };
        Some(Doc {
            name,
            since,
            group,
            usage: usage.trim_matches('-'),
            summary,
        })
    })
}

/// RESP: `COMMAND DOCS [name ...]`: a map; names that are unknown are left out.
pub(super) fn command_docs(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let names: Vec<_> = match request.len() {
        2 => all().iter().map(|spec| spec.name).collect(),
        _ => request
            .args_from(2)
            .filter_map(named)
            .map(|spec| spec.name)
            .collect(),
    };
    let docs: Vec<_> = names.into_iter().filter_map(doc_of).collect();
    call.reply.map(docs.len());
    docs.iter().for_each(|doc| write(&mut call.reply, doc));
    Ok(())
}

fn doc_of(name: &str) -> Option<Doc> {
    docs().find(|doc| doc.name == name)
}

/// Writes a command's name and documentation, with those of its subcommands.
fn write(reply: &mut ReplyWriter<'_>, doc: &Doc) {
    let subcommands = lookup(all(), doc.name.as_bytes()).map_or(&[][..], |spec| spec.subcommands);
    write_own(reply, doc, !subcommands.is_empty());
    if subcommands.is_empty() {
        return;
    }
    reply.bulk(b"subcommands");
    let docs: Vec<_> = subcommands
        .iter()
        .filter_map(|spec| doc_of(spec.name))
        .collect();
    reply.map(docs.len());
    docs.iter().for_each(|doc| write_own(reply, doc, false));
}

fn write_own(reply: &mut ReplyWriter<'_>, doc: &Doc, has_subcommands: bool) {
    let arguments = items(doc.usage);
    let optional = usize::from(!arguments.is_empty()) + usize::from(has_subcommands);
    reply.bulk(doc.name.as_bytes());
    reply.map(3 + optional);
    for (field, value) in [
        ("summary", doc.summary),
        ("since", doc.since),
        ("group", doc.group),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        reply.array(arguments.len());
        arguments.iter().for_each(|item| write_item(reply, item));
    }
}

/// The parts of a usage: words, and what is in brackets as one.
fn items(usage: &'static str) -> Vec<&'static str> {
    let mut depth = 0_usize;
    let split = usage.split(move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ' ' && depth == 0
    });
    split.filter(|item| !item.is_empty()).collect()
}

/// Writes one argument: an alternative, or a choice of several.
fn write_item(reply: &mut ReplyWriter<'_>, item: &str) {
    let inner = item
        .strip_prefix('[')
        .and_then(|item| item.strip_suffix(']'));
    let (text, is_optional) = inner.map_or((item, false), |inner| (inner, true));
    let choices: Vec<_> = text.split('|').collect();
    match choices.as_slice() {
        [only] => write_argument(reply, only, is_optional),
        _ => {
            let name = choices.join("-").to_ascii_lowercase().replace(' ', "-");
            reply.map(3 + usize::from(is_optional));
            write_field(reply, "name", &name);
            write_field(reply, "type", "oneof");
            write_flags(reply, is_optional, false);
            reply.bulk(b"arguments");
            reply.array(choices.len());
            choices
                .iter()
                .for_each(|choice| write_argument(reply, choice, false));
        }
    }
}

/// Writes `value`, `value...`, `TOKEN` or `TOKEN value`.
fn write_argument(reply: &mut ReplyWriter<'_>, text: &str, is_optional: bool) {
    let is_multiple = text.ends_with("...");
    let text = text.trim_end_matches("...");
    let (token, name) = match text.split_once(' ') {
        Some((token, name)) => (Some(token), Some(name)),
        None if text.chars().all(|c| c.is_ascii_uppercase() || c == '-') => (Some(text), None),
        None => (None, Some(text)),
    };
    let kind = match name {
        None => "pure-token",
        Some(name) if name.starts_with("key") || name == "source" || name == "destination" => "key",
        Some("pattern") => "pattern",
        Some("count" | "seconds" | "milliseconds" | "cursor" | "numkeys" | "index") => "integer",
        Some(_) => "string",
    };
    let has_flags = is_optional || is_multiple;
    reply.map(2 + usize::from(token.is_some()) + usize::from(has_flags));
    let lower = token.unwrap_or_default().to_ascii_lowercase();
    write_field(reply, "name", name.unwrap_or(&lower));
    write_field(reply, "type", kind);
    if let Some(token) = token {
        write_field(reply, "token", token);
    }
    write_flags(reply, is_optional, is_multiple);
}

fn write_field(reply: &mut ReplyWriter<'_>, field: &str, value: &str) {
    reply.bulk(field.as_bytes());
    reply.bulk(value.as_bytes());
}

fn write_flags(reply: &mut ReplyWriter<'_>, is_optional: bool, is_multiple: bool) {
    if !is_optional && !is_multiple {
        return;
    }
    reply.bulk(b"flags");
    reply.set(usize::from(is_optional) + usize::from(is_multiple));
    if is_optional {
        reply.simple("optional");
    }
    if is_multiple {
        reply.simple("multiple");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_documented_and_nothing_else() {
        let mut named: Vec<_> = all()
            .iter()
            .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
            .map(|spec| spec.name)
            .collect();
        named.sort_unstable();
        let documented: Vec<_> = docs().map(|doc| doc.name).collect();
        assert_eq!(documented, named);
    }

    #[test]
    fn a_usage_needs_as_many_arguments_as_its_command() {
        for spec in all()
            .iter()
            .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
        {
            let doc = doc_of(spec.name).unwrap();
            let items = items(doc.usage);
            let needed = items.iter().filter(|item| !item.starts_with('[')).count();
            let words = spec.name.split('|').count();
            let is_container = !spec.subcommands.is_empty();
            let arity = usize::from(spec.arity.unsigned_abs());
            assert!(
                is_container || needed + words == arity,
                "{}: {}",
                spec.name,
                doc.usage
            );
            let can_vary = items
                .iter()
                .any(|item| item.starts_with('[') || item.ends_with("..."));
            assert!(
                is_container || !can_vary || spec.arity < 0,
                "{}: {}",
                spec.name,
                doc.usage
            );
        }
    }
}
