#!/usr/bin/env bash
# mosquitto_pub and mosquitto_sub against the MQTT end point: HOST PORT. Both versions, all QoS, retained state, wills, 200 messages in order.
# The end point keeps retained state, routes `plant/` and takes MQTT_USER and MQTT_PASSWORD, if they are set. Prints an OK line for each check.
set -euo pipefail
host=$1 port=$2
run=mosq-$$
here=(-h "$host" -p "$port")
[ -z "${MQTT_USER:-}" ] || here+=(-u "$MQTT_USER" -P "$MQTT_PASSWORD")
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
# Reads in the background, and is subscribed when this returns: NAME ARGUMENTS... . What it reads goes to $work/NAME, each behind `M `.
reader=
read_to() {
  local name=$1
  shift
  : >"$work/$name"
  timeout 120 stdbuf -oL mosquitto_sub "${here[@]}" -d -F 'M %p' "$@" >"$work/$name" &
  reader=$!
  for _ in $(seq 600); do
    if grep -q '^Subscribed' "$work/$name"; then return; fi
    sleep 0.1
  done
  fail "$name was never subscribed: $(cat "$work/$name")"
}
messages() { sed -n 's/^M //p' "$work/$1"; }

for version in mqttv311 mqttv5; do
  for qos in 0 1 2; do
    topic=plant/$run/$version/$qos
    read_to got -V $version -i "$run-sub" -q $qos -t "plant/$run/+/$qos" -C 200
    seq 200 | mosquitto_pub "${here[@]}" -V $version -i "$run-pub" -q $qos -t "$topic" -l
    wait $reader || fail "$version QoS $qos: not all messages came"
    messages got | cmp - <(seq 200) || fail "$version QoS $qos: other messages or another order"
  done
  echo "OK $version: 200 messages of each QoS, in order"
  mosquitto_pub "${here[@]}" -V $version -q 1 -r -t "plant/$run/state/$version" -m on
  [ "$(timeout 60 mosquitto_sub "${here[@]}" -V $version -t "plant/$run/state/$version" -C 1)" = on ] || fail "$version: retained"
  mosquitto_pub "${here[@]}" -V $version -q 1 -r -t "plant/$run/state/$version" -n
  if timeout 1 mosquitto_sub "${here[@]}" -V $version -t "plant/$run/state/$version" -C 1 >/dev/null; then fail "$version: still retained"; fi
  echo "OK $version: retained state"
  read_to dies -V $version -i "$run-dies" -t "plant/$run/none" --will-topic "plant/$run/will" --will-payload gone --will-qos 1
  dies=$(pgrep -P "$reader" | head -n 1)
  read_to will -V $version -t "plant/$run/will" -C 1
  kill -9 "$dies"
  wait $reader || fail "$version: no will"
  [ "$(messages will)" = gone ] || fail "$version: another will"
  echo "OK $version: a will"
done
if mosquitto_pub -h "$host" -p "$port" -V mqttv5 -u somebody -P wrong -t "plant/x" -m x 2>/dev/null; then fail "a wrong password was let in"; fi
echo "OK a wrong password"
