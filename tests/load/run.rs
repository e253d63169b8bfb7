//! One run of a scenario: connect everybody, warm up, measure, let everything arrive.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cast::Cast;
use crate::clients::{Clients, Seat};
use crate::connection::{Broken, Connection};
use crate::dialect::{Event, Role};
use crate::ledger::Ledger;
use crate::poll::Poll;
use crate::process;
use crate::report::{Measured, Report};
use crate::scenario::Scenario;
use crate::stamp::Stamp;

/// Of the buffer that all connections read into.
const READ_BYTES: usize = 256 * 1024;

/// How late a message may at most be recorded as.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// The longest wait, so that phases end in time.
const TURN: Duration = Duration::from_millis(20);

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot use epoll: {0}")]
    Poll(#[from] io::Error),
    #[error("{role:?} {place}: {broken}")]
    Connection {
        role: Role,
        place: usize,
        broken: Broken,
    },
    #[error("only {ready} of {wanted} connections were ready in time")]
    NotReady { ready: usize, wanted: usize },
    #[error("the queues were not filled in time")]
    NotFilled,
    #[error("the server took no message in the measured time")]
    NothingPublished,
}

/// What is counted while it runs.
struct Counts {
    delivered: u64,
    accepted: u64,
    published: u64,
    latency: Histogram<u64>,
    started: Instant,
}

impl Counts {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Publishers whose window may have opened, each once.
struct Hopes {
    hopeful: Vec<usize>,
    is_hopeful: Vec<bool>,
}

impl Hopes {
    fn add(&mut self, publisher: usize) {
        if let Some(known) = self.is_hopeful.get_mut(publisher).filter(|known| !**known) {
            *known = true;
            self.hopeful.push(publisher);
        }
    }

    fn take(&mut self) -> Vec<usize> {
        self.is_hopeful.fill(false);
        std::mem::take(&mut self.hopeful)
    }
}

/// Where what one connection hears is booked.
struct Ears<'a> {
    scenario: &'a Scenario,
    ledger: &'a mut Ledger,
    counts: &'a mut Counts,
    hopes: &'a mut Hopes,
    is_measuring: bool,
    group: usize,
    place: usize,
    /// The clock, read once per read; 0: not yet.
    now_ns: u64,
    became_ready: bool,
}

impl Ears<'_> {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Delivery(stamp) => self.hear_delivery(stamp),
            Event::Accepted(count) => {
                self.counts.accepted += u64::from(count);
                self.ledger.accept(self.place, count);
                self.hopes.add(self.place);
            }
            Event::Ready => self.became_ready = true,
            Event::Other => {}
        }
    }

    fn hear_delivery(&mut self, stamp: Stamp) {
        let publisher = usize::try_from(stamp.publisher).unwrap_or(usize::MAX);
        let is_shared = self.scenario.is_shared();
        let lane = if is_shared { 0 } else { self.place };
        if publisher / self.scenario.publishers.max(1) == self.group {
            self.ledger.receive(publisher, lane, stamp.sequence);
        }
        if self.now_ns == 0 {
            self.now_ns = self.counts.now_ns();
        }
        self.counts.delivered += 1;
        if self.is_measuring {
            let late = self.now_ns.saturating_sub(stamp.sent_ns);
            self.counts.latency.saturating_record(late);
        }
        self.hopes.add(publisher);
    }
}

/// Reads all there is and writes what there is room for.
fn serve(
    connection: &mut Connection,
    flags: crate::poll::Ready,
    buffer: &mut [u8],
    ears: &mut Ears<'_>,
) -> Result<(), Broken> {
    let mut more = flags.can_read;
    while more {
        ears.now_ns = 0;
        more = connection.read(buffer, &mut |event| ears.hear(event))?;
        connection.flush()?;
    }
    connection.flush()
}

struct Run {
    scenario: Arc<Scenario>,
    cast: Cast,
    poll: Poll,
    clients: Clients,
    ledger: Ledger,
    counts: Counts,
    buffer: Vec<u8>,
    ready: usize,
    is_measuring: bool,
    /// Messages under way that are allowed on top of the window: what lies in filled queues.
    reserve: u32,
    hopes: Hopes,
}

