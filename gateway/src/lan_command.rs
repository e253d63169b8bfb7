//! `busbar lan listen`: what arrives at a link, as text. It joins the group beside a gateway that
//! runs, since every receiver on a machine gets each datagram; it sends nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use routing::{
    Broker, ConnectionId, Message, Outbox, OutboxLimits, Subscriber, SubscriptionOptions,
    TopicFilter,
};
use tokio_util::sync::CancellationToken;

use crate::cli::LanCommand;
use crate::clock::Clock;
use crate::config::{Config, Direction, LanLink, LoadError};
use crate::net::lan::{Identity, LanTask};

/// Why nothing is printed.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// It has no such link.
    #[error("there is no LAN link \"{link}\"; there are: {names}")]
    NoLink {
        /// The name asked for.
        link: String,
        /// Those that there are.
        names: String,
    },
    /// The link cannot be opened, or the output is closed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the command until it is interrupted, or has printed as much as was asked for.
///
/// # Errors
/// [`ListenError`].
pub fn run(command: &LanCommand, out: &mut impl Write) -> Result<(), ListenError> {
    let LanCommand::Listen {
        link,
        config,
        count,
    } = command;
    let link = find(config, link)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(listen(link, count.unwrap_or(u64::MAX), out))?;
    Ok(())
}

fn find(config: &Path, name: &str) -> Result<LanLink, ListenError> {
    let links = Config::load(Some(config), &[])?.lan;
    let names: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
    let found = links.into_iter().find(|link| link.name == name);
    let mut link = found.ok_or_else(|| ListenError::NoLink {
        link: name.to_owned(),
        names: names.join(", "),
    })?;
    link.direction = Direction::In;
    Ok(link)
}

async fn listen(link: LanLink, count: u64, out: &mut impl Write) -> io::Result<()> {
    let broker = Broker::in_memory(vec![&lan::ORIGIN]);
    let Some(vhost) = broker.vhost("/") else {
        return Ok(());
    };
    let id = ConnectionId::unique();
    let outbox = Outbox::attached(id, OutboxLimits::default());
    let subscriber = Subscriber::live(Arc::clone(&outbox));
    if let Ok(all) = TopicFilter::parse(Bytes::from_static(b"#")) {
        vhost.subscribe_filter(&subscriber, &all, SubscriptionOptions::default());
    }
    let task = LanTask::open(link, Arc::clone(vhost), &Identity::random()?)?;
    let (clock, stop) = (Clock::start(), CancellationToken::new());
    let print = print_each(&outbox, id, count, out);
    // The link's task ends with the token, which nobody but this function has.
    tokio::select! {
        () = task.run(move || clock.now(), stop.clone()) => Ok(()),
        printed = print => printed,
    }
}

async fn print_each(
    outbox: &Arc<Outbox>,
    id: ConnectionId,
    count: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let (mut items, mut printed) = (VecDeque::new(), 0);
    while printed < count {
        poll_fn(|cx| outbox.poll_stirred(id, cx)).await;
        outbox.take(id, usize::MAX, &mut items, &mut Vec::new());
        for item in items.drain(..) {
            for message in item.messages() {
                if printed == count {
                    break;
                }
                out.write_all(line(message).as_bytes())?;
                printed += 1;
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// Text as it is, other bytes as hexadecimal digits, so that a line stays a line.
fn line(message: &Message) -> String {
    let retained = if message.retain { " (retain)" } else { "" };
    let is_text = |text: &&str| !text.chars().any(char::is_control);
    let payload = match std::str::from_utf8(&message.payload).ok().filter(is_text) {
        Some(text) => text.to_owned(),
        None => message
            .payload
            .iter()
            .fold("0x".to_owned(), |mut hex, byte| {
                hex.push_str(&format!("{byte:02x}"));
                hex
            }),
    };
    format!("{}{retained}\t{payload}\n", message.address)
}

#[cfg(test)]
mod tests {
    use routing::{Address, MessageBuilder};

    use super::*;

    #[test]
    fn text_is_printed_as_it_is_and_bytes_as_digits() {
        let shown = |payload: &'static [u8], retain| {
            let (address, payload) = (Address::new("a/b".into()), Bytes::from_static(payload));
            let mut message = MessageBuilder::new(address, "".into(), payload, &lan::ORIGIN);
            message.retain = retain;
            line(&message.build())
        };
        assert_eq!(shown("21,5 °C".as_bytes(), false), "a/b\t21,5 °C\n");
        assert_eq!(shown(b"a\nb", true), "a/b (retain)\t0x610a62\n");
        assert_eq!(shown(b"\xff", false), "a/b\t0xff\n");
    }

    #[test]
    fn a_link_that_is_not_there_is_told_from_those_that_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/lan-fanout.toml");
        let error = find(Path::new(path), "nothing").unwrap_err().to_string();
        assert!(
            error.contains("there is no LAN link \"nothing\""),
            "{error}"
        );
        let name = Config::load(Some(Path::new(path)), &[]).unwrap().lan[0]
            .name
            .clone();
        assert!(error.contains(&name), "{error}");
        assert_eq!(
            find(Path::new(path), &name).unwrap().direction,
            Direction::In
        );
    }
}
