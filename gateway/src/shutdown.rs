//! Every task of the gateway is started here, ends by one signal, and is waited for.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// The tasks of a gateway and the signal that ends them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    /// Set before the signal is given; to be read without a lock.
    has_begun: Arc<AtomicBool>,
    tasks: TaskTracker,
}

impl Shutdown {
    /// The signal.
    #[must_use]
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether the signal is given, or about to be.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Runs a task until it ends by itself, which it does soon after the signal. A panic in it is
    /// logged and costs that task alone.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        // Boxed, because a future that awaits another has room for it twice.
        let task = Box::pin(task);
        self.tasks.spawn(async move {
            let watch = Watch(name);
            task.await;
            drop(watch);
        });
    }

    /// Gives the signal.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Gives the signal and waits until all tasks have ended, at most `timeout`. Returns whether
    /// all did.
    pub async fn finish(&self, timeout: Duration) -> bool {
        self.begin();
        self.tasks.close();
        tokio::time::timeout(timeout, self.tasks.wait())
            .await
            .is_ok()
    }
}

/// Sees a task's panic, by being dropped while it unwinds.
struct Watch(&'static str);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(task = self.0, "a task panicked; its connection is lost");
        }
    }
}
