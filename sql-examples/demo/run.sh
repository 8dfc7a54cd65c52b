#!/usr/bin/env bash
# The main job on the embedded log, in a temporary folder: run.sh [path of the tidemill binary]
# In a terminal the live table is redrawn in place; elsewhere it is printed a few times.
set -euo pipefail
cd "$(dirname "$0")"
tidemill=${1:-tidemill}
folder=$(mktemp -d)
server= datagen=
cleanup() {
  [ -n "$datagen" ] && kill "$datagen" 2>/dev/null
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Port 0: any free one; the server's first line says which.
: >"$folder/server.log"
TIDEMILL_LOG=info "$tidemill" server --listen 127.0.0.1:0 --data-dir "$folder/data" >>"$folder/server.log" 2>&1 &
server=$!
url=
for _ in $(seq 1 200); do
  url=$(sed -nE 's/.*answers at (http:[^ ]+).*/\1/p' "$folder/server.log" | head -1)
  [ -n "$url" ] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.05
done
[ -n "$url" ] || { cat "$folder/server.log"; exit 1; }

echo "== the queries (sql-examples/demo/demo.sql)"
"$tidemill" run demo.sql --server "$url" >"$folder/run.log" || { cat "$folder/run.log"; exit 1; }
grep -E '^Created query' "$folder/run.log"

"$tidemill" datagen --topic pageviews --schema pageviews --rate 200 --server "$url" >"$folder/datagen.log" &
datagen=$!

show() {
  echo "== views of each plan, live (a table over a stream-table join)"
  "$tidemill" shell "$url" -e 'SELECT * FROM views_per_plan;'
  echo "== pages in the last windows (a tumbling count)"
  "$tidemill" shell "$url" -e 'SELECT pageid, WINDOWSTART, views FROM views_per_page WHERE pageid = '"'Page_0'"';'
}
if [ -t 1 ]; then
  for _ in $(seq 1 20); do
    screen=$(show); printf '\033[2J\033[H%s\n' "$screen"; sleep 0.5
  done
else
  for _ in 1 2 3; do sleep 2; show; done
fi
echo "== the filter, as it happens (a push query; the first five rows)"
"$tidemill" shell "$url" -e 'SELECT pageid, userid FROM popular EMIT CHANGES LIMIT 5;'

cat <<TEXT

That was the whole path: records in, SQL, tables out, on a log with nothing installed. Now yourself:

  $tidemill server                       starts a server (data in ./tidemill-data)
  $tidemill shell                        in another terminal; type: help
  $tidemill datagen --topic pageviews --schema pageviews
TEXT
