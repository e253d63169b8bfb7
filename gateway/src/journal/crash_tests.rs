//! Core, journal and page files together on a disk that crashes: random histories against the list
//! of what was confirmed. A message that was confirmed and not settled is there after the crash;
//! nothing is there twice, out of order, or was never published.
//!
//! Each message is in exactly one place: in memory with its record in the journal, in a page file
//! that the journal has reported, or both on its way from one to the other. Every second life ends
//! at some operation of the disk, so between any two steps of a move or a checkpoint; the others
//! between two of the history's own. Either the machine goes down or the process alone.

use std::collections::BTreeSet;

use routing::queue::{QueueOptions, Settlement};
use routing::{
    ConnectionId, ConsumerId, KeyForm, MessageBuilder, PageSettings, Publisher, QoS, Queue, Seq,
    Source, Wakes,
};
use storage::{PageStore, SimFiles};

use super::tests::{NOW, settings};
use super::*;
use crate::paging::PageFiles;

const HISTORIES: u64 = 30;
const LIVES: u64 = 8;
/// A life that ends at an operation of the disk has up to so many.
const OPERATIONS_MAX: u64 = 300;
const BUDGET_BYTES: usize = 128 << 10;
const WINDOW_BYTES: u64 = 4 << 20;

/// A gateway's durable half.
struct Life {
    journal: Arc<Journal>,
    broker: Broker,
    queue: Arc<Queue>,
    publisher: Publisher,
}

/// Brings a gateway's durable half back from what the disk holds.
pub(super) fn open(files: &SimFiles) -> (Arc<Journal>, Broker) {
    let mut settings = settings();
    settings.segment_count_max = 4;
    let (log, recovery) = open_log(settings.clone(), files.clone()).unwrap();
    let journal = Journal::new(log, &settings);
    let page_settings = storage::PageSettings {
        file_bytes: 64 << 10,
    };
    let pages = PageStore::open(journal.log(), page_settings).unwrap();
    let pages = PageSettings {
        pages: Arc::new(PageFiles(pages)),
        budget_bytes: BUDGET_BYTES,
        wake: Box::new(|_| {}),
    };
    let log: Arc<dyn routing::Journal> = Arc::clone(&journal) as _;
    let core = routing::Settings::default();
    let origins = vec![&resp::ORIGIN];
    let broker = Broker::with_pages(core, log, pages, origins, Box::new(|| {}));
    recover(&broker, &journal, recovery, NOW).unwrap();
    (journal, broker)
}

impl Life {
    fn begin(files: &SimFiles) -> Self {
        let (journal, broker) = open(files);
        let vhost = Arc::clone(broker.vhost("/").unwrap());
        let options = QueueOptions {
            durable: true,
            ..QueueOptions::default()
        };
        let declared = vhost.declare_queue(NOW, ConnectionId(1), &"q".into(), options);
        let (queue, _) = declared.unwrap();
        Self {
            journal,
            broker,
            queue,
            publisher: Publisher::new(vhost),
        }
    }

    /// Where the message's record ends; none when it was refused.
    fn publish(&mut self, number: u64) -> Option<Lsn> {
        let key = Bytes::from_static(b"q");
        let to = self
            .publisher
            .resolve(b"", &key, KeyForm::RoutingKey)
            .unwrap();
        let (address, exchange) = (to.address.clone(), to.exchange.name.clone());
        let payload = format!("{number:0400}").into();
        let mut message = MessageBuilder::new(address, exchange, payload, &resp::ORIGIN);
        message.qos = QoS::AtLeastOnce;
        self.publisher.publish(NOW, &to, &message.build()).lsn
    }

    fn get(&self) -> Option<(u64, Seq)> {
        let (delivery, _) = self.queue.get(NOW, ConsumerId(1), true)?;
        let Source::Queue(from) = &delivery.source else {
            unreachable!("it came from a queue")
        };
        let number = std::str::from_utf8(&delivery.message.payload).unwrap();
        Some((number.parse().unwrap(), from.seq))
    }
}

struct History {
    files: SimFiles,
    random: u64,
    next: u64,
    /// Published, and where the record ends; settled ones are taken out.
    wanted: Vec<(u64, Lsn)>,
    /// Settled, but it is not certain that the journal knows.
    settled: BTreeSet<u64>,
    out: Vec<(u64, Seq)>,
}

