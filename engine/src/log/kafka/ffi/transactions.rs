//! Transactions of a producer that has a transactional id.

use std::time::Duration;

use rdkafka::bindings as rd;

use super::failure_of;
use super::produce::Producer;
use crate::log::kafka::errors::Failure;

impl Producer {
    /// Takes the transactional id: the producer that had it before is fenced, and what it left open is aborted.
    pub fn init_transactions(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is valid; the error is the callee's to free.
        unsafe { ended(rd::rd_kafka_init_transactions(self.rk(), super::millis(timeout))) }
    }

    /// What is sent from now on belongs to a new transaction.
    pub fn begin_transaction(&self) -> Result<(), Failure> {
        // SAFETY: as above.
        unsafe { ended(rd::rd_kafka_begin_transaction(self.rk())) }
    }

    /// Commits what was sent since the transaction began, all of which should be delivered already. After a failure nobody
    /// knows whether it was committed.
    pub fn commit_transaction(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: as above. Failed records are reported within.
        unsafe { ended(rd::rd_kafka_commit_transaction(self.rk(), super::millis(timeout))) }
    }
}

/// # Safety
/// The error must be valid or null, and ours.
unsafe fn ended(error: *mut rd::rd_kafka_error_t) -> Result<(), Failure> {
    // SAFETY: as the caller says.
    unsafe {
        match failure_of(error) {
            None => Ok(()),
            Some(failure) => {
                rd::rd_kafka_error_destroy(error);
                Err(failure)
            }
        }
    }
}
