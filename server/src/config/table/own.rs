//! Properties that ksqlDB does not have.

use super::{COUNT, Kind, MS, Property, server};

pub static PROPERTIES: &[Property] = &[
    server(
        "tidemill.data.dir",
        "tidemill-data",
        Kind::Text,
        "Folder of the state and of the embedded log. Where it is not set, `ksql.streams.state.dir` names the folder.",
    )
    .hidden(),
    server("tidemill.workers", "0", COUNT, "Threads that process records; 0: one for each core.").hidden(),
    server("tidemill.state.cache.bytes", "33554432", MS, "Block cache of all state together, bytes.").hidden(),
    server("tidemill.state.overlay.bytes", "268435456", MS, "Changes that wait in memory for a commit, all state together, bytes.")
        .hidden(),
    server("tidemill.http.max.connections", "10000", Kind::Int { min: 1 }, "Connections at a time; more wait.").hidden(),
    server("tidemill.http.max.body.bytes", "10485760", Kind::Int { min: 1024 }, "Bytes of a request's body at most.").hidden(),
];
