//! A queue whose messages come and go between memory and page files must look like one that has
//! them all in memory: random histories against a list.

use std::collections::BTreeMap;

use super::*;
use crate::ids::Seq;
use crate::outbox::Wakes;
use crate::pages::{MemoryPages, Pages};
use crate::queue::{End, Enqueued, Settlement};
use crate::{Message, PageSettings, QoS};

const BUDGET_BYTES: usize = 64 << 10;

fn paged_broker(journal: &Arc<RecordingJournal>, pages: &Arc<MemoryPages>) -> Broker {
    let settings = PageSettings {
        pages: Arc::clone(pages) as _,
        budget_bytes: BUDGET_BYTES,
        wake: Box::new(|_| {}),
    };
    let journal = Arc::clone(journal) as _;
    Broker::with_pages(
        Settings::default(),
        journal,
        settings,
        vec![&ORIGIN],
        Box::new(|| {}),
    )
}

fn declare_with(vhost: &VHost, arguments: &[(&'static str, i64)]) -> Arc<Queue> {
    let arguments = arguments
        .iter()
        .map(|(name, value)| (Bytes::from_static(name.as_bytes()), Value::I64(*value)));
    let options = QueueOptions {
        durable: true,
        arguments: Table(arguments.collect()),
        ..QueueOptions::default()
    };
    let declared = vhost.declare_queue(NOW, ConnectionId(0), &"q".into(), options);
    declared.unwrap().0
}

fn put(vhost: &Arc<VHost>, number: u64, priority: u8, qos: QoS) -> bool {
    let change = |builder: &mut MessageBuilder| {
        builder.payload = format!("{number:0300}").into();
        builder.priority = priority;
        builder.qos = qos;
    };
    publish_with(vhost, "", "q", KeyForm::RoutingKey, change) == 1
}

fn number_of(delivery: &Delivery) -> u64 {
    std::str::from_utf8(&delivery.message.payload)
        .unwrap()
        .parse()
        .unwrap()
}

fn seq_of(delivery: &Delivery) -> Seq {
    match &delivery.source {
        Source::Queue(from) => from.seq,
        Source::Subscription(_) => unreachable!("it came from a queue"),
    }
}

/// Moves out what can be moved out, and reads what is asked for.
fn settle_down(broker: &Broker) {
    while broker.page_out().unwrap() {}
    while broker.page_in(NOW) {}
}

/// What must be in the queue: by falling priority and rising number, and how often it came back.
type Model = BTreeMap<(u8, u64), u32>;

struct History {
    random: u64,
    journal: Arc<RecordingJournal>,
    pages: Arc<MemoryPages>,
    broker: Broker,
    queue: Arc<Queue>,
    arguments: Vec<(&'static str, i64)>,
    has_transient: bool,
    ready: Model,
    out: Vec<(u8, u64, u32, Seq)>,
    transient: Vec<u64>,
    next: u64,
    checkpoint: Option<(usize, Vec<Bytes>)>,
}

impl History {
    fn new(seed: u64) -> Self {
        let arguments = match seed % 3 {
            0 => vec![("x-max-priority", 2)],
            _ => vec![],
        };
        let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
        let broker = paged_broker(&journal, &pages);
        let queue = declare_with(&vhost(&broker), &arguments);
        Self {
            random: !seed,
            journal,
            pages,
            broker,
            queue,
            arguments,
            has_transient: seed.is_multiple_of(2),
            ready: Model::new(),
            out: Vec::new(),
            transient: Vec::new(),
            next: 0,
            checkpoint: None,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn step(&mut self) {
        match self.below(20) {
            0..=5 => self.publish(),
            6..=8 => self.get(),
            9..=10 => self.settle(Settlement::Ack),
            11 => self.settle(Settlement::Requeue),
            12..=14 => drop(self.broker.page_out().unwrap()),
            15..=16 => drop(self.broker.page_in(NOW)),
            17 if self.below(8) == 0 => self.purge(),
            18 if self.below(3) == 0 => self.write_checkpoint(),
            19 if self.below(3) == 0 => self.crash(),
            _ => {}
        }
        let (seen, expected) = (self.queue.status().messages, self.ready.len());
        assert_eq!(seen, expected);
    }

    fn publish(&mut self) {
        for _ in 0..self.below(300) {
            let top = if self.arguments.is_empty() { 1 } else { 3 };
            let priority = u8::try_from(self.below(top)).unwrap();
            let is_transient = self.has_transient && self.below(10) == 0;
            let qos = if is_transient {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            };
            assert!(put(&vhost(&self.broker), self.next, priority, qos));
            if is_transient {
                self.transient.push(self.next);
            }
            self.ready.insert((u8::MAX - priority, self.next), 0);
            self.next += 1;
        }
    }

    fn get(&mut self) {
        for _ in 0..self.below(60) {
            let got = self.queue.get(NOW, ConsumerId(1), true);
            let expected = self.ready.pop_first();
            let seen = got.as_ref().map(|(delivery, _)| {
                let Source::Queue(from) = &delivery.source else {
                    unreachable!()
                };
                (
                    u8::MAX - delivery.message.priority,
                    number_of(delivery),
                    from.redeliveries,
                )
            });
            let expected = expected.map(|((priority, number), back)| (priority, number, back));
            assert_eq!(seen, expected);
            let Some((delivery, left)) = got else { return };
            assert_eq!(left, self.ready.len());
            let (priority, number, back) = seen.unwrap();
            self.out.push((priority, number, back, seq_of(&delivery)));
        }
    }

    fn settle(&mut self, settlement: Settlement) {
        let from = self.below(40).min(self.out.len() as u64);
        let settled = self.out.split_off(usize::try_from(from).unwrap());
        let seqs = settled.iter().map(|(.., seq)| *seq).collect::<Vec<_>>();
        self.queue
            .settle(NOW, &seqs, settlement, &mut Wakes::default());
        if settlement == Settlement::Requeue {
            let back = settled
                .into_iter()
                .map(|(p, number, back, _)| ((p, number), back + 1));
            self.ready.extend(back);
        }
    }

    fn purge(&mut self) {
        assert_eq!(self.queue.purge(), self.ready.len());
        self.ready.clear();
    }

    fn write_checkpoint(&mut self) {
        let records = self.journal.records();
        let middle = records.get(records.len() / 2).map_or(Lsn(0), |(at, _)| *at);
        let mut parts = Vec::new();
        self.broker.move_old(middle);
        self.broker.checkpoint(&below(middle), &mut |part| {
            parts.push(Bytes::copy_from_slice(part));
        });
        self.checkpoint = Some((records.len(), parts));
    }

    fn crash(&mut self) {
        self.pages.crash();
        self.broker = paged_broker(&self.journal, &self.pages);
        let mut recovery = Recovery::new(&self.broker);
        let (from, parts) = self.checkpoint.clone().unwrap_or_default();
        for part in parts {
            recovery.apply(part, Lsn(0)).unwrap();
        }
        for (at, record) in self.journal.records().into_iter().skip(from) {
            recovery.apply(record, at).unwrap();
        }
        assert_eq!(recovery.finish(NOW), Ok(0));
        self.queue = vhost(&self.broker).queue("q").unwrap();
        let out = std::mem::take(&mut self.out);
        self.ready
            .extend(out.into_iter().map(|(p, number, ..)| ((p, number), 0)));
        let transient = std::mem::take(&mut self.transient);
        self.ready
            .retain(|(_, number), _| !transient.contains(number));
        // How often a message came back is not known after a crash.
        self.ready.values_mut().for_each(|back| *back = 0);
        self.read_stale();
    }

    /// Transient messages in page files count until they are read, so everything is read once.
    fn read_stale(&mut self) {
        if !self.has_transient {
            return;
        }
        let count = self.ready.len();
        let mut taken = Vec::new();
        while let Some((delivery, _)) = self.queue.get(NOW, ConsumerId(2), true) {
            taken.push(seq_of(&delivery));
        }
        assert_eq!(taken.len(), count);
        self.queue.untake(NOW, &taken, &mut Wakes::default());
    }
}

#[test]
fn a_queue_on_disk_is_like_one_in_memory() {
    let mut cold = 0;
    for seed in 0..10 {
        let mut history = History::new(seed);
        for _ in 0..100 {
            history.step();
            cold += history.pages.lines().len();
        }
        settle_down(&history.broker);
        while !history.ready.is_empty() {
            history.get();
            history.settle(Settlement::Ack);
        }
        history.out.clear();
    }
    assert!(cold > 200, "only {cold} steps had page files");
}

#[test]
fn memory_stays_within_the_budget_and_is_given_back() {
    let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
    let broker = paged_broker(&journal, &pages);
    let queue = declare_with(&vhost(&broker), &[]);
    for number in 0..2_000 {
        put(&vhost(&broker), number, 0, QoS::AtLeastOnce);
        while broker.page_out().unwrap() {}
        assert!(broker.core().message_memory_bytes() <= BUDGET_BYTES);
    }
    assert!(broker.core().has_room());
    for number in 0..2_000 {
        let (delivery, _) = queue.get(NOW, ConsumerId(1), false).unwrap();
        assert_eq!(number_of(&delivery), number);
    }
    // What is too little to be told is still on the account.
    assert!(broker.core().message_memory_bytes() < 4096);
    assert!(queue.get(NOW, ConsumerId(1), false).is_none());
}

#[test]
fn publishers_are_held_up_when_messages_cannot_leave_memory() {
    let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
    let broker = paged_broker(&journal, &pages);
    let queue = declare_with(&vhost(&broker), &[]);
    for number in 0..400 {
        put(&vhost(&broker), number, 0, QoS::AtLeastOnce);
    }
    assert!(!broker.core().has_room());
    queue.purge();
    assert!(broker.core().has_room());
}

#[test]
fn a_list_takes_no_more_than_there_is_memory() {
    let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
    let broker = paged_broker(&journal, &pages);
    let queue = declare_with(&vhost(&broker), &[]);
    let topic = Address::new(Bytes::from_static(b"q"));
    let mut builder = MessageBuilder::new(topic, "".into(), vec![7; 300].into(), &ORIGIN);
    builder.qos = QoS::AtLeastOnce;
    let message = builder.build();
    let push = || {
        let put = queue.put_at(
            NOW,
            End::Head,
            &[Arc::clone(&message)],
            &mut Wakes::default(),
        );
        while broker.page_out().unwrap() {}
        put.outcome
    };
    let taken = (0..10_000).take_while(|_| push().is_accepted()).count();
    assert!((50..500).contains(&taken), "{taken}");
    assert_eq!(push(), Enqueued::Rejected);
    assert_eq!(queue.take_at(NOW, End::Tail, 50).len(), 50);
    assert!(push().is_accepted());
}

#[test]
fn a_consumer_gets_everything_in_order_as_it_is_read() {
    let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
    let broker = paged_broker(&journal, &pages);
    let queue = declare_with(&vhost(&broker), &[("x-max-length", 1_500)]);
    for number in 0..2_000 {
        put(&vhost(&broker), number, 0, QoS::AtLeastOnce);
        settle_down(&broker);
    }
    assert_eq!(queue.status().messages, 1_500);
    let connection = ConnectionId::unique();
    let outbox = Outbox::attached(connection, OutboxLimits::default());
    let consumer = crate::Consumer {
        id: ConsumerId::unique(),
        outbox: Arc::clone(&outbox),
        token: 0,
        acknowledges: true,
        exclusive: false,
        priority: 0,
        credit: crate::Credit::new(10),
        shared_credit: None,
    };
    let (credit, id) = (Arc::clone(&consumer.credit), consumer.id);
    queue.consume(NOW, consumer, &mut Wakes::default()).unwrap();
    let mut expected = 500;
    while expected < 2_000 {
        let (mut items, mut room_for) = (VecDeque::new(), Vec::new());
        outbox.take(connection, usize::MAX, &mut items, &mut room_for);
        let mut seqs = Vec::new();
        for item in items {
            let Item::Delivery(delivery) = item else {
                panic!("{item:?}")
            };
            assert_eq!(number_of(&delivery), expected);
            expected += 1;
            seqs.push(seq_of(&delivery));
        }
        credit.put_back(seqs.len());
        queue.settle(NOW, &seqs, Settlement::Ack, &mut Wakes::default());
        settle_down(&broker);
    }
    queue.cancel(NOW, id, &mut Wakes::default());
    assert_eq!((queue.status().messages, queue.unsettled()), (0, 0));
}

#[test]
fn a_deleted_queue_leaves_no_page_files() {
    let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
    let broker = paged_broker(&journal, &pages);
    declare_with(&vhost(&broker), &[]);
    for number in 0..400 {
        put(&vhost(&broker), number, 0, QoS::AtLeastOnce);
    }
    settle_down(&broker);
    assert_eq!(pages.lines().len(), 1);
    let mut wakes = Wakes::default();
    let vhost = vhost(&broker);
    vhost
        .delete_queue(ConnectionId(0), &"q".into(), false, false, &mut wakes)
        .unwrap();
    settle_down(&broker);
    assert_eq!(pages.lines().len(), 0);
    assert_eq!(broker.core().message_memory_bytes(), 0);
}

#[test]
fn a_long_queue_that_is_looked_into_is_seen_whole() {
    let (journal, pages) = (RecordingJournal::new(), Arc::new(MemoryPages::default()));
    let broker = paged_broker(&journal, &pages);
    let queue = declare_with(&vhost(&broker), &[]);
    for number in 0..1_000 {
        put(&vhost(&broker), number, 0, QoS::AtLeastOnce);
        while broker.page_out().unwrap() {}
    }
    let number_of = |message: &Arc<Message>| {
        let text = std::str::from_utf8(&message.payload).unwrap();
        text.parse::<u64>().unwrap()
    };
    let seen = |start, count| {
        queue
            .peek(NOW, start, count)
            .iter()
            .map(number_of)
            .collect()
    };
    let first: Vec<_> = seen(0, 10);
    assert_eq!(first, (0..10).collect::<Vec<_>>());
    assert!(
        broker.core().message_memory_bytes() <= BUDGET_BYTES,
        "the head is in memory, and the rest need not be"
    );
    let last: Vec<_> = seen(990, 100);
    assert_eq!(last, (990..1_000).collect::<Vec<_>>());
}