/// Runs a scenario.
///
/// # Errors
/// When a connection fails, the server refuses something, or nothing happens for too long.
pub(crate) fn run(scenario: &Scenario) -> Result<Report, RunError> {
    let memory_before = scenario.server_pid.and_then(process::memory_bytes);
    let mut run = Run::new(scenario)?;
    let connect_started = Instant::now();
    run.connect()?;
    let connecting = connect_started.elapsed();
    let mut report = Report::new(scenario, run.clients.len(), connecting);
    report.memory_before = memory_before;
    run.fill()?;
    if run.cast.publishers() == 0 {
        run.idle(scenario.duration)?;
    } else {
        run.turn_for(scenario.warm_up, true)?;
        report.measured = run.measure()?;
        if report.measured.published == 0 {
            return Err(RunError::NothingPublished);
        }
    }
    report.memory_after = scenario.server_pid.and_then(process::memory_bytes);
    run.drain()?;
    report.faults = run.ledger.close(scenario.is_order_known());
    run.clients.close();
    Ok(report)
}

impl Run {
    fn new(scenario: &Scenario) -> Result<Self, RunError> {
        let scenario = Arc::new(scenario.clone());
        let cast = Cast::new(&scenario);
        let publishers = cast.publishers();
        let lanes = scenario.receivers();
        Ok(Self {
            ledger: Ledger::new(publishers, lanes, scenario.has_confirms()),
            poll: Poll::new()?,
            clients: Clients::default(),
            counts: Counts {
                delivered: 0,
                accepted: 0,
                published: 0,
                latency: Histogram::new_with_max(LATENCY_NS_MAX, 3)
                    .map_err(|error| io::Error::other(error.to_string()))?,
                started: Instant::now(),
            },
            buffer: vec![0; READ_BYTES],
            ready: 0,
            is_measuring: false,
            reserve: 0,
            hopes: Hopes {
                hopeful: Vec::new(),
                is_hopeful: vec![false; publishers],
            },
            cast,
            scenario,
        })
    }

