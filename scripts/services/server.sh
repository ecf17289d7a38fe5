# Shared by the scripts that run a server on a port of loopback (sourced behind common.sh): what is known of it, its folder,
# its end, and the three actions.
#
# The script says who it is: `kind` (the name of its records), `word` (what it is called; its log is DIR/WORD.log), and the functions
# start, alive PID DIR, and end PID, which asks it to end, notes in `others` whoever must be gone with it, and is `crash=yes` if the
# folder is to stay as it is.

others= crash=no

# What is known of the server on a port: three lines, process id, folder, and whether the folder is ours to remove.
record_of() { printf '%s/%s-%s\n' "$run_dir" "$kind" "$1"; }
read_record() { [ -e "$(record_of "$1")" ] && { read -r pid && read -r dir && read -r temporary; } <"$(record_of "$1")"; }
write_record() { printf '%s\n%s\n%s\n' "$pid" "$dir" "$temporary" >"$(record_of "$port")"; }

check_port() { # check_port GREATEST
  [[ "$port" =~ ^[0-9]+$ ]] && [ "$port" -ge 1 ] && [ "$port" -le "$1" ] || die "--port wants a number from 1 to $1, not '$port'"
}
in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Makes the folder of this start: the one that was named, or a temporary one. Sets dir and temporary.
make_folder() {
  temporary=no
  if [ -z "$dir" ]; then
    dir="$(mktemp -d "${TMPDIR:-/tmp}/forebay-$kind-$port.XXXXXX")" temporary=yes
  fi
  mkdir -p "$dir" "$run_dir"
  dir="$(cd "$dir" && pwd)"
}

# wait_until PAUSE COMMAND: until it is true of a server that lives; tells with its log why not.
wait_until() {
  local pause="$1" deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/$word.log" >&2; die "the $word ended while starting (its log: $dir/$word.log)"; }
    [ $SECONDS -lt $deadline ] || die "the $word did not answer within 60 s (its log: $dir/$word.log)"
    sleep "$pause"
  done
}

stop_one() {
  local port="$1" pid dir temporary deadline
  read_record "$port" || { say "no $word was started on port $port"; return 0; }
  others=
  if alive "$pid" "$dir"; then
    end "$pid"
    deadline=$((SECONDS + 60))
    while alive "$pid" "$dir" || { [ -n "$others" ] && kill -0 $others 2>/dev/null; }; do
      [ $SECONDS -lt $deadline ] || die "process $pid did not end within 60 s (its log: $dir/$word.log)"
      sleep 0.05
    done
    # One that was killed has no command line any more while its threads end, and holds its port until the last one has.
    deadline=$((SECONDS + 10))
    while [ -e "/proc/$pid" ] && in_use "$port" && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
    say "stopped (process $pid, port $port)"
  else
    say "was not running any more (process $pid, port $port)"
  fi
  rm -f "$(record_of "$port")" "$dir/$kind.pid"
  [ "$temporary" = yes ] && [ $crash = no ] && rm -rf "$dir"
  return 0
}

status_one() {
  local port="$1" pid dir temporary
  if read_record "$port" && alive "$pid" "$dir"; then
    printf '127.0.0.1:%s running process=%s dir=%s\n' "$port" "$pid" "$dir"
  else
    printf '127.0.0.1:%s stopped\n' "$port"
    return 1
  fi
}

started_ports() { ls "$run_dir" 2>/dev/null | sed -n "s/^$kind-\([0-9]*\)\$/\1/p"; }

# act ACTION ALL: what the script was called for.
act() {
  local p
  case "$1-$2" in
    start-*) start ;;
    stop-yes) for p in $(started_ports); do stop_one "$p"; done ;;
    stop-*) stop_one "$port" ;;
    status-yes) for p in $(started_ports); do status_one "$p" || true; done ;;
    status-*) status_one "$port" ;;
    *) usage ;;
  esac
}
