//! Answers that differ from those recorded on purpose, with why. One that matches after all is listed in vain, and told.

/// File, names of exchanges, reason.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    ("01-endpoints", &["POST /close-query no body"], "a request without a body is the client's mistake (400), not the server's (500)"),
    (
        "11-errors-requests",
        &["/ksql no body", "/query no body", "/query-stream no body", "/query-stream empty body"],
        "a request without a body is the client's mistake (400), not the server's (500)",
    ),
    (
        "11-errors-requests",
        &[
            "/ksql malformed JSON",
            "/query malformed JSON",
            "/query-stream malformed JSON",
            "/ksql not UTF-8",
            "/query not UTF-8",
            "/query-stream not UTF-8",
        ],
        "a body that is no JSON is the client's mistake (400), not the server's (500)",
    ),
    ("11-errors-requests", &["11 MB body"], "a 413 says what is too large and which property is the limit"),
    (
        "03-persistent-queries",
        &["CREATE STREAM IF NOT EXISTS q1 AS SELECT * FROM s;"],
        "IF NOT EXISTS holds for a stream that several queries write, too",
    ),
    ("07-admin", &["SHOW PROPERTIES;"], "what a session may change here is told, not what it may change there"),
    (
        "12-pull-queries",
        &["pull: SELECT * FROM ct WHERE lb IS NULL;", "pull: SELECT * FROM cse;"],
        "conditions with IS NULL, and scans of tables by session, are answered",
    ),
    (
        "12-pull-queries",
        &[
            "pull: SELECT k, COUNT(*) FROM ct GROUP BY k;",
            "pull: SELECT COUNT(*) FROM ct;",
            "pull on /query (2): SELECT COUNT(*) FROM ct;",
            "pull: SELECT * FROM ct ORDER BY n;",
        ],
        "queries that join, group, aggregate or order are answered",
    ),
    ("12-pull-queries", &["limit disabled"], "a property that holds for the whole server is refused in a request, not passed over"),
    (
        "14-push-queries",
        &[
            "push /query-stream: SELECT k, EXPLODE(ARRAY[a, 5]) AS e FROM s EMIT CHANGES LIMIT 3;",
            "push /query: SELECT k, EXPLODE(ARRAY[a, 5]) AS e FROM s EMIT CHANGES LIMIT 3;",
        ],
        "EXPLODE takes an array of columns and literals",
    ),
    (
        "17-processing-log",
        &["all rows of the processing log", "fields of the processing log", "all rows of the processing log, accept ksql.v1"],
        "a number that does not fit its column is told once, as a warning",
    ),
];

/// Why an exchange differs on purpose.
pub fn reason(file: &str, exchange: &str) -> Option<&'static str> {
    let mut found = DIFFERENCES.iter().filter(|(of, names, _)| *of == file && names.contains(&exchange));
    found.next().map(|(_, _, reason)| *reason)
}

/// How many are listed for these files.
pub fn count<'f>(files: impl Iterator<Item = &'f str> + Clone) -> usize {
    DIFFERENCES.iter().filter(|(of, ..)| files.clone().any(|file| file == *of)).map(|(_, names, _)| names.len()).sum()
}
