#!/usr/bin/env bash
# Apache Kafka's own command line tools.
#
#   tests/clients/java_tools.sh --bootstrap 127.0.0.1:9092
#
# Needs what `scripts/services/install.sh kafka` installs. Prints one OK line per scenario on stdout; the first failure
# shows the tool's words and ends it with exit code 1.
set -euo pipefail

[ "${1:-}" = --bootstrap ] && [ -n "${2:-}" ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bootstrap="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
topic="java-$$-$RANDOM"
group="$topic-readers"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

ok() { printf 'OK %s\n' "$*"; }
fail() { printf 'FAILED %s\n' "$*" >&2; head -n 20 "$scratch/out" >&2; exit 1; }
# tool NAME ARGS...: its output, both kinds, goes to $scratch/out.
tool() {
  local name="$1"
  shift
  timeout 120 "$root/scripts/services/kafka-tool.sh" "$name" --bootstrap-server "$bootstrap" "$@" >"$scratch/out" 2>&1
}
shows() { grep -qE "$1" "$scratch/out" || fail "$2"; }

tool TopicCommand --create --topic "$topic" --partitions 3 --config retention.ms=3600000 || fail "create"
tool TopicCommand --list || fail "list"
shows "^$topic\$" "the topic is not listed"
tool TopicCommand --describe --topic "$topic" || fail "describe"
shows "PartitionCount: 3.*ReplicationFactor: 1.*retention.ms=3600000" "describe shows something else"
tool TopicCommand --alter --topic "$topic" --partitions 4 || fail "alter"
tool TopicCommand --describe --topic "$topic"
shows "PartitionCount: 4" "the partitions were not added"
if tool TopicCommand --create --topic "$topic"; then fail "a second topic of the same name was created"; fi
shows "TopicExistsException" "creating it again gives another error"
ok "TopicCommand: create, list, describe, alter"

seq 1 300 | sed 's/^/line /' >"$scratch/lines"
tool ConsoleProducer --topic "$topic" <"$scratch/lines" || fail "ConsoleProducer"
tool GetOffsetShell --topic "$topic" || fail "GetOffsetShell"
[ "$(awk -F: '{sum += $3} END {print sum}' "$scratch/out")" = 300 ] || fail "GetOffsetShell counts something else"
full="$(awk -F: '$3 > 0 {print $2}' "$scratch/out" | head -n 1)"
tool GetOffsetShell --topic "$topic" --time -2
[ "$(awk -F: '{sum += $3} END {print sum}' "$scratch/out")" = 0 ] || fail "GetOffsetShell --time -2"
tool GetOffsetShell --topic "$topic" --time 1
[ "$(awk -F: '{sum += $3} END {print sum}' "$scratch/out")" = 0 ] || fail "GetOffsetShell --time 1"
ok "ConsoleProducer writes, GetOffsetShell counts"

tool ConsoleConsumer --topic "$topic" --group "$group" --from-beginning --max-messages 300 --timeout-ms 30000 || fail "ConsoleConsumer"
sort "$scratch/lines" >"$scratch/expected"
grep '^line ' "$scratch/out" | sort >"$scratch/read"
cmp -s "$scratch/expected" "$scratch/read" || fail "ConsoleConsumer read something else"
tool ConsoleConsumer --topic "$topic" --partition "$full" --offset earliest --max-messages 1 --timeout-ms 30000 || fail "ConsoleConsumer --partition"
shows "^line " "ConsoleConsumer --partition read nothing"
ok "ConsoleConsumer: in a group, and one partition without"

tool ConsumerGroupCommand --list || fail "list groups"
shows "^$group\$" "the group is not listed"
tool ConsumerGroupCommand --describe --group "$group" || fail "describe group"
[ "$(awk -v topic="$topic" '$2 == topic {sum += $4} END {print sum}' "$scratch/out")" = 300 ] || fail "the group's offsets are not 300"
tool ConsumerGroupCommand --describe --state --group "$group" || fail "describe the group's state"
shows "Empty" "the group is not empty"
tool ConsumerGroupCommand --group "$group" --reset-offsets --to-earliest --topic "$topic" --execute || fail "reset offsets"
tool ConsumerGroupCommand --describe --group "$group"
[ "$(awk -v topic="$topic" '$2 == topic {sum += $4} END {print sum}' "$scratch/out")" = 0 ] || fail "the offsets were not reset"
tool ConsumerGroupCommand --group "$group" --delete-offsets --topic "$topic" || fail "delete offsets"
tool ConsoleConsumer --topic "$topic" --group "$group" --from-beginning --max-messages 300 --timeout-ms 30000 || fail "read again"
tool ConsumerGroupCommand --delete --group "$group" || fail "delete group"
tool ConsumerGroupCommand --list
if grep -q "^$group\$" "$scratch/out"; then fail "the group is still there"; fi
ok "ConsumerGroupCommand: list, describe, reset, delete offsets, delete"

tool ConfigCommand --describe --entity-type topics --entity-name "$topic" || fail "describe configs"
shows "retention.ms=3600000" "the setting is not shown"
tool ConfigCommand --alter --entity-type topics --entity-name "$topic" --add-config retention.ms=7200000 || fail "alter configs"
tool ConfigCommand --describe --entity-type topics --entity-name "$topic"
shows "retention.ms=7200000" "the setting was not changed"
if tool ConfigCommand --alter --entity-type topics --entity-name "$topic" --add-config cleanup.policy=compact; then
  fail "cleanup.policy=compact was accepted"
fi
shows "does not compact" "the refusal does not say why"
tool ConfigCommand --describe --entity-type brokers --entity-name 1 --all || fail "describe the broker"
shows "num.partitions" "the broker's settings are not shown"
ok "ConfigCommand: describe, alter, a clear refusal"

tool TopicCommand --delete --topic "$topic" || fail "delete"
tool TopicCommand --list
if grep -q "^$topic\$" "$scratch/out"; then fail "the topic is still there"; fi
ok "TopicCommand: delete"
