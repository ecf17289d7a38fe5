//! What lies under `deploy/`: is it what its readers take, and does it run?

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;

#[test]
fn every_file_for_deployment_is_what_its_reader_takes() {
    let told = run_script("tests/clients/deployment.sh", &[]);
    for part in [
        "service forebay",
        "service kafka",
        "StatefulSet forebay",
        "Secret forebay-secrets",
        "dashboard Fleet",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn the_file_that_is_deployed_is_the_example_with_other_addresses() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let wanted = read("examples/fleet.yaml")
        .replace("localhost:9092", "kafka:29092")
        .replace(
            "postgresql://localhost:5432/forebay",
            "postgresql://postgres:5432/forebay?sslrootcert=/secrets/forebay/ca.pem",
        )
        .replace("${PGPASSWORD}", "${file:/secrets/forebay/pgpassword}");
    assert_eq!(read("deploy/fleet.yaml"), wanted);
}

#[test]
fn the_unit_of_systemd_is_one_and_closes_what_it_can() {
    // The program's place is that of an installed one; here it is where it was built.
    let dir = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(root().join("deploy/forebay.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/forebay run"));
    let file = dir.path().join("forebay.service");
    std::fs::write(&file, unit.replace("/usr/local/bin/forebay", FOREBAY)).unwrap();
    let file = file.to_str().unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", file]).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text_of(&verified));
    // 10 is open, 0 is closed; the threshold is in tenths.
    let arguments = ["security", "--offline=yes", "--threshold=15", file];
    let judged = Command::new("systemd-analyze").args(arguments).output().unwrap();
    let said = text(&judged.stdout);
    assert!(judged.status.success(), "{said}\n{}", text_of(&judged));
    println!("{}", said.lines().last().unwrap_or_default());
}

/// The secrets of the compose file, as its container `setup` makes them, here owned by whoever runs the test.
fn secrets(dir: &Path) -> PathBuf {
    let secrets = dir.join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    let uid = text(&Command::new("id").arg("-u").output().unwrap().stdout).trim().to_owned();
    let bin = Path::new(FOREBAY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg(root().join("deploy/setup.sh")).arg(&secrets).env("PATH", path);
    for name in ["FOREBAY_UID", "POSTGRES_UID", "PROMETHEUS_UID", "GRAFANA_UID"] {
        command.env(name, &uid);
    }
    succeed(&mut command);
    let made = |file: &str| std::fs::read(secrets.join(file)).unwrap();
    let before = made("forebay/auth.yaml");
    assert!(text_of(&succeed(&mut command)).contains("there already"));
    assert_eq!(made("forebay/auth.yaml"), before, "a second run changes nothing");
    for folder in ["forebay", "postgres", "prometheus", "grafana", "you"] {
        let mode = std::fs::metadata(secrets.join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{folder} is for its owner alone");
    }
    secrets
}

/// `curl` with the authority and the token of somebody.
fn asked(secrets: &Path, whose: &str, url: &str) -> String {
    let ca = secrets.join(whose).join("ca.pem");
    let token = std::fs::read_to_string(secrets.join(whose).join("token")).unwrap();
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "--cacert", ca.to_str().unwrap(), "-H"]);
    text(&succeed(command.arg(format!("Authorization: Bearer {token}")).arg(url)).stdout)
}

/// The processes of the compose file, started as it starts them, where no container engine is: its own pipeline file, certificates, tokens
/// and arguments, a PostgreSQL with TLS, a Kafka, vehicles. What differs are names and ports.
#[test]
fn the_processes_of_the_compose_file_work_together() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let of = |file: &str| secrets.join(file).display().to_string();
    let postgres = Postgres::start_with(&["--ssl", &of("postgres/server.pem"), &of("postgres/server.key")]);
    let password = std::fs::read_to_string(secrets.join("postgres/password")).unwrap();
    postgres.run_sql(&format!("ALTER USER forebay PASSWORD '{password}'"));
    let kafka = LogServer::start();
    let pipeline = std::fs::read_to_string(root().join("deploy/fleet.yaml")).unwrap();
    let pipeline = pipeline
        .replace("kafka:29092", &kafka.address.to_string())
        .replace("postgres:5432", &format!("localhost:{}", postgres.address.port()))
        .replace("/secrets/", &format!("{}/", secrets.display()));
    let file = dir.path().join("fleet.yaml");
    std::fs::write(&file, pipeline).unwrap();
    let compose = std::fs::read_to_string(root().join("deploy/compose.yaml")).unwrap();
    let mut arguments = vec!["run".to_owned(), file.display().to_string()];
    for option in ["--embedded-log=never", "--http=", "--auth=", "--tls-cert=", "--tls-key="] {
        let line = compose
            .lines()
            .find_map(|line| line.trim().strip_prefix("- ").filter(|it| it.starts_with(option)));
        let line = line.unwrap_or_else(|| panic!("the compose file does not say {option}"));
        let line = line.replace("/secrets/", &format!("{}/", secrets.display()));
        arguments.push(if option == "--http=" { "--http=0.0.0.0:0".to_owned() } else { line });
    }
    let data = dir.path().join("data");
    let mut command = Command::new(FOREBAY);
    command.args(&arguments).env("FOREBAY_DATA", &data).env("FOREBAY_POSTGRES", "off").stdin(Stdio::null());
    command.env("SSL_CERT_FILE", of("forebay/ca.pem"));
    let mut process = Process::spawn(&mut command);
    let port = process.address("https").port();
    let url = format!("https://localhost:{port}");

    // The health check of the container, and whom it tells what.
    let health = |more: &[&str]| {
        let mut command = Command::new(FOREBAY);
        command
            .arg("health")
            .args(more)
            .arg(&url)
            .env("SSL_CERT_FILE", of("forebay/ca.pem"))
            .output()
            .unwrap()
    };
    assert!(health(&["--alive"]).status.success(), "{}", text_of(&health(&["--alive"])));
    let strange =
        Command::new(FOREBAY).args(["health", "--alive", &url]).env_remove("SSL_CERT_FILE").output().unwrap();
    assert!(!strange.status.success(), "a certificate that nobody vouches for is no health");

    let bootstrap = kafka.address.to_string();
    let vehicles = "simulate --shape fleet --devices 12 --faults all --corrupt 0.05 --truth fleet_truth --rate 0 --count 3000 --seed 7";
    let mut simulate = Command::new(FOREBAY);
    succeed(simulate.args(vehicles.split(' ')).args(["--bootstrap", &bootstrap]));
    eventually("all reports are in PostgreSQL, over TLS", Duration::from_secs(90), || {
        postgres.count("device_data") + postgres.count("corrupt_records") == 3_000
    });
    assert!(postgres.count("alerts") > 0);
    eventually("all is well", Duration::from_secs(20), || health(&[]).status.success());
    // As Prometheus asks, and as a person does.
    assert!(asked(&secrets, "prometheus", &format!("{url}/metrics")).contains("forebay_up 1"));
    assert!(asked(&secrets, "you", &format!("{url}/api/v1/ledger")).contains("\"balances\":true"));
    let nobody = Command::new("curl")
        .args(["-sS", "--fail", "--cacert", &of("you/ca.pem"), &format!("{url}/metrics")])
        .output();
    assert!(!nobody.unwrap().status.success(), "without a token there are no metrics");
    assert!(process.stop().0);
    assert!(!health(&["--alive"]).status.success());
}

