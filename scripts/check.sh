#!/usr/bin/env bash
# What a change must pass before its tests run: format, lints, licences and advisories, docs in step with the code.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { echo "== $*" >&2; }
step "format"
cargo fmt --all --check
step "the page: types and unit tests"
scripts/web.sh test
step "lints"
cargo clippy --locked --workspace --all-targets --features forebay/faults -- -D warnings
step "licences and sources"
python3 scripts/licences.py
step "advisories"
if command -v cargo-deny >/dev/null && cargo deny --version >/dev/null 2>&1; then
  if ! cargo deny fetch db >/dev/null 2>&1; then
    echo "NOT CHECKED: the advisory database cannot be fetched from here" >&2
  else
    cargo deny check advisories
  fi
else
  echo "NOT CHECKED: cargo-deny is not installed (cargo install cargo-deny --locked)" >&2
fi
step "docs in step with the code"
# The reference pages are compared by a test of the binary, built as `make test` builds it.
cargo test --release --locked --workspace --features forebay/faults --bin forebay --quiet reference
step "the mutations fit the code"
python3 scripts/mutations.py --check
step "what deserves a second run"
python3 -m doctest scripts/again.py
step "shell scripts"
for script in $(git ls-files '*.sh' .ci/run); do bash -n "$script"; done
