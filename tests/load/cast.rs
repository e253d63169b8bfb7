//! Who plays what: which connection is which publisher, subscriber or idler, and its topics.
//!
//! Connections are numbered idlers first, then subscribers, then publishers, so that whoever
//! listens is there before anybody speaks.

use std::sync::Arc;

use crate::dialect::{Part, Role};
use crate::scenario::Scenario;

/// All parts of a run.
#[derive(Debug)]
pub(crate) struct Cast {
    scenario: Arc<Scenario>,
    run: u32,
    /// Of each group: what its subscribers take.
    topics: Vec<Arc<[String]>>,
}

impl Cast {
    pub(crate) fn new(scenario: &Arc<Scenario>) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        /// Runs of one process follow each other on the same server.
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let run = (std::process::id() & 0xffff) | (number & 0xff) << 16;
        let topics = (0..scenario.groups).map(|group| {
            (0..scenario.topics)
                .map(|topic| format!("l{run:x}/{group}/{topic}"))
                .collect()
        });
        Self {
            topics: topics.collect(),
            scenario: Arc::clone(scenario),
            run,
        }
    }

    pub(crate) fn publishers(&self) -> usize {
        self.scenario.groups * self.scenario.publishers
    }

    fn subscribers(&self) -> usize {
        self.scenario.groups * self.scenario.subscribers
    }

    /// All connections.
    pub(crate) fn len(&self) -> usize {
        self.scenario.idle + self.subscribers() + self.publishers()
    }

    pub(crate) fn number_of_publisher(&self, publisher: usize) -> usize {
        self.scenario.idle + self.subscribers() + publisher
    }

    /// The place and the part of a connection.
    pub(crate) fn part(&self, number: usize) -> (usize, Part) {
        let scenario = &self.scenario;
        let first_subscriber = scenario.idle;
        let first_publisher = first_subscriber + self.subscribers();
        let (role, place, group, topics) = if number < first_subscriber {
            (Role::Idle, number, 0, self.idle_topics(number))
        } else if number < first_publisher {
            let index = number - first_subscriber;
            let (group, place) = (index / scenario.subscribers, index % scenario.subscribers);
            (Role::Subscriber, place, group, self.topics_of(group))
        } else {
            let place = number - first_publisher;
            let group = place / scenario.publishers;
            (Role::Publisher, place, group, self.own_topics(place, group))
        };
        let part = Part {
            role,
            scenario: Arc::clone(scenario),
            run: self.run,
            number,
            group,
            topics,
        };
        (place, part)
    }

    fn topics_of(&self, group: usize) -> Arc<[String]> {
        self.topics.get(group).cloned().unwrap_or_default()
    }

    /// A publisher's share; where there are fewer topics than publishers, some share one.
    fn own_topics(&self, place: usize, group: usize) -> Arc<[String]> {
        let all = self.topics_of(group);
        let in_group = place % self.scenario.publishers;
        let first = in_group % all.len().max(1);
        let step = self.scenario.publishers;
        all.iter().skip(first).step_by(step).cloned().collect()
    }

    fn idle_topics(&self, number: usize) -> Arc<[String]> {
        let (all, idlers) = (self.scenario.idle_subscriptions, self.scenario.idle);
        (number..all)
            .step_by(idlers.max(1))
            .map(|topic| format!("i{:x}/{}/{topic}", self.run, topic % 100))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_dealt_out_to_publishers() {
        let scenario = Scenario {
            groups: 2,
            publishers: 2,
            subscribers: 1,
            topics: 3,
            idle: 1,
            ..Scenario::default()
        };
        let cast = Cast::new(&Arc::new(scenario));
        assert_eq!(cast.len(), 7);
        let ends = |number: usize| {
            let (place, part) = cast.part(number);
            let ends = part
                .topics
                .iter()
                .map(|t| t.rsplit_once('/').unwrap().1.to_owned());
            (
                part.role,
                place,
                part.group,
                ends.collect::<Vec<_>>().concat(),
            )
        };
        assert_eq!(ends(0), (Role::Idle, 0, 0, String::new()));
        assert_eq!(ends(2), (Role::Subscriber, 0, 1, "012".to_owned()));
        assert_eq!(ends(5), (Role::Publisher, 2, 1, "02".to_owned()));
        assert_eq!(ends(6), (Role::Publisher, 3, 1, "1".to_owned()));
        assert_eq!(cast.number_of_publisher(3), 6);
    }
}
