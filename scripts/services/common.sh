# Shared by the scripts in this folder (sourced, not run): where things are kept, and how to find Java and Python.
#
# Everything is installed below one cache folder outside the checkout:
#   ${FOREBAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/forebay}
# so that deleting that folder undoes every installation. (Where root's cache is closed to others, PostgreSQL's programs lie in
# /var/cache/forebay, because they refuse to run as root.)

services_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${FOREBAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/forebay}"

# Versions are pinned: registries have gaps, and these were seen to work together.
kafka_version=4.1.1
spark_version=4.0.0 # 4.0.1 and later miss a jar in some mirrors
delta_version=4.0.0
flink_version=2.0.2
flink_kafka_version=4.0.1-2.0
postgres_version=17.6.0
pgjdbc_version=42.7.4
node_version=22.20.0
minio_version=v0.0.0-20260212201848-7aac2a2c5b7c # the newest that the Go proxy has; releases are no module versions
alertmanager_version=v0.31.1 # later ones want a page that is built apart, and is not in the module
go_version=1.26.6   # builds MinIO and Alertmanager where there is no Go that is new enough
smtp_version=1             # raise it when the list of packages in install.sh changes
schemathesis_version=4.32.5
clients_version=6   # raise it when the list of packages in install.sh changes
postgres_clients_version=1 # the same
mqtt_clients_version=2     # the same
hivemq_version=2025.5
learning_version=1          # the same
scikit_learn_version=1.7.2
deployment_version=1        # raise it when what install.sh installs for it changes
compose_go_version=v2.16.2 # holds the schema of compose files

kafka_libs="$cache/kafka/libs"
spark_jars="$cache/spark/jars"
spark_venv="$cache/spark/venv"
flink_jars="$cache/flink/jars"
flink_venv="$cache/flink/venv"
postgres_home="$cache/postgres/home" # a link to /var/cache/forebay where root's cache is closed to others
pgjdbc_jars="$cache/pgjdbc/jars"
clients_venv="$cache/clients/venv"
postgres_clients_venv="$cache/postgres-clients/venv"
postgres_clients_node="$cache/postgres-clients/node"
mqtt_clients_venv="$cache/mqtt-clients/venv"
mqtt_clients_node="$cache/mqtt-clients/node"
hivemq_libs="$cache/hivemq/libs"
node_venv="$cache/node/venv"
minio_bin="$cache/minio/bin"
alertmanager_bin="$cache/alertmanager/bin"
smtp_venv="$cache/smtp/venv"
deployment_venv="$cache/deployment/venv"
deployment_schemas="$cache/deployment/schemas"
learning_venv="$cache/learning/venv"
run_dir="$cache/run"

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints the java to use (JAVA_HOME first), and refuses one that is too old for Kafka 4 and Spark 4.
find_java() {
  local java="${JAVA_HOME:+$JAVA_HOME/bin/java}"
  [ -n "$java" ] && [ -x "$java" ] || java="$(command -v java)" \
    || die "no java found: install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless) or set JAVA_HOME"
  local major
  major="$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)"
  [ "${major:-0}" -ge 17 ] || die "$java is Java ${major:-unknown}; Kafka and Spark 4 need Java 17 or newer"
  printf '%s\n' "$java"
}

# The JAVA_HOME that belongs to find_java (Spark asks for the folder, not for the program).
find_java_home() {
  local java
  java="$(find_java)" || exit 1
  dirname "$(dirname "$(readlink -f "$java")")"
}

# installed COMPONENT VERSION: true when the marker names exactly this version.
installed() { [ "$(cat "$cache/$1/.installed" 2>/dev/null)" = "$2" ]; }
mark_installed() { printf '%s\n' "$2" >"$cache/$1/.installed"; }
need() { # need COMPONENT VERSION: used by the scripts that run something
  installed "$1" "$2" || die "$1 $2 is not installed: run scripts/services/install.sh $1 first"
}