impl History {
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn step(&mut self, life: &mut Life) {
        match self.below(10) {
            0..=2 => {
                for _ in 0..self.below(200) {
                    let end = life.publish(self.next);
                    self.wanted.extend(end.map(|end| (self.next, end)));
                    self.next += 1;
                }
            }
            3..=4 => {
                let count = self.below(100);
                self.out.extend((0..count).map_while(|_| life.get()));
            }
            5 => self.settle(life, Settlement::Ack),
            6 => self.settle(life, Settlement::Requeue),
            7 => self.must(life.broker.page_out()),
            8 => drop(life.broker.page_in(NOW)),
            _ => self.must(checkpoint(&life.broker, &life.journal, WINDOW_BYTES)),
        }
    }

    /// Only a disk that is down may fail.
    fn must<T, E: std::fmt::Debug>(&self, result: Result<T, E>) {
        assert!(result.is_ok() || self.files.is_down(), "{:?}", result.err());
    }

    fn settle(&mut self, life: &Life, settlement: Settlement) {
        let from = usize::try_from(self.below(50)).unwrap().min(self.out.len());
        let settled = self.out.split_off(from);
        let seqs = settled.iter().map(|(_, seq)| *seq).collect::<Vec<_>>();
        life.queue
            .settle(NOW, &seqs, settlement, &mut Wakes::default());
        if settlement == Settlement::Ack {
            let gone = settled
                .into_iter()
                .map(|(number, _)| number)
                .collect::<BTreeSet<_>>();
            self.wanted.retain(|(number, _)| !gone.contains(number));
            self.settled.extend(gone);
        }
    }

    /// Compares what a start finds with what it must find.
    fn check(&mut self, life: &Life, durable: Lsn) {
        let mut found = Vec::new();
        let mut seqs = Vec::new();
        while let Some((number, seq)) = life.get() {
            found.push(number);
            seqs.push(seq);
        }
        assert!(
            found.is_sorted() && found.windows(2).all(|two| two[0] != two[1]),
            "{found:?}"
        );
        for (number, end) in &self.wanted {
            let is_there = found.binary_search(number).is_ok();
            assert!(is_there || *end > durable, "message {number} is lost");
        }
        let known = |number: &u64| {
            self.settled.contains(number)
                || self.wanted.binary_search_by_key(number, |w| w.0).is_ok()
        };
        assert!(
            found.iter().all(known),
            "a message that was never published"
        );
        self.wanted = found.into_iter().map(|number| (number, durable)).collect();
        self.settled.clear();
        self.out.clear();
        life.queue.untake(NOW, &seqs, &mut Wakes::default());
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
}

/// `GATEWAY_CRASHES=n` runs more histories, `GATEWAY_SEED=n` one of them.
#[test]
fn confirmed_messages_survive_crashes_wherever_they_lie() {
    let seeds = match number("GATEWAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GATEWAY_CRASHES").unwrap_or(HISTORIES),
    };
    let mut in_an_operation = 0;
    for seed in seeds {
        let run = std::panic::catch_unwind(|| run(seed));
        in_an_operation += run.unwrap_or_else(|_| panic!("failed with GATEWAY_SEED={seed}"));
    }
    assert!(in_an_operation > 0, "no crash hit an operation of the disk");
}

/// One history; how many of its lives ended within an operation of the disk.
fn run(seed: u64) -> u64 {
    let mut history = History {
        files: SimFiles::new(seed),
        random: !seed,
        next: 0,
        wanted: Vec::new(),
        settled: BTreeSet::new(),
        out: Vec::new(),
    };
    let files = history.files.clone();
    let (mut durable, mut in_an_operation) = (Lsn(0), 0);
    for number in 0..LIVES {
        let mut life = Life::begin(&files);
        history.check(&life, durable);
        if number % 2 == 1 {
            files.crash_after(history.below(OPERATIONS_MAX));
        }
        for _ in 0..history.below(80) {
            history.step(&mut life);
            if files.is_down() {
                in_an_operation += 1;
                break;
            }
        }
        durable = routing::Journal::durable(&*life.journal);
        drop(life);
        match history.below(2) {
            0 => files.crash(),
            _ => files.kill(),
        }
    }
    history.check(&Life::begin(&files), durable);
    in_an_operation
}
