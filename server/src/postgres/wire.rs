//! A connection's bytes: read as they come and within bounds, sent with patience that ends.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::message::{Frame, Malformed};
use super::output::Output;
use crate::net::Stream;

/// Bytes of messages that are read while another one is being carried out.
const MAX_AHEAD_BYTES: usize = 256 << 10;
/// Bytes that are read at a time.
const READ_BYTES: usize = 8 << 10;

/// How long is waited for a client.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the first byte to who it is.
    pub start: Duration,
    /// From a message's first byte to its last.
    pub message: Duration,
    /// For it to take anything of what is sent.
    pub sending: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { start: Duration::from_secs(30), message: Duration::from_secs(120), sending: Duration::from_secs(120) }
    }
}

/// Why there is nobody to speak with any more.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    #[error("the client left")]
    Left,
    #[error("{0}")]
    Broken(#[from] std::io::Error),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the client took nothing of what was sent for {} seconds", .0.as_secs())]
    Stalled(Duration),
    #[error("a message did not come to its end within {} seconds", .0.as_secs())]
    Unfinished(Duration),
}

/// See the module.
pub struct Wire {
    pub stream: Stream,
    pub input: BytesMut,
    pub out: Output,
    pub patience: Patience,
}

impl Wire {
    pub fn new(stream: Stream, patience: Patience) -> Self {
        Wire { stream, input: BytesMut::new(), out: Output::default(), patience }
    }

    /// Reads what has come; waits for something.
    pub async fn read(&mut self) -> Result<(), Gone> {
        self.input.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(Gone::Left),
            _ => Ok(()),
        }
    }

    /// Reads what has come already, without waiting; whether that was anything.
    pub async fn read_at_hand(&mut self) -> bool {
        tokio::select! {
            biased;
            read = self.read() => read.is_ok(),
            () = std::future::ready(()) => false,
        }
    }

    /// The next message. What has come of it stays if nobody waits any more.
    pub async fn frame(&mut self, max_bytes: usize) -> Result<Frame, Gone> {
        let patience = self.patience.message;
        let mut begun = None;
        loop {
            if let Some(frame) = Frame::take(&mut self.input, max_bytes)? {
                if self.input.is_empty() {
                    // What one large message took is not kept for a small one.
                    self.input = BytesMut::new();
                }
                return Ok(frame);
            }
            if self.input.is_empty() {
                self.read().await?;
                continue;
            }
            let deadline = *begun.get_or_insert_with(|| tokio::time::Instant::now() + patience);
            tokio::time::timeout_at(deadline, self.read()).await.map_err(|_| Gone::Unfinished(patience))??;
        }
    }

    /// Watches a client that waits for an answer: why it is gone. What it sends ahead is kept, up to a bound.
    pub async fn watch(&mut self) -> Gone {
        loop {
            if self.input.len() >= MAX_AHEAD_BYTES {
                return std::future::pending().await;
            }
            if let Err(gone) = self.read().await {
                return gone;
            }
        }
    }

    /// Sends what is gathered. May be given up and taken up again.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        let patience = self.patience.sending;
        while self.out.bytes.has_remaining() {
            let written = tokio::time::timeout(patience, self.stream.write_buf(&mut self.out.bytes));
            match written.await.map_err(|_| Gone::Stalled(patience))?? {
                0 => return Err(Gone::Left),
                _ => continue,
            }
        }
        tokio::time::timeout(patience, self.stream.flush()).await.map_err(|_| Gone::Stalled(patience))??;
        Ok(())
    }

    /// Sends the last words and closes; a client that does not take them at once goes without.
    pub async fn close(mut self) {
        const LAST_WORDS: Duration = Duration::from_secs(2);
        self.patience.sending = LAST_WORDS;
        if self.flush().await.is_ok() {
            let _ = tokio::time::timeout(LAST_WORDS, self.stream.shutdown()).await;
        }
    }
}
