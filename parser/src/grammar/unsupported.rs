//! What other dialects of SQL have and this one has not: each is refused by its name, with what to write instead.

use sqlparser::tokenizer::Token;

use crate::ast::Span;
use crate::error::Fault;
use crate::tokens::{TokenExt, is_word};

use super::Grammar;

/// A word that begins it, its name, and what to do instead.
type Row = (&'static str, &'static str, &'static str);

/// Where rights are said.
const OF_USERS: &str = "Users and their roles stand in a file of the server's (tidemill user add); rights on topics are Kafka's.";

/// First words of statements.
const STATEMENTS: &[Row] = &[
    // The last line is ksqlDB's: scripts may look for it.
    (
        "DELETE",
        "DELETE",
        "A record with the key and no value, written to the table's topic by a Kafka client, deletes the row.\n(As a name it is quoted: \
         \"DELETE\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by escaping it as 'DELETE')",
    ),
    ("UPDATE", "UPDATE", "INSERT INTO a table with the same key replaces its row."),
    ("MERGE", "MERGE", "INSERT INTO a table with the same key replaces its row."),
    ("UPSERT", "UPSERT", "INSERT INTO a table with the same key replaces its row."),
    ("REPLACE", "REPLACE", "INSERT INTO a table with the same key replaces its row."),
    ("TRUNCATE", "TRUNCATE", "DROP … DELETE TOPIC deletes a stream or table with its records."),
    ("WITH", "WITH in front of a query", "Give each inner query a name by CREATE STREAM … AS SELECT, and select from that."),
    ("VALUES", "VALUES as a statement", "Write INSERT INTO … VALUES (…)."),
    ("USE", "USE", "There is one space of names; a server has its own (ksql.service.id)."),
    ("BEGIN", "BEGIN", "Each statement stands for itself; there are no transactions."),
    ("COMMIT", "COMMIT", "Each statement stands for itself; there are no transactions."),
    ("ROLLBACK", "ROLLBACK", "Each statement stands for itself; there are no transactions."),
    ("GRANT", "GRANT", OF_USERS),
    ("REVOKE", "REVOKE", OF_USERS),
    ("COPY", "COPY", "Write records to the topic with a Kafka client, or INSERT INTO … VALUES."),
    ("LOAD", "LOAD", "Write records to the topic with a Kafka client, or INSERT INTO … VALUES."),
    ("EXPORT", "EXPORT", "Read the topic with a Kafka client, or SELECT with the shell's --output csv."),
    ("CALL", "CALL", "There are no procedures."),
    ("ANALYZE", "ANALYZE", "EXPLAIN shows a query's plan."),
];

/// What can be created, dropped or shown elsewhere.
const THINGS: &[Row] = &[
    ("VIEW", "A view", "CREATE STREAM … AS SELECT, or CREATE TABLE … AS SELECT, keeps a query's result up to date."),
    ("MATERIALIZED", "A materialized view", "CREATE TABLE … AS SELECT is one: it keeps a query's result up to date."),
    ("INDEX", "An index", "A table is found by its key; make another table with the key that is asked for."),
    ("UNIQUE", "A unique index", "A table holds one row for each PRIMARY KEY."),
    ("DATABASE", "A database", "There is one space of names; a server has its own (ksql.service.id)."),
    ("DATABASES", "A database", "There is one space of names. SHOW STREAMS and SHOW TABLES list it."),
    ("SCHEMA", "A schema", "There is one space of names; a server has its own (ksql.service.id)."),
    (
        "SCHEMAS",
        "SCHEMAS",
        "The Schema Registry lists its schemas at /subjects. There is one space of names; SHOW STREAMS and SHOW TABLES list it.",
    ),
    ("SUBJECTS", "SUBJECTS", "The Schema Registry lists its schemas at /subjects; DESCRIBE shows the columns of a stream or table."),
    ("VIEWS", "A view", "SHOW TABLES and SHOW STREAMS list what queries keep up to date."),
    ("COLUMNS", "SHOW COLUMNS", "DESCRIBE shows the columns of a stream or table."),
    ("FUNCTION", "A function of one's own", "SHOW FUNCTIONS lists those that there are."),
    ("TEMPORARY", "A temporary table", "Leave the word out, and DROP the table when it has served."),
    ("TEMP", "A temporary table", "Leave the word out, and DROP the table when it has served."),
    ("EXTERNAL", "An external table", "Leave the word out: WITH (KAFKA_TOPIC=…) says where the records are."),
    ("USER", "A user", OF_USERS),
    ("ROLE", "A role", OF_USERS),
];

/// What can follow a query, or a part of one, elsewhere. Some of these words may have passed as an alias.
const CLAUSES: &[Row] = &[
    ("ORDER", "ORDER BY", "Rows come in the order of their topic or of the table; sort them where they are read."),
    ("SORT", "SORT BY", "Rows come in the order of their topic or of the table; sort them where they are read."),
    ("UNION", "UNION", "Write both queries into one stream: CREATE STREAM … AS SELECT, then INSERT INTO … SELECT."),
    ("INTERSECT", "INTERSECT", "Join the two on their keys."),
    ("EXCEPT", "EXCEPT", "LEFT JOIN the two on their keys, and keep the rows WHERE the right key IS NULL."),
    ("MINUS", "MINUS", "LEFT JOIN the two on their keys, and keep the rows WHERE the right key IS NULL."),
    ("OFFSET", "OFFSET", "LIMIT alone can stand here."),
    ("FETCH", "FETCH", "Write LIMIT and a number."),
    ("QUALIFY", "QUALIFY", "Filter the result with another query."),
    ("OVER", "OVER", "Aggregate with GROUP BY, in a WINDOW of time where one is wanted."),
    ("CROSS", "CROSS JOIN", "Streams and tables are joined by JOIN … ON."),
    ("NATURAL", "NATURAL JOIN", "Streams and tables are joined by JOIN … ON."),
    ("USING", "USING", "Write ON a.k = b.k."),
    ("LATERAL", "LATERAL", "EXPLODE(array) in the projection gives a row for each element."),
    ("RETURNING", "RETURNING", "SELECT … EMIT CHANGES shows what is written."),
    ("FOR", "FOR", "Rows are not locked."),
    ("ILIKE", "ILIKE", "Write UCASE(text) LIKE 'PATTERN'."),
];

/// What can follow a column's type elsewhere.
const CONSTRAINTS: &[Row] = &[
    ("NOT", "NOT NULL", "Every column but a table's key may hold null; leave it out."),
    ("NULL", "NULL", "Every column but a table's key may hold null; leave it out."),
    ("DEFAULT", "DEFAULT", "A column that a record lacks is null; IFNULL gives it another value in a query."),
    ("UNIQUE", "UNIQUE", "A table holds one row for each PRIMARY KEY."),
    ("CHECK", "CHECK", "Filter with WHERE in a query."),
    ("REFERENCES", "REFERENCES", "Leave it out; a join says how tables belong together."),
    ("COMMENT", "COMMENT", "Leave it out, or write a comment behind --."),
];

/// How a select list can begin elsewhere.
const SELECTS: &[Row] = &[
    ("DISTINCT", "SELECT DISTINCT", "Group by the columns: SELECT a, COUNT(*) FROM s GROUP BY a."),
    ("ALL", "SELECT ALL", "Leave the word out: all rows are selected."),
    ("TOP", "SELECT TOP", "Write LIMIT and a number behind the query."),
];

fn row(rows: &[Row], token: &Token) -> Option<Row> {
    rows.iter().find(|(word, ..)| is_word(token, word)).copied()
}

/// The fault: `span` is where the statement can't go on.
fn fault(span: Span, (_, what, instead): Row) -> Fault {
    Fault::syntax(span, format!("{what} is not supported")).hint(instead)
}

impl Grammar<'_> {
    /// The statement that begins here is one of other dialects.
    pub(super) fn foreign_statement(&self) -> Option<Fault> {
        let row = row(STATEMENTS, &self.p.ahead(0).token)?;
        let fault = fault(self.p.here(), row);
        // Scripts may look for ksqlDB's words.
        Some(Fault { message: format!("Unknown statement '{}'\n{}", self.p.found(), fault.message), ..fault })
    }

    /// After CREATE, DROP, ALTER or SHOW: something of other dialects.
    pub(super) fn foreign_thing(&self) -> Option<Fault> {
        row(THINGS, &self.p.ahead(0).token).map(|row| fault(self.p.here(), row))
    }

    /// A clause of other dialects stands here, or passed as an alias just before: what is said of it. The message in front
    /// of it is the grammar's own, which scripts may look for.
    pub(super) fn foreign_clause(&self) -> Option<String> {
        let here = match self.p.at_token(&Token::DoubleColon) {
            true => Some(("::", "A cast by ::", "Write CAST(value AS type).")),
            false => row(CLAUSES, &self.p.ahead(0).token),
        };
        let (_, what, instead) = here.or_else(|| row(CLAUSES, &self.p.get_current_token().token))?;
        Some(format!("{what} is not supported. {instead}"))
    }

    /// After a column's type: a constraint of other dialects.
    pub(super) fn foreign_constraint(&self) -> Option<Fault> {
        row(CONSTRAINTS, &self.p.ahead(0).token).map(|row| fault(self.p.here(), row))
    }

    /// After SELECT: a word of other dialects. TOP is a name where nothing but a number shows what it is.
    pub(super) fn foreign_select(&self) -> Option<Fault> {
        let (word, ..) = row(SELECTS, &self.p.ahead(0).token)?;
        if word == "TOP" && !matches!(self.p.ahead(1).token, Token::Number(..)) {
            return None;
        }
        row(SELECTS, &self.p.ahead(0).token).map(|row| fault(self.p.here(), row))
    }
}
