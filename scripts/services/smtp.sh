#!/usr/bin/env bash
# Runs a server that takes mail (aiosmtpd) on loopback, and keeps what it took.
#
#   scripts/services/smtp.sh start  [--port N] [--dir DIR] [--tls CERT KEY] [--user NAME PASSWORD]   N is 2525 by default
#   scripts/services/smtp.sh stop   [--port N | --all] [--kill]
#   scripts/services/smtp.sh status [--port N | --all]
#
# start waits until the server answers, then prints its address on stdout. Each mail that it took, and each address that it refused, is a line
# of JSON in DIR/mail.jsonl. DIR is a temporary folder, removed by stop, unless --dir names one; a named DIR is kept. With --tls it wants
# STARTTLS before anything else, with --user a login as well. It refuses the address `never@…` for good (550), and `later-N@…` N times (451).
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/server.sh"
kind=smtp word=server

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"
[ $# -gt 0 ] && shift
port=2525 dir= all=no signal=TERM more=()
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="${2:?--port needs a number}"; shift 2 ;;
    --dir) dir="${2:?--dir needs a folder}"; shift 2 ;;
    --tls | --user) more+=("$1" "${2:?$1 needs two values}" "${3:?$1 needs two values}"); shift 3 ;;
    --all) all=yes; shift ;;
    --kill) signal=KILL; shift ;;
    *) usage ;;
  esac
done
check_port 65535

# The process lives, is ours, and is not another that was given the same number since. A zombie has no command line.
alive() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF "smtp_server.py $2 "; }

start() {
  need smtp "$smtp_version"
  local wanted_dir="$dir" pid temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    say "already running (process $pid, $dir)"
    announce
    return
  fi
  in_use "$port" && die "port $port is in use by another process"
  dir="$wanted_dir"
  make_folder
  # A session of its own: a Ctrl-C meant for the calling script does not reach the server.
  setsid "$smtp_venv/bin/python" "$services_dir/smtp_server.py" "$dir" "$port" "${more[@]}" </dev/null >>"$dir/server.log" 2>&1 9>&- &
  pid=$!
  disown
  write_record
  wait_until 0.1 in_use "$port"
  announce
}

announce() {
  say "mail: $dir/mail.jsonl   log: $dir/server.log   process: $pid"
  printf '127.0.0.1:%s\n' "$port"
}

end() {
  [ "$signal" = KILL ] && crash=yes
  kill "-$signal" "$1"
}

act "$action" "$all"
