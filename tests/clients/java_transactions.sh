#!/usr/bin/env bash
# The Java client's transactional producer and its consumer of committed data.
#
#   tests/clients/java_transactions.sh --bootstrap 127.0.0.1:9092
#
# Needs what `scripts/services/install.sh kafka` installs, and a JDK: the program is compiled as it is started. Prints one
# OK line per scenario on stdout; any failure ends it with an exception and exit code 1.
set -euo pipefail

[ "${1:-}" = --bootstrap ] && [ -n "${2:-}" ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../../scripts/services/common.sh"
need kafka "$kafka_version"
java="$(find_java)"
"$java" --list-modules | grep -q '^jdk.compiler' || die "$java is no JDK: it cannot compile"
exec timeout 240 "$java" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_TOOL_LOG:-error}" \
  -cp "$kafka_libs/*" "$here/Transactions.java" "$2"
