#!/usr/bin/env bash
# kcat (librdkafka): list, produce with every compression, consume, query offsets, read in a group.
#
#   tests/clients/kcat.sh --bootstrap 127.0.0.1:9092
#
# Prints one OK line per scenario on stdout; the first failure says what differed and ends it with exit code 1.
set -euo pipefail

[ "${1:-}" = --bootstrap ] && [ -n "${2:-}" ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bootstrap="$2"
topic="kcat-$$-$RANDOM"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

ok() { printf 'OK %s\n' "$*"; }
fail() { printf 'FAILED %s\n' "$*" >&2; exit 1; }
same() { cmp -s "$1" "$2" || { diff "$1" "$2" | head -n 5 >&2; fail "$3"; }; }
ask() { timeout 60 kcat -b "$bootstrap" "$@"; }

seq 1 500 | sed 's/^/line /' >"$scratch/lines"

ask -P -t "$topic" <"$scratch/lines" || fail "-P to a topic that was not there"
ask -C -t "$topic" -o beginning -e -q >"$scratch/read"
same "$scratch/lines" "$scratch/read" "what -C read is not what -P wrote"
ok "-P creates the topic, -C reads it back"

ask -L >"$scratch/list" 2>&1
grep -q "topic \"$topic\" with 1 partitions" "$scratch/list" || fail "-L does not list the topic"
ok "-L lists it"

[ "$(ask -Q -t "$topic:0:-1")" = "$topic [0] offset 500" ] || fail "-Q at the end"
[ "$(ask -Q -t "$topic:0:-2")" = "$topic [0] offset 0" ] || fail "-Q at the beginning"
[ "$(ask -Q -t "$topic:0:1")" = "$topic [0] offset 0" ] || fail "-Q at a time"
ok "-Q finds the ends and a time"

for codec in gzip snappy lz4 zstd; do
  ask -P -t "$topic-$codec" -z "$codec" <"$scratch/lines" || fail "-z $codec"
  ask -C -t "$topic-$codec" -o beginning -e -q >"$scratch/read"
  same "$scratch/lines" "$scratch/read" "-z $codec came back different"
  ok "-z $codec"
done

ask -P -t "$topic-idempotent" -X enable.idempotence=true <"$scratch/lines" || fail "idempotent -P"
ask -C -t "$topic-idempotent" -o beginning -e -q >"$scratch/read"
same "$scratch/lines" "$scratch/read" "the idempotent producer's lines came back different"
ok "-X enable.idempotence=true"

printf 'key:value\n' | ask -P -t "$topic-keys" -K : -H unit=celsius
[ "$(ask -C -t "$topic-keys" -o beginning -e -q -f '%k %s %h')" = "key value unit=celsius" ] || fail "key and header"
ok "keys and headers"

ask -P -t "$topic-acks0" -X acks=0 <"$scratch/lines" || fail "acks=0"
sleep 1
ask -C -t "$topic-acks0" -o beginning -e -q >"$scratch/read"
same "$scratch/lines" "$scratch/read" "acks=0 lost or changed something"
ok "acks=0"

group="$topic-readers"
timeout 60 kcat -b "$bootstrap" -G "$group" -X auto.offset.reset=earliest -e -q "$topic" >"$scratch/read" 2>/dev/null
same "$scratch/lines" "$scratch/read" "-G read something else"
echo "one more" | ask -P -t "$topic"
timeout 60 kcat -b "$bootstrap" -G "$group" -X auto.offset.reset=earliest -e -q "$topic" >"$scratch/read" 2>/dev/null
[ "$(cat "$scratch/read")" = "one more" ] || fail "-G did not resume: $(head -n 2 "$scratch/read")"
ok "-G reads as a group and resumes where it committed"

if ask -C -t "$topic-missing" -o beginning -e -q 2>"$scratch/error"; then fail "-C of a missing topic succeeded"; fi
grep -qi 'unknown topic' "$scratch/error" || fail "-C of a missing topic says: $(cat "$scratch/error")"
ok "-C of a missing topic is an error"
