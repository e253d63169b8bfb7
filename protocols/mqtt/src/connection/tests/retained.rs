//! Retained messages: kept, sent to new subscriptions, paced, cleared.

use std::sync::Arc;

use routing::{Address, BUS, Broker, MemoryJournal, MessageBuilder, RetainedLimits, Wakes};

use super::support::{Bench, packet, string};
use crate::wire::hex::hex;

#[test]
fn a_retained_message_waits_for_subscribers_mqtt_3_3_1_5() {
    let bench = Bench::new();
    bench.v4("p").send(&bench, "31 04 00 01 't' 'x'");
    let mut client = bench.v4("s");
    let all = client.send(&bench, "82 06 00 01 00 01 't' 00");
    assert_eq!(all, hex("90 03 00 01 00 31 04 00 01 't' 'x'"));
}

#[test]
fn a_retained_message_has_its_properties_and_the_identifier() {
    let bench = Bench::new();
    bench
        .v5("p")
        .send(&bench, "31 0C 00 01 't' 07 26 00 01 'n' 00 01 'v' 'x'");
    let mut client = bench.v5("s");
    let all = client.send(&bench, "82 09 00 01 02 0B 09 00 01 't' 00");
    let retained = "31 0E 00 01 't' 09 0B 09 26 00 01 'n' 00 01 'v' 'x'";
    assert_eq!(all, hex(&format!("90 04 00 01 00 00 {retained}")));
}

#[test]
fn an_empty_payload_clears_it_mqtt_3_3_1_6() {
    let bench = Bench::new();
    let mut publisher = bench.v4("p");
    publisher.send(&bench, "31 04 00 01 't' 'x'");
    publisher.send(&bench, "31 03 00 01 't'");
    let all = bench.v4("s").send(&bench, "82 06 00 01 00 01 't' 00");
    assert_eq!(all, hex("90 03 00 01 00"));
}

#[test]
fn retain_handling_decides_when_it_is_sent_mqtt_3_3_1_9() {
    let bench = Bench::new();
    bench.v4("p").send(&bench, "31 04 00 01 't' 'x'");
    let mut client = bench.v5("s");
    let suback = "90 04 00 01 00 00";
    let with_value = format!("{suback} 31 05 00 01 't' 00 'x'");
    let mut subscribe =
        |options: &str| client.send(&bench, &format!("82 07 00 01 00 00 01 't' {options}"));
    assert_eq!(subscribe("20"), hex(suback));
    assert_eq!(subscribe("10"), hex(suback));
    assert_eq!(subscribe("00"), hex(&with_value));
    assert_eq!(subscribe("00"), hex(&with_value));
    let mut other = bench.v5("o");
    assert_eq!(
        other.send(&bench, "82 07 00 01 00 00 01 't' 10"),
        hex(&with_value)
    );
}

#[test]
fn a_shared_subscription_is_sent_none() {
    let bench = Bench::new();
    bench.v4("p").send(&bench, "31 04 00 01 't' 'x'");
    let subscribe = packet("82", &format!("00 01 {} 00", string("$share/g/t")));
    assert_eq!(
        bench.v4("s").send(&bench, &subscribe),
        hex("90 03 00 01 00")
    );
}

#[test]
fn retained_messages_are_sent_at_the_lower_qos_and_flow_controlled() {
    let bench = Bench::new();
    let mut publisher = bench.v4("p");
    for n in 0..5 {
        publisher.send(&bench, &format!("33 08 00 03 'a/{n}' 00 09 'x'"));
    }
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 03 21 00 02 00 01 's'");
    let all = client.send(&bench, "82 09 00 01 00 00 03 'a/#' 01");
    let first = "33 09 00 03 'a/0' 00 01 00 'x' 33 09 00 03 'a/1' 00 02 00 'x'";
    assert_eq!(all, hex(&format!("90 04 00 01 00 01 {first}")));
    let next = client.send(&bench, "40 02 00 01 40 02 00 02");
    assert_eq!(
        next,
        hex("33 09 00 03 'a/2' 00 03 00 'x' 33 09 00 03 'a/3' 00 04 00 'x'")
    );
    let last = client.send(&bench, "40 02 00 03");
    assert_eq!(last, hex("33 09 00 03 'a/4' 00 05 00 'x'"));
    assert_eq!(client.send(&bench, "40 02 00 04 40 02 00 05"), "");
}

#[test]
fn any_number_of_retained_messages_arrives() {
    for qos in [0, 1] {
        let bench = Bench::with_queues_of(10, None);
        let mut publisher = bench.v4("p");
        for n in 0..5_000_u32 {
            let topic = format!("t/{n:05}");
            let mut publish = vec![0x33, 0x0D, 0, 7];
            publish.extend(topic.as_bytes());
            publish.extend([0, 9]);
            publish.extend(b"xx");
            publisher.send_bytes(&bench, &publish);
        }
        let mut client = bench.v4("s");
        let mut all = client
            .send(&bench, &format!("82 08 00 01 00 03 't/#' {qos:02X}"))
            .to_vec();
        let packet_len = if qos == 0 { 13 } else { 15 };
        let mut seen = all.len().saturating_sub(5) / packet_len;
        assert!(qos == 1 || seen == 5_000, "{seen}");
        let mut acknowledged = 0;
        while qos == 1 && acknowledged < seen {
            let acks: Vec<u8> = all[5..][acknowledged * packet_len..seen * packet_len]
                .chunks(packet_len)
                .flat_map(|publish| [0x40, 2, publish[11], publish[12]])
                .collect();
            acknowledged = seen;
            all.extend(client.send_bytes(&bench, &acks));
            seen = (all.len() - 5) / packet_len;
        }
        assert_eq!(seen, 5_000);
        for n in [0, 1, 2_500, 4_999] {
            let publish = &all[5 + n * packet_len..][..packet_len];
            assert_eq!(publish[4..11], *format!("t/{n:05}").as_bytes());
        }
    }
}

