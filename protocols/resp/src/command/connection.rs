//! The connection itself: who it is, which version it speaks, whether it is still there.
//!
//! Checking a password takes time, so `AUTH` and `HELLO ... AUTH` only leave a question in the
//! session ([`Awaiting`]); [`finish_login`] writes the reply when the answer has come. Until then
//! the connection reads no further request, which keeps the replies in order.

use std::sync::Arc;

use bytes::Bytes;
use routing::{AuthError, Credentials, Identity, Name};

use super::{Call, is};
use crate::connection::Awaiting;
use crate::error::Error;
use crate::server::count;
use crate::wire::Version;
use crate::wire::request::{Request, parse_number};

/// The name that `AUTH` with a password alone stands for, and that anonymous clients see.
pub(crate) const DEFAULT_USER: &str = "default";

/// RESP: in RESP2's subscribed mode the reply is an array, as if it had been pushed.
pub(super) fn ping(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    if request.len() > 2 {
        return Err(Error::Arity("ping"));
    }
    let text = request.arg(1);
    if call.session.is_restricted() {
        call.reply.array(2);
        call.reply.bulk(b"pong");
        call.reply.bulk(text.unwrap_or_default());
    } else if let Some(text) = text {
        call.reply.bulk(text);
    } else {
        call.reply.simple("PONG");
    }
    Ok(())
}

pub(super) fn echo(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    call.reply.bulk(request.arg(1).unwrap_or_default());
    Ok(())
}

pub(super) fn quit(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.ok();
    call.session.is_closing = true;
    Ok(())
}

/// RESP: pub/sub ignores the database; only the volatile map has several.
pub(super) fn select(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let index = request
        .arg(1)
        .and_then(parse_number)
        .ok_or(Error::NotInteger)?;
    let index = u8::try_from(index)
        .ok()
        .filter(|index| *index < call.server.settings.databases);
    call.session.database = index.ok_or(Error::Text("ERR DB index is out of range"))?;
    call.reply.ok();
    Ok(())
}

pub(super) fn reset(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.session.reset(call.now);
    call.server.monitors.remove(call.session.client.id);
    call.session.is_monitor = false;
    call.reply.set_version(Version::Resp2);
    call.reply.simple("RESET");
    Ok(())
}

/// RESP: `AUTH [user] password`.
pub(super) fn auth(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    if request.len() > 3 {
        return Err(Error::Syntax);
    }
    if request.len() == 2 && call.session.anonymous.is_some() {
        return Err(Error::NoPasswordNeeded);
    }
    let user = match request.len() {
        2 => DEFAULT_USER.as_bytes(),
        _ => request.arg(1).unwrap_or_default(),
    };
    log_in(call, user, request.bytes(request.len() - 1), Awaiting::Auth)
}

/// RESP: `HELLO [version [AUTH user password] [SETNAME name]]`.
pub(super) fn hello(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let version = request.arg(1).map(version).transpose()?;
    let (mut credentials, mut name) = (None, None);
    let mut index = 2;
    while let Some(option) = request.arg(index) {
        if is(option, "auth") && index + 2 < request.len() {
            credentials = Some((index + 1, index + 2));
            index += 3;
        } else if is(option, "setname") && index + 1 < request.len() {
            name = Some(super::client::checked_name(request, index + 1)?);
            index += 2;
        } else {
            return Err(Error::quoting(
                "Syntax error in HELLO option '",
                option,
                "'",
            ));
        }
    }
    let greeting = Greeting { version, name };
    match credentials {
        Some((user, password)) => {
            let user = request.arg(user).unwrap_or_default();
            log_in(
                call,
                user,
                request.bytes(password),
                Awaiting::Hello(greeting),
            )
        }
        None if call.session.login.is_none() => Err(Error::HelloUnauthenticated),
        None => {
            greet(call, greeting);
            Ok(())
        }
    }
}

/// What a `HELLO` asked for.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    version: Option<Version>,
    name: Option<Option<Bytes>>,
}

fn version(arg: &[u8]) -> Result<Version, Error> {
    let out_of_range = "ERR Protocol version is not an integer or out of range";
    match parse_number(arg).ok_or(Error::Text(out_of_range))? {
        2 => Ok(Version::Resp2),
        3 => Ok(Version::Resp3),
        _ => Err(Error::Text("NOPROTO unsupported protocol version")),
    }
}

/// Asks who this is. The default user needs no question where it needs no password.
fn log_in(
    call: &mut Call<'_>,
    user: &[u8],
    password: Bytes,
    awaiting: Awaiting,
) -> Result<(), Error> {
    let user = std::str::from_utf8(user).map_err(|_| Error::WrongPassword)?;
    if user == DEFAULT_USER
        && let Some(anonymous) = call.session.anonymous.clone()
    {
        return enter(call, awaiting, Ok(anonymous), true);
    }
    call.session.ask(
        Credentials::Password {
            user: Name::from(user),
            password,
        },
        awaiting,
    );
    Ok(())
}

/// Takes the answer to a question and writes the reply that waits for it. After a refusal the
/// connection stays who it was.
///
/// # Errors
/// [`Error::WrongPassword`].
pub(crate) fn finish_login(
    call: &mut Call<'_>,
    awaiting: Awaiting,
    answer: Result<Arc<Identity>, AuthError>,
) -> Result<(), Error> {
    enter(call, awaiting, answer, false)
}

fn enter(
    call: &mut Call<'_>,
    awaiting: Awaiting,
    answer: Result<Arc<Identity>, AuthError>,
    is_default: bool,
) -> Result<(), Error> {
    // Why is for the log: a stranger learns no more than that it was wrong.
    let entered = answer
        .map_err(|_| Error::WrongPassword)
        .and_then(|identity| {
            if matches!(awaiting, Awaiting::Anonymous) {
                call.session.anonymous = Some(Arc::clone(&identity));
            }
            let known = call.session.anonymous.as_ref();
            let is_anonymous = match &awaiting {
                Awaiting::Anonymous => true,
                // Only the default user's login is answered without a question.
                Awaiting::Auth | Awaiting::Hello(_) => is_default && known.is_some(),
            };
            call.session.log_in(call.now, &identity, is_anonymous)
        });
    match awaiting {
        // Nobody has asked yet: it must authenticate, and will hear so when it does not.
        Awaiting::Anonymous => {
            if entered.is_err() {
                call.session.anonymous = None;
            }
        }
        Awaiting::Auth => {
            count_refusal(call, &entered);
            entered?;
            call.reply.ok();
        }
        Awaiting::Hello(greeting) => {
            count_refusal(call, &entered);
            entered?;
            greet(call, greeting);
        }
    }
    Ok(())
}

fn count_refusal(call: &Call<'_>, entered: &Result<(), Error>) {
    if entered.is_err() {
        count(&call.server.counters.logins_refused);
    }
}

/// Applies a `HELLO` and describes the server, in the version asked for.
fn greet(call: &mut Call<'_>, greeting: Greeting) {
    if let Some(name) = greeting.name {
        call.session.name = name;
    }
    if let Some(version) = greeting.version {
        call.session.version = version;
        call.reply.set_version(version);
    }
    let reply = &mut call.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(call.server.settings.version.as_bytes());
    reply.bulk(b"proto");
    reply.integer(reply.version().number().into());
    reply.bulk(b"id");
    reply.integer(call.session.client.id_number());
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
}
