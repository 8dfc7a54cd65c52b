//! What a port answers with, once the engine is open. Ports are taken before, and who comes early waits a moment.

use std::time::Duration;

use tokio::sync::watch;

/// How long a client waits for an engine that is being opened.
const OPENING_PATIENCE: Duration = Duration::from_secs(8);

/// See the module.
pub struct Opening<T>(watch::Sender<Option<T>>);

impl<T> Default for Opening<T> {
    fn default() -> Self {
        Opening(watch::Sender::new(None))
    }
}

impl<T: Clone> Opening<T> {
    /// From now on there is somebody who answers.
    pub fn is_ready(&self, ready: T) {
        self.0.send_replace(Some(ready));
    }

    /// Who answers; `None`: nobody yet.
    pub async fn get(&self) -> Option<T> {
        let mut ready = self.0.subscribe();
        let waited = tokio::time::timeout(OPENING_PATIENCE, ready.wait_for(Option::is_some)).await;
        waited.ok().and_then(Result::ok).and_then(|ready| ready.clone())
    }
}
