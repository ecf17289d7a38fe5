//! What MQTT's specifications say, packet by packet, against the own end point: `tests/clients/mqtt/conformance.txt`.
//!
//! No conformance suite can be had from the package registries, so the cases are our own. Each is also played against a Mosquitto, but
//! for those that begin with `own`: a case that only we pass may be wrong itself. Whatever fails is listed, not the first alone.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::*;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Case {
    title: String,
    /// Other brokers need not pass it.
    is_own: bool,
    steps: Vec<String>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/clients/mqtt/conformance.txt")).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#") {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "case" | "own" => {
                cases.push(Case { title: rest.to_owned(), is_own: first == "own", steps: Vec::new() })
            }
            _ => cases.last_mut().expect("a case").steps.push(line.to_owned()),
        }
    }
    cases
}

/// One case that is being played.
struct Play {
    address: SocketAddr,
    number: usize,
    connections: HashMap<String, TcpStream>,
    kept: HashMap<String, [u8; 2]>,
}

type Outcome = Result<(), String>;

impl Play {
    fn case(address: SocketAddr, number: usize, case: &Case) -> Outcome {
        let mut play = Self { address, number, connections: HashMap::new(), kept: HashMap::new() };
        for step in &case.steps {
            play.step(step).map_err(|problem| format!("{}\n    {step}\n    {problem}", case.title))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &str) -> Outcome {
        let (name, rest) = step.split_at(1);
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match kind {
            ">" => {
                let packet = self.bytes(rest);
                let packet = mqtt::packet(packet[0], &[&packet[1..]]);
                self.say(name, &packet)
            }
            ">>" => {
                let bytes = self.bytes(rest);
                self.say(name, &bytes)
            }
            "<" => match self.hear(name)? {
                Some(packet) => self.compare(rest, &packet),
                None => Err("the server closed".to_owned()),
            },
            "-" => {
                self.say(name, &[0xC0, 0])?;
                match self.hear(name)? {
                    Some(packet) if packet == [0xD0] => Ok(()),
                    other => Err(format!("there is {}", shown(other.as_deref()))),
                }
            }
            "." => match self.hear(name)? {
                None => self.forget(name),
                Some(packet) => Err(format!("it says {}", shown(Some(&packet)))),
            },
            "!" => match self.hear(name)? {
                None => self.forget(name),
                Some(packet) if is_refusal(&packet) && self.hear(name)?.is_none() => self.forget(name),
                Some(packet) => Err(format!("it says {}", shown(Some(&packet)))),
            },
            "#" => {
                let stream = self.connections.remove(name).unwrap();
                stream.shutdown(Shutdown::Both).map_err(|e| e.to_string())
            }
            _ => panic!("{step}"),
        }
    }

    fn forget(&mut self, name: &str) -> Outcome {
        self.connections.remove(name);
        Ok(())
    }

    /// A server that has closed takes nothing; what it does is seen when it is listened to.
    fn say(&mut self, name: &str, bytes: &[u8]) -> Outcome {
        let address = self.address;
        let stream = self.connections.entry(name.to_owned()).or_insert_with(|| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        });
        let _ = stream.write_all(bytes);
        Ok(())
    }

    /// The next packet, without its length; none if the server closed.
    fn hear(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let stream = self.connections.get_mut(name).unwrap();
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            Err(e) => return Err(format!("nothing comes: {e}")),
            Ok(_) => {}
        }
        let mut packet = byte.to_vec();
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            stream.read_exact(&mut byte).map_err(|e| format!("half a packet: {e}"))?;
            length |= usize::from(byte[0] & 0x7F) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).map_err(|e| format!("half a packet: {e}"))?;
        packet.extend(body);
        Ok(Some(packet))
    }

    /// The bytes of what is to be sent.
    fn bytes(&self, line: &str) -> Vec<u8> {
        words(line).iter().flat_map(|word| self.word(word)).collect()
    }

    fn word(&self, word: &str) -> Vec<u8> {
        let inside = || word[1..word.len() - 1].replace('%', &self.number.to_string());
        match word.as_bytes()[0] {
            b'"' => mqtt::string(&inside()),
            b'\'' => inside().into_bytes(),
            b'<' => self.kept[word].to_vec(),
            _ => {
                let digits = word.as_bytes().chunks_exact(2);
                digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
            }
        }
    }

    fn compare(&mut self, expected: &str, packet: &[u8]) -> Outcome {
        let mut left = packet;
        let other = || Err(format!("it says {}", shown(Some(packet))));
        for word in words(expected) {
            match word.as_str() {
                ".." => return Ok(()),
                "ok" if left.first().is_none_or(|code| *code < 0x80) => return Ok(()),
                "??" if !left.is_empty() => left = &left[1..],
                "ok" | "??" => return other(),
                kept if kept.starts_with('<') && !self.kept.contains_key(kept) => {
                    let Some((id, rest)) = left.split_first_chunk::<2>() else { return other() };
                    self.kept.insert(kept.to_owned(), *id);
                    left = rest;
                }
                _ => match left.strip_prefix(&self.word(&word)[..]) {
                    Some(rest) => left = rest,
                    None => return other(),
                },
            }
        }
        if left.is_empty() { Ok(()) } else { other() }
    }
}

/// A CONNACK that lets nobody in, or a DISCONNECT.
fn is_refusal(packet: &[u8]) -> bool {
    match packet[0] {
        0x20 => packet.get(2).is_some_and(|code| *code != 0),
        first => first == 0xE0,
    }
}

fn shown(packet: Option<&[u8]>) -> String {
    let Some(packet) = packet else { return "its end".to_owned() };
    let hex: Vec<String> = packet.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} ({})", hex.join(" "), packet.escape_ascii())
}

/// Words with blanks between them; a text in quotes is one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (Vec::<String>::new(), None);
    let mut is_new = true;
    for letter in line.chars() {
        if letter == ' ' && quote.is_none() {
            is_new = true;
            continue;
        }
        if std::mem::take(&mut is_new) {
            words.push(String::new());
        }
        match quote {
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            _ => {}
        }
        words.last_mut().unwrap().push(letter);
    }
    words
}

/// Plays cases and panics with all that fail.
fn play(address: SocketAddr, cases: &[Case]) {
    assert!(cases.len() > 80, "only {} cases", cases.len());
    let outcomes = cases.iter().enumerate().map(|(number, case)| Play::case(address, 1_000 + number, case));
    let problems: Vec<String> = outcomes.filter_map(Result::err).collect();
    assert!(problems.is_empty(), "{} of {} fail\n{}", problems.len(), cases.len(), problems.join("\n"));
}

#[test]
fn the_end_point_does_what_the_specifications_say() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("conformance.yaml");
    let log = free_address();
    let text = format!(
        "pipeline: conformance
gateways:
  plant:
    format: mqtt
    options: {{ listen: \"127.0.0.1:0\", retained: state }}
    routes:
      \"conf/#\": {{ topic: taken, value: binary }}
      \"CONF/#\": {{ topic: taken, value: binary }}
sources:
  taken: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: taken }} }}
queries:
  lake: {{ sql: SELECT topic FROM taken, format: console }}
"
    );
    std::fs::write(&file, text).unwrap();
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    play(process.address("mqtt"), &cases());
    assert!(process.stop().0);
}

#[test]
fn a_mosquitto_does_the_same_so_the_cases_are_right() {
    let mut cases = cases();
    cases.retain(|case| !case.is_own);
    play(Broker::mosquitto().address, &cases);
}
