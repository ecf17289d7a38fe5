#!/usr/bin/env bash
# A container engine for tests: the one that answers already (DOCKER_HOST), else Debian's dockerd, for root alone.
#
#   scripts/services/docker.sh start DIR   prints its DOCKER_HOST; what it keeps lies below DIR
#   scripts/services/docker.sh stop DIR    ends the one that start started there
set -euo pipefail
. "$(dirname "$0")/common.sh"
action="${1:-}" dir="${2:?a folder is needed}"
host="unix://$dir/docker.sock"

case "$action" in
  start)
    if docker version >/dev/null 2>&1; then
      printf '%s\n' "${DOCKER_HOST:-unix:///var/run/docker.sock}"
      exit 0
    fi
    command -v dockerd >/dev/null || die "no container engine answers, and there is no dockerd (install.sh deployment, as root)"
    [ "$(id -u)" = 0 ] || die "no container engine answers, and dockerd needs root"
    mkdir -p "$dir"
    setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" --host "$host" </dev/null >"$dir/docker.log" 2>&1 9>&- &
    for _ in $(seq 1 60); do
      if docker --host "$host" version >/dev/null 2>&1; then
        printf '%s\n' "$host"
        exit 0
      fi
      sleep 0.5
    done
    tail -n 5 "$dir/docker.log" >&2
    die "dockerd did not start (see $dir/docker.log)"
    ;;
  stop)
    [ -e "$dir/docker.pid" ] || exit 0
    pid="$(cat "$dir/docker.pid")"
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 1 60); do
      [ -e "/proc/$pid" ] || exit 0
      sleep 0.5
    done
    die "dockerd did not end"
    ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