#[test]
fn unsubscribing_ends_what_was_still_to_come() {
    let bench = Bench::new();
    let mut publisher = bench.v4("p");
    for n in 0..5 {
        publisher.send(&bench, &format!("33 08 00 03 'a/{n}' 00 09 'x'"));
    }
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 03 21 00 01 00 01 's'");
    client.send(&bench, "82 09 00 01 00 00 03 'a/#' 01");
    assert_eq!(
        client.send(&bench, "A2 08 00 02 00 00 03 'a/#'"),
        hex("B0 04 00 02 00 00")
    );
    let after = client.send(&bench, "40 02 00 01");
    // One was on its way to the client already.
    assert!(after.len() <= 11, "{after:02x?}");
    assert_eq!(client.send(&bench, "40 02 00 02"), "");
}

#[test]
fn what_was_still_to_come_goes_on_at_the_next_connection_of_the_session() {
    let bench = Bench::new();
    let mut publisher = bench.v4("p");
    for n in 0..5 {
        publisher.send(&bench, &format!("33 08 00 03 'a/{n}' 00 09 'x'"));
    }
    // One message at a time, and a session that lasts.
    let connect = "00 04 'MQTT' 05 00 00 0A 08 21 00 01 11 00 00 00 3C 00 01 's'";
    let mut client = bench.connected(connect);
    let all = client.send(&bench, "82 09 00 01 00 00 03 'a/#' 01");
    assert_eq!(all, hex("90 04 00 01 00 01 33 09 00 03 'a/0' 00 01 00 'x'"));
    client.lose(&bench);
    publisher.send(&bench, "33 08 00 03 'a/3' 00 09 'y'");
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", connect));
    let again = hex("3B 09 00 03 'a/0' 00 01 00 'x'");
    assert!(all.ends_with(&again), "{all:02x?}");
    let mut seen = Vec::new();
    let mut acknowledged = 1;
    loop {
        let next = client.send(&bench, &format!("40 02 00 {acknowledged:02X}"));
        let Some(topic) = next.get(4..7) else { break };
        seen.push((String::from_utf8(topic.to_vec()).unwrap(), next[10]));
        acknowledged = next[8];
    }
    // What was published meanwhile came by the queue, and is retained as well.
    let found = |topic: &str| seen.iter().filter(|(seen, _)| seen == topic).count();
    assert_eq!(
        ["a/1", "a/2", "a/3", "a/4"].map(found),
        [1, 1, 2, 1],
        "{seen:?}"
    );
}

#[test]
fn more_than_may_be_retained_is_refused_and_what_is_there_may_change() {
    let bench = Bench::with(Broker::new(
        routing::Settings {
            retained: RetainedLimits {
                values_max: 1,
                ..RetainedLimits::default()
            },
            ..routing::Settings::default()
        },
        Arc::new(MemoryJournal::default()),
        vec![&crate::ORIGIN],
        Box::new(|| {}),
    ));
    let mut publisher = bench.v5("p");
    assert_eq!(publisher.send(&bench, "31 05 00 01 'a' 00 '1'"), "");
    let refused = publisher.send(&bench, "33 07 00 01 'b' 00 01 00 '1'");
    assert_eq!(refused, hex("40 03 00 01 97"));
    let mut subscriber = bench.v4("s");
    let all = subscriber.send(&bench, "82 06 00 01 00 01 '#' 00");
    assert_eq!(all, hex("90 03 00 01 00 31 04 00 01 'a' '1'"));
    // 3.1.1 cannot be told: it is passed on, and not kept.
    assert_eq!(
        bench.v4("q").send(&bench, "33 06 00 01 'b' 00 01 '2'"),
        hex("40 02 00 01")
    );
    assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 'b' '2'"));
    publisher.send(&bench, "31 05 00 01 'a' 00 '3'");
    let all = bench.v4("t").send(&bench, "82 06 00 01 00 01 '#' 00");
    assert_eq!(all, hex("90 03 00 01 00 31 04 00 01 'a' '3'"));
    assert_eq!(bench.broker.core().counters().unretained_count(), 1);
}

#[test]
fn values_of_the_gateway_are_apart_and_kept_mqtt_4_7_2_1() {
    let bench = Bench::new();
    let vhost = bench.broker.vhost("/").unwrap();
    let say = |value: &'static str| {
        let address = Address::new("$SYS/broker/x".into());
        let mut builder = MessageBuilder::new(address, BUS.into(), value.into(), &crate::ORIGIN);
        builder.retain = true;
        vhost.publish_system(bench.now, &builder.build(), &mut Wakes::default());
    };
    say("1");
    let mut all = bench.v4("a");
    assert_eq!(
        all.send(&bench, "82 06 00 01 00 01 '#' 00"),
        hex("90 03 00 01 00")
    );
    let mut own = bench.v4("s");
    let found = own.send(&bench, "82 0B 00 01 00 06 '$SYS/#' 00");
    assert_eq!(found, hex("90 03 00 01 00 31 10 00 0D '$SYS/broker/x' '1'"));
    say("2");
    assert_eq!(own.recv(&bench), hex("30 10 00 0D '$SYS/broker/x' '2'"));
    assert_eq!(all.recv(&bench), "");
    // Nobody else speaks there, by whatever protocol.
    let address = Address::new("$SYS/broker/x".into());
    let forged = MessageBuilder::new(address, BUS.into(), "9".into(), &crate::ORIGIN);
    vhost.publish(bench.now, &forged.build(), &mut Wakes::default());
    assert_eq!(own.recv(&bench), "");
    assert_eq!(vhost.retained_count(), 0);
}
