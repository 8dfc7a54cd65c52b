//! Requests over cleartext HTTP/2 with prior knowledge, a connection each.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::client::Answer;
use crate::script::Request;

/// Between two parts of a body, as they were recorded.
const PART_PAUSE: Duration = Duration::from_millis(400);

/// Sends a request and reads the answer for at most `patience`; each DATA frame is a chunk.
pub async fn send(
    address: SocketAddr,
    request: &Request,
    patience: Duration,
    on_first_chunk: impl FnOnce(&[u8]) + Send,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut builder = hyper::Request::builder().method(request.method.as_str()).uri(format!("http://{address}{}", request.path));
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let parts = if request.parts.is_empty() { vec![request.body.clone().unwrap_or_default()] } else { request.parts.clone() };
    let body = StreamBody::new(stream::unfold((parts.into_iter(), true), |(mut parts, is_first)| async move {
        let part = parts.next()?;
        if !is_first {
            tokio::time::sleep(PART_PAUSE).await;
        }
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(part))), (parts, false)))
    }));
    let response = tokio::time::timeout(patience, sender.send_request(builder.body(Box::pin(body))?)).await??;
    let mut answer = Answer { status: u64::from(response.status().as_u16()), ..Answer::default() };
    for (name, value) in response.headers() {
        answer.headers.push((name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()));
    }
    let mut body = response.into_body();
    let mut on_first_chunk = Some(on_first_chunk);
    loop {
        match tokio::time::timeout(patience, body.frame()).await {
            Err(_) => {
                answer.still_open = true;
                break;
            }
            Ok(None) => break,
            Ok(Some(frame)) => {
                let Ok(chunk) = frame?.into_data() else { continue };
                if chunk.is_empty() {
                    continue;
                }
                if let Some(call) = on_first_chunk.take() {
                    tokio::task::block_in_place(|| call(&chunk));
                }
                answer.chunks.push(chunk.to_vec());
            }
        }
    }
    connection.abort();
    Ok(answer)
}
