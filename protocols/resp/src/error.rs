//! Errors that a request is answered with. Each one's text is what stands after `-` on the wire:
//! Redis 7.2's, byte for byte, because clients compare them.

use crate::wire::reply::ReplyWriter;

/// Why a request was refused. The connection stays open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Something unknown; `text` is all of the message, with the peer's own bytes in it.
    #[error("{}", String::from_utf8_lossy(text))]
    Unknown {
        /// The whole message.
        text: Vec<u8>,
    },
    /// The command (with `|` before a subcommand) takes another number of arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    /// Options contradict each other, or one is unknown.
    #[error("ERR syntax error")]
    Syntax,
    /// An argument is no 64-bit number.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// A text without a variable part that only one command has.
    #[error("{0}")]
    Text(&'static str),
    /// The connection must authenticate first.
    #[error("NOAUTH Authentication required.")]
    AuthenticationRequired,
    /// `HELLO` without `AUTH` from a stranger.
    #[error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
         <proto> AUTH <user> <pass> option can be used to authenticate the client and select the \
         RESP protocol version at the same time"
    )]
    HelloUnauthenticated,
    /// The name or the password is wrong.
    #[error("WRONGPASS invalid username-password pair or user is disabled.")]
    WrongPassword,
    /// `AUTH` with a password alone where no password is asked for.
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. Are you \
         sure your configuration is correct?"
    )]
    NoPasswordNeeded,
    /// The user may not use the command.
    #[error("NOPERM User {user} has no permissions to run the '{command}' command")]
    CommandDenied {
        /// Who asks.
        user: String,
        /// The command's full name.
        command: &'static str,
    },
    /// The user may not use the channel.
    #[error("NOPERM No permissions to access a channel")]
    ChannelDenied,
    /// The user may not use the key: no right to the queue of that name, or it is in exclusive use.
    #[error("NOPERM No permissions to access a key")]
    KeyDenied,
    /// A list where a string was expected, or the other way round.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// A key that no queue can be named by (non-normative).
    #[error("ERR a list is a queue here: its key is UTF-8 of 1 to 255 bytes, not in amq.")]
    NoListName,
    /// A connection in RESP2 that is subscribed may do little else.
    #[error(
        "ERR Can't execute '{0}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
         allowed in this context"
    )]
    Subscribed(&'static str),
    /// `EXEC` after a request that could not be queued.
    #[error("EXECABORT Transaction discarded because of previous errors.")]
    TransactionAborted,
    /// `EXEC` itself was refused.
    #[error("EXECABORT Transaction discarded because of: {0}")]
    ExecRefused(String),
    /// The command cannot wait inside `MULTI`.
    #[error("ERR Command not allowed inside a transaction")]
    NotInTransaction,
    /// An expiry that lies in the past or too far ahead.
    #[error("ERR invalid expire time in '{0}' command")]
    ExpireTime(&'static str),
    /// A limit of the server is reached.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    Full,
    /// A limit of the server that Redis does not have (non-normative).
    #[error("ERR {what} limit reached: at most {max}")]
    Limit {
        /// What there would be too many of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// `CLUSTER` and its companions.
    #[error("ERR This instance has cluster support disabled")]
    NoCluster,
}

impl Error {
    /// `ERR <before><quoted><after>`, where `quoted` comes from the peer.
    #[must_use]
    pub(crate) fn quoting(before: &str, quoted: &[u8], after: &str) -> Self {
        let quoted = printable(quoted);
        Self::Unknown {
            text: [b"ERR ", before.as_bytes(), quoted, after.as_bytes()].concat(),
        }
    }

    /// Writes the error reply.
    pub(crate) fn write(&self, reply: &mut ReplyWriter<'_>) {
        match self {
            Self::Unknown { text } => reply.error(text),
            error => reply.error(error.to_string().as_bytes()),
        }
    }
}

/// As much of the peer's bytes as an error repeats: up to a NUL, at most 128.
pub(crate) fn printable(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .take(QUOTED_BYTES_MAX)
        .take_while(|byte| **byte != 0)
        .count();
    bytes.get(..end).unwrap_or_default()
}

/// RESP: unknown commands are repeated up to this length, and so are their arguments together.
pub(crate) const QUOTED_BYTES_MAX: usize = 128;
