//! What policies do to queues and exchanges that there are and to those that come.

use regex::Regex;

use super::*;
use crate::policy::{AppliesTo, Policies, Policy};
use crate::queue::{QueueOverflow, QueueTerms};

fn policy(pattern: &str, applies_to: AppliesTo, queue: QueueTerms) -> Policy {
    Policy {
        vhost: "/".into(),
        pattern: Regex::new(pattern).unwrap(),
        applies_to,
        priority: 0,
        queue,
        alternate_exchange: None,
    }
}

fn of_users(policies: impl Into<Vec<Policy>>) -> Policies {
    Policies {
        users: policies.into(),
        operators: Vec::new(),
    }
}

fn at_most(messages_max: usize) -> QueueTerms {
    QueueTerms {
        messages_max: Some(messages_max),
        ..QueueTerms::default()
    }
}

fn publish_five(vhost: &Arc<VHost>) {
    for _ in 0..5 {
        publish(vhost, "", "long", KeyForm::RoutingKey);
    }
}

#[test]
fn a_new_policy_shortens_queues_that_are_too_long_and_dead_letters_the_rest() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let (long, dead) = (declare(&vhost, "long"), declare(&vhost, "dead"));
    publish_five(&vhost);
    let terms = QueueTerms {
        dead_letter_exchange: Some("".into()),
        dead_letter_key: Some("dead".into()),
        ..at_most(2)
    };
    let policies = of_users([policy("^long$", AppliesTo::Queues, terms)]);
    broker.set_policies(NOW, policies);
    assert_eq!((long.status().messages, dead.status().messages), (2, 3));
    // And without it, the queue takes what comes.
    broker.set_policies(NOW, Policies::default());
    publish_five(&vhost);
    assert_eq!(long.status().messages, 7);
}

#[test]
fn a_policy_holds_for_queues_to_come_and_for_its_kind_only() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let all = at_most(3);
    let quorum = QueueTerms {
        delivery_limit: Some(-1),
        ..QueueTerms::default()
    };
    broker.set_policies(
        NOW,
        of_users([
            policy("", AppliesTo::ClassicQueues, all),
            policy("", AppliesTo::QuorumQueues, quorum),
        ]),
    );
    let classic = declare(&vhost, "classic");
    assert_eq!(classic.policy().limits.messages_max, Some(3));
    let mut options = QueueOptions {
        durable: true,
        ..QueueOptions::default()
    };
    options
        .arguments
        .push("x-queue-type", Value::Text("quorum".into()));
    let declared = vhost.declare_queue(NOW, ConnectionId(0), &"quorum".into(), options);
    let policy = declared.unwrap().0.policy();
    assert_eq!(policy.limits.messages_max, None);
    assert_eq!(policy.delivery_limit, None);
}

#[test]
fn the_smaller_number_and_the_arguments_word_win() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let terms = QueueTerms {
        ttl_ms: Some(100),
        overflow: Some(QueueOverflow::Reject),
        ..at_most(10)
    };
    broker.set_policies(NOW, of_users([policy("", AppliesTo::All, terms)]));
    let mut options = QueueOptions::default();
    options.arguments.push("x-max-length", Value::I32(5));
    options.arguments.push("x-message-ttl", Value::I32(500));
    let overflow = Value::Text("drop-head".into());
    options.arguments.push("x-overflow", overflow);
    let declared = vhost.declare_queue(NOW, ConnectionId(0), &"q".into(), options.clone());
    let policy = declared.unwrap().0.policy();
    assert_eq!(policy.limits.messages_max, Some(5));
    assert_eq!(policy.limits.overflow, QueueOverflow::DropHead);
    assert_eq!(policy.ttl_ms, Some(100));
    // A policy is no argument: the same declaration is still the same.
    let again = vhost.declare_queue(NOW, ConnectionId(0), &"q".into(), options);
    assert!(matches!(again, Ok((_, Declare::Existed(_)))));
}

#[test]
fn a_policy_lets_an_unused_queue_expire() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    let terms = QueueTerms {
        unused_max_ms: Some(50),
        ..QueueTerms::default()
    };
    broker.set_policies(NOW, of_users([policy("q", AppliesTo::Queues, terms)]));
    assert_eq!(broker.poll_timeout(), Some(NOW.plus_ms(50)));
    broker.handle_timeout(NOW.plus_ms(50));
    assert!(vhost.queue("q").is_err());
}

#[test]
fn an_exchange_has_the_policys_alternate_unless_it_has_its_own() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "lost");
    bind(&vhost, "amq.fanout", "lost", "");
    let own = |name| {
        let mut options = ExchangeOptions::default();
        options
            .arguments
            .push("alternate-exchange", Value::Text("nowhere".into()));
        vhost.declare_exchange(&Name::from(name), ExchangeKind::Direct, options)
    };
    own("own").unwrap();
    let mut alternate = policy("", AppliesTo::Exchanges, QueueTerms::default());
    alternate.alternate_exchange = Some("amq.fanout".into());
    broker.set_policies(NOW, of_users([alternate]));
    let options = ExchangeOptions::default();
    vhost
        .declare_exchange(&"late".into(), ExchangeKind::Direct, options)
        .unwrap();
    for (exchange, receivers) in [("amq.direct", 1), ("late", 1), ("own", 0), ("", 0)] {
        let got = publish(&vhost, exchange, "nobody", KeyForm::RoutingKey);
        assert_eq!(got, receivers, "{exchange}");
    }
}
