//! What a message costs from one connection through a topic exchange to another, in allocations.

use super::*;

const MESSAGES: usize = 1_000;
/// The message itself; the rest is for what grows by doubling.
const ALLOCATIONS_MAX: usize = 3;

/// What is allocated per batch, whatever is in it: read buffer, write buffer, lists.
const PER_BATCH_MAX: usize = 60;

struct Pair {
    publisher: Client,
    consumer: Client,
    batch: Vec<u8>,
}

impl Pair {
    fn new(no_ack: u8) -> Self {
        let broker = broker();
        let mut consumer = Client::with_queue(&broker);
        let bind = Args::default()
            .u16(0)
            .short("q")
            .short("amq.topic")
            .short("plant.*.temp")
            .u8(0)
            .long([]);
        consumer.send(&method(MethodId::QUEUE_BIND, bind));
        consumer.send(&consume("q", "t", no_ack << 1));
        let one = publish_to(("amq.topic", "plant.line1.temp"), 0, PERSISTENT, b"21.5");
        Self {
            publisher: Client::open(&broker),
            consumer,
            batch: one.repeat(MESSAGES),
        }
    }

    /// Publishes, delivers and settles a batch; returns the allocations.
    fn round(&mut self, acks: bool) -> u64 {
        let mut input = BytesMut::with_capacity(2 * self.batch.len());
        input.extend_from_slice(&self.batch);
        let mut out = OutBuf::default();
        let mut settled = BytesMut::new();
        let counted = allocation_counter::measure(|| {
            let publisher = &mut self.publisher.connection;
            publisher.handle_input(NOW, &mut input, &mut out);
            let consumer = &mut self.consumer.connection;
            while !consumer.outbox().is_empty() {
                out.advance(out.len());
                consumer.handle_outbox(NOW, &mut out);
            }
        });
        let delivered = out.to_vec();
        assert!(delivered.ends_with(b"21.5\xce"));
        if acks {
            // Tag 0 with `multiple` is all of them.
            settled.extend_from_slice(&ack(0, 1));
        }
        let settling = allocation_counter::measure(|| {
            let consumer = &mut self.consumer.connection;
            consumer.handle_input(NOW, &mut settled, &mut out);
        });
        counted.count_total + settling.count_total
    }

    fn assert_cheap(mut self, acks: bool) {
        // The first round fills caches, and lets what grows by doubling grow.
        self.round(acks);
        let allocations = usize::try_from(self.round(acks)).unwrap();
        println!("{allocations} allocations for {MESSAGES} messages");
        assert!(allocations <= ALLOCATIONS_MAX * MESSAGES + PER_BATCH_MAX);
        let queue = self.consumer.connection.broker.vhost("/").unwrap();
        let queue = queue.queue("q").unwrap();
        assert_eq!((queue.status().messages, queue.unsettled()), (0, 0));
    }
}

#[test]
fn a_message_to_a_consumer_costs_at_most_three_allocations() {
    Pair::new(1).assert_cheap(false);
}

#[test]
fn a_message_that_is_acknowledged_costs_at_most_three_allocations() {
    Pair::new(0).assert_cheap(true);
}
