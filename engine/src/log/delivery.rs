//! Whether what one writer sent has been delivered, for another one whose records are to come behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const AWAITED: u8 = 0;
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;

/// See the module. A cheap handle; not delivered at first.
#[derive(Debug, Clone, Default)]
pub struct Delivery(Arc<AtomicU8>);

impl Delivery {
    /// What is delivered already.
    pub fn done() -> Self {
        let delivery = Delivery::default();
        delivery.tell(true);
        delivery
    }

    /// All has been delivered, or never will be.
    pub fn tell(&self, is_delivered: bool) {
        self.0.store(if is_delivered { DELIVERED } else { FAILED }, Ordering::Release);
    }

    /// Nobody knows yet.
    pub fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Acquire) == AWAITED
    }

    pub fn has_failed(&self) -> bool {
        self.0.load(Ordering::Acquire) == FAILED
    }
}
