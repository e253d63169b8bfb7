//! What the authentication mechanisms say: PLAIN (RFC 4616), AMQPLAIN (a field table, from
//! OpenAMQ), ANONYMOUS (RFC 4505).

use bytes::Bytes;
use routing::Credentials;

use crate::{
    error::{Refused, ReplyCode},
    wire::{
        guard::{METHOD_VALUES_MAX, check_table},
        table::{FieldTable, Value},
    },
};

/// The mechanisms offered, in RabbitMQ's order.
pub(super) const MECHANISMS: &str = "PLAIN AMQPLAIN ANONYMOUS";

/// The credentials in a mechanism's response.
pub(super) fn credentials(mechanism: &str, response: &[u8]) -> Result<Credentials, Refused> {
    match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        "ANONYMOUS" => Ok(Credentials::Anonymous),
        _ => {
            let text = format!("unknown authentication mechanism '{mechanism}'");
            Err(Refused::new(ReplyCode::CommandInvalid, text))
        }
    }
}

/// `authorization NUL user NUL password`; the first, mostly empty, is ignored as RabbitMQ does not
/// know it either: it wants the response to begin with NUL.
fn plain(response: &[u8]) -> Result<Credentials, Refused> {
    let mut parts = response.split(|byte| *byte == 0);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some([]), Some(user), Some(password), None) => password_of(user, password),
        _ => Err(syntax("PLAIN response invalid")),
    }
}

/// `{"LOGIN": user, "PASSWORD": password}` without the table's length.
fn amqplain(response: &[u8]) -> Result<Credentials, Refused> {
    check_table(response, METHOD_VALUES_MAX)?;
    let table = FieldTable::new(response);
    let text = |name: &[u8]| match table.value(name) {
        Some(Value::LongString(text) | Value::Binary(text)) => Some(text),
        _ => None,
    };
    match (text(b"LOGIN"), text(b"PASSWORD")) {
        (Some(user), Some(password)) => password_of(user, password),
        _ => Err(syntax(
            "AMQPLAIN auth info is missing LOGIN or PASSWORD field",
        )),
    }
}

fn password_of(user: &[u8], password: &[u8]) -> Result<Credentials, Refused> {
    let user = std::str::from_utf8(user).map_err(|_| syntax("user name is not UTF-8"))?;
    Ok(Credentials::Password {
        user: user.into(),
        password: Bytes::copy_from_slice(password),
    })
}

fn syntax(text: &str) -> Refused {
    Refused::new(ReplyCode::SyntaxError, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::table::TableBuf;

    fn user_and_password(mechanism: &str, response: &[u8]) -> (String, Vec<u8>) {
        match credentials(mechanism, response) {
            Ok(Credentials::Password { user, password }) => {
                (user.as_str().into(), password.to_vec())
            }
            other => panic!("no password: {other:?}"),
        }
    }

    #[test]
    fn plain_holds_user_and_password() {
        let expected = ("guest".to_owned(), b"gu:est".to_vec());
        assert_eq!(user_and_password("PLAIN", b"\0guest\0gu:est"), expected);
        for bad in [
            &b""[..],
            b"guest\0guest",
            b"\0guest",
            b"\0a\0b\0c",
            b"\0\xff\0x",
        ] {
            assert!(credentials("PLAIN", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn amqplain_holds_a_table() {
        let mut table = TableBuf::new();
        table.push(b"LOGIN", Value::LongString(b"u")).unwrap();
        table.push(b"PASSWORD", Value::LongString(b"p")).unwrap();
        let response = table.table().as_bytes();
        assert_eq!(
            user_and_password("AMQPLAIN", response),
            ("u".to_owned(), b"p".to_vec())
        );
        assert!(credentials("AMQPLAIN", b"\x05LOGIN").is_err());
        assert!(credentials("AMQPLAIN", b"").is_err());
    }

    #[test]
    fn other_mechanisms_are_unknown() {
        let refused = credentials("EXTERNAL", b"").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'"
        );
        assert!(matches!(
            credentials("ANONYMOUS", b""),
            Ok(Credentials::Anonymous)
        ));
    }
}
