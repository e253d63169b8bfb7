//! `rlan` through real sockets: two gateways on loopback.

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A link named `name` of a gateway that keeps topics, beside another of the same group and port.
fn rlan(beside: Option<&LanLink>, name: &str, group: u8, more: &str) -> LanLink {
    let more = format!("codec = \"rlan\"\nkeys = [\"1:{KEY}\"]\n{more}");
    let mut link = config(group, "both", &more);
    link.name = name.to_owned();
    link.topic = lan::TopicTemplate::carried();
    link.filters = vec![TopicFilter::parse(Bytes::from_static(b"#")).unwrap()];
    link.message_bytes_max = 1 << 20;
    link.port = beside.map_or(link.port, |other| other.port);
    link
}

/// Hears until nothing has come for a while.
async fn hear_all(bus: &Bus) -> Vec<(String, Bytes)> {
    let mut heard = Vec::new();
    while let Ok(message) = timeout(Duration::from_millis(700), bus.hear()).await {
        heard.push(message);
    }
    heard
}

fn time() -> impl Fn() -> Timestamp {
    let clock = crate::clock::Clock::start();
    move || clock.now()
}

#[tokio::test]
async fn what_one_gateway_publishes_another_hears_once_and_in_order() {
    let (one, two) = (Bus::new(), Bus::new());
    let first = rlan(None, "first", 30, "");
    let second = rlan(Some(&first), "second", 30, "");
    let (sender, receiver) = (one.open(&first), two.open(&second));
    let (sent, received) = (sender.counters(), receiver.counters());
    let stop = CancellationToken::new();
    let test = async {
        sleep(Duration::from_millis(300)).await;
        let payloads: [&'static [u8]; 4] = [b"1", b"2", &[b'x'; 10_000], b"4"];
        for payload in payloads {
            one.publish("plant/a", payload);
        }
        let heard = hear_all(&two).await;
        let right: Vec<_> = payloads
            .iter()
            .map(|payload| ("plant/a".to_owned(), Bytes::from_static(payload)))
            .collect();
        assert!(heard == right, "{} messages", heard.len());
        // Both links forward all there is, and nothing goes round.
        assert_eq!(hear_all(&one).await.len(), 4);
        assert!(count(&sent.sent) < 40, "{}", count(&sent.sent));
        assert_eq!(count(&received.gaps), 0);
        stop.cancel();
    };
    tokio::join!(
        sender.run(time(), stop.clone()),
        receiver.run(time(), stop.clone()),
        test
    );
}

#[tokio::test]
async fn gateways_that_bridge_the_same_two_groups_do_not_send_in_a_circle() {
    let (one, two) = (Bus::new(), Bus::new());
    let a = rlan(None, "a", 31, "");
    let b = rlan(None, "b", 32, "");
    let (one_a, one_b) = open_both(&one, &a, &b);
    let (two_a, two_b) = open_both(&two, &a, &b);
    let counters = [&one_a, &one_b, &two_a, &two_b].map(LanTask::counters);
    let stop = CancellationToken::new();
    let test = async {
        sleep(Duration::from_millis(300)).await;
        for _ in 0..20 {
            one.publish("plant/a", b"21.5");
        }
        hear_all(&one).await;
        let beats = counters
            .each_ref()
            .map(|it| count(&it.sent))
            .iter()
            .sum::<u64>();
        // Twenty messages by two links of two gateways, each packed or not, and heartbeats.
        assert!(beats < 200, "{beats} datagrams");
        let loops = counters.each_ref().map(|it| count(&it.loops));
        assert!(loops.iter().sum::<u64>() >= 40, "{loops:?}");
        assert!(hear_all(&two).await.len() >= 20);
        // Two links of one gateway hear each other's group, but not themselves.
        assert!(hear_all(&one).await.is_empty());
        stop.cancel();
    };
    tokio::join!(
        one_a.run(time(), stop.clone()),
        one_b.run(time(), stop.clone()),
        two_a.run(time(), stop.clone()),
        two_b.run(time(), stop.clone()),
        test
    );
}

/// Both links of one gateway.
fn open_both(bus: &Bus, a: &LanLink, b: &LanLink) -> (LanTask, LanTask) {
    let identity = Identity::random().unwrap();
    let open = |link: &LanLink| LanTask::open(link.clone(), Arc::clone(&bus.vhost), &identity);
    (open(a).unwrap(), open(b).unwrap())
}

#[tokio::test]
async fn a_wrong_key_is_counted_and_nothing_is_heard() {
    let (one, two) = (Bus::new(), Bus::new());
    let first = rlan(None, "first", 33, "");
    let mut second = rlan(Some(&first), "second", 33, "");
    second.keys.iter_mut().for_each(|key| key.secret[0] ^= 1);
    let (sender, receiver) = (one.open(&first), two.open(&second));
    let received = receiver.counters();
    let stop = CancellationToken::new();
    let test = async {
        one.publish("plant/a", b"21.5");
        assert!(hear_all(&two).await.is_empty());
        assert!(count(&received.refused_seals) > 0);
        stop.cancel();
    };
    tokio::join!(
        sender.run(time(), stop.clone()),
        receiver.run(time(), stop.clone()),
        test
    );
}
