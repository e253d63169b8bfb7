//! What a LAN link's datagrams cost beside a bare loop of `sendto`, in CPU time of the sending
//! thread: `lan_send INTERFACE [BYTES [CODEC]]`, with the codec `raw`, a message a datagram, or
//! `rlan`, which packs small ones together and seals them. See docs/lan.md for how to give it a
//! network card that takes everything.

#![expect(clippy::print_stdout, reason = "a program that measures")]

use std::error::Error;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use gateway::config::Config;
use gateway::net::lan::{Identity, LanTask};
use routing::{Address, Broker, KeyForm, MessageBuilder, Publisher, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 15;
const MESSAGES: u32 = 5000;
const GROUP: &str = "239.192.0.9";
const PORT: u16 = 5009;
const KEYS: &str =
    "keys = [\"1:0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0\"]\n";
/// The most that one holds.
const DATAGRAM_BYTES: u64 = 1472;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let interface = arguments
        .next()
        .ok_or("lan_send INTERFACE [BYTES [CODEC]]")?;
    let bytes = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let codec = arguments.next().unwrap_or_else(|| "raw".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut bare, mut link) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(send_bare(&vec![7; bytes])?);
        link.push(send_by_link(&runtime, &interface, (&codec, bytes))?);
    }
    let (bare, link) = (median(bare), median(link));
    let per = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(MESSAGES);
    println!("sendto: {:.2} us a datagram of {bytes} bytes", per(bare));
    println!("link:   {:.2} us a message", per(link));
    println!("ratio:  {:.2}", per(link) / per(bare));
    println!("below:  {:.1} times", per(bare) / per(link));
    Ok(())
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn send_bare(payload: &[u8]) -> Result<Duration, Box<dyn Error>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let before = cpu();
    for _ in 0..MESSAGES {
        socket.send_to(payload, (GROUP, PORT))?;
    }
    Ok(cpu().saturating_sub(before))
}

/// All is published before the link runs, which then sends it and ends.
fn send_by_link(
    runtime: &tokio::runtime::Runtime,
    interface: &str,
    (codec, bytes): (&str, usize),
) -> Result<Duration, Box<dyn Error>> {
    let text = format!(
        "[[lan]]\nname = \"a\"\ninterface = \"{interface}\"\ngroup = \"{GROUP}\"\nport = {PORT}\n\
         direction = \"out\"\nfilters = \"a\"\nbytes_per_second = \"0B\"\ncodec = \"{codec}\"\n{}",
        if codec == "rlan" { KEYS } else { "" }
    );
    let mut config = Config::parse(Some(("lan_send", &text)), &[])?;
    let broker = Broker::in_memory(vec![&lan::ORIGIN]);
    let vhost = Arc::clone(broker.vhost("/").ok_or("no virtual host")?);
    let inside = runtime.enter();
    let task = LanTask::open(
        config.lan.remove(0),
        Arc::clone(&vhost),
        &Identity::random()?,
    )?;
    let counters = task.counters();
    let mut publisher = Publisher::new(vhost);
    let resolved = publisher.resolve(b"amq.topic", b"a", KeyForm::Canonical);
    let resolved = resolved.map_err(|_| "no bus")?;
    let payload = Bytes::from(vec![7; bytes]);
    for _ in 0..MESSAGES {
        let (address, payload) = (Address::new("a".into()), payload.clone());
        let message = MessageBuilder::new(address, "amq.topic".into(), payload, &lan::ORIGIN);
        publisher.publish(NOW, &resolved, &message.build());
    }
    publisher.flush();
    drop(inside);
    let stop = CancellationToken::new();
    stop.cancel();
    let before = cpu();
    runtime.block_on(Box::pin(task.run(|| NOW, stop)));
    let took = cpu().saturating_sub(before);
    let sent = counters.sent.load(Ordering::Relaxed);
    let lost = counters.failed.load(Ordering::Relaxed) + counters.dropped.load(Ordering::Relaxed);
    let has_all = sent * DATAGRAM_BYTES >= u64::from(MESSAGES) * u64::try_from(bytes)?;
    if lost > 0 || !has_all {
        return Err(format!("{sent} datagrams were sent, {lost} lost").into());
    }
    Ok(took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
