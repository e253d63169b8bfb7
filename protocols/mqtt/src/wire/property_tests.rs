//! Every property in every packet: allowed, not allowed, twice, cut, out of range.

use proptest::prelude::*;

use super::super::ReasonCode;
use super::super::hex::hex;
use super::Place::{
    Ack, Auth, Connack, Connect, Disconnect, Publish, PublishToServer, Suback, Subscribe, Unsuback,
    Unsubscribe, Will,
};
use super::*;

const PLACES: [Place; 12] = [
    Connect,
    Will,
    Connack,
    Publish,
    PublishToServer,
    Ack,
    Subscribe,
    Suback,
    Unsubscribe,
    Unsuback,
    Disconnect,
    Auth,
];

/// MQTT 5 table 2-4, written a second time: an example of each property and where it may stand.
const TABLE: [(&str, Property<'static>, &[Place]); 27] = [
    ("01 01", Property::PayloadFormatIndicator(1), &PUBLISH),
    (
        "02 00 00 00 3C",
        Property::MessageExpiryInterval(60),
        &PUBLISH,
    ),
    ("03 00 01 't'", Property::ContentType("t"), &PUBLISH),
    ("08 00 03 'a/b'", Property::ResponseTopic("a/b"), &PUBLISH),
    (
        "09 00 02 FF 00",
        Property::CorrelationData(&[0xFF, 0]),
        &PUBLISH,
    ),
    (
        "0B 80 01",
        Property::SubscriptionIdentifier(128),
        &[Publish, Subscribe],
    ),
    (
        "11 FF FF FF FF",
        Property::SessionExpiryInterval(u32::MAX),
        &[Connect, Connack, Disconnect],
    ),
    (
        "12 00 01 'c'",
        Property::AssignedClientIdentifier("c"),
        &[Connack],
    ),
    ("13 00 3C", Property::ServerKeepAlive(60), &[Connack]),
    (
        "15 00 01 'm'",
        Property::AuthenticationMethod("m"),
        &[Connect, Connack, Auth],
    ),
    (
        "16 00 01 00",
        Property::AuthenticationData(&[0]),
        &[Connect, Connack, Auth],
    ),
    ("17 00", Property::RequestProblemInformation(0), &[Connect]),
    ("18 00 00 00 05", Property::WillDelayInterval(5), &[Will]),
    ("19 01", Property::RequestResponseInformation(1), &[Connect]),
    (
        "1A 00 01 'r'",
        Property::ResponseInformation("r"),
        &[Connack],
    ),
    (
        "1C 00 01 's'",
        Property::ServerReference("s"),
        &[Connack, Disconnect],
    ),
    (
        "1F 00 01 'w'",
        Property::ReasonString("w"),
        &[Connack, Ack, Suback, Unsuback, Disconnect, Auth],
    ),
    (
        "21 00 14",
        Property::ReceiveMaximum(20),
        &[Connect, Connack],
    ),
    (
        "22 00 0A",
        Property::TopicAliasMaximum(10),
        &[Connect, Connack],
    ),
    (
        "23 00 01",
        Property::TopicAlias(1),
        &[Publish, PublishToServer],
    ),
    ("24 01", Property::MaximumQos(1), &[Connack]),
    ("25 01", Property::RetainAvailable(1), &[Connack]),
    (
        "26 00 01 'n' 00 00",
        Property::UserProperty("n", ""),
        &PLACES,
    ),
    (
        "27 00 1E 84 80",
        Property::MaximumPacketSize(2_000_000),
        &[Connect, Connack],
    ),
    (
        "28 01",
        Property::WildcardSubscriptionAvailable(1),
        &[Connack],
    ),
    (
        "29 01",
        Property::SubscriptionIdentifierAvailable(1),
        &[Connack],
    ),
    (
        "2A 01",
        Property::SharedSubscriptionAvailable(1),
        &[Connack],
    ),
];

const PUBLISH: [Place; 3] = [Will, Publish, PublishToServer];

fn parse(block: &[u8], place: Place) -> Result<Properties, Malformed> {
    Properties::from_block(Bytes::copy_from_slice(block), place)
}

#[test]
fn every_property_has_its_bytes() {
    for (bytes, property, places) in TABLE {
        let mut out = Vec::new();
        property.write(&mut out);
        assert_eq!(out, hex(bytes), "{property:?}");
        let block = parse(&out, places[0]).unwrap();
        assert_eq!(block.iter().collect::<Vec<_>>(), [property]);
        assert_eq!(block.find(property.id()), Some(property));
        assert_eq!(block.find(0x3F), None);
    }
}

#[test]
fn every_property_stands_only_where_the_standard_allows_it() {
    for (bytes, property, places) in TABLE {
        for place in PLACES {
            let expected = places.contains(&place);
            match parse(&hex(bytes), place) {
                Ok(_) => assert!(expected, "{property:?} in {place:?}"),
                Err(why) => {
                    assert!(!expected, "{property:?} in {place:?}");
                    assert_eq!(why, Malformed::PropertyNotAllowed);
                    assert_eq!(why.answer(), Some(ReasonCode::PROTOCOL_ERROR));
                }
            }
        }
    }
}

#[test]
fn every_property_stands_once_but_user_properties() {
    for (bytes, property, places) in TABLE {
        for &place in places {
            let verdict = parse(&hex(bytes).repeat(2), place).map(|block| block.iter().count());
            let may_repeat = property.id() == id::USER_PROPERTY
                || property.id() == id::SUBSCRIPTION_IDENTIFIER && place == Publish;
            let expected = if may_repeat {
                Ok(2)
            } else {
                Err(Malformed::DuplicateProperty)
            };
            assert_eq!(verdict, expected, "{property:?} in {place:?}");
        }
    }
}

#[test]
fn every_property_that_is_cut_is_malformed() {
    for (bytes, property, places) in TABLE {
        let whole = hex(bytes);
        for end in 1..whole.len() {
            let verdict = parse(&whole[..end], places[0]);
            assert_eq!(verdict, Err(Malformed::Truncated), "{property:?} at {end}");
        }
    }
}

#[test]
fn values_out_of_range_are_protocol_errors() {
    let table = [
        ("01 02", Publish),
        ("0B 00", Subscribe),
        ("08 00 00", Publish),
        ("08 00 01 '#'", Publish),
        ("08 00 03 'a/+'", Will),
        ("17 02", Connect),
        ("19 02", Connect),
        ("21 00 00", Connect),
        ("24 02", Connack),
        ("25 02", Connack),
        ("27 00 00 00 00", Connect),
        ("28 02", Connack),
        ("29 02", Connack),
        ("2A 02", Connack),
    ];
    for (bytes, place) in table {
        assert_eq!(
            parse(&hex(bytes), place),
            Err(Malformed::PropertyValue),
            "{bytes}"
        );
    }
}

#[test]
fn unknown_identifiers_are_malformed() {
    let known: Vec<u8> = TABLE.iter().map(|row| row.1.id()).collect();
    for unknown in (0..=0x7F).filter(|candidate| !known.contains(candidate)) {
        let block = [unknown, 1, 1, 1, 1, 1];
        assert_eq!(
            parse(&block, Publish),
            Err(Malformed::PropertyUnknown),
            "{unknown:02x}"
        );
    }
    for bytes in ["80 01 01", "FF 7F 01", "80 80 01 01", "FF FF FF 7F 01"] {
        assert_eq!(
            parse(&hex(bytes), Publish),
            Err(Malformed::PropertyUnknown),
            "{bytes}"
        );
    }
    assert_eq!(parse(&hex("80 00 01"), Publish), Err(Malformed::NotMinimal));
    assert_eq!(
        parse(&hex("80 80 80 80 01"), Publish),
        Err(Malformed::VarintTooLong)
    );
}

#[test]
fn a_broken_structure_wins_over_a_forbidden_property() {
    let forbidden_then_cut = hex("24 01 02 00 00");
    assert_eq!(
        parse(&forbidden_then_cut, Publish),
        Err(Malformed::Truncated)
    );
}

#[test]
fn the_first_of_several_faults_is_told() {
    let value_then_twice = hex("01 02 01 02");
    assert_eq!(
        parse(&value_then_twice, Publish),
        Err(Malformed::PropertyValue)
    );
    let twice_then_forbidden = hex("01 01 01 01 24 01");
    assert_eq!(
        parse(&twice_then_forbidden, Publish),
        Err(Malformed::DuplicateProperty)
    );
}

#[test]
fn a_block_may_not_run_past_its_length() {
    let packet = Bytes::from(hex("03 02 00 00 00 3C"));
    let mut reader = Reader::new(&packet);
    let verdict = Properties::read(&mut reader, &packet, Publish);
    assert_eq!(verdict, Err(Malformed::Truncated));
    let longer_than_the_packet = Bytes::from(hex("05 01 01"));
    let mut reader = Reader::new(&longer_than_the_packet);
    let verdict = Properties::read(&mut reader, &longer_than_the_packet, Publish);
    assert_eq!(verdict, Err(Malformed::Truncated));
}

#[test]
fn strings_in_properties_follow_the_policy() {
    for bytes in [
        "03 00 01 00",
        "03 00 01 7F",
        "26 00 01 80 00 00",
        "26 00 00 00 01 07",
    ] {
        assert_eq!(parse(&hex(bytes), Publish), Err(Malformed::Utf8), "{bytes}");
    }
    assert!(parse(&hex("09 00 03 00 7F 80"), Publish).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(block in prop::collection::vec(any::<u8>(), 0..64)) {
        for place in PLACES {
            if let Ok(properties) = parse(&block, place) {
                let mut again = Vec::new();
                properties.iter().for_each(|property| property.write(&mut again));
                prop_assert_eq!(&again, &block);
            }
        }
    }
}
