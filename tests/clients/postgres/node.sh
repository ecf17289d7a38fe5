#!/usr/bin/env bash
# node-postgres against a server:
#   tests/clients/postgres/node.sh HOST:PORT
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../../../scripts/services/common.sh"
need postgres-clients "$postgres_clients_version"
export NODE_PATH="$postgres_clients_node/node_modules" PATH="$PATH:$node_venv/bin"
exec node --no-deprecation "$here/node_client.cjs" "$@"
