//! Examples under the help of a command: each can be typed as it stands.

pub(super) const RUN: &str = "Examples:
  forebay run plant.yaml                                  until Ctrl-C; the next start goes on there
  forebay run plant.yaml --trigger availableNow           what is there now, then end
  forebay run plant.yaml --query lake --data /srv/plant   one query, its data elsewhere
  forebay run plant.yaml --watch                          take the file again whenever it changes
  forebay run plant.yaml --http 0.0.0.0:8443 --auth auth.yaml --tls-cert server.pem --tls-key server.key
                                                          for others than this machine (docs/security.md)
While it runs, `kill -HUP PID` or
  curl -X POST -H 'X-Forebay: 1' http://127.0.0.1:8080/api/v1/reload
takes the file again: queries that did not change run on, the others go on by the new file after the epoch they are in. A
file with errors, or with a change that is not safe, is refused, and everything goes on.";

pub(super) const TEST: &str = "Examples:
  forebay test plant.yaml                              every test of the file
  forebay test plant.yaml --filter late                those with `late` in their names
  forebay test plant.yaml --tests more.yaml            also those of a file that holds `tests:` alone
  forebay test plant.yaml --format junit > tests.xml   for CI
A test gives records and says what is to come of them:
  tests:
    - name: a minute is told once it is over
      given:
        iot: [ { device_id: d1, temperature: 20, timestamp: 5 }, { device_id: d1, temperature: 22, timestamp: 30 } ]
      steps:
        - at: 00:01:15
          given: { iot: [ { device_id: d1, temperature: 30, timestamp: 75 } ] }
      expect:
        queries: { minutes: { rows: [ { minute: 00:00:00, device_id: d1, avg_temperature: 21 } ] } }
Only what a test expects something of runs for it: with the file's SQL, schema, watermark and rules, in a folder that
is thrown away. Tables at rest are read where `forebay run` reads them, under --data. docs/testing.md has more.
Exit status: 0 if all is as expected; 1 if not, if the file is wrong, and if there are no tests; 2 for wrong use, also if no
test has the name.";

pub(super) const TRAIN: &str = "Examples:
  forebay train odd -f plant.yaml --on data/iot_data       a Delta table under --data
  forebay train odd -f plant.yaml --on /srv/usual.csv      a CSV file whose first line names its columns
The detector says what is trained: its kind (isolation_forest, k_means), its columns and its settings; its `model` says where the
file is written. Rows in which a column is NULL or no number are left out. A pipeline that runs takes the new model at its next
reload (kill -HUP PID), and goes on between two epochs.";

pub(super) const BACKTEST: &str = "Examples:
  forebay backtest changed.yaml --on 'delta.`data/iot_data`'          every alert of the file, on all rows
  forebay backtest changed.yaml --on 'delta.`data/iot_data`' --against plant.yaml --picture change.svg
                                                                      beside the present rules, with a picture
  forebay backtest plant.yaml --on lake.iot --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --rule heat
  forebay backtest plant.yaml --on 'csv.`/srv/november.csv`' --time ts --json
The table stands for the source that the alerts watch: its columns are found by their names, its rows come in the order of their
time, and that time is the clock. Conditions, levels, `for`, `matches`, `cooldown` and `noData` are a run's own. An alert over a
window, a join of streams, a detector or several sources is refused: choose the others with --rule (docs/alerts.md).";

pub(super) const TRIAL: &str = "Examples:
  forebay trial                                           `auto` on made-up series of every class of anomaly
  forebay trial series                                    on the CSV files below a folder, labelled by series/labels.json
  forebay trial NAB/data --labels NAB/labels/combined_windows.json --each
  forebay trial series --detector z_score,threshold=3 --why
