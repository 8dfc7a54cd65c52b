#!/usr/bin/env python3
"""Drives a server with a public client library as it is, call by call.

    python_clients.py CLIENT URL

Prints one JSON object: of each call `ok`, `-` where the library has none, or what went wrong. Names of what it makes begin with the
client's, so that several can use one server.
"""

import asyncio
import json
import sys
import time
import warnings

PATIENCE_S = 30
EARLIEST = {"auto.offset.reset": "earliest"}


class KsqlPythonNg:
    """PyPI ksql-python-ng."""

    def __init__(self, url):
        from ksql import KSQLAPI

        self.api = KSQLAPI(url)

    def ksql(self, sql):
        return self.api.ksql(sql, stream_properties=EARLIEST)

    def pull(self, sql):
        chunks = "".join(self.api.query(sql, use_http2=True))
        return [json.loads(line) for line in chunks.splitlines()[1:] if line]

    def push(self, sql):
        for chunk in self.api.query(sql, stream_properties=EARLIEST, use_http2=True):
            for line in chunk.splitlines():
                parsed = json.loads(line)
                yield parsed["queryId"] if isinstance(parsed, dict) else parsed

    def insert(self, stream, row):
        return self.api.inserts_stream(stream, [row])[0]["status"] == "ok"

    def close(self, query):
        return self.api.close_query(query)

    def info(self):
        return self.api.get_ksql_version()


class Ksqldb:
    """PyPI ksqldb."""

    def __init__(self, url):
        from ksqldb import KSQLdbClient

        self.api = KSQLdbClient(url)

    def ksql(self, sql):
        return self.api.ksql(sql, stream_properties=EARLIEST)

    def pull(self, sql):
        return self.api.query_sync(sql)[1:]

    def push(self, sql):
        loop = asyncio.new_event_loop()
        rows = self.api.query_async(sql, stream_properties=EARLIEST, timeout=PATIENCE_S)
        try:
            while True:
                parsed = loop.run_until_complete(rows.__anext__())
                yield parsed["queryId"] if isinstance(parsed, dict) else parsed
        except StopAsyncIteration:
            pass
        finally:
            loop.run_until_complete(rows.aclose())
            loop.close()

    def insert(self, stream, row):
        return self.api.inserts_stream(stream, [row])[0]["status"] == "ok"

    def close(self, query):
        return self.api.close_query(query)


class KsqldbClient:
    """PyPI ksqldb-client: answers as models, each read as a whole."""

    def __init__(self, url):
        from ksqldb_client import KSqlDBClient

        warnings.simplefilter("ignore")
        self.api = KSqlDBClient(url)

    def ksql(self, sql):
        answer = self.api.ksql(sql, stream_properties=EARLIEST)
        return [item.model_dump(by_alias=True) for item in answer]

    def pull(self, sql):
        return [item.row.columns for item in self.api.query(sql).root if hasattr(item, "row")]

    def limited(self, sql):
        return [item.row.columns for item in self.api.query(sql, stream_properties=EARLIEST).root if hasattr(item, "row")]

    def status(self, command):
        return self.api.status(command).status

    def info(self):
        return self.api.info().ksql_server_info.version


class Jetblack:
    """PyPI jetblack-ksql-dbapi, all over HTTP/2: the client below its cursors, whose grammar the published package lacks."""

    def __init__(self, url):
        from jetblack_ksql_dbapi._ksql_client import KsqlDbClient

        self.api = KsqlDbClient(url)

    def ksql(self, sql):
        answer = self.api.ksql(sql, streams_properties=EARLIEST)
        return answer if isinstance(answer, list) else list(answer)

    def pull(self, sql):
        return [list(row.values()) for row in self.api.query_stream(sql)]

    def push(self, sql):
        rows = self.api.query_stream(sql, properties=EARLIEST)
        try:
            first = next(rows)
            # The library keeps the query's id to itself.
            yield push_queries(self)[0]
            yield list(first.values())
            for row in rows:
                yield list(row.values())
        finally:
            rows.close()

    def insert(self, stream, row):
        return next(iter(self.api.inserts_stream(stream, [row])))["status"] == "ok"

    def close(self, query):
        return self.api.close_query(query)

    def status(self, command):
        return self.api.queury_status(command)["status"]

    def info(self):
        return self.api.info()["KsqlServerInfo"]["version"]


CLIENTS = {"ksql-python-ng": KsqlPythonNg, "ksqldb": Ksqldb, "ksqldb-client": KsqldbClient, "jetblack-ksql-dbapi": Jetblack}


