#!/usr/bin/env bash
# Builds the page into web/dist, from where the binary takes it. Does nothing if its sources are no newer.
#
#   scripts/web.sh            install what web/package-lock.json names, type-check and build
#   scripts/web.sh test       the same, then the page's unit tests
#   scripts/web.sh e2e [BASE] the same, then the checks in a browser, of a running Forebay or of the mock
#   scripts/web.sh shots BASE FOLDER [NAME...]   the same, then pictures of the page
#   scripts/web.sh latency BASE SECONDS          the same, then how late the page sees what happens, as JSON
#
# Needs Node 20.19 or newer; where there is none, one is installed below the cache folder (see services/common.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/services/common.sh

is_new_enough() { # NODE
  local version
  version="$("$1" --version 2>/dev/null)" || return 1
  [ "$(printf '%s\nv20.19\n' "$version" | sort -V | head -n 1)" = v20.19 ]
}

if ! is_new_enough "$(command -v node || echo none)"; then
  scripts/services/install.sh node
  PATH="$node_venv/bin:$PATH"
fi
cd web
if [ ! -e node_modules/.installed ] || ! cmp -s package-lock.json node_modules/.installed; then
  say "installing what the page is built with (half a minute the first time)"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
if [ ! -e dist/index.html ] || [ -n "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -newer dist/index.html -print -quit)" ]; then
  say "building the page"
  npm run --silent build >&2
fi
case "${1:-}" in
  '') ;;
  test) npm run --silent test ;;
  e2e) shift && node e2e/run.mjs "$@" ;;
  shots) shift && node e2e/shots.mjs "$@" ;;
  latency) shift && node e2e/latency.mjs "$@" ;;
  *) die "unknown word '$1' (known: test, e2e, shots, latency)" ;;
esac
