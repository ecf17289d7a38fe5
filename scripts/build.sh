#!/usr/bin/env bash
# Builds the release binary and says what it does and how long it may take.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust through rustup, then run this again." >&2
  exit 1
fi
if [ ! -d "$target/release/deps" ]; then
  echo "Building Forebay from nothing: about 480 crates, DataFusion and Delta among them." >&2
  echo "On two cores this takes about half an hour, once; later builds a minute or two." >&2
fi
started=$SECONDS
scripts/web.sh
cargo build --release --locked -p forebay "$@"
took=$((SECONDS - started))
if [ "$took" -gt 5 ]; then echo "built in $took s: $target/release/forebay" >&2; fi
