//! The beginning of an encrypted connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connections::Held;
use super::stream::Stream;
use super::watched::Watch;
use crate::tls::Listening;

/// How long a client may take for it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The memory that an encrypted connection takes, kB.
const WEIGHT_KB: usize = 8;
/// What a TLS handshake begins with.
const HANDSHAKE: u8 = 0x16;
/// Said to a client that speaks plain HTTP where TLS is spoken.
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 38\r\n\r\n\
      This port speaks TLS: use https://...\n";

/// `None`: there is nobody to speak with. The client was told, or is gone, too slow, or has to make room for others.
pub(super) async fn handshake(stream: TcpStream, peer: SocketAddr, tls: &Listening, watch: &Arc<Watch>, held: &Held) -> Option<Stream> {
    tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake(stream, peer, tls, held)) => match shaken {
            Ok(stream) => stream,
            Err(_) => {
                tracing::debug!(%peer, "a TLS handshake did not come to its end in time");
                None
            }
        },
        () = watch.asked_for_room() => None,
    }
}

async fn shake(mut stream: TcpStream, peer: SocketAddr, tls: &Listening, held: &Held) -> Option<Stream> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1..) if first[0] == HANDSHAKE => {}
        Ok(1..) if first[0].is_ascii_alphabetic() => {
            // Whether it arrives is the client's affair.
            let _ = stream.write_all(PLAIN_ANSWER).await;
            let _ = stream.shutdown().await;
            return None;
        }
        _ => return None,
    }
    // Only who has begun to say something is given what it takes.
    held.gains(WEIGHT_KB);
    match Box::pin(tls.acceptor().accept(stream)).await {
        Ok(stream) => Some(Stream::Tls(Box::new(stream.into()))),
        Err(error) => {
            tracing::debug!(%peer, %error, "a TLS handshake failed");
            None
        }
    }
}
