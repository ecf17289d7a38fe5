#!/usr/bin/env bash
# Runs Prometheus' Alertmanager on loopback, with a receiver that tells nobody.
#
#   scripts/services/alertmanager.sh start  [--port N] [--dir DIR]   N is 9093 by default
#   scripts/services/alertmanager.sh stop   [--port N | --all] [--kill]
#   scripts/services/alertmanager.sh status [--port N | --all]
#
# start waits until the server is ready, then prints its address on stdout. What it knows is below DIR: a temporary folder, removed by stop,
# unless --dir names one; a named DIR is kept. Several servers may run side by side, each on its own port and folder. --kill sends SIGKILL: a
# crash; the folder is kept.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/server.sh"
kind=alertmanager word=server

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=9093 dir= all=no signal=TERM
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --all) all=yes; shift ;;
    --kill) signal=KILL; shift ;;
    *) usage ;;
  esac
done
check_port 65535

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF -- "--storage.path=$2/data "; }

ready() { curl -sf -o /dev/null --max-time 2 "http://127.0.0.1:$port/-/ready"; }

start() {
  need alertmanager "$alertmanager_version"
  local wanted_dir="$dir" pid temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  in_use "$port" && die "port $port is in use by another process"
  dir="$wanted_dir"
  make_folder
  mkdir -p "$dir/data"
  printf 'route: { receiver: nobody, group_by: [alertname] }\nreceivers: [{ name: nobody }]\n' >"$dir/alertmanager.yml"
  # A session of its own: a Ctrl-C meant for the calling script does not reach the server. No port for a cluster.
  setsid "$alertmanager_bin/alertmanager" --config.file="$dir/alertmanager.yml" --storage.path="$dir/data" \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= </dev/null >>"$dir/server.log" 2>&1 9>&- &
  pid=$!
  disown
  write_record
  wait_until 0.1 ready
  announce
}

announce() {
  say "log: $dir/server.log   process: $pid"
  printf '127.0.0.1:%s\n' "$port"
}

end() {
  [ "$signal" = KILL ] && crash=yes
  kill "-$signal" "$1"
}

act "$action" "$all"
