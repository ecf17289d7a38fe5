#!/usr/bin/env bash
# Runs one of Apache Kafka's own command line tools, by short or full class name:
#
#   scripts/services/kafka-tool.sh TopicCommand --bootstrap-server 127.0.0.1:9192 --create --topic t --partitions 4
#   scripts/services/kafka-tool.sh ConsoleProducer --bootstrap-server 127.0.0.1:9192 --topic t < lines.txt
#   scripts/services/kafka-tool.sh ConsoleConsumer --bootstrap-server 127.0.0.1:9192 --topic t --from-beginning --timeout-ms 5000
#   scripts/services/kafka-tool.sh GetOffsetShell --bootstrap-server 127.0.0.1:9192 --topic t
#   scripts/services/kafka-tool.sh ConsumerGroupCommand | ConfigCommand | TransactionsCommand | ProducerPerformance |
#                                  ConsumerPerformance | DumpLogSegments | StorageTool ... (no arguments: its own help)
#
# KAFKA_TOOL_LOG=warn shows the client's warnings (errors only by default).
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ $# -gt 0 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
need kafka "$kafka_version"
tool="$1"
shift
case "$tool" in
  *.*) class="$tool" ;;
  *)
    # The tools' own packages first: other classes share some of the names.
    class="$(grep -E "^(org\.apache\.kafka\.tools|kafka\.admin|kafka\.tools)\.(.*\.)?$tool\$" "$cache/kafka/classes.txt" | head -n 1)" \
      || die "no tool is called '$tool'; near it: $(grep -iE "^(org\.apache\.kafka\.tools|kafka\.(admin|tools))\.[^ ]*${tool:0:5}" "$cache/kafka/classes.txt" | sed 's/.*\.//' | head -n 8 | tr '\n' ' ')"
    ;;
esac
java="$(find_java)"
exec "$java" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_TOOL_LOG:-error}" \
  -cp "$kafka_libs/*" "$class" "$@"
