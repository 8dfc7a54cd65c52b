"""Writes rows into the stream `numbers` (id BIGINT, word STRING, price DOUBLE) by one way, and tells the seconds that it took until
all were acknowledged: WAY HOST PORT ROWS, where the way is copy (PostgreSQL's protocol) or flight (Arrow Flight SQL by ADBC, where
Python has that)."""

import json
import socket
import struct
import sys
import time

# What psql sends at a time, about.
BLOCK_BYTES = 8 << 10


def exactly(received, count):
    data = received.read(count)
    if len(data) < count:
        raise SystemExit("the server closed the connection")
    return data


def blocks(rows):
    """Lines, some kilobytes at a time."""
    block = bytearray()
    for row in rows:
        block += row
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def message(received):
    """A message of PostgreSQL's protocol; an error ends the script."""
    tag, length = struct.unpack("!cI", exactly(received, 5))
    body = exactly(received, length - 4)
    if tag == b"E":
        raise SystemExit(body.replace(b"\0", b" ").decode())
    return tag, body


def until(received, wanted):
    while True:
        tag, body = message(received)
        if tag == wanted:
            return body


def copy(host, port, rows):
    data = list(blocks(b"%d\tword %d\t%d.5\n" % (n, n, n % 1000) for n in range(rows)))
    connection = socket.create_connection((host, port))
    received = connection.makefile("rb")
    start = struct.pack("!I", 196608) + b"user\0bench\0database\0tidemill\0\0"
    connection.sendall(struct.pack("!I", len(start) + 4) + start)
    until(received, b"Z")
    began = time.perf_counter()
    query = b"COPY numbers FROM STDIN\0"
    connection.sendall(b"Q" + struct.pack("!I", len(query) + 4) + query)
    until(received, b"G")
    for block in data:
        connection.sendall(b"d" + struct.pack("!I", len(block) + 4) + block)
    connection.sendall(b"c" + struct.pack("!I", 4))
    said = until(received, b"C")
    took = time.perf_counter() - began
    if said != b"COPY %d\0" % rows:
        raise SystemExit(f"the server says {said}")
    return took


def flight(host, port, rows):
    import adbc_driver_flightsql.dbapi
    import pyarrow

    numbers = list(range(rows))
    words, prices = [f"word {n}" for n in numbers], [n % 1000 + 0.5 for n in numbers]
    table = pyarrow.table({"ID": pyarrow.array(numbers, pyarrow.int64()), "WORD": words, "PRICE": prices})
    with adbc_driver_flightsql.dbapi.connect(f"grpc://{host}:{port}", autocommit=True) as connection, connection.cursor() as cursor:
        began = time.perf_counter()
        written = cursor.adbc_ingest("NUMBERS", table, mode="append")
        took = time.perf_counter() - began
    if written != rows:
        raise SystemExit(f"{written} of {rows} rows are written")
    return took


way, host, port, rows = sys.argv[1:5]
json.dump({"seconds": {"copy": copy, "flight": flight}[way](host, int(port), int(rows))}, sys.stdout)
