#!/usr/bin/env bash
# TLS and client certificates of the MQTT end point, by mosquitto_pub: COMMAND, a shell command that gets ADDRESS CERTIFICATE KEY CA and serves
# there, prints a line that begins with `ready` and wants client certificates of CA (serve.sh and the example `mqtt_stand` do); `private/NAME` is for the
# certificate of that name, and `t` for any. Uses two ports from PORT on. Everything wrong must fail closed.
set -euo pipefail
server=$1 port=${2:-18884}
work=$(mktemp -d)
trap 'kill $running 2>/dev/null || true; rm -rf "$work"' EXIT
running=
fail() { echo "FAILED: $*" >&2; exit 1; }
cd "$work"

ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null; }
# NAME CA DAYS SUBJECT-ALTERNATIVE-NAME
signed() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/O=plant/CN=$1" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -out "$1.pem" -days "$3" -extfile <(echo "subjectAltName=$4") 2>/dev/null
}
ca ours && ca others
signed server ours 2 IP:127.0.0.1
signed elsewhere ours 2 DNS:elsewhere.example
signed device-7 ours 2 DNS:device-7
signed stranger others 2 DNS:stranger
signed expired ours -1 DNS:expired

serve() {
  "$server" "127.0.0.1:$port" "$1.pem" "$1.key" ours.pem >log 2>&1 &
  running=$!
  for _ in $(seq 600); do grep -q ^ready log && return; sleep 0.1; done
  fail "the server does not come up: $(cat log)"
}
send() { timeout 60 mosquitto_pub -h 127.0.0.1 -p "$port" -V mqttv5 -q 1 -m x "$@" >out 2>&1; }
as() { echo "--cert $1.pem --key $1.key"; }

serve server
send --cafile ours.pem $(as device-7) -t private/device-7 || fail "a good certificate: $(cat out log)"
grep -qi warning out && fail "the certificate's name is not who it is: $(cat out)"
send --cafile ours.pem $(as device-7) -t private/other; grep -qi "warning\|not auth" out || fail "another's topic: $(cat out)"
if send --cafile ours.pem -t t; then fail "without a certificate"; fi
if send --cafile ours.pem $(as stranger) -t t; then fail "a stranger's certificate"; fi
if send --cafile ours.pem $(as expired) -t t; then fail "an expired certificate"; fi
if send --cafile others.pem $(as device-7) -t t; then fail "a server of another CA"; fi
if send -t t; then fail "plain text"; fi
send --cafile ours.pem $(as device-7) -t private/device-7 || fail "and it serves on: $(cat out)"
kill $running && wait $running 2>/dev/null || true
port=$((port + 1))
serve elsewhere
if send --cafile ours.pem $(as device-7) -t t; then fail "a server with another name"; fi
echo "OK TLS"
