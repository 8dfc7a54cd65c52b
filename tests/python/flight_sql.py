"""ADBC's driver of Flight SQL against a server, into pandas and polars. Ends with a line that says what was done."""

import argparse
import base64
import decimal

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pandas
import polars
import pyarrow


def check(found, expected, what):
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, not {expected!r}")


def fails(parts, run, what):
    try:
        run()
    except adbc_driver_manager.Error as error:
        for part in parts:
            if part not in str(error):
                raise SystemExit(f"{what}: no {part!r} in {error}")
        return
    raise SystemExit(f"{what}: not refused")


def connect(uri, **options):
    return adbc_driver_flightsql.dbapi.connect(uri, db_kwargs=options, autocommit=True)


def asks(connection):
    query = "SELECT page, n FROM per_page ORDER BY n DESC, page"
    expected = {"PAGE": ["a", "b", "c"], "N": [2, 1, 1]}
    check(pandas.read_sql(query, connection).to_dict("list"), expected, "pandas")
    check(polars.read_database(query, connection).to_dict(as_series=False), expected, "polars")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM people WHERE name = 'ann'")
        row = cursor.fetch_arrow_table().to_pylist()[0]
        check(row["PAID"], decimal.Decimal("12.50"), "a decimal")
        check(row["INFO"], {"CITY": "Ulm", "TAGS": ["x", "y"]}, "a struct")
        check(dict(row["PROPS"]), {"k": 7}, "a map")
        check(str(row["BORN"]), "2001-02-03", "a date")
        check(row["PHOTO"], b"\x01\x02", "bytes")
        # Parameters, and as many batches as there are.
        cursor.execute("SELECT page FROM per_page WHERE n >= ? AND page <> ? ORDER BY page", (1, "b"))
        check(cursor.fetchall(), [("a",), ("c",)], "parameters")
        cursor.execute("SELECT COUNT(*) FROM views a, views b, views c, views d, views e, views f")
        check(cursor.fetchall(), [(4096,)], "a product")
        cursor.execute("SELECT a.ms FROM views a, views b, views c, views d, views e, views f, views g")
        check(cursor.fetch_arrow_table().num_rows, 4**7, "many rows")
        # What is left unread ends with its cursor.
        cursor.execute("SELECT a.ms FROM views a, views b, views c, views d, views e, views f, views g, views h, views i, views j, views k")
        check(next(iter(cursor.fetch_record_batch())).num_rows > 0, True, "a first batch")
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT page FROM per_page")
        check("PER_PAGE" in str(cursor.fetchall()), True, "a plan")


def changes(connection):
    with connection.cursor() as cursor:
        cursor.execute("CREATE STREAM made (id INT KEY, word STRING, price DOUBLE) WITH (kafka_topic='made', partitions=1, value_format='JSON')")
        check("created" in str(cursor.fetchall()).lower(), True, "a stream that is made")
        cursor.executemany("INSERT INTO made (id, word, price) VALUES (?, ?, ?)", [(1, "it's ?", 1.5), (2, None, -2.0)])
        check(cursor.rowcount, 2, "rows inserted")
        cursor.execute("SHOW STREAMS")
        check("MADE" in cursor.fetch_arrow_table()["name"].to_pylist(), True, "streams listed")
        frame = pandas.DataFrame({"id": [3, 4], "word": ["three", "four"], "price": [3.25, None]})
        check(cursor.adbc_ingest("made", pyarrow.Table.from_pandas(frame), mode="append"), 2, "rows of pandas")
        check(cursor.adbc_ingest("MADE", polars.DataFrame({"ID": [5], "WORD": ["five"]}).to_arrow(), mode="append"), 1, "rows of polars")
        cursor.execute("SELECT id, word, price FROM made ORDER BY id")
        expected = [(1, "it's ?", 1.5), (2, None, -2.0), (3, "three", 3.25), (4, "four", None), (5, "five", None)]
        check(cursor.fetchall(), expected, "what was inserted")
        table = pyarrow.table({"id": [6], "wrod": ["x"]})
        fails(["wrod", "its columns are ID, WORD, PRICE"], lambda: cursor.adbc_ingest("made", table, mode="append"), "a wrong column")
        fails(["creates no stream"], lambda: cursor.adbc_ingest("other", pyarrow.table({"id": [1]}), mode="create"), "a table to be made")
        fails(["unknown stream/table"], lambda: cursor.adbc_ingest("other", pyarrow.table({"id": [1]}), mode="append"), "no table")
        # Hundreds are written together; the first that is wrong is named, and those before it stay.
        numbers = [None if n == 1700 else n for n in range(1000, 2200)]
        table = pyarrow.table({"id": pyarrow.array(numbers, pyarrow.int64()), "word": ["w"] * 1200})
        what = ["row 701", "Key field must be specified: ID", "700 rows before it are written"]
        fails(what, lambda: cursor.adbc_ingest("made", table, mode="append"), "a row without a key")
        cursor.execute("SELECT COUNT(*), MIN(id), MAX(id), MAX(word) FROM made WHERE id >= 1000")
        check(cursor.fetchall(), [(700, 1000, 1699, "w")], "rows before a wrong one")
        word = pyarrow.table({"id": ["x"]})
        fails(["row 1", "column `ID`"], lambda: cursor.adbc_ingest("made", word, mode="append"), "a wrong type")


