//! What the gateway does without being asked: the core's timers, and checkpoints.

use std::sync::Arc;
use std::time::Duration;

use storage::Health;
use tokio::sync::Notify;

use super::Gateway;
use crate::journal;

/// How often it is looked whether a checkpoint is due.
const CHECKPOINT_PERIOD: Duration = Duration::from_secs(1);

/// A checkpoint is due after this long, if anything was journalled.
const CHECKPOINT_AGE: Duration = Duration::from_secs(60);

impl Gateway {
    /// Sleeps until the core has something to do, which for an idle core is never.
    pub(super) fn run_timers(&self, earlier: Arc<Notify>) {
        let shared = Arc::clone(&self.shared);
        self.shared.shutdown.spawn("timers", async move {
            let stop = shared.shutdown.token().clone();
            loop {
                let due = async {
                    match shared.broker.poll_timeout() {
                        Some(at) => tokio::time::sleep_until(shared.clock.instant_of(at)).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = earlier.notified() => {}
                    () = due => shared.broker.handle_timeout(shared.clock.now()),
                }
            }
        });
    }

    /// Writes a checkpoint when so much was written that a start would take long, and after a
    /// while if anything happened.
    pub(super) fn run_checkpoints(&self) {
        let shared = Arc::clone(&self.shared);
        let journal = Arc::clone(&shared.journal);
        let window_bytes = self.window_bytes;
        self.shared.shutdown.spawn("checkpoints", async move {
            let stop = shared.shutdown.token().clone();
            let (mut last_end, mut last_at) = (journal.end(), shared.clock.uptime());
            while stop
                .run_until_cancelled(tokio::time::sleep(CHECKPOINT_PERIOD))
                .await
                .is_some()
            {
                let written = journal.end().0 - last_end.0;
                let age = shared.clock.uptime().saturating_sub(last_at);
                // A disk that is low needs what was settled back soon.
                let is_low = journal.log().health() != Health::Ok;
                let is_due = written >= journal.checkpoint_interval_bytes(window_bytes)
                    || age >= CHECKPOINT_AGE
                    || is_low;
                let has_news = written > 0 || (is_low && journal.owes_space());
                if !has_news || !is_due {
                    continue;
                }
                let (broker, log) = (Arc::clone(&shared.broker), Arc::clone(&journal));
                let write = move || journal::checkpoint(&broker, &log, window_bytes);
                last_at = shared.clock.uptime();
                last_end = match tokio::task::spawn_blocking(write).await {
                    Ok(Ok(counted_from)) => counted_from,
                    Ok(Err(failure)) => {
                        journal::log_checkpoint_failure(&failure);
                        journal.end()
                    }
                    Err(_) => journal.end(),
                };
            }
        });
    }
}