/// A folder that is the root of an image: what the program of the build needs of this machine, and the user of the real base.
fn base_image(dir: &Path) -> PathBuf {
    let base = dir.join("base");
    let told = text(&succeed(Command::new("ldd").arg(FOREBAY)).stdout);
    for word in told.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = base.join(word.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(word, &to).unwrap();
    }
    for folder in ["etc", "tmp"] {
        std::fs::create_dir_all(base.join(folder)).unwrap();
    }
    std::fs::write(base.join("etc/passwd"), "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
        .unwrap();
    base
}

/// A container engine, which ends with the test if it was started for it.
struct Engine {
    host: String,
    dir: tempfile::TempDir,
}

impl Engine {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = run_script("scripts/services/docker.sh", &["start", dir.path().to_str().unwrap()]);
        Self { host: host.trim().to_owned(), dir }
    }

    /// Debian's own client, where there is one: it knows BuildKit without a plugin.
    fn docker(&self, arguments: &[&str]) -> Command {
        let debians = Path::new("/usr/bin/docker");
        let mut command = Command::new(if debians.exists() { debians } else { Path::new("docker") });
        command.args(arguments).env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "1");
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let script = root().join("scripts/services/docker.sh");
        let _ = Command::new(script).arg("stop").arg(self.dir.path()).status();
    }
}

