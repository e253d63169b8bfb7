//! The keys of an `rlan` link: `"1:<64 hexadecimal digits>"`, or `"1:@<file>"` for a file that holds
//! the digits. What is wrong with a key is said without the key.

use std::fs;

use lan::{RLAN_KEYS_MAX, RlanKey};

use super::Codec;
use crate::config::section::Section;

const RIGHT: &str = "must be like \"1:0123...\" (an id of 1 to 255, a colon and 64 hexadecimal \
                     digits), or \"1:@/etc/busbar/rlan.key\" for a file with the digits";

pub(super) fn read_keys(section: &mut Section<'_>, codec: Codec) -> Vec<RlanKey> {
    if codec == Codec::Rlan {
        let example = "[\"1:@/etc/busbar/rlan.key\"]; `openssl rand -hex 32` makes a key. With \
                       keys = [] anybody on the network can read, forge and stop all of it";
        section.require("keys", example);
    }
    let keys = section.parsed_list("keys", "a key", Vec::new(), read_key);
    if !keys.is_empty() && codec != Codec::Rlan {
        let right = "remove it, or take codec = \"rlan\"";
        section.refuse_key("keys", "only rlan is sealed", right);
    }
    let has_twice = matches!(keys.as_slice(), [one, other, ..] if one.id == other.id);
    if keys.len() > RLAN_KEYS_MAX || has_twice {
        let right = "give at most two, with different ids: the first seals, both open";
        section.refuse_key("keys", "too many keys, or one id twice", right);
    }
    keys
}

fn read_key(text: &str) -> Result<RlanKey, String> {
    let (id, key) = text.split_once(':').ok_or(RIGHT)?;
    let id = id.parse().ok().filter(|id| *id > 0).ok_or(RIGHT)?;
    let secret = match key.strip_prefix('@') {
        Some(path) => read_file(path)?,
        None => secret(key).ok_or_else(|| format!("{}; {RIGHT}", told(key)))?,
    };
    Ok(RlanKey { id, secret })
}

fn read_file(path: &str) -> Result<[u8; 32], String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot be read from {path}: {error}"))?;
    let key = text.trim();
    secret(key).ok_or_else(|| {
        let told = told(key);
        format!("{told} in {path}; the file must hold 64 hexadecimal digits and nothing else")
    })
}

/// What is wrong, without the key itself.
fn told(key: &str) -> String {
    match key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => format!("{} digits instead of 64", key.len()),
        false => "something that is no hexadecimal digit".to_owned(),
    }
}

fn secret(key: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<_>> = key.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes = digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    bytes.try_into().ok()
}
