"""Answers queries with SQLite: tables and queries come as JSON on standard input, the rows of each query (or its error) go out."""

import json
import sqlite3
import sys

given = json.load(sys.stdin)
connection = sqlite3.connect(":memory:")
for table in given["tables"]:
    columns = ", ".join(table["columns"])
    connection.execute(f"CREATE TABLE {table['name']} ({columns})")
    marks = ", ".join("?" for _ in table["columns"])
    connection.executemany(f"INSERT INTO {table['name']} VALUES ({marks})", table["rows"])
answers = []
for query in given["queries"]:
    try:
        answers.append({"rows": [list(row) for row in connection.execute(query)]})
    except sqlite3.Error as error:
        answers.append({"error": str(error)})
json.dump(answers, sys.stdout)