/// The image is built of this build's program and runs as the compose file runs it: as nobody, with a root that cannot be written. Its base is
/// made here, of the libraries of this machine, under the name that the Containerfile asks for.
#[test]
fn the_image_runs_as_nobody_with_a_root_that_is_read_only() {
    let engine = Engine::start();
    let docker = |arguments: &[&str]| engine.docker(arguments);
    const BASE: &str = "gcr.io/distroless/cc-debian12:nonroot";
    let dir = tempfile::tempdir().unwrap();
    let is_there = docker(&["image", "inspect", BASE]).output().unwrap().status.success();
    if !is_there {
        let base = base_image(dir.path());
        let tar = dir.path().join("base.tar");
        succeed(Command::new("tar").args(["-C", base.to_str().unwrap(), "-cf", tar.to_str().unwrap(), "."]));
        succeed(&mut docker(&["import", tar.to_str().unwrap(), BASE]));
    }
    let context = dir.path().join("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::copy(FOREBAY, context.join("forebay")).unwrap();
    let file = root().join("deploy/Containerfile");
    let tag = format!("forebay-test-{}", std::process::id());
    let build = [
        "build",
        "-q",
        "-f",
        file.to_str().unwrap(),
        "--target",
        "forebay",
        "--build-arg",
        "BINARY=given",
        "-t",
        &tag,
        context.to_str().unwrap(),
    ];
    succeed(&mut docker(&build));
    let size = text(&succeed(&mut docker(&["image", "inspect", "--format", "{{.Size}}", &tag])).stdout);
    println!(
        "the image of this build (not optimised, with test hooks): {} MB",
        size.trim().parse::<u64>().unwrap() / 1_000_000
    );
    let name = format!("{tag}-run");
    let volume = format!("{name}:/data");
    let run = [
        "run",
        "-d",
        "--name",
        &name,
        "--read-only",
        "--tmpfs",
        "/tmp",
        "-v",
        &volume,
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--network",
        "none",
        &tag,
        "demo",
        "fleet",
        "--rate",
        "50",
    ];
    succeed(&mut docker(&run));
    let inside = |arguments: &[&str]| docker(&[&["exec", &name], arguments].concat()).output().unwrap();
    eventually("it is well", Duration::from_secs(60), || {
        inside(&["/usr/bin/forebay", "health"]).status.success()
    });
    let user = text(&succeed(&mut docker(&["inspect", "--format", "{{.Config.User}}", &name])).stdout);
    assert_eq!(user.trim(), "65532:65532");
    let refused = inside(&["/bin/sh", "-c", "true"]);
    assert!(!refused.status.success(), "there is no shell in it");
    eventually("the health check of the image", Duration::from_secs(60), || {
        let state = docker(&["inspect", "--format", "{{.State.Health.Status}}", &name]).output().unwrap();
        text(&state.stdout).trim() == "healthy"
    });
    succeed(&mut docker(&["stop", "-t", "30", &name]));
    let code = text(&succeed(&mut docker(&["inspect", "--format", "{{.State.ExitCode}}", &name])).stdout);
    assert_eq!(code.trim(), "0", "it ends in order");
    succeed(&mut docker(&["rm", "-f", &name]));
    succeed(&mut docker(&["volume", "rm", &name]));
    succeed(&mut docker(&["rmi", "-f", &tag]));
}

#[test]
fn health_says_by_its_exit_status_whether_all_is_well() {
    let nobody: SocketAddr = free_address();
    let mut command = Command::new(FOREBAY);
    let output = command.args(["health", "--alive", &nobody.to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
    assert!(text_of(&output).contains("no server answers"), "{}", text_of(&output));
    // A pipeline that waits for its PostgreSQL is alive and not well.
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let text_of_file = std::fs::read_to_string(root().join("examples/fleet.yaml")).unwrap();
    let file = data.path().join("fleet.yaml");
    let text_of_file = text_of_file.replace("localhost:9092", &log.address.to_string());
    let nowhere = format!("postgresql://{}/none", free_address());
    std::fs::write(&file, text_of_file.replace("postgresql://localhost:5432/forebay", &nowhere)).unwrap();
    let args = ["run", file.to_str().unwrap()];
    let mut process = Process::spawn(forebay(data.path(), &args).env("PGPASSWORD", "none"));
    let http = process.address("http").to_string();
    let health = |more: &[&str]| Command::new(FOREBAY).arg("health").args(more).arg(&http).output().unwrap();
    eventually("it is not well", Duration::from_secs(30), || health(&[]).status.code() == Some(1));
    assert_eq!(text(&health(&[]).stdout), "failing\n");
    assert!(health(&["--alive"]).status.success());
    assert!(process.stop().0);
}
