//! MQTT's own clients against the end point, unchanged: what they publish is read by their own subscribers, and is in the table.

use std::path::Path;

use crate::support::*;

/// A token, and its hash as `sha256sum` prints it.
const TOKEN: &str = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";

/// A run whose end point has a user who may publish to `plant/` and `nowhere/`, and only the first of them has a route.
struct Served {
    process: Process,
    data: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("plant.yaml");
        let (log, hash) = (free_address(), sha256(TOKEN));
        let text = format!(
            "pipeline: plant
gateways:
  plant:
    format: mqtt
    options: {{ listen: \"127.0.0.1:0\", retained: state }}
    routes:
      \"plant/#\": {{ topic: taken, key: \"{{topic}}\", value: text }}
    users:
      tester: {{ sha256: {hash}, publish: [\"plant/#\", \"nowhere/#\"], subscribe: [\"plant/#\"] }}
sources:
  taken: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: taken, startingOffsets: earliest }} }}
queries:
  lake:
    sql: \"SELECT CAST(key AS STRING) AS name, CAST(value AS STRING) AS payload FROM taken\"
    format: delta
    options: {{ path: taken }}
"
        );
        std::fs::write(&file, text).unwrap();
        let process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        Self { process, data }
    }

    /// How many checks a program says went well; it must say so of all.
    fn passed(&mut self, program: &str, args: &[&str]) -> usize {
        let said = run_script_with(program, args, &[("MQTT_USER", "tester"), ("MQTT_PASSWORD", TOKEN)]);
        said.lines().filter(|line| line.starts_with("OK ")).count()
    }

    fn host_and_port(&mut self) -> [String; 2] {
        let address = self.process.address("mqtt");
        [address.ip().to_string(), address.port().to_string()]
    }

    /// Each topic whose last level is a QoS has all its messages in the table: `payloads` different ones, each so often.
    fn assert_table(self, topics: usize, payloads: u64, times: u64) {
        let table = self.data.path().join("taken");
        eventually("all is in the table", std::time::Duration::from_secs(60), || {
            by_topic(self.data.path(), &table) == vec![(payloads, times, times); topics]
        });
        assert!(self.process.stop().0);
    }
}

/// Of each such topic: how many payloads there are, and how often the rarest and the commonest of them is there.
fn by_topic(data: &Path, table: &Path) -> Vec<(u64, u64, u64)> {
    if !table.join("_delta_log").exists() {
        return Vec::new();
    }
    let sql = format!(
        "SELECT count(*) AS payloads, min(n) AS low, max(n) AS high FROM \
         (SELECT name, payload, count(*) AS n FROM delta.`{}` WHERE name RLIKE '/(a|mqttv[0-9]+)/[012]$' GROUP BY name, payload) AS t \
         GROUP BY name",
        table.display()
    );
    let number = |row: &serde_json::Value, name: &str| row[name].as_u64().unwrap();
    let row = |row: serde_json::Value| (number(&row, "payloads"), number(&row, "low"), number(&row, "high"));
    query(data, &sql).into_iter().map(row).collect()
}

#[test]
fn mosquittos_clients() {
    let mut served = Served::start();
    let [host, port] = served.host_and_port();
    assert_eq!(served.passed("tests/clients/mqtt/mosquitto.sh", &[&host, &port]), 7);
    served.assert_table(6, 200, 1);
}

#[test]
fn paho() {
    let mut served = Served::start();
    let [host, port] = served.host_and_port();
    assert_eq!(served.passed("tests/clients/mqtt/paho.sh", &[&host, &port]), 7);
    // Both versions publish the same to the same topics.
    served.assert_table(3, 100, 2);
}

#[test]
fn mqtt_js() {
    let mut served = Served::start();
    let [host, port] = served.host_and_port();
    assert_eq!(served.passed("tests/clients/mqtt/mqtt_js.sh", &[&host, &port]), 2);
    served.assert_table(3, 100, 2);
}

#[test]
fn mqtt_js_over_web_socket() {
    let mut served = Served::start();
    let address = format!("ws://{}/mqtt", served.process.address("http"));
    assert_eq!(served.passed("tests/clients/mqtt/mqtt_js.sh", &[&address]), 2);
    served.assert_table(3, 100, 2);
}

#[test]
fn who_has_the_wrong_certificate_reaches_nothing_over_tls() {
    let (port, log) = (free_addresses(2).port().to_string(), free_address().to_string());
    let server = root().join("tests/clients/mqtt/serve.sh").display().to_string();
    let variables = [("FOREBAY", FOREBAY), ("LOG_ADDRESS", &log), ("FOREBAY_POSTGRES", "off")];
    let said = run_script_with("tests/clients/mqtt/tls.sh", &[&server, &port], &variables);
    assert_eq!(said.lines().filter(|line| line.starts_with("OK ")).count(), 1);
}

#[test]
fn what_a_client_may_not_is_told_in_the_log_once_in_a_run_with_who_and_what() {
    let mut served = Served::start();
    let [host, port] = served.host_and_port();
    let as_tester = |program: &str, client: &str, more: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(["-h", &host, "-p", &port, "-u", "tester", "-P", TOKEN, "-i", client]).args(more);
        drop(command.output().unwrap());
    };
    for topic in ["other/one", "other/two", "other/one"] {
        as_tester("mosquitto_pub", "dev1", &["-q", "1", "-t", topic, "-m", "x"]);
    }
    as_tester("mosquitto_pub", "dev2", &["-V", "5", "-q", "1", "-t", "nowhere/x", "-m", "x"]);
    as_tester("mosquitto_sub", "dev3", &["-t", "plant/#", "-t", "other/#", "-W", "1"]);
    let patience = std::time::Duration::from_secs(10);
    for (what, parts) in [
        ("a subscription was refused", ["dev3", "other/#", "not allowed to subscribe"]),
        ("client=\"dev2\"", ["a message was refused", "nowhere/x", "no route"]),
        ("client=\"dev1\"", ["a message was refused", "other/one", "not allowed to publish"]),
    ] {
        let line = served.process.wait_for(what, patience);
        for part in parts.into_iter().chain(["WARN", "gateway=\"plant\"", "user=\"tester\""]) {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    let of_dev1 = served.process.said.iter().filter(|line| line.contains("client=\"dev1\"")).count();
    assert_eq!(of_dev1, 1, "{:?}", served.process.said);
    assert!(served.process.stop().0);
}
