"""Drivers of PostgreSQL against a server: psycopg, asyncpg, SQLAlchemy with pandas. Ends with a line that says what was done."""

import argparse
import asyncio
import datetime
import decimal
import threading

import asyncpg
import pandas
import psycopg
import sqlalchemy
from psycopg import sql


def check(found, expected, what):
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, not {expected!r}")


def fails(code, run, what):
    try:
        run()
    except psycopg.Error as error:
        check(error.sqlstate, code, what)
        return error
    raise SystemExit(f"{what}: not refused")


def copies_in(connection, cursor):
    cursor.execute("CREATE STREAM copied (id INT KEY, word STRING, paid DECIMAL(5, 2)) WITH (kafka_topic='copied', partitions=2, value_format='JSON')")
    with cursor.copy("COPY copied (id, word, paid) FROM STDIN") as copy:
        for n in range(2000):
            copy.write_row((n, None if n == 7 else f"w\t{n}", decimal.Decimal("1.25")))
    check(cursor.rowcount, 2000, "rows that were copied")
    row = cursor.execute("SELECT COUNT(*), COUNT(word), SUM(paid) FROM copied").fetchone()
    check(row, (2000, 1999, decimal.Decimal("2500.00")), "they are there")
    # Bytes as they come, whatever their bounds.
    with cursor.copy("COPY copied (id, word) FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
        for part in ("id,wo", "rd\n3000,\"two\n", "lines\"", "\n3001,", "last"):
            copy.write(part)
    check(cursor.execute("SELECT word FROM copied WHERE id >= 3000 ORDER BY id").fetchall(), [("two\nlines",), ("last",)], "in parts")

    def wrong():
        with cursor.copy("COPY copied (id, word) FROM STDIN") as copy:
            copy.write("4000\tx\nnone\ty\n4001\tz\n")

    error = fails("22P02", wrong, "a wrong row")
    check(error.diag.context, 'COPY copied, line 2, column id: "none"', "where it is")

    class Gone(Exception):
        pass

    try:
        with cursor.copy("COPY copied (id, word) FROM STDIN") as copy:
            copy.write("5000\tx\n")
            raise Gone
    except Gone:
        pass
    fails("0A000", lambda: cursor.copy("COPY copied FROM STDIN (FORMAT BINARY)").__enter__(), "the binary format")
    row = cursor.execute("SELECT COUNT(*) FROM copied WHERE id IN (4000, 4001)").fetchone()
    check(row, (1,), "the row before a wrong one stays, and the connection goes on")
    cursor.execute("PREPARE plus (int, text) AS SELECT $1 + 1, $2")
    check(cursor.execute("EXECUTE plus(41, 'x')").fetchone(), (42, "x"), "EXECUTE")
    cursor.execute("DEALLOCATE plus")
    fails("26000", lambda: cursor.execute("EXECUTE plus(1, 'x')"), "no longer prepared")


def of_psycopg(host, port):
    with psycopg.connect(host=host, port=port, user="any", dbname="tidemill", autocommit=True) as connection:
        cursor = connection.cursor()
        rows = cursor.execute("SELECT page, n FROM per_page WHERE n >= %s ORDER BY page", (1,)).fetchall()
        check(rows, [("a", 2), ("b", 1), ("c", 1)], "a parameter")
        check([column.name for column in cursor.description], ["page", "n"], "names")
        rows = cursor.execute("SELECT n FROM Per_Page WHERE PAGE = %s", ("a",)).fetchall()
        check(rows, [(2,)], "a text, and names in any case of letters")
        query = sql.SQL("SELECT {} FROM {} WHERE {} = %s").format(sql.Identifier("n"), sql.Identifier("per_page"), sql.Identifier("page"))
        check(cursor.execute(query, ("b",)).fetchall(), [(1,)], "quoted names")
        for binary in (False, True):
            row = connection.cursor(binary=binary).execute("SELECT * FROM people WHERE name = 'ann'").fetchone()
            expected = (
                "ann",
                {"CITY": "Ulm", "TAGS": ["x", "y"]},
                {"k": 7},
                decimal.Decimal("12.50"),
                datetime.date(2001, 2, 3),
                datetime.time(6, 30),
                datetime.datetime(2020, 1, 1),
                b"\x01\x02",
            )
            check(row, expected, f"every type, binary {binary}")
        # A statement that is prepared.
        for n in range(8):
            check(cursor.execute("SELECT %s + 1", (n,), prepare=True).fetchone(), (n + 1,), "prepared")
        cursor.executemany("INSERT INTO views (page, member, ms) VALUES (%s, %s, %s)", [("d", "dan", n) for n in range(5)])
        cursor.execute("INSERT INTO views (page, member, ms) VALUES ('e', 'eve', 1), ('e', 'eve', 2)")
        check(cursor.statusmessage, "INSERT 0 2", "rows that were written")
        check(cursor.execute("SELECT COUNT(*) FROM views WHERE page IN ('d', 'e')").fetchone(), (7,), "they are there")
        error = fails("42703", lambda: cursor.execute("SELECT paeg FROM per_page"), "a wrong column")
        check(error.diag.statement_position, "8", "its place")
        fails("42P01", lambda: cursor.execute("SELECT 1 FROM nowhere"), "a wrong table")
        fails("42601", lambda: cursor.execute("SELEKT 1"), "no statement")
        # One that is cancelled.
        canceller = threading.Timer(0.5, connection.cancel)
        canceller.start()
        fails("57014", lambda: cursor.execute("SELECT * FROM views EMIT CHANGES"), "cancelled")
        canceller.join()
        cursor.execute("SET statement_timeout = '300ms'")
        fails("57014", lambda: cursor.execute("SELECT * FROM views EMIT CHANGES"), "timed out")
        cursor.execute("RESET statement_timeout")
        with cursor.copy("COPY (SELECT page, n FROM per_page WHERE page < 'c' ORDER BY page) TO STDOUT") as copy:
            check([bytes(line) for line in copy], [b"a\t2\n", b"b\t1\n"], "COPY")
        copies_in(connection, cursor)
    # A cursor follows a push query.
    with psycopg.connect(host=host, port=port, user="any", dbname="tidemill") as connection:
        connection.execute("SET 'auto.offset.reset' = 'earliest'")
        with connection.cursor(name="follows") as cursor:
            cursor.itersize = 1
            cursor.execute("SELECT page, ms FROM views WHERE page = 'e' EMIT CHANGES")
            check(sorted(cursor.fetchmany(2)), [("e", 1), ("e", 2)], "what was there")
            with psycopg.connect(host=host, port=port, user="any", autocommit=True) as other:
                other.execute("INSERT INTO views (page, member, ms) VALUES ('e', 'eve', 3)")
            check(cursor.fetchone(), ("e", 3), "what came")
    return "psycopg"


async def of_asyncpg(host, port):
    connection = await asyncpg.connect(host=host, port=port, user="any", database="tidemill")
    rows = await connection.fetch("SELECT page, n FROM per_page WHERE n > $1 ORDER BY page LIMIT $2", 0, 2)
    check([tuple(row) for row in rows], [("a", 2), ("b", 1)], "parameters whose types are inferred")
    row = await connection.fetchrow("SELECT paid, born, wakes, seen, photo FROM people WHERE name = $1", "bob")
    expected = (decimal.Decimal("0.05"), datetime.date(1999, 12, 31), datetime.time(7), datetime.datetime(2020, 1, 2), b"\x01")
    check(tuple(row), expected, "binary values")
    check(await connection.fetchval("SELECT ARRAY['x', NULL]"), ["x", None], "an array")
    check(await connection.execute("INSERT INTO views (page, member, ms) VALUES ($1, $2, $3)", "f", "fay", 7), "INSERT 0 1", "a row")
    check(await connection.fetchval("SELECT ms FROM views WHERE page = 'f'"), 7, "it is there")
    async with connection.transaction():
        got = [record["n"] async for record in connection.cursor("SELECT n FROM per_page WHERE page < 'd' ORDER BY n, page", prefetch=2)]
    check(got, [1, 1, 2], "a cursor")
    rows = await connection.fetch("SHOW STREAMS")
    check("VIEWS" in [row["name"] for row in rows], True, "a statement of the dialect")
    await connection.reset()
    await connection.close()
    return "asyncpg"


def of_sqlalchemy(host, port):
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://any@{host}:{port}/tidemill")
    inspector = sqlalchemy.inspect(engine)
    check(set(inspector.get_table_names()) >= {"per_page", "people"}, True, "tables")
    check(set(inspector.get_view_names()) >= {"views"}, True, "streams are views")
    columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("per_page")}
    check(columns, {"page": "TEXT", "n": "BIGINT", "total": "INTEGER"}, "columns")
    with engine.connect() as connection:
        frame = pandas.read_sql("SELECT page, n FROM per_page WHERE page < 'd' ORDER BY page", connection)
        check(frame.to_dict("list"), {"page": ["a", "b", "c"], "n": [2, 1, 1]}, "a frame")
        frame = pandas.read_sql_table("per_page", connection)
        check(sorted(frame.columns), ["n", "page", "total"], "a whole table")
        parts = list(pandas.read_sql("SELECT page FROM views", connection.execution_options(stream_results=True), chunksize=2))
        check(len(parts) > 2, True, "in parts")
        table = sqlalchemy.Table("per_page", sqlalchemy.MetaData(), autoload_with=connection)
        rows = connection.execute(sqlalchemy.select(table.c.page).where(table.c.n == 2)).fetchall()
        check([tuple(row) for row in rows], [("a",)], "an expression")
    return "SQLAlchemy and pandas"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    host, port = parser.parse_args().address.rsplit(":", 1)
    done = [of_psycopg(host, int(port)), asyncio.run(of_asyncpg(host, int(port))), of_sqlalchemy(host, int(port))]
    print(f"{', '.join(done)}: all as expected")


main()
