//! Arrow Flight SQL: ADBC's driver into pandas and polars, users and TLS, and who has nothing good in mind. What is not installed is
//! said: `SKIPPED: …`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidemill_tests::broker::{BrokerError, unavailable};
use tidemill_tests::python;
use tidemill_tests::server::{ServerProcess, free_port};

use crate::postgres::{Locked, STATEMENTS, locked};

const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    server: ServerProcess,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let server = ServerProcess::start(&folder.path().join("data"), &["--flight-sql", &address.to_string()]);
    World { server, address, folder }
}

fn run(server: &ServerProcess, arguments: &[&str], last: &str) {
    match python::run_script("flight_sql.py", arguments) {
        Ok(said) => assert!(said.ends_with(last), "{said}"),
        Err(error @ BrokerError::Missing(_)) => {
            let _: Option<()> = unavailable("ADBC's driver of Flight SQL", &error);
        }
        Err(BrokerError::Failed(said)) => panic!("{said}\n{}", server.log()),
    }
}

#[test]
fn pandas_and_polars_ask_and_write() {
    let World { server, address, folder } = world();
    server.ksql(STATEMENTS);
    server.pull_until("SELECT * FROM per_page;", PATIENCE, |rows| rows.len() == 3);
    server.pull_until("SELECT * FROM people;", PATIENCE, |rows| rows.len() == 2);
    // The manual's example, at this server.
    let manual = include_str!("../../../docs/queries.md");
    let (_, part) = manual.split_once("## From Arrow").expect("a part on Flight SQL");
    let example = part.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let file = folder.path().join("example.py");
    std::fs::write(&file, example.replace("127.0.0.1:8089", &address.to_string())).expect("written");
    let uri = format!("grpc://{address}");
    run(&server, &["--uri", &uri, "--example", &file.display().to_string()], "pandas and polars asked and wrote");
    assert!(server.log().contains(&format!("listening on {uri}")), "{}", server.log());
}

#[test]
fn flight_sql_asks_who_it_is_and_encrypts() {
    let users = [("ann", "write", "pw of ann"), ("bob", "read", "pw of bob")];
    let Some(world) = locked("tidemill.flight.sql.listen", &users) else { return };
    let Locked { server, address, roots, .. } = &world;
    run(server, &["--uri", &format!("grpc+tls://{address}"), "--roots", roots], "users are known");
    let log = server.log();
    assert!(!log.contains("pw of") && log.contains("ann at"), "{log}");
}

/// What is answered to bytes, until the connection is closed.
fn answered(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("sent");
    let mut read = Vec::new();
    // A connection that is reset is closed, too.
    let _ = stream.read_to_end(&mut read);
    read
}

#[test]
fn nonsense_at_flight_sql_s_port_is_closed_and_half_a_call_holds_nobody_up() {
    let World { server, address, folder: _folder } = world();
    let halves: Vec<TcpStream> =
        [&b""[..], b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12"]
            .into_iter()
            .map(|bytes| {
                let mut stream = TcpStream::connect(address).expect("a connection");
                stream.write_all(bytes).expect("sent");
                stream
            })
            .collect();
    answered(address, b"\x16\x03\x01 this is no handshake \xff\xfe\r\n\r\n");
    answered(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame, and longer than one may be");
    for call in [
        &b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"[..],
        b"POST /arrow.flight.protocol.FlightService/DoGet HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\nconnection: close\r\n\r\n",
    ] {
        let said = answered(address, call);
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with("HTTP/1.1 415") && said.contains("Arrow Flight SQL"), "{said}");
    }
    assert!(server.log().contains("something else than gRPC came to the port of Flight SQL"), "{}", server.log());
    assert_eq!(server.request("GET", "/info", None).expect("an answer").0, 200);
    drop(halves);
}
