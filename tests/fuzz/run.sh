#!/usr/bin/env bash
# Usage: run.sh [SECONDS] [TARGET…] — fuzzes each target for so long (60), with bounded memory and time. Needs nightly and cargo-fuzz.
# What is found stands in artifacts/TARGET; a crash ends the run with its exit code.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(parser analyzer avro delimited json json_sr kafka protobuf protobuf_nosr registry)
export CARGO_TARGET_DIR=${FUZZ_TARGET_DIR:-${CARGO_TARGET_DIR:-$HOME/.cache/tidemill/target}/fuzz}
for target in "${targets[@]}"; do
  # The parser stands alone and is built in a moment; all else needs the engine.
  features=(--features engine)
  [ "$target" != parser ] || features=()
  echo "== $target, $seconds s"
  # No sanitizer: the code is safe Rust, and with one RocksDB and librdkafka would have to be built again.
  cargo +nightly fuzz run --sanitizer none --fuzz-dir . ${features[@]+"${features[@]}"} "$target" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=0
done