def looks(connection):
    check(connection.adbc_get_table_types(), ["STREAM", "TABLE"], "kinds of tables")
    schema = connection.adbc_get_table_schema("PER_PAGE")
    check([(field.name, str(field.type)) for field in schema], [("PAGE", "string"), ("N", "int64"), ("TOTAL", "int32")], "a schema")
    check(connection.adbc_get_info()["vendor_name"], "Tidemill", "a name")
    objects = connection.adbc_get_objects(depth="tables", table_name_filter="PER%").read_all().to_pylist()
    tables = [table for catalog in objects for schema in catalog["catalog_db_schemas"] for table in schema["db_schema_tables"]]
    check([(table["table_name"], table["table_type"]) for table in tables], [("PER_PAGE", "TABLE")], "objects")


def is_refused(connection):
    with connection.cursor() as cursor:
        fails(["line 1:8", "PAEG", "Did you mean 'PAGE'?"], lambda: cursor.execute("SELECT paeg FROM per_page"), "a wrong column")
        fails(["line 1:1", "SELEKT"], lambda: cursor.execute("SELEKT 1"), "no statement")
        fails(["EMIT CHANGES"], lambda: cursor.execute("SELECT * FROM views EMIT CHANGES"), "a push query")
        fails(["no sessions"], lambda: cursor.execute("SET 'auto.offset.reset' = 'earliest'"), "a setting")
        cursor.execute("SELECT page FROM per_page WHERE n = ?")
        fails(["No value is given for the parameter $1"], cursor.fetchall, "no parameter")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--uri", required=True)
    parser.add_argument("--example")
    parser.add_argument("--roots")
    arguments = parser.parse_args()
    if arguments.roots:
        of_users(arguments.uri, open(arguments.roots).read())
        print("users are known")
        return
    with connect(arguments.uri) as connection:
        asks(connection)
        changes(connection)
        looks(connection)
        is_refused(connection)
    if arguments.example:
        exec(open(arguments.example).read())  # noqa: S102
    print("pandas and polars asked and wrote")


def of_users(uri, roots):
    options = adbc_driver_flightsql.DatabaseOptions
    secure = {options.TLS_ROOT_CERTS.value: roots}
    with connect(uri, username="ann", password="pw of ann", **secure) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE STREAM hers (a STRING) WITH (kafka_topic='hers', partitions=1, value_format='JSON')")
        cursor.fetchall()
        cursor.execute("INSERT INTO hers VALUES ('x')")
        cursor.fetchall()
    with connect(uri, username="bob", password="pw of bob", **secure) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM hers")
        check(cursor.fetchall(), [("x",)], "what is there")
        fails(["needs the role write", "bob"], lambda: cursor.execute("INSERT INTO hers VALUES ('x')"), "a reader that writes")
        table = pyarrow.table({"a": ["x"]})
        fails(["needs the role write"], lambda: cursor.adbc_ingest("hers", table, mode="append"), "a reader that ingests")
    basic = "Basic " + base64.b64encode(b"bob:pw of bob").decode()
    with connect(uri, **secure, **{options.AUTHORIZATION_HEADER.value: basic}) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        check(cursor.fetchall(), [(1,)], "by a header")
    wrong = {options.AUTHORIZATION_HEADER.value: "Bearer wrong"}
    for given in ({}, {"username": "ann", "password": "no"}, wrong):

        def ask(given=given):
            with connect(uri, **secure, **given) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")

        fails(["nauthenticated"], ask, f"{given}")


main()
