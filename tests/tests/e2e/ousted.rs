//! Whoever is not let in any more is not served any more, on connections and answers that began before that as well.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use tidemill_tests::server::free_port;

use crate::access::{add, ask, basic, begin_push, guarded, sql, tidemill};

const PATIENCE: Duration = Duration::from_secs(30);

/// A message of PostgreSQL's protocol; the first of a connection has no tag.
fn message(tag: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("short");
    [tag.as_slice(), &length.to_be_bytes(), body].concat()
}

/// A connection for PostgreSQL that is logged in.
fn postgres(address: SocketAddr, user: &str, password: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let begin = message(None, format!("\0\x03\0\0user\0{user}\0\0").as_bytes());
    stream.write_all(&[begin, message(Some(b'p'), format!("{password}\0").as_bytes())].concat()).expect("sent");
    until_ready(&mut stream);
    stream
}

/// What is said until the next statement may come, which is asserted to be so.
fn until_ready(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    loop {
        let (mut head, mut length) = ([0], [0; 4]);
        stream.read_exact(&mut head).and_then(|()| stream.read_exact(&mut length)).unwrap_or_else(|error| panic!("{error}: {said}"));
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("short") - 4];
        stream.read_exact(&mut body).expect("a whole message");
        said += &String::from_utf8_lossy(&body);
        if head == *b"Z" {
            return said;
        }
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it ends");
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn what_lasts_ends_when_a_login_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let (server, [rita, walt, ..]) = guarded(folder.path(), &format!("tidemill.postgres.listen={address}\n"));
    let users = folder.path().join("users").display().to_string();
    let create = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";
    assert_eq!(ask(&server, "POST", "/ksql", Some(&walt), &sql(create)).status, 200);
    let (pushed, _) = begin_push(&server, &rita);
    let (of_walt, _) = begin_push(&server, &walt);
    let mut printed = TcpStream::connect(server.address()).expect("a connection");
    printed.set_read_timeout(Some(PATIENCE)).expect("set");
    let body = json!({"ksql": "PRINT s FROM BEGINNING;"}).to_string();
    let head = format!("POST /query HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {rita}\r\nContent-Length: {}", body.len());
    printed.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("asked");
    let (idle, mut writer) = (postgres(address, "rita", "rita's password"), postgres(address, "walt", "walt's password"));
    let insert = message(Some(b'Q'), b"INSERT INTO s (k, n) VALUES ('a', 1)\0");
    writer.write_all(&insert).expect("sent");
    assert!(until_ready(&mut writer).contains("INSERT 0 1"));

    assert!(tidemill(&["user", "remove", "rita", "--file", &users], "").status.success());
    let gone = "the login of user 'rita' does not hold any more";
    for (what, connection) in [("a push query", pushed), ("PRINT", printed), ("an idle session", idle)] {
        let rest = rest(connection);
        assert!(rest.contains(gone), "{what}: {rest}\n{}", server.log());
    }

    // A lesser role ends the session that might do more, and no query that still may go on.
    writer.write_all(&insert).expect("sent");
    assert!(until_ready(&mut writer).contains("INSERT 0 1"), "another's end is not its own");
    add(&users, "walt", "read", "walt's password");
    let said = rest(writer);
    // The hash has another salt, so that it may be another password as well.
    assert!(said.contains("user 'walt'") && said.contains("FATAL"), "{said}");
    drop(of_walt);
    let mut again = postgres(address, "walt", "walt's password");
    again.write_all(&insert).expect("sent");
    assert!(until_ready(&mut again).contains("needs the role write"));
    assert_eq!(ask(&server, "GET", "/info", Some(&basic("rita", "rita's password")), &serde_json::Value::Null).status, 401);
}
