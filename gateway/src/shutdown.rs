//! Every task of the gateway is started here, ends by one signal, and is waited for.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// The tasks of a gateway and the signal that ends them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// The signal.
    #[must_use]
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs a task until it ends by itself, which it does soon after the signal. A panic in it is
    /// logged and costs that task alone.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let running = self.tasks.spawn(task);
        self.tasks.spawn(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                error!(task = name, "a task panicked; its connection is lost");
            }
        });
    }

    /// Gives the signal and waits until all tasks have ended, at most `timeout`. Returns whether
    /// all did.
    pub async fn finish(&self, timeout: Duration) -> bool {
        self.token.cancel();
        self.tasks.close();
        tokio::time::timeout(timeout, self.tasks.wait())
            .await
            .is_ok()
    }
}
