"""Fills a SQLite database with the benchmark's rows, or asks it: FILE fill ROWS, or FILE ask SQL. FILE duck ROWS SQL asks DuckDB."""

import json
import sqlite3
import sys
import time

path, command, argument = sys.argv[1:4]
if command == "duck":
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE totals AS SELECT n AS id, n % 1000 % 100 AS bucket, n AS total FROM range({int(argument)}) r(n)")
else:
    connection = sqlite3.connect(path)
rows = []
began = time.perf_counter()
if command == "fill":
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("CREATE TABLE totals (id INTEGER PRIMARY KEY, bucket INTEGER, total INTEGER)")
    connection.executemany("INSERT INTO totals VALUES (?, ?, ?)", ((n, n % 1000 % 100, n) for n in range(int(argument))))
    connection.commit()
elif command == "duck":
    rows = [[int(value) for value in row] for row in connection.execute(sys.argv[4]).fetchall()]
else:
    rows = [list(row) for row in connection.execute(argument)]
json.dump({"rows": rows, "seconds": time.perf_counter() - began}, sys.stdout)
