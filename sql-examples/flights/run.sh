#!/usr/bin/env bash
# The flights, from files to tables: run.sh [path of the tidemill binary] [Kafka's HOST:PORT]
# Without Kafka, on the embedded log in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")"
tidemill=${1:-tidemill}
kafka=${2:-${TIDEMILL_BOOTSTRAP_SERVERS:-}}
producer=$(dirname "$tidemill")/examples/flights
port=${TIDEMILL_FLIGHTS_PORT:-8090}
url=http://127.0.0.1:$port
server=
folder=$(mktemp -d)
cleanup() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

files=$(./fetch.sh)
echo "== 336,776 flights into the topics flights and airlines"
if [ -n "$kafka" ]; then
  "$producer" "$files" --bootstrap-servers "$kafka"
  log=(--bootstrap-servers "$kafka")
else
  "$producer" "$files" --data-dir "$folder/data"
  log=()
fi
TIDEMILL_LOG=warn "$tidemill" server --listen "127.0.0.1:$port" --data-dir "$folder/data" "${log[@]}" >"$folder/server.log" 2>&1 &
server=$!
"$tidemill" shell "$url" -e 'SHOW STREAMS;' >/dev/null || { cat "$folder/server.log"; exit 1; }

echo "== the queries (sql-examples/flights/flights.sql)"
"$tidemill" run flights.sql --server "$url" >"$folder/run.log" || { cat "$folder/run.log"; exit 1; }
grep -E '^Created query' "$folder/run.log"

ask() { "$tidemill" shell "$url" -e "$1"; }
echo "== waiting until the year is through"
for _ in $(seq 1 300); do
  # The airports' last day comes last.
  ask "SELECT origin, flights FROM cancellations_per_day WHERE WINDOWSTART >= '2013-12-31' AND WINDOWSTART < '2014-01-01';" >"$folder/last"
  if [ "$(grep -cE 'EWR|JFK|LGA' "$folder/last")" = 3 ] && cmp -s "$folder/last" "$folder/before"; then break; fi
  cp "$folder/last" "$folder/before"
  sleep 1
done
echo "== JetBlue's evening of the storm, 8 February 2013 (a windowed table over a stream-table join)"
ask "SELECT airline, TIMESTAMPTOSTRING(WINDOWSTART, 'yyyy-MM-dd HH:mm') AS hour_utc, flights, departed, late, mean_delay, worst_delay
     FROM delays_per_hour WHERE carrier = 'B6' AND WINDOWSTART >= '2013-02-08T17:00' AND WINDOWSTART < '2013-02-09T00:00';"
echo "== cancellations around it (a table by another key)"
ask "SELECT origin, TIMESTAMPTOSTRING(WINDOWSTART, 'yyyy-MM-dd') AS day, flights, cancelled FROM cancellations_per_day
     WHERE WINDOWSTART >= '2013-02-07' AND WINDOWSTART < '2013-02-12';"
