#!/usr/bin/env bash
# The client of a broker against a real Mosquitto: STAND, a program that takes SERVER ID FILTERS FILE VERSION [CA [CERTIFICATE KEY]] and appends each
# payload to FILE, fsynced, before it is acknowledged (the example `mqtt_client_stand` does).
#
# Numbers are published with QoS 1 while the client is killed and the broker restarted. Each number must be in the file, and those
# of an undisturbed stretch once and in order; QoS 2 once over restarts of the broker. Then TLS: who is wrong in any way gets nothing.
set -euo pipefail
stand=$(readlink -f "$1") port=${2:-18893}
here=$(cd "$(dirname "$0")" && pwd)
mosquitto="$here/../../../scripts/services/mosquitto.sh"
work=$(mktemp -d)
running=
cleanup() {
  [ -z "$running" ] || kill -9 "$running" 2>/dev/null || true
  "$mosquitto" stop --port "$port" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; tail -n 3 "$work"/*.out >&2 || true; exit 1; }
until_true() { for _ in $(seq 900); do "$@" && return; sleep 0.1; done; fail "never: $*"; }
broker() { "$mosquitto" "$1" --port "$port" --dir "$work/broker" "${@:2}" >/dev/null 2>&1 || fail "mosquitto $1"; }
client() { # client FILE VERSION FILTERS
  "$stand" "mqtt://127.0.0.1:$port" "stand-$2" "$3" "$work/$1" "$2" >"$work/$1.out" 2>&1 &
  running=$!
}
is_up() { tail -n 1 "$work/$1.out" | grep -q 'is_up: true'; }
has() { [ "$(sort -un "$work/$1" 2>/dev/null | wc -l)" -ge "$2" ]; }
publish() { seq "$1" "$2" | mosquitto_pub -h 127.0.0.1 -p "$port" -i pub -q "$3" -t plant/x -l; }
missing() { comm -23 <(seq "$2" | sort) <(sort -u "$work/$1") | wc -l; }

for version in 3.1.1 5.0; do
  file=kills-$version
  broker start
  client "$file" $version 'plant/#'
  until_true is_up "$file"
  for round in 0 1 2 3 4 5; do
    publish $((round * 500 + 1)) $((round * 500 + 500)) 1 &
    publisher=$!
    sleep 0.0$((RANDOM % 10))
    kill -9 "$running"; wait "$running" 2>/dev/null || true
    client "$file" $version 'plant/#'
    wait $publisher
    if [ $round = 2 ]; then
      broker stop
      sleep 0.3
      broker start
    fi
  done
  until_true has "$file" 3000
  kill "$running"; wait "$running" 2>/dev/null || true
  [ "$(missing "$file" 3000)" = 0 ] || fail "$version: numbers are missing"
  # What came while nobody was there is there; undisturbed it comes once and in order.
  rm "$work/$file"
  publish 1 200 1
  client "$file" $version 'plant/#'
  until_true is_up "$file"
  publish 201 400 1
  until_true has "$file" 400
  kill "$running"; wait "$running" 2>/dev/null || true
  seq 400 | cmp - "$work/$file" || fail "$version: not once and in order"
  # QoS 2 over restarts of the broker: once.
  rm "$work/$file"
  client "$file" $version 'plant/#'
  until_true is_up "$file"
  publish 1 200 2
  broker stop
  broker start
  publish 201 400 2
  until_true has "$file" 400
  kill "$running"; wait "$running" 2>/dev/null || true
  seq 400 | cmp - "$work/$file" || fail "$version: QoS 2 not exactly once"
  broker stop
done
running=
echo "OK kills and restarts"

# Two share a filter: each number at one of them.
broker start
"$stand" "mqtt://127.0.0.1:$port" one '$share/g/plant/#' "$work/one" 5.0 >"$work/one.out" 2>&1 & first=$!
"$stand" "mqtt://127.0.0.1:$port" two '$share/g/plant/#' "$work/two" 5.0 >"$work/two.out" 2>&1 & second=$!
until_true is_up one; until_true is_up two
publish 1 300 1
until_true eval '[ "$(cat "$work"/one "$work"/two | wc -l)" -ge 300 ]'
kill $first $second; wait $first $second 2>/dev/null || true
cat "$work"/one "$work"/two | sort -n | cmp - <(seq 300) || fail "shared: not once each"
broker stop
echo "OK shared"

# TLS with certificates of clients, and a password.
cd "$work"
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null; }
signed() { # NAME CA DAYS SUBJECT-ALTERNATIVE-NAME
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/O=plant/CN=$1" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -out "$1.pem" -days "$3" -extfile <(echo "subjectAltName=$4") 2>/dev/null
}
ca ours && ca others
signed server ours 2 IP:127.0.0.1,DNS:localhost
signed elsewhere ours 2 DNS:elsewhere.example
signed expired ours -1 IP:127.0.0.1
signed gateway ours 2 DNS:gateway
signed stranger others 2 DNS:stranger
touch passwords && chmod 600 passwords && mosquitto_passwd -b passwords hall secret 2>/dev/null
secure() { # secure CERTIFICATE
  broker start --set "cafile $work/ours.pem" --set "certfile $work/$1.pem" --set "keyfile $work/$1.key" --set "require_certificate true" \
    --set "allow_anonymous false" --set "password_file $work/passwords"
}
# within SECONDS OUT PATTERN ARGUMENTS...
expect() {
  local out="$1" pattern="$2"
  shift 2
  timeout 90 "$stand" "$@" >"$out.out" 2>&1 &
  running=$!
  for _ in $(seq 600); do
    if grep -q "$pattern" "$out.out"; then
      kill "$running" 2>/dev/null; wait "$running" 2>/dev/null || true
      running=
      return 0
    fi
    sleep 0.1
  done
  fail "$out: no '$pattern'"
}
to="mqtts://localhost:$port"
secure server
export MQTT_USER=hall MQTT_PASSWORD=secret
expect good 'is_up: true' "$to" a t "$work/t" 5.0 ours.pem gateway.pem gateway.key
expect good3 'is_up: true' "mqtts://127.0.0.1:$port" a t "$work/t" 3.1.1 ours.pem gateway.pem gateway.key
expect none 'problem: Some' "$to" a t "$work/t" 5.0 ours.pem
expect stranger 'problem: Some' "$to" a t "$work/t" 5.0 ours.pem stranger.pem stranger.key
expect otherca 'TLS failed' "$to" a t "$work/t" 5.0 others.pem gateway.pem gateway.key
expect system 'TLS failed' "$to" a t "$work/t" 5.0
expect plain 'problem: Some' "mqtt://localhost:$port" a t "$work/t" 5.0
MQTT_PASSWORD=wrong expect wrong 'FB-2013' "$to" a t "$work/t" 5.0 ours.pem gateway.pem gateway.key
broker stop
secure elsewhere
expect elsewhere 'TLS failed' "$to" a t "$work/t" 5.0 ours.pem gateway.pem gateway.key
broker stop
secure expired
expect expired 'TLS failed' "$to" a t "$work/t" 5.0 ours.pem gateway.pem gateway.key
broker stop
grep -l 'is_up: true' none.out stranger.out otherca.out system.out plain.out wrong.out elsewhere.out expired.out && fail "let in"
grep -l secret ./*.out && fail "the password was printed"
echo "OK TLS"
