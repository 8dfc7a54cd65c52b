#!/usr/bin/env bash
# Usage: run.sh [SECONDS] [TARGET…] — fuzzes each target for so long (60) with libFuzzer, with bounded memory and time.
# What is found stands in artifacts/TARGET; the other targets are fuzzed all the same, and the exit code tells.
# TIDEMILL_FUZZ_CARGO: flags for cargo (for another target folder, set CARGO_TARGET_DIR). TIDEMILL_FUZZ_BUILD=0: what is built is taken.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(parser analyzer avro delimited json json_sr kafka protobuf protobuf_nosr registry endpoints infer)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/tidemill/target}
program=$CARGO_TARGET_DIR/release/fuzz
if [ "${TIDEMILL_FUZZ_BUILD:-1}" != 0 ]; then
  # One program, with what an ordinary build made of all dependencies. The engine in many units: it is built anew, once.
  # shellcheck disable=SC2086
  RUSTC_WORKSPACE_WRAPPER=$PWD/rustc-coverage cargo build --release --workspace --features tidemill-fuzz/libfuzzer --bin fuzz \
    --config profile.release.package.tidemill-engine.codegen-units=16 ${TIDEMILL_FUZZ_CARGO:-}
fi
failed=()
for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  mkdir -p "corpus/$target" "artifacts/$target"
  if [ "$target" = parser ] && [ -z "$(ls "corpus/$target")" ]; then
    # A first byte of 1 says that the rest is a text.
    find ../../sql-examples ../sql -name '*.sql' -size -5k | while read -r script; do
      { printf '\001'; cat "$script"; } > "corpus/$target/$(basename "$script")"
    done
  fi
  TIDEMILL_FUZZ_TARGET=$target "$program" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" \
    -timeout=120 -rss_limit_mb=2048 -max_len=4096 -use_value_profile=1 -print_final_stats=1 || failed+=("$target")
done
[ ${#failed[@]} -eq 0 ] || { echo "FAILED: ${failed[*]}; see artifacts/"; exit 1; }
