//! Examples under the help of a command: each can be typed as it stands.

pub(super) const RUN: &str = "Examples:
  forebay run plant.yaml                                  until Ctrl-C; the next start goes on there
  forebay run plant.yaml --trigger availableNow           what is there now, then end
  forebay run plant.yaml --query lake --data /srv/plant   one query, its data elsewhere";

pub(super) const QUERY: &str = "Examples:
  forebay query --pipeline plant.yaml 'SELECT device_id, max(temperature) FROM lake GROUP BY device_id'
  forebay query 'SELECT count(*) FROM delta.`data/iot_data`'      a path under --data
  forebay query --format json 'SELECT CAST(value AS STRING) FROM kafka.`iot_topic` LIMIT 3'";

pub(super) const PRODUCE: &str = "Examples:
  echo '{\"device_id\": \"press-1\", \"temperature\": 71.5}' | forebay produce --topic iot_topic
  forebay produce --topic iot_topic --file events.jsonl --key-separator '|'";

pub(super) const SIMULATE: &str = "Examples:
  forebay simulate                                          20 events a second, until Ctrl-C
  forebay simulate --count 200 --rate 100 --corrupt 0.05    two seconds, one in twenty damaged
  forebay simulate --rate 0 --count 1000000 --devices 50    as fast as it goes";

pub(super) const QUARANTINE: &str = "Examples:
  forebay quarantine ls --code json.truncated    which, of one kind
  forebay quarantine show iot_topic/0/17         one, with its bytes
  forebay quarantine replay --all                again, after the schema was mended
  forebay quarantine drop iot_topic/0/17         given up; it stays counted";

pub(super) const TAIL: &str = "Examples:
  forebay log tail iot_topic                                         new values, until Ctrl-C
  forebay log tail iot_topic --from-beginning -n 3 --format json     the oldest three, whole";
