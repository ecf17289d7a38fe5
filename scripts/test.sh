#!/usr/bin/env bash
# Installs what the tests need, builds once with the test hooks, and runs every test against the real components.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/services/install.sh all
scripts/web.sh
# A binary with the test hooks must not stay where people look for the real one.
binary=$(realpath -m "${CARGO_TARGET_DIR:-target}/release/forebay")
trap 'rm -f "$binary"' EXIT
echo "building the tests (the same profile as the binary; the first time takes about half an hour on two cores)" >&2
cargo test --release --locked --workspace --features forebay/faults --no-run
export FOREBAY_CACHE=${FOREBAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/forebay}
long=()
if [ -n "${FOREBAY_SOAK:-}" ]; then long=(--include-ignored); fi
tests=(cargo test --release --locked --workspace --features forebay/faults --no-fail-fast --)
log=$(mktemp)
# No test of the short form lets a process run that long: a test that waits for one in vain fails, and the others are told of.
too_long=900
watch() {
  while sleep 20; do
    ps -eo pid=,etimes=,args= | awk -v most="$too_long" -v it="$binary" '$2 > most && $3 == it' |
      while read -r pid age args; do
        echo "== KILLED: a process that a test started ran for $age s: $args" >&2
        kill -9 "$pid" || true
      done
  done
}
watcher=
if [ -z "${FOREBAY_SOAK:-}" ]; then watch & watcher=$!; fi
trap 'rm -f "$binary" "$log"; [ -z "$watcher" ] || kill "$watcher"' EXIT
if ! "${tests[@]}" --test-threads=2 "${long[@]}" 2>&1 | tee "$log"; then
  # Only a wait that was in vain deserves a second look; what else a test found is final.
  waited=$(python3 scripts/again.py "$log")
  mapfile -t waited <<<"$waited"
  echo "== WAITED IN VAIN, run again by themselves: ${waited[*]}" >&2
  "${tests[@]}" --test-threads=1 --include-ignored --exact "${waited[@]}" 2>&1 | tee "$log"
  passed=$(awk '/^test result: ok/ { sum += $4 } END { print sum + 0 }' "$log")
  if [ "$passed" -lt "${#waited[@]}" ]; then echo "run again: ${#waited[@]}, passed: $passed" >&2 && exit 1; fi
  echo "== SLOW HERE, and sound: ${waited[*]}" >&2
fi
