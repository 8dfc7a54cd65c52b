//! Environment variables as properties: `KSQL_…` as ksqlDB's image reads them, `TIDEMILL_…` as our own.

use super::streams;
use super::table::{self, properties};

/// `KSQL_KSQL_SERVICE_ID` is `ksql.service.id`.
pub const KSQL: &str = "KSQL_";
/// `TIDEMILL_KSQL_SERVICE_ID` is `ksql.service.id`, `TIDEMILL_DATA_DIR` is `tidemill.data.dir`.
pub const TIDEMILL: &str = "TIDEMILL_";
/// Those that are no properties: the log's filter, and the shell's server.
const RESERVED: [&str; 2] = ["TIDEMILL_LOG", "TIDEMILL_SERVER"];

/// Names that only the image, its scripts or the JVM read; those that end in a dot, with whatever follows.
const IMAGE_NAMES: &[&str] = &[
    "broker.",
    "classpath",
    "cli.",
    "config.dir",
    "connect.",
    "cub.",
    "daemon.",
    "debug",
    "docker.",
    "gc.",
    "heap.opts",
    "home",
    "host.name",
    "hostname",
    "image.",
    "java.",
    "jmx.",
    "jvm.",
    "log.dir",
    "log.",
    "log4j.",
    "log4j2.",
    "opts",
    "server.",
    "sidecar.",
    "version",
    "wait.",
    "zookeeper.",
];

/// What is said of them.
pub const OF_THE_IMAGE: &str = "They are for ksqlDB's image or its JVM.";
/// What is said of those that start a Connect worker inside the image.
const OF_ITS_CONNECT: &str = "They start Kafka Connect inside ksqlDB's image: run it on its own and set ksql.connect.url.";

/// Why a variable of the image has no effect.
pub fn why_inert(variable: &str) -> &'static str {
    if variable.starts_with("KSQL_CONNECT_") { OF_ITS_CONNECT } else { OF_THE_IMAGE }
}

/// What a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    Property(String),
    /// Meant for ksqlDB's image or its JVM.
    OfTheImage,
    /// Nobody's, or a slip; with the name that it was read as.
    Unknown(String),
    NotOurs,
}

/// What a variable is, by its name.
pub fn variable(name: &str) -> Variable {
    if let Some(rest) = name.strip_prefix(KSQL) {
        let name = dotted(rest);
        return match name {
            name if is_property(&name) => Variable::Property(name),
            name if is_of_the_image(&name) => Variable::OfTheImage,
            name => Variable::Unknown(name),
        };
    }
    match name.strip_prefix(TIDEMILL) {
        Some(rest) if !RESERVED.contains(&name) => own(rest).map_or_else(|| Variable::Unknown(dotted(rest)), Variable::Property),
        _ => Variable::NotOurs,
    }
}

fn is_property(name: &str) -> bool {
    table::property(name).is_some() || streams::find(name).is_some() || streams::is_librdkafka(name) || table::prefix(name).is_some()
}

/// Whether only the image, its scripts or the JVM read a name.
pub fn is_of_the_image(name: &str) -> bool {
    IMAGE_NAMES.iter().any(|known| name == known.trim_end_matches('.') || (known.ends_with('.') && name.starts_with(known)))
}

/// As the image's templates have it: lower case; `_` is a dot, `__` an underscore, `___` a dash.
fn dotted(variable: &str) -> String {
    let mut name = String::with_capacity(variable.len());
    let mut rest = variable;
    while let Some(c) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches('_').len();
        let (out, taken) = match run {
            0 => (c.to_ascii_lowercase(), c.len_utf8()),
            1 => ('.', 1),
            2 => ('_', 2),
            _ => ('-', 3),
        };
        name.push(out);
        rest = rest.get(taken..).unwrap_or_default();
    }
    name
}

/// A property whose name, dots and dashes as underscores, is this; those of our own may leave `tidemill.` out.
fn own(variable: &str) -> Option<String> {
    let meant = |known: &str| known.to_ascii_uppercase().replace(['.', '-'], "_") == variable;
    let of_table = properties().map(|p| p.name).find(|name| meant(name) || name.strip_prefix("tidemill.").is_some_and(meant));
    let prefixed = || streams::properties().map(|p| format!("{}{}", streams::PREFIX, p.name)).find(|name| meant(name));
    let bare = || streams::properties().map(|p| p.name).find(|name| meant(name));
    let found = of_table.map(str::to_owned).or_else(prefixed).or_else(|| bare().map(str::to_owned));
    found.or_else(|| Some(dotted(variable)).filter(|name| is_property(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_the_image_reads_them() {
        let property = |name: &str| Variable::Property(name.to_owned());
        for (name, expected) in [
            ("KSQL_LISTENERS", property("listeners")),
            ("KSQL_BOOTSTRAP_SERVERS", property("bootstrap.servers")),
            ("KSQL_KSQL_SERVICE_ID", property("ksql.service.id")),
            ("KSQL_KSQL_STREAMS_PRODUCER_LINGER_MS", property("ksql.streams.producer.linger.ms")),
            ("KSQL_CACHE_MAX_BYTES_BUFFERING", property("cache.max.bytes.buffering")),
            ("KSQL_PRODUCER_INTERCEPTOR_CLASSES", property("producer.interceptor.classes")),
            ("KSQL_KSQL_QUERYANONYMIZER_CLUSTER__NAMESPACE", property("ksql.queryanonymizer.cluster_namespace")),
            ("KSQL_KSQL_FUNCTIONS_MY___UDF_LIMIT", property("ksql.functions.my-udf.limit")),
            ("KSQL_HOST_NAME", Variable::OfTheImage),
            ("KSQL_HEAP_OPTS", Variable::OfTheImage),
            ("KSQL_OPTS", Variable::OfTheImage),
            ("KSQL_LOG4J_ROOT_LOGLEVEL", Variable::OfTheImage),
            ("KSQL_CONNECT_KEY_CONVERTER", Variable::OfTheImage),
            ("KSQL_KSQL_SERVCE_ID", Variable::Unknown("ksql.servce.id".to_owned())),
            ("TIDEMILL_KSQL_SERVICE_ID", property("ksql.service.id")),
            ("TIDEMILL_DATA_DIR", property("tidemill.data.dir")),
            ("TIDEMILL_KSQL_STREAMS_COMMIT_INTERVAL_MS", property("ksql.streams.commit.interval.ms")),
            ("TIDEMILL_KSQL_STREAMS_PRODUCER_ACKS", property("ksql.streams.producer.acks")),
            ("TIDEMILL_NO_SUCH", Variable::Unknown("no.such".to_owned())),
            ("TIDEMILL_LOG", Variable::NotOurs),
            ("PATH", Variable::NotOurs),
        ] {
            assert_eq!(variable(name), expected, "{name}");
        }
    }
}