A file has lines of `timestamp,value` below one with names: 2024-02-14 14:30:00,81.5. The labels are JSON:
  { \"pump.csv\": [ [\"2024-02-14 14:00:00\", \"2024-02-14 16:00:00\"] ] }
The detector sees one row after the other, and no label. The first 15 % of a series (750 rows at most) are for learning and do
not count. A window counts once, as found or missed; each flag outside of all windows is false. The early score is 0 for silence,
100 if each window's first row alone is flagged, and below 0 for noise (docs/detectors.md).";

pub(super) const TOP: &str = "Examples:
  forebay top                          the pipeline that runs on this machine
  forebay top --http 127.0.0.1:8090    at another address
  forebay top https://plant.example    on another machine, with its token in FOREBAY_TOKEN
  forebay top --once                   printed; so too into a pipe
Keys: q or Ctrl-C ends, tab chooses a section, arrows or j and k, PgUp, PgDn, g and G scroll it, / searches the devices, s shows another source.
Exit status of what is printed: 0, also while alerts are open; 1 if a query fails, the ledger does not balance, or no server answers.
Environment: FOREBAY_TOKEN who asks, SSL_CERT_FILE the CAs that https trusts, NO_COLOR no colours.";

pub(super) const ALERTS: &str = "Examples:
  forebay alerts                                        what is open, the newest first
  forebay alerts --state unacknowledged --severity critical
  forebay alerts --state all --rule heat --key press-1 --since '1 day'
  forebay alerts --state cleared --json | jq -r '[.rule, .key, .openedAt, .clearedAt] | @tsv'
  forebay alerts ack heat/press-1/1767607200000 --comment 'on my way'
  forebay alerts silence make --key 'press-*' --for '2 hours' --comment 'new rolls'
Exit status: 0, also while alerts are open; 1 if no server answers or it refuses, 2 for wrong use.
Environment: FOREBAY_TOKEN who asks (reading needs the role viewer, all else operator), SSL_CERT_FILE the CAs that https trusts.";

pub(super) const ACK: &str = "Examples:
  forebay alerts ack heat/press-1/1767607200000 --comment 'on my way'
  forebay alerts --state unacknowledged --rule heat --json | jq -r .id | xargs -d '\\n' forebay alerts ack
An alert that has cleared meanwhile is refused, with status 1.";

pub(super) const SILENCE: &str = "Examples:
  forebay alerts silence make --rule heat --key 'press-*' --for '2 hours' --comment 'new rolls'
  forebay alerts silence list
  forebay alerts silence expire 7
A silence is kept by the server, over its restarts. An alert that it mutes is on the page and in
`forebay alerts` all the same, and says by which silence; if it is still open when that ends, and
nobody has acknowledged it, it is told then. Silences that come again, every night or each weekend,
stand in the pipeline's file (`silences:`).";

pub(super) const SILENCE_MAKE: &str = "Examples:
  forebay alerts silence make --rule heat --key 'press-*' --for '2 hours' --comment 'new rolls'
  forebay alerts silence make --severity info --severity warning --until 2026-11-24T06:00:00+01:00
  forebay alerts silence make --all --from '2026-11-28 22:00' --for '8 hours'
  number=$(forebay alerts silence make --rule heat --for '1 hour')
  ./maintain; forebay alerts silence expire \"$number\"
An alert is silenced if it is of one of the rules, about one of the keys and of one of the
severities, as far as these are given.
It needs the role operator. Exit status: 0; 1 if no server answers or it refuses, 2 for wrong use.";

pub(super) const HEALTH: &str = "Examples:
  forebay health                                  the pipeline that runs on this machine
  forebay health --alive                          whether it answers at all
  SSL_CERT_FILE=ca.pem forebay health https://localhost:8443
It needs no token. Exit status: 0 if all is well (with --alive if it answers), 1 if not, 2 for wrong use.";

pub(super) const QUERY: &str = "Examples:
  forebay query --pipeline plant.yaml 'SELECT device_id, max(temperature) FROM lake GROUP BY device_id'
  forebay query 'SELECT count(*) FROM delta.`data/iot_data`'      a path under --data
  forebay query --format json 'SELECT CAST(value AS STRING) FROM kafka.`iot_topic` LIMIT 3'";

pub(super) const PRODUCE: &str = "Examples:
  echo '{\"device_id\": \"press-1\", \"temperature\": 71.5}' | forebay produce --topic iot_topic
  forebay produce --topic device_stream --file devices/device_01.json --whole    one event of several lines
  forebay produce --topic device_stream --file samples.txt --key-field customerId
  forebay produce -b broker:9093 --client-properties client.properties -t iot_topic -K '|' -H origin=plant < events.txt
Every record is acknowledged by all in-sync replicas before it counts as written. What fails is sent again, with pauses
that grow, until --timeout is over; the producer is idempotent, so nothing comes twice by that. At the end, also at
Ctrl-C, stderr says how many records are in which partition at which offsets, and which lines are not known to be there:
these may be there nevertheless, so sending them by another command may double them.
Exit status: 0 if all that was read is written; 1 if not, or if Ctrl-C came before the end of a file; 2 for wrong use.";

pub(super) const SIMULATE: &str = "Examples:
  forebay simulate                                          20 events a second, until Ctrl-C
  forebay simulate --count 200 --rate 100 --corrupt 0.05    two seconds, one in twenty damaged
  forebay simulate --values wander                          as machines drift: alerts last for seconds
  forebay simulate --rate 0 --count 1000000 --devices 50    as fast as it goes
  forebay simulate --topic device_stream --shape devices    events of several devices, customer by customer
  forebay simulate --shape arduino                          three sensors, each into its own topic
  forebay simulate --shape fleet --devices 12 --faults all --truth fleet_truth    vehicles, and what went wrong with them
  forebay simulate --topic device_stream --device-files devices --late-samples devices/late_data_samples.txt
  forebay simulate --topic device_stream --samples devices/device_data_samples.txt --shift
A file for --device-files is an event as it would be sent, of which customerId and devices are taken,
  { \"customerId\": \"CI00103\", \"data\": { \"devices\": [
    { \"deviceId\": \"D001\", \"temperature\": 15, \"measure\": \"C\", \"status\": \"ERROR\" } ] } }
or one device alone:
  { \"deviceId\": \"D002\", \"customerId\": \"CI00103\", \"temperature\": [0, 30], \"pressure\": [980, 1040],
    \"humidity\": [30.0, 60.0], \"measure\": \"C\", \"status\": [\"SUCCESS\", \"SUCCESS\", \"STANDBY\", null] }
temperature, pressure and humidity vary; whatever else stands in a device is sent as it stands.
What the log does not acknowledge is sent again, with pauses that grow, for two minutes (-X delivery.timeout.ms=…); the
producer is idempotent, so nothing comes twice but what --duplicate asks for.";

pub(super) const QUARANTINE: &str = "Examples:
  forebay quarantine ls --code json.truncated    which, of one kind
  forebay quarantine show iot_topic/0/17         one, with its bytes
  forebay quarantine replay --all                again, after the schema was mended
  forebay quarantine drop iot_topic/0/17         given up; it stays counted";

pub(super) const TOKEN: &str = "Examples:
  forebay token new --name ana --role operator --auth auth.yaml
  forebay token new --name prometheus --role viewer --expires 2030-12-31 --auth auth.yaml";

pub(super) const TOKEN_DEVICE: &str = "Examples:
  forebay token device --name uno-1 --publish 'plant/uno-1/#'
  forebay token device --name board --subscribe 'plant/#'
Put the entry below `users:` of the gateway. MQTT clients show the name as user and the token as password, HTTP clients the token
as Authorization: Bearer.";

pub(super) const TOKEN_KAFKA: &str = "Examples:
  forebay token kafka --name press-1 --write 'plant.*' --create 'plant.*' --users kafka-users.yaml
  forebay token kafka --name board --read 'plant.*' --group 'board-*' --users kafka-users.yaml
  forebay token kafka --name root --admin --users kafka-users.yaml
Clients log in by SASL: PLAIN (over TLS), SCRAM-SHA-256 or SCRAM-SHA-512, with the user's name and the token as password.";

pub(super) const TAIL: &str = "Examples:
  forebay log tail iot_topic                                         new values, until Ctrl-C
  forebay log tail iot_topic --from-beginning -n 3 --format json     the oldest three, whole";

pub(super) const DEMO: &str = "Examples:
  forebay demo                            until Ctrl-C; its data under ./forebay-data/demo/plant
  forebay demo --list                     what else can be shown
  forebay demo --rate 0 --for '1 minute'  as many events as go";

pub(super) const INIT: &str = "Examples:
  forebay init                                                pipeline.yaml, a plant
  forebay run pipeline.yaml                                   what comes next
  forebay init my.yaml --from kafka://localhost:9092/topic    with the schema of its records";

pub(super) const PLAN: &str = "Examples:
  forebay plan plant.yaml                          against the checkpoints under ./forebay-data
  forebay plan plant.yaml --data /srv/plant --format json
Exit status: 0 if `forebay run` would begin or go on with every query and alert, 1 if it would refuse one.";

pub(super) const SPARK: &str = "Examples:
  forebay spark plant.yaml > plant.py                 the job; on stderr what is otherwise there
  forebay spark plant.yaml --strict --out plant.py    fail where a query cannot be expressed
  forebay spark plant.yaml --submit --master spark://host:7077 -- --executor-memory 4g
The job has the file's sources, views and queries in its order, and comments where Spark has no
counterpart (alerts, quarantine, late table) or means something else. Secrets are not in it: it
asks the environment where it runs. It keeps checkpoints of its own under the data folder (--data,
or FOREBAY_DATA where it runs) and begins where the sources' options say. It needs Spark 4.0 with
its Kafka and Delta packages, which --submit adds.
Exit status: 0 also if something has no counterpart; 1 if the file is wrong, if spark-submit
fails, and with --strict if a query cannot be expressed.";

pub(super) const WHY: &str = "Examples:
  forebay why row --pipeline plant.yaml --key device_1 --at 2026-11-21T12:00:00Z
  forebay why row --pipeline plant.yaml --source iot --key press-7 --column machine.name \\
    --at 1795262400 --within '5 minutes'";

pub(super) const WHY_WINDOW: &str = "Examples:
  forebay why window plant.yaml minutes                          the windows that are open
  forebay why window plant.yaml minutes 2026-11-21T12:00:30Z     the one of that time
  forebay why window plant.yaml minutes 2026-11-21T12:00:30Z --key device_1
It tells of everything that waits for time: windows, sessions, keys of `deduplicate`, rows of a join that may yet meet
another. What is read is the checkpoint and the late table under --data. A row asks `forebay why row`.
Exit status: 0, also if nothing is open; 1 if the query has not run yet; 2 if it remembers nothing, or is not in the file.";

pub(super) const CHECKPOINT: &str = "Examples:
  forebay checkpoint show plant.yaml                   every query and alert of the file, as kept under --data
  forebay checkpoint show plant.yaml minutes -n 30     one query, and more of its past
  forebay checkpoint show forebay-data/checkpoints/plant/minutes --json
`state` is what an operator holds, `watermark` how far event time has come, `plan` what an epoch reads, `outcome` and
`commit` what became of its records. An epoch with a plan and no commit is under way, or is repeated at the next start.
`damaged` is a file that is not what was written, with what the next start does about it; all the rest is shown.
Exit status: 0; 1 if there is no checkpoint, or if the next start of a query would refuse its own.";

pub(super) const INFER: &str = "Examples:
  forebay schema infer iot_topic                           of the embedded log, or of --bootstrap
  forebay schema infer kafka://broker:9092/iot_topic -n 10000
  forebay schema infer --file events.jsonl > schema.ddl    one record a line; `-` is stdin";

pub(super) const JSON_SCHEMA: &str = "Examples:
  forebay schema json > pipeline.schema.json
and as the first line of a pipeline file, for editors with a YAML language server:
  # yaml-language-server: $schema=pipeline.schema.json";

pub(super) const EXPLAIN: &str = "Examples:
  forebay explain FB-2003          an error's code, in any case; `2003` will do
  forebay explain json.truncated   why a record is in the quarantine
  forebay explain                  all codes";

pub(super) const COMPLETIONS: &str = "Examples:
  forebay completions bash > ~/.local/share/bash-completion/completions/forebay
  forebay completions zsh > ~/.zfunc/_forebay        with ~/.zfunc in fpath
  forebay completions fish > ~/.config/fish/completions/forebay.fish";

pub(super) const MAN: &str = "Examples:
  forebay man | man -l -
  forebay man quarantine ls > forebay-quarantine-ls.1";
