//! Answers that differ from those recorded on purpose, with why. One that matches after all is listed in vain, and told, but where
//! it says itself that it may match.

/// Why answers differ.
pub struct Difference {
    pub reason: &'static str,
    /// Whether some of them match in some runs.
    sometimes: bool,
    /// File and name of each exchange.
    exchanges: &'static [(&'static str, &'static str)],
}

const fn always(reason: &'static str, exchanges: &'static [(&'static str, &'static str)]) -> Difference {
    Difference { reason, sometimes: false, exchanges }
}

const fn sometimes(reason: &'static str, exchanges: &'static [(&'static str, &'static str)]) -> Difference {
    Difference { reason, sometimes: true, exchanges }
}

/// As many kinds as there may be.
pub const MOST: usize = 20;
/// And exchanges. Lower it when fewer differ; never raise it.
const MOST_EXCHANGES: usize = 42;

const DIFFERENCES: &[Difference] = &[
    always(
        "a request without a body is the client's mistake: 400, with what is missing. After a 500 clients try again what can never \
         work, and alarms for a broken server ring; an HTTP/2 client that gets no answer at all waits for ever",
        &[
            ("01-endpoints", "POST /close-query no body"),
            ("11-errors-requests", "/ksql no body"),
            ("11-errors-requests", "/query no body"),
            ("11-errors-requests", "/query-stream no body"),
            ("11-errors-requests", "/query-stream empty body"),
            ("15-inserts-stream", "empty body h2"),
        ],
    ),
    always(
        "a body or a value that can't be read is the client's mistake: 400, with the place of what is wrong in it. After a 500 that \
         names nothing clients try again what can never work, and whoever sent it has to read the server's log",
        &[
            ("11-errors-requests", "/ksql malformed JSON"),
            ("11-errors-requests", "/query malformed JSON"),
            ("11-errors-requests", "/query-stream malformed JSON"),
            ("11-errors-requests", "/ksql not UTF-8"),
            ("11-errors-requests", "/query not UTF-8"),
            ("11-errors-requests", "/query-stream not UTF-8"),
            ("15-inserts-stream", "bad base64"),
        ],
    ),
    always(
        "a 413 says what is too large and which property is the limit: an empty one leaves its reader to guess whose limit it was",
        &[("11-errors-requests", "11 MB body")],
    ),
    always(
        "a script can be run again: IF NOT EXISTS does nothing where the stream is there, also where several queries write it",
        &[("03-persistent-queries", "CREATE STREAM IF NOT EXISTS q1 AS SELECT * FROM s;")],
    ),
    always(
        "`editable` says what SET takes here: nobody is offered a setting that is refused, or kept from one that works",
        &[("07-admin", "SHOW PROPERTIES;")],
    ),
    always(
        "a question about rows that are there is answered: conditions with IS NULL are refused there, and a scan of a table by session \
         finds none of its rows",
        &[("12-pull-queries", "pull: SELECT * FROM ct WHERE lb IS NULL;"), ("12-pull-queries", "pull: SELECT * FROM cse;")],
    ),
    always(
        "a property that holds for the whole server is refused in a request: who had it passed over would rely on what is not so",
        &[("12-pull-queries", "limit disabled")],
    ),
    always(
        "EXPLODE takes an array of columns and literals, in push queries as in queries that stay",
        &[
            ("14-push-queries", "push /query-stream: SELECT k, EXPLODE(ARRAY[a, 5]) AS e FROM s EMIT CHANGES LIMIT 3;"),
            ("14-push-queries", "push /query: SELECT k, EXPLODE(ARRAY[a, 5]) AS e FROM s EMIT CHANGES LIMIT 3;"),
        ],
    ),
    always(
        "a number that wraps around in its column is told once, as a warning: wrong values that nothing tells of are found too late",
        &[
            ("17-processing-log", "all rows of the processing log"),
            ("17-processing-log", "fields of the processing log"),
            ("17-processing-log", "all rows of the processing log, accept ksql.v1"),
        ],
    ),
    always(
        "the steps of a query are those that are run here, so that what is slow can be found; there are no topologies of Kafka Streams",
        &[
            ("07-admin", "SHOW QUERIES EXTENDED;"),
            ("09-explain-print", "EXPLAIN CTAS_CT_13;"),
            ("09-explain-print", "EXPLAIN CTAS_CW_15;"),
            ("09-explain-print", "EXPLAIN SELECT s.k, t.x FROM s JOIN t ON s.k=t.id EMIT CHANGES;"),
        ],
    ),
    always("the embedded log needs no topics to restore state from", &[("07-admin", "SHOW ALL TOPICS;")]),
    always(
        "signatures say what can be written: a separator is an argument of its own, keys of a map have any type, names of arguments \
         are names and not sentences",
        &[
            ("08-describe-function", "DESCRIBE FUNCTION CONCAT_WS;"),
            ("08-describe-function", "DESCRIBE FUNCTION MAP_KEYS;"),
            ("08-describe-function", "DESCRIBE FUNCTION MASK;"),
        ],
    ),
    always(
        "the text beside an error is the statement that was sent, so whoever sent several knows which one failed; there it is an \
         expression or a name of it",
        &[
            ("02-ddl", "DESCRIBE `lower Case`;"),
            ("10-errors-statements", "CREATE TABLE x AS SELECT k, COUNT(*) AS n FROM s WHERE COUNT(*) > 1 GROUP BY k;"),
        ],
    ),
    sometimes(
        "each change of a table is sent at once, in the order of the records that made it: there a cache holds changes back, up to \
         its next commit, and leaves out those in between",
        &[
            ("09-explain-print", "query: PRINT 'CW' FROM BEGINNING LIMIT 1;"),
            ("14-push-queries", "push /query-stream: SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES LIMIT 2;"),
            ("14-push-queries", "push /query-stream: SELECT * FROM cw EMIT CHANGES LIMIT 2;"),
            (
                "14-push-queries",
                "push /query: SELECT k, WINDOWSTART, WINDOWEND, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k EMIT CHANGES LIMIT 2;",
            ),
            ("14-push-queries", "push /query: SELECT s.k, s.a, src.x FROM s JOIN src ON s.a = src.id EMIT CHANGES LIMIT 1;"),
            ("16-websocket", "ws push: SELECT * FROM ct EMIT CHANGES LIMIT 1;"),
            ("16-websocket", "ws push: SELECT * FROM cw EMIT CHANGES LIMIT 1;"),
        ],
    ),
    sometimes("whether a good row before a bad one is written varies", &[("15-inserts-stream", "read back s")]),
];

/// Why an exchange differs on purpose.
pub fn difference(file: &str, exchange: &str) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| difference.exchanges.contains(&(file, exchange)))
}

impl Difference {
    /// Whether it is no wonder that an exchange matches after all.
    pub fn may_match(&self) -> bool {
        self.sometimes
    }
}

/// How many exchanges are listed for these files.
pub fn count<'f>(files: impl Iterator<Item = &'f str> + Clone) -> usize {
    let listed = DIFFERENCES.iter().flat_map(|difference| difference.exchanges);
    listed.filter(|(of, _)| files.clone().any(|file| file == *of)).count()
}

#[test]
fn differences_are_few() {
    assert!(DIFFERENCES.len() <= MOST, "{} kinds", DIFFERENCES.len());
    let exchanges: usize = DIFFERENCES.iter().map(|difference| difference.exchanges.len()).sum();
    assert!(exchanges <= MOST_EXCHANGES, "{exchanges} exchanges");
}