def until(what, found):
    """Asks until the answer is a good one."""
    began = time.monotonic()
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() - began > PATIENCE_S:
            raise AssertionError(f"{what}: {answer!r}")
        time.sleep(0.05)


def queries(client):
    return client.ksql("SHOW QUERIES;")[0]["queries"]


def push_queries(client):
    return [query["id"] for query in queries(client) if query.get("queryType") == "PUSH"]


class Script:
    """The calls, in order. What comes later builds on what came before."""

    def __init__(self, client, name):
        self.client = client
        self.stream, self.table = f"{name}_s", f"{name}_t"

    def info(self):
        assert self.client.info()

    def create(self):
        (made,) = self.client.ksql(
            f"CREATE STREAM {self.stream} (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{self.stream}', PARTITIONS=1, VALUE_FORMAT='JSON');"
        )
        assert made["commandStatus"]["status"] == "SUCCESS", made

    def create_as(self):
        (made,) = self.client.ksql(f"CREATE TABLE {self.table} AS SELECT k, SUM(n) AS total FROM {self.stream} GROUP BY k;")
        # Some libraries can't read the status of a statement that began no query.
        self.query, self.command = made["commandStatus"]["queryId"], made["commandId"]

    def insert_sql(self):
        assert self.client.ksql(f"INSERT INTO {self.stream} (k, n) VALUES ('a', 1);") == []

    def insert_api(self):
        assert self.client.insert(self.stream, {"k": "a", "n": 2})

    def pull(self):
        sql = f"SELECT k, total FROM {self.table} WHERE k = 'a';"
        until("the row", lambda: [row for row in self.client.pull(sql) if row[0] == "a" and row[1] > 0])

    def push(self):
        if not hasattr(self.client, "push"):
            rows = self.client.limited(f"SELECT k, n FROM {self.stream} EMIT CHANGES LIMIT 1;")
            assert [list(row) for row in rows] == [["a", 1]], rows
            return
        rows = self.begin()
        assert next(rows) == ["a", 1]
        self.stop(rows)

    def stop(self, rows):
        self.client.ksql(f"TERMINATE {self.pushed};")
        assert all(isinstance(row, list) for row in rows)
        self.ended()

    def begin(self):
        rows = self.client.push(f"SELECT k, n FROM {self.stream} EMIT CHANGES;")
        self.pushed = next(rows)
        return rows

    def ended(self):
        until("the query ends", lambda: self.pushed not in push_queries(self.client))

    def close(self):
        rows = self.begin()
        assert next(rows) == ["a", 1]
        assert self.client.close(self.pushed)
        assert all(isinstance(row, list) for row in rows)
        self.ended()

    def terminate_push(self):
        rows = self.begin()
        assert next(rows) == ["a", 1]
        self.stop(rows)

    def hang_up(self):
        rows = self.begin()
        assert next(rows) == ["a", 1]
        rows.close()
        self.ended()

    def lists(self):
        streams, tables, topics = (self.client.ksql(f"SHOW {what};")[0] for what in ("STREAMS", "TABLES", "TOPICS"))
        assert self.stream.upper() in json.dumps(streams) and tables and topics

    def describe(self):
        assert self.client.ksql(f"DESCRIBE {self.table};")

    def status(self):
        assert self.client.status(self.command) == "SUCCESS"

    def terminate(self):
        self.client.ksql(f"TERMINATE {self.query};")
        assert self.query not in [query["id"] for query in queries(self.client)]


CALLS = [
    ("info", "info"),
    ("CREATE STREAM", "create"),
    ("CREATE TABLE AS", "create_as"),
    ("INSERT VALUES", "insert_sql"),
    ("insert API", "insert_api"),
    ("pull", "pull"),
    ("push", "push"),
    ("stop: close", "close"),
    ("stop: TERMINATE", "terminate_push"),
    ("stop: hang up", "hang_up"),
    ("lists", "lists"),
    ("describe", "describe"),
    ("status", "status"),
    ("TERMINATE", "terminate"),
]
# What a call needs of a library.
NEEDS = {"info": "info", "insert_api": "insert", "close": "push", "terminate_push": "push", "hang_up": "push", "status": "status"}


def main(name, url):
    client = CLIENTS[name](url)
    script = Script(client, name.replace("-", "_"))
    outcome = {}
    for call, method in CALLS:
        needed = NEEDS.get(method)
        if needed and not hasattr(client, needed):
            outcome[call] = "-"
            continue
        try:
            getattr(script, method)()
            outcome[call] = "ok"
        except Exception as error:  # whatever a library makes of an answer is told
            outcome[call] = f"{type(error).__name__}: {error}"
    print(json.dumps(outcome))


main(*sys.argv[1:])