    /// Opens all connections, a bounded number at a time; subscribers first.
    fn connect(&mut self) -> Result<(), RunError> {
        let wanted = self.cast.len();
        let started = Instant::now();
        let mut progress = (0, Instant::now());
        while self.ready < wanted {
            let due = self.scenario.ramp.map_or(usize::MAX, |per_second| {
                let due = f64::from(per_second) * started.elapsed().as_secs_f64();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a positive count; rounding down is meant"
                )]
                {
                    due as usize + 1
                }
            });
            while self.clients.len() < wanted.min(due)
                && self.clients.len() - self.ready < self.scenario.connecting_max
            {
                self.open_next()?;
            }
            self.turn(TURN)?;
            if progress.0 != self.ready || self.clients.len() < wanted {
                progress = (self.ready, Instant::now());
            } else if progress.1.elapsed() > self.scenario.patience {
                let ready = self.ready;
                return Err(RunError::NotReady { ready, wanted });
            }
        }
        Ok(())
    }

    fn open_next(&mut self) -> Result<(), RunError> {
        let number = self.clients.len();
        let (place, part) = self.cast.part(number);
        let role = part.role;
        let seat = Seat {
            group: part.group,
            topics: part.topics.len(),
        };
        let failed = |broken| RunError::Connection {
            role,
            place,
            broken,
        };
        let opened = Connection::open(self.scenario.address, place, part).map_err(failed)?;
        self.poll.add(opened.as_fd(), number)?;
        self.clients.push(opened, seat);
        Ok(())
    }

    /// Fills queues before anybody consumes, if the scenario says so.
    fn fill(&mut self) -> Result<(), RunError> {
        let prefill = self.scenario.prefill;
        if prefill == 0 {
            return Ok(());
        }
        // What is in the queue is not under way to anybody: the window is held by confirms alone.
        let wanted = u64::from(prefill) * u64::try_from(self.cast.publishers()).unwrap_or(0);
        let mut progress = (0, Instant::now());
        while self.counts.accepted < wanted {
            self.reserve = prefill.saturating_sub(self.scenario.window);
            self.publish_where_possible()?;
            self.turn(TURN)?;
            if progress.0 != self.counts.accepted {
                progress = (self.counts.accepted, Instant::now());
            } else if progress.1.elapsed() > self.scenario.patience {
                return Err(RunError::NotFilled);
            }
        }
        self.reserve = prefill;
        self.clients.start_consuming().map_err(Self::lost)
    }

    fn lost((role, place, broken): (Role, usize, Broken)) -> RunError {
        RunError::Connection {
            role,
            place,
            broken,
        }
    }

    /// Publishes and receives for a while.
    fn turn_for(&mut self, time: Duration, publishes: bool) -> Result<(), RunError> {
        if let Some(rate) = self.scenario.rate.filter(|_| publishes) {
            return self.turn_at_rate(rate, time);
        }
        let started = Instant::now();
        self.hope_for_all();
        while started.elapsed() < time {
            self.publish_where_possible()?;
            self.turn(TURN)?;
        }
        Ok(())
    }

    /// The same, paced: each publisher sends what is due since the start.
    fn turn_at_rate(&mut self, rate: f64, time: Duration) -> Result<(), RunError> {
        let started = Instant::now();
        let publishers = self.cast.publishers();
        self.poll.tick_every(Duration::from_secs_f64(
            (1.0 / (rate * f64::from(u32::try_from(publishers).unwrap_or(1)))).max(0.000_05),
        ))?;
        let mut sent = vec![0_u64; publishers];
        while started.elapsed() < time {
            let passed = started.elapsed().as_secs_f64();
            for (publisher, sent) in sent.iter_mut().enumerate() {
                // Publishers start one after the other, so that they do not send in step.
                let share = f64::from(u32::try_from(publisher).unwrap_or(0))
                    / f64::from(u32::try_from(publishers).unwrap_or(1));
                let due = passed * rate - share;
                if due <= 0.0 {
                    continue;
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a positive count; rounding up is meant"
                )]
                let due = due.ceil() as u64;
                let count = u32::try_from(due.saturating_sub(*sent)).unwrap_or(u32::MAX);
                let room = self.room(publisher);
                let count = count.min(room).min(self.batch(publisher));
                if count > 0 {
                    self.publish(publisher, count)?;
                    *sent += u64::from(count);
                }
            }
            self.turn(TURN)?;
        }
        self.poll.tick_every(Duration::ZERO)?;
        Ok(())
    }

    fn idle(&mut self, time: Duration) -> Result<(), RunError> {
        let started = Instant::now();
        while started.elapsed() < time {
            self.turn(TURN)?;
        }
        Ok(())
    }

    fn measure(&mut self) -> Result<Measured, RunError> {
        let cpu = |pid: Option<u32>| pid.and_then(process::cpu_time);
        let (server, own) = (self.scenario.server_pid, Some(std::process::id()));
        let before = (cpu(server), cpu(own));
        let counted = (self.counts.published, self.counts.delivered);
        let started = Instant::now();
        self.is_measuring = true;
        self.turn_for(self.scenario.duration, true)?;
        self.is_measuring = false;
        let time = started.elapsed();
        let used = |after: Option<Duration>, before: Option<Duration>| {
            Some(after?.saturating_sub(before?))
        };
        Ok(Measured {
            published: self.counts.published - counted.0,
            delivered: self.counts.delivered - counted.1,
            time,
            server_cpu: used(cpu(server), before.0),
            own_cpu: used(cpu(own), before.1),
            latency: self.counts.latency.clone(),
        })
    }

    /// Lets everything arrive.
    fn drain(&mut self) -> Result<(), RunError> {
        let mut progress = (self.counts.delivered, self.counts.accepted, Instant::now());
        while !self.ledger.is_settled() {
            self.turn(TURN)?;
            let now = (self.counts.delivered, self.counts.accepted);
            if now != (progress.0, progress.1) {
                progress = (now.0, now.1, Instant::now());
            } else if progress.2.elapsed() > self.scenario.patience {
                break;
            }
        }
        Ok(())
    }

    /// Waits for something and reads and writes all there is.
    fn turn(&mut self, timeout: Duration) -> Result<(), RunError> {
        let mut events = std::mem::take(&mut self.poll.events);
        self.poll.wait(&mut events, timeout)?;
        let mut result = Ok(());
        for event in &events {
            let Some((number, flags)) = Poll::read(event) else {
                continue;
            };
            result = self.serve(number, flags);
            if result.is_err() {
                break;
            }
        }
        self.poll.events = events;
        result
    }

    fn serve(&mut self, number: usize, flags: crate::poll::Ready) -> Result<(), RunError> {
        let Some((connection, seat)) = self.clients.at(number) else {
            return Ok(());
        };
        let (role, place) = (connection.role, connection.place);
        let mut ears = Ears {
            scenario: &self.scenario,
            ledger: &mut self.ledger,
            counts: &mut self.counts,
            hopes: &mut self.hopes,
            is_measuring: self.is_measuring,
            group: seat.group,
            place,
            now_ns: 0,
            became_ready: false,
        };
        if role == Role::Publisher {
            ears.hopes.add(place);
        }
        let served = serve(connection, flags, &mut self.buffer, &mut ears);
        if ears.became_ready && !std::mem::replace(&mut connection.is_ready, true) {
            self.ready += 1;
        }
        served.map_err(|broken| RunError::Connection {
            role,
            place,
            broken,
        })
    }

    fn hope_for_all(&mut self) {
        (0..self.cast.publishers()).for_each(|publisher| self.hopes.add(publisher));
    }

    fn publish_where_possible(&mut self) -> Result<(), RunError> {
        if self.hopes.hopeful.is_empty() && self.counts.published == 0 {
            self.hope_for_all();
        }
        for publisher in self.hopes.take() {
            let batch = self.batch(publisher);
            let mut room = self.room(publisher);
            while room >= batch {
                self.publish(publisher, batch)?;
                room = if self.can_write(publisher) {
                    room - batch
                } else {
                    0
                };
            }
        }
        Ok(())
    }

    fn can_write(&mut self, publisher: usize) -> bool {
        let number = self.cast.number_of_publisher(publisher);
        self.clients
            .at(number)
            .is_some_and(|(connection, _)| connection.is_flushed())
    }

    /// How many messages the publisher writes at once: no more than the server lets it.
    fn batch(&mut self, publisher: usize) -> u32 {
        let number = self.cast.number_of_publisher(publisher);
        let window_max = self
            .clients
            .at(number)
            .map(|(client, _)| client.window_max());
        self.scenario.batch().min(window_max.unwrap_or(1)).max(1)
    }

    /// How many messages the publisher may send now.
    fn room(&mut self, publisher: usize) -> u32 {
        let number = self.cast.number_of_publisher(publisher);
        let Some((connection, _)) = self.clients.at(number) else {
            return 0;
        };
        if !connection.is_flushed() {
            return 0;
        }
        let window = self.scenario.window + self.reserve;
        let window = window.min(connection.window_max());
        window.saturating_sub(self.ledger.in_flight(publisher))
    }

    fn publish(&mut self, publisher: usize, count: u32) -> Result<(), RunError> {
        let number = self.cast.number_of_publisher(publisher);
        let sent_ns = self.counts.now_ns();
        let Some((connection, seat)) = self.clients.at(number) else {
            return Ok(());
        };
        let (dialect, out) = connection.speak();
        for _ in 0..count {
            let sequence = self.ledger.send(publisher);
            let topic = usize::try_from(sequence).unwrap_or(0) % seat.topics.max(1);
            let stamp = Stamp {
                publisher: u32::try_from(publisher).unwrap_or(u32::MAX),
                sequence,
                sent_ns,
            };
            dialect.publish(topic, stamp, out);
        }
        self.counts.published += u64::from(count);
        let (role, place) = (connection.role, connection.place);
        connection.flush().map_err(|broken| RunError::Connection {
            role,
            place,
            broken,
        })
    }
}
