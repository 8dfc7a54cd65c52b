//! The beginning of a connection: whether it is encrypted, what it is for, who it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Port;
use super::error::{NOT_ADMITTED, PROTOCOL, PgError, TOO_MUCH, WRONG_PASSWORD};
use super::message::{Body, MAX_STRANGER_BYTES, Malformed, body_length};
use super::wire::{Gone, Patience, Wire};
use crate::access::{Principal, Refusal, WRONG_PAUSE};
use crate::net::Stream;

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// What a TLS handshake begins with.
const HANDSHAKE: u8 = 0x16;
/// What encrypted connections say is spoken.
const ALPN: &[u8] = b"postgresql";
/// The version that is spoken: 3.0.
const VERSION: u32 = 3 << 16;
/// Negotiations before a connection says what it is for.
const MAX_NEGOTIATIONS: usize = 4;

/// What a connection turned out to be for.
pub enum Begun {
    Session {
        wire: Wire,
        principal: Principal,
        parameters: BTreeMap<String, String>,
    },
    /// Cancels what another one has under way.
    Cancel {
        process: u32,
        secret: u32,
    },
    /// Refused: the client is told, and there is nothing more to do.
    Refused(String),
}

/// # Errors
/// There is nobody to speak with.
pub async fn begin(stream: TcpStream, peer: SocketAddr, port: &Port) -> Result<Begun, Gone> {
    let patience = port.patience;
    let begun = Box::pin(negotiate(stream, peer, port, patience));
    tokio::time::timeout(patience.start, begun).await.map_err(|_| Gone::Unfinished(patience.start))?
}

async fn negotiate(stream: TcpStream, peer: SocketAddr, port: &Port, patience: Patience) -> Result<Begun, Gone> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(Gone::Left);
    }
    let mut wire = match &port.tls {
        // Without asking first.
        Some(tls) if first == [HANDSHAKE] => {
            let stream = tls.acceptor_of(ALPN).accept(stream).await?;
            Wire::new(Stream::Tls(Box::new(stream.into())), patience)
        }
        _ => Wire::new(Stream::Plain(stream), patience),
    };
    for _ in 0..MAX_NEGOTIATIONS {
        let (code, body) = packet(&mut wire).await?;
        match code {
            TLS | GSS => {
                // What came with it unencrypted must not be taken for what comes encrypted.
                if wire.input.has_remaining() {
                    return Err(Malformed("something follows a request for encryption".to_owned()).into());
                }
                let Stream::Plain(mut stream) = wire.stream else {
                    return Err(Malformed("encryption is asked for on an encrypted connection".to_owned()).into());
                };
                wire = match port.tls.as_ref().filter(|_| code == TLS) {
                    Some(tls) => {
                        stream.write_all(b"S").await?;
                        let stream = tls.acceptor_of(ALPN).accept(stream).await?;
                        Wire::new(Stream::Tls(Box::new(stream.into())), patience)
                    }
                    None => {
                        stream.write_all(b"N").await?;
                        Wire::new(Stream::Plain(stream), patience)
                    }
                };
            }
            CANCEL => {
                let mut body = Body(body);
                return Ok(Begun::Cancel { process: body.u32()?, secret: body.u32()? });
            }
            version => {
                return match admit(&mut wire, version, body, port).await? {
                    Ok((principal, parameters)) => {
                        tracing::debug!(%peer, user = principal.name.as_deref(), "a PostgreSQL client is in");
                        Ok(Begun::Session { wire, principal, parameters })
                    }
                    Err(error) => {
                        let message = error.message.clone();
                        wire.out.error(&error);
                        wire.close().await;
                        Ok(Begun::Refused(message))
                    }
                };
            }
        }
    }
    Err(Malformed("a client asks for encryption again and again".to_owned()).into())
}

/// A packet without a tag: its code and what follows.
async fn packet(wire: &mut Wire) -> Result<(u32, Bytes), Gone> {
    loop {
        if let Some(length) = wire.input.first_chunk::<4>() {
            let body = body_length(u32::from_be_bytes(*length), MAX_STRANGER_BYTES)?;
            if body < 4 {
                return Err(Malformed("a first message without a version".to_owned()).into());
            }
            if wire.input.len() >= 4 + body {
                wire.input.advance(4);
                let code = wire.input.get_u32();
                return Ok((code, wire.input.split_to(body - 4).freeze()));
            }
        }
        wire.read().await?;
    }
}

/// Who it is, and what it said at its start; or what to tell it.
type Admitted = Result<(Principal, BTreeMap<String, String>), PgError>;

async fn admit(wire: &mut Wire, version: u32, body: Bytes, port: &Port) -> Result<Admitted, Gone> {
    if version >> 16 != 3 {
        let message = format!("version {}.{} of the protocol is not spoken here, but 3.0", version >> 16, version & 0xffff);
        return Ok(Err(PgError::fatal(PROTOCOL, message)));
    }
    let mut parameters = BTreeMap::new();
    let mut body = Body(body);
    loop {
        let name = body.text()?;
        if name.is_empty() {
            break;
        }
        parameters.insert(name, body.text()?);
    }
    let unknown: Vec<&str> = parameters.keys().map(String::as_str).filter(|name| name.starts_with("_pq_.")).collect();
    if version != VERSION || !unknown.is_empty() {
        wire.out.version(VERSION, &unknown);
    }
    if port.tls.is_some() && matches!(wire.stream, Stream::Plain(_)) {
        let message = "this server speaks with encrypted connections only";
        return Ok(Err(PgError::fatal(NOT_ADMITTED, message).hint("Connect with sslmode=require.")));
    }
    if parameters.contains_key("replication") {
        return Ok(Err(PgError::fatal(NOT_ADMITTED, "there is nothing to replicate here; a push query (EMIT CHANGES) follows changes")));
    }
    let Some(user) = parameters.get("user").filter(|user| !user.is_empty()) else {
        return Ok(Err(PgError::fatal(NOT_ADMITTED, "no PostgreSQL user name specified in startup packet")));
    };
    let Some(access) = &port.access else {
        wire.out.authentication(0);
        return Ok(Ok((Principal::anybody(), parameters)));
    };
    wire.out.authentication(3);
    wire.flush().await?;
    let frame = wire.frame(MAX_STRANGER_BYTES).await?;
    if frame.tag != b'p' {
        return Err(Malformed("something else than a password was sent where one was asked for".to_owned()).into());
    }
    let password = Body(frame.body).text()?;
    let error = match access.by_name(user, &password).await {
        Ok(principal) => {
            wire.out.authentication(0);
            return Ok(Ok((principal, parameters)));
        }
        Err(Refusal::Unauthenticated) => {
            tokio::time::sleep(WRONG_PAUSE).await;
            PgError::fatal(WRONG_PASSWORD, format!("password authentication failed for user \"{user}\""))
        }
        Err(Refusal::Forbidden(message)) => PgError::fatal(NOT_ADMITTED, message),
        Err(Refusal::Busy) => PgError::fatal(TOO_MUCH, "too many passwords are being looked at; try again"),
    };
    Ok(Err(error))
}
