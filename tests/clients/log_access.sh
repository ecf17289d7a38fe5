#!/usr/bin/env bash
# kcat and Apache Kafka's Java tools on a log that asks who they are.
#
#   tests/clients/log_access.sh BOOTSTRAP FOLDER
#
# FOLDER holds good.pem and other.pem (authorities) and, for each of the users `writer` and `reader`, a file with the token.
# Needs what `scripts/services/install.sh kafka` installs. Prints one OK line per scenario on stdout; the first failure says
# what was said and ends it with exit code 1.
set -euo pipefail

[ $# = 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bootstrap="$1" folder="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

ok() { printf 'OK %s\n' "$*"; }
fail() { printf 'FAILED %s\n' "$*" >&2; head -n 30 "$scratch/out" >&2; exit 1; }
shows() { grep -qE "$1" "$scratch/out" || fail "$2"; }

# properties FILE MECHANISM USER TOKEN AUTHORITY: what both kinds of client read.
properties() {
  local login=org.apache.kafka.common.security.scram.ScramLoginModule
  [ "$2" != PLAIN ] || login=org.apache.kafka.common.security.plain.PlainLoginModule
  printf '%s\n' security.protocol=SASL_SSL "sasl.mechanism=$2" \
    "sasl.jaas.config=$login required username=\"$3\" password=\"$4\";" \
    "ssl.truststore.type=PEM" "ssl.truststore.location=$5" request.timeout.ms=10000 default.api.timeout.ms=20000 >"$scratch/$1"
}
token() { tr -d '\n' <"$folder/$1"; }
# kcat's options of the same.
ask() {
  local mechanism="$1" user="$2" password="$3" authority="$4"
  shift 4
  timeout 60 kcat -b "$bootstrap" -X security.protocol=SASL_SSL -X "sasl.mechanism=$mechanism" -X "sasl.username=$user" \
    -X "sasl.password=$password" -X "ssl.ca.location=$authority" "$@" >"$scratch/out" 2>&1
}
tool() {
  local name="$1"
  shift
  timeout 120 "$root/scripts/services/kafka-tool.sh" "$name" --bootstrap-server "$bootstrap" "$@" >"$scratch/out" 2>&1
}

seq 1 100 >"$scratch/lines"
for mechanism in PLAIN SCRAM-SHA-256 SCRAM-SHA-512; do
  topic="plant.kcat-$mechanism-$RANDOM"
  ask "$mechanism" writer "$(token writer)" "$folder/good.pem" -P -t "$topic" <"$scratch/lines" || fail "kcat -P by $mechanism"
  ask "$mechanism" reader "$(token reader)" "$folder/good.pem" -C -t "$topic" -o beginning -e -q || fail "kcat -C by $mechanism"
  cmp -s "$scratch/lines" "$scratch/out" || fail "kcat read something else"
  if ask "$mechanism" writer guess "$folder/good.pem" -L -m 5; then fail "kcat was let in by a wrong token"; fi
  shows "authentication failed" "kcat is not told that its login failed"
  ok "kcat: $mechanism"
done
if ask PLAIN writer "$(token writer)" "$folder/other.pem" -L -m 5; then fail "kcat trusts another authority"; fi
shows "certificate verify failed" "kcat says something else of another authority"
ask PLAIN reader "$(token reader)" "$folder/good.pem" -L || fail "kcat -L"
shows "topic \"$topic\"" "kcat -L does not show the topic"
if grep -q '"secret"' "$scratch/out"; then fail "kcat -L shows a topic of others"; fi
if ask PLAIN writer "$(token writer)" "$folder/good.pem" -C -t "$topic" -o beginning -e -q; then fail "kcat read what is not its own"; fi
shows "[Tt]opic authorization failed" "kcat is not told why it may not read"
ok "kcat: what is not its own, and another authority"

for mechanism in PLAIN SCRAM-SHA-256 SCRAM-SHA-512; do
  topic="plant.java-$mechanism-$RANDOM"
  properties writer "$mechanism" writer "$(token writer)" "$folder/good.pem"
  properties reader "$mechanism" reader "$(token reader)" "$folder/good.pem"
  properties wrong "$mechanism" writer guess "$folder/good.pem"
  tool TopicCommand --command-config "$scratch/writer" --create --topic "$topic" --partitions 1 || fail "TopicCommand by $mechanism"
  tool ConsoleProducer --producer.config "$scratch/writer" --topic "$topic" <"$scratch/lines" || fail "ConsoleProducer by $mechanism"
  tool ConsoleConsumer --consumer.config "$scratch/reader" --topic "$topic" --group "board-$topic" --from-beginning --max-messages 100 \
    --timeout-ms 30000 || fail "ConsoleConsumer by $mechanism"
  grep -E '^[0-9]+$' "$scratch/out" | cmp -s - "$scratch/lines" || fail "ConsoleConsumer read something else"
  if tool TopicCommand --command-config "$scratch/wrong" --list; then fail "Java was let in by a wrong token"; fi
  shows "SaslAuthenticationException" "Java is not told that its login failed"
  ok "Java: $mechanism"
done
properties other PLAIN writer "$(token writer)" "$folder/other.pem"
if tool TopicCommand --command-config "$scratch/other" --list; then fail "Java trusts another authority"; fi
shows "SslAuthenticationException|SSLHandshakeException" "Java says something else of another authority"
tool ConsoleConsumer --consumer.config "$scratch/reader" --topic secret --group board-x --from-beginning --timeout-ms 8000 || true
shows "TopicAuthorizationException" "Java is not told that the topic is not its own"
tool ConsoleConsumer --consumer.config "$scratch/reader" --topic "$topic" --group mine --from-beginning --timeout-ms 8000 || true
shows "GroupAuthorizationException" "Java is not told that the group is not its own"
if tool TopicCommand --command-config "$scratch/reader" --create --topic plant.x; then fail "Java made a topic"; fi
shows "TopicAuthorizationException" "Java is not told that it may not make a topic"
if tool ConfigCommand --command-config "$scratch/reader" --describe --entity-type brokers --entity-name 1 --all; then
  fail "Java saw the server's settings"
fi
shows "ClusterAuthorizationException" "Java is not told that the settings are not its own"
ok "Java: what is not its own, and another authority"
