//! WebSockets, each with its frames and how it was closed.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::Answer;
use crate::script::Request;

/// Opens a socket and reads until it is closed, each text a chunk, for at most `patience` a frame.
pub async fn send(address: SocketAddr, request: &Request, patience: Duration) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let opened = timeout(patience, client_async(format!("ws://{address}{}", request.path), stream)).await;
    let (mut socket, response) = match opened.map_err(|e| e.to_string())? {
        Ok(opened) => opened,
        Err(Error::Http(response)) => {
            let status = u64::from(response.status().as_u16());
            return Ok(Answer { status, chunks: response.into_body().into_iter().collect(), ..Answer::default() });
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut answer = Answer { status: u64::from(response.status().as_u16()), ..Answer::default() };
    loop {
        match timeout(patience, socket.next()).await {
            Err(_) => answer.still_open = true,
            Ok(Some(Ok(Message::Text(text)))) => {
                answer.chunks.push(text.as_bytes().to_vec());
                continue;
            }
            Ok(Some(Ok(Message::Close(frame)))) => answer.close = frame.map(|f| (u64::from(u16::from(f.code)), f.reason.to_string())),
            Ok(Some(Ok(_))) => continue,
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(None) => {}
        }
        return Ok(answer);
    }
}
