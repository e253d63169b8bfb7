use super::*;

pub(super) fn open(client_id: &str, connection: ConnectionId, expiry_s: u32) -> OpenSession {
    OpenSession {
        client_id: client_id.into(),
        connection,
        clean_start: false,
        expiry_s,
        will: None,
        outbox_limits: OutboxLimits::default(),
        queue_limits: None,
        receive_max: 2,
    }
}

pub(super) fn subscribe(vhost: &VHost, session: &Session, text: &str) {
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        ..SubscriptionOptions::default()
    };
    vhost
        .subscribe(session, &text.into(), &filter(text), None, options)
        .unwrap();
}

#[test]
fn a_session_keeps_messages_while_its_client_is_away() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let (first, second) = (ConnectionId::unique(), ConnectionId::unique());
    let mut wakes = Wakes::default();
    let opened = vhost
        .open_session(NOW, &open("c", first, 60), &mut wakes)
        .unwrap();
    assert!(!opened.is_present);
    subscribe(&vhost, &opened.session, "a");
    let close = CloseSession {
        keep_will: false,
        expiry_s: None,
    };
    vhost.close_session(NOW, &opened.session, first, close, &mut wakes);
    let qos1 = |builder: &mut MessageBuilder| builder.qos = QoS::AtLeastOnce;
    assert_eq!(publish_with(&vhost, BUS, "a", KeyForm::Canonical, qos1), 1);
    assert_eq!(
        publish(&vhost, BUS, "a", KeyForm::Canonical),
        0,
        "QoS 0 is not kept"
    );
    let again = vhost
        .open_session(NOW, &open("c", second, 60), &mut wakes)
        .unwrap();
    assert!(again.is_present);
    assert_eq!(taken(&again.session.subscriber.outbox, second).len(), 1);
}

#[test]
fn a_session_of_one_connection_gets_its_queue_with_the_first_subscription_that_needs_one() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let (first, second) = (ConnectionId::unique(), ConnectionId::unique());
    let mut wakes = Wakes::default();
    let opened = vhost
        .open_session(NOW, &open("c", first, 0), &mut wakes)
        .unwrap();
    let session = opened.session;
    let live = SubscriptionOptions::default();
    vhost
        .subscribe(&session, &"live".into(), &filter("live"), None, live)
        .unwrap();
    assert!(session.queue().is_none());
    subscribe(&vhost, &session, "a");
    let queue = Arc::clone(session.queue().unwrap());
    let qos1 = |builder: &mut MessageBuilder| builder.qos = QoS::AtLeastOnce;
    for _ in 0..3 {
        assert_eq!(publish_with(&vhost, BUS, "a", KeyForm::Canonical, qos1), 1);
    }
    let outbox = &session.subscriber.outbox;
    assert_eq!(taken(outbox, first).len(), 2, "as many as it takes at once");
    let again = vhost
        .open_session(NOW, &open("c", second, 0), &mut wakes)
        .unwrap();
    assert!(again.is_present && Arc::ptr_eq(again.session.queue().unwrap(), &queue));
    assert!(vhost.topology.lock().queues_by_id.contains_key(&queue.id));
    let close = CloseSession {
        keep_will: false,
        expiry_s: None,
    };
    vhost.close_session(NOW, &session, second, close, &mut wakes);
    assert!(!vhost.topology.lock().queues_by_id.contains_key(&queue.id));
}

#[test]
fn a_session_ends_at_its_expiry_and_at_a_clean_start() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let mut wakes = Wakes::default();
    let close = CloseSession {
        keep_will: false,
        expiry_s: None,
    };
    let opened = vhost
        .open_session(NOW, &open("c", ConnectionId(1), 1), &mut wakes)
        .unwrap();
    subscribe(&vhost, &opened.session, "a");
    vhost.close_session(NOW, &opened.session, ConnectionId(1), close, &mut wakes);
    assert_eq!(broker.poll_timeout(), Some(NOW.plus_ms(1000)));
    broker.handle_timeout(NOW.plus_ms(999));
    assert_eq!(vhost.session_count(), 1);
    broker.handle_timeout(NOW.plus_ms(1000));
    assert_eq!(vhost.session_count(), 0);
    vhost
        .open_session(NOW, &open("c", ConnectionId(2), 9), &mut wakes)
        .unwrap();
    let clean = OpenSession {
        clean_start: true,
        ..open("c", ConnectionId(3), 9)
    };
    assert!(
        !vhost
            .open_session(NOW, &clean, &mut wakes)
            .unwrap()
            .is_present
    );
}

#[test]
fn a_takeover_leaves_the_former_connection_outside_mqtt_3_1_4_3() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let (first, second) = (ConnectionId::unique(), ConnectionId::unique());
    let mut wakes = Wakes::default();
    let opened = vhost
        .open_session(NOW, &open("c", first, 60), &mut wakes)
        .unwrap();
    vhost
        .open_session(NOW, &open("c", second, 60), &mut wakes)
        .unwrap();
    let outbox = &opened.session.subscriber.outbox;
    assert_eq!(outbox.standing(first), Standing::TakenOver);
    assert_eq!(outbox.standing(second), Standing::Owner);
    let close = CloseSession {
        keep_will: true,
        expiry_s: Some(0),
    };
    vhost.close_session(NOW, &opened.session, first, close, &mut wakes);
    assert_eq!(
        vhost.session_count(),
        1,
        "the former connection has no say any more"
    );
}

#[test]
fn a_will_is_sent_after_its_delay_unless_the_client_returns_mqtt_3_1_3_9() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let watcher = Client::new();
    vhost.subscribe_filter(
        &watcher.subscriber,
        &filter("will"),
        SubscriptionOptions::default(),
    );
    let mut wakes = Wakes::default();
    let close = CloseSession {
        keep_will: true,
        expiry_s: None,
    };
    let address = Address::new(Bytes::from_static(b"will"));
    let message =
        MessageBuilder::new(address, BUS.into(), Bytes::from_static(b"w"), &ORIGIN).build();
    for returns in [false, true] {
        let will = Some(Will {
            message: Arc::clone(&message),
            delay_s: 5,
            expiry_s: None,
        });
        let with_will = OpenSession {
            will,
            ..open("c", ConnectionId(1), 60)
        };
        let opened = vhost.open_session(NOW, &with_will, &mut wakes).unwrap();
        vhost.close_session(NOW, &opened.session, ConnectionId(1), close, &mut wakes);
        broker.handle_timeout(NOW.plus_ms(4_999));
        assert_eq!(watcher.take().len(), 0);
        if returns {
            vhost
                .open_session(NOW, &open("c", ConnectionId(2), 60), &mut wakes)
                .unwrap();
        }
        broker.handle_timeout(NOW.plus_ms(5_000));
        assert_eq!(watcher.take().len(), usize::from(!returns));
    }
}
