//! Commits over three queues on a disk that crashes: after each crash, a commit has happened as a
//! whole or not at all, and has happened if its end was durable.

use std::collections::BTreeSet;

use routing::queue::{QueueOptions, Settlement};
use routing::{
    ConnectionId, ConsumerId, KeyForm, MessageBuilder, Publisher, QoS, Queue, Source, Wakes,
};
use storage::SimFiles;

use super::crash_tests::open;
use super::tests::NOW;
use super::*;

const HISTORIES: u64 = 20;
const LIVES: u64 = 4;

struct Life {
    journal: Arc<Journal>,
    broker: Broker,
    publisher: Publisher,
    /// What a commit acknowledges, and the two that it publishes to.
    queues: [Arc<Queue>; 3],
}

impl Life {
    fn begin(files: &SimFiles) -> Self {
        let (journal, broker) = open(files);
        let vhost = Arc::clone(broker.vhost("/").unwrap());
        let options = QueueOptions {
            durable: true,
            ..QueueOptions::default()
        };
        let queues = ["source", "a", "b"].map(|name| {
            let declared = vhost.declare_queue(NOW, ConnectionId(1), &name.into(), options.clone());
            declared.unwrap().0
        });
        Self {
            journal,
            broker,
            publisher: Publisher::new(vhost),
            queues,
        }
    }

    fn publish(&mut self, to: &'static str, number: u64, bytes: usize) {
        let key = Bytes::from_static(to.as_bytes());
        let resolved = self.publisher.resolve(b"", &key, KeyForm::RoutingKey);
        let to = resolved.unwrap();
        let (address, exchange) = (to.address.clone(), to.exchange.name.clone());
        let payload = format!("{number:0bytes$}").into();
        let mut message = MessageBuilder::new(address, exchange, payload, &resp::ORIGIN);
        message.qos = QoS::AtLeastOnce;
        self.publisher.publish(NOW, &to, &message.build());
    }

    /// Moves the message from the first queue to both others.
    fn commit(&mut self, number: u64, bytes: usize) -> Lsn {
        self.publish("source", number, 20);
        let core = Arc::clone(self.broker.core());
        let source = Arc::clone(&self.queues[0]);
        let (taken, _) = source.get(NOW, ConsumerId(1), true).unwrap();
        let Source::Queue(taken) = taken.source else {
            unreachable!("it came from a queue")
        };
        let (_, end) = core.commit(|| {
            self.publish("a", number, bytes);
            source.settle(NOW, &[taken.seq], Settlement::Ack, &mut Wakes::default());
            self.publish("b", number, bytes);
        });
        end.unwrap()
    }

    /// Empties the queues and tells what was there.
    fn found(&self) -> [BTreeSet<u64>; 3] {
        self.queues.each_ref().map(|queue| {
            let taken = std::iter::from_fn(|| queue.get(NOW, ConsumerId(1), true));
            let found = taken.map(|(delivery, _)| {
                let Source::Queue(from) = &delivery.source else {
                    unreachable!("it came from a queue")
                };
                let text = std::str::from_utf8(&delivery.message.payload).unwrap();
                (text.parse::<u64>().unwrap(), from.seq)
            });
            let (numbers, seqs): (BTreeSet<_>, Vec<_>) = found.unzip();
            queue.settle(NOW, &seqs, Settlement::Ack, &mut Wakes::default());
            numbers
        })
    }
}

/// What a start finds of the commits of the life before: their numbers and ends.
fn check(life: &Life, commits: &[(u64, Lsn)], durable: Lsn) {
    let [source, a, b] = life.found();
    assert_eq!(a, b, "published to both or to none");
    assert!(source.is_disjoint(&a), "acknowledged as well");
    for (number, end) in commits {
        assert!(a.contains(number) || *end > durable, "{number} is lost");
    }
}

fn run(seed: u64) -> usize {
    let files = SimFiles::new(seed);
    let mut random = seed;
    let mut below = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % bound
    };
    let mut durable = Lsn(0);
    let mut commits = Vec::new();
    let mut torn = 0;
    for _ in 0..LIVES {
        let mut life = Life::begin(&files);
        check(&life, &commits, durable);
        commits.clear();
        // Gives up what the lives before took of the few segments.
        for _ in 0..2 {
            checkpoint(&life.broker, &life.journal, 1 << 20).unwrap();
        }
        for number in 0..below(60) {
            let bytes = usize::try_from(20 + below(4_000)).unwrap();
            commits.push((number, life.commit(number, bytes)));
            if below(20) == 0 {
                checkpoint(&life.broker, &life.journal, 1 << 20).unwrap();
            }
        }
        durable = routing::Journal::durable(&*life.journal);
        torn += commits.iter().filter(|(_, end)| *end > durable).count();
        drop(life);
        files.crash();
    }
    check(&Life::begin(&files), &commits, durable);
    torn
}

#[test]
fn a_commit_survives_a_crash_as_a_whole_or_not_at_all() {
    let torn = (0..HISTORIES).map(run).sum::<usize>();
    assert!(torn > 0, "no crash came amid commits");
}
