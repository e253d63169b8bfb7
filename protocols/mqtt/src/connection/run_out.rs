//! Runs of QoS 0 messages out: encoded once for all clients to which they look the same.

use std::sync::Arc;

use bytes::Bytes;
use routing::{Delivery, Matched, Message, OutBuf, Run, RunForm, Source, Timestamp};

use super::publish_out::{Marks, Sending, encode_head};
use crate::counters::Count;
use crate::wire::Version;

impl Sending {
    /// Appends the PUBLISH packets of a run; what is too large for the client is left out.
    /// \[MQTT-3.1.2-25\]
    pub(super) fn put_run(
        &mut self,
        now: Timestamp,
        run: &Arc<Run>,
        matched: &Arc<Matched>,
        out: &mut OutBuf,
    ) {
        if let Some(encoded) = self.shared_run(run, matched) {
            let count = run.messages().len();
            self.tally.count(Count::PacketsOut, count);
            self.tally.count(Count::PublishesOut, count);
            self.tally.count(Count::PayloadOut, run.payload_bytes());
            return out.put_bytes(encoded);
        }
        let fresh = run.messages().iter().filter(|it| !it.is_expired(now));
        for message in fresh {
            let delivery = Delivery {
                message: Arc::clone(message),
                source: Source::Subscription(Arc::clone(matched)),
            };
            self.put(now, &delivery, Marks::default(), out);
        }
    }

    /// The encoded form of a run in which nothing is for this client alone, and each packet small
    /// enough for it.
    fn shared_run<'a>(&self, run: &'a Arc<Run>, matched: &Matched) -> Option<&'a Bytes> {
        let form = match self.version {
            Version::V31 | Version::V311 => RunForm::Mqtt3,
            Version::V5 if self.aliases.are_allowed() || has_ids(matched) => return None,
            Version::V5 => RunForm::Mqtt5,
        };
        if run.can_expire() {
            return None;
        }
        run.form(form, |messages| encode(messages, self.version))
            .filter(|encoded| self.fits(encoded.len()))
    }
}

const fn has_ids(matched: &Matched) -> bool {
    matches!(matched, Matched::Filters { subscription_ids, .. } if !subscription_ids.is_empty())
}

fn encode(messages: &[Arc<Message>], version: Version) -> Bytes {
    let mut all = Vec::new();
    for message in messages {
        encode_head(message, version, &mut all);
        all.extend_from_slice(&message.payload);
    }
    all.into()
}
