#!/usr/bin/env bash
# Installs what the tests need, builds once with the test hooks, and runs every test against the real components.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/services/install.sh all
scripts/web.sh
# A binary with the test hooks must not stay where people look for the real one.
trap 'rm -f "${CARGO_TARGET_DIR:-target}/release/forebay"' EXIT
echo "building the tests (the same profile as the binary; the first time takes about half an hour on two cores)" >&2
cargo test --release --locked --workspace --features forebay/faults --no-run
export FOREBAY_CACHE=${FOREBAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/forebay}
long=()
if [ -n "${FOREBAY_SOAK:-}" ]; then long=(--include-ignored); fi
cargo test --release --locked --workspace --features forebay/faults --no-fail-fast -- --test-threads=2 "${long[@]}"
