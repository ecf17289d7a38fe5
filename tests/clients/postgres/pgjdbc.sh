#!/usr/bin/env bash
# PostgreSQL's JDBC driver against a server:
#   tests/clients/postgres/pgjdbc.sh HOST:PORT
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../../../scripts/services/common.sh"
need pgjdbc "$pgjdbc_version"
java="$(find_java)"
exec "$java" -ea -cp "$pgjdbc_jars/*" "$here/Pgjdbc.java" "$@"
