//! A load of QoS 1 publishes: `mqtt_load ADDRESS [CONNECTIONS] [IN_FLIGHT] [SECONDS]`, 100, 32 and 10 if not said. Prints one line of
//! JSON: acknowledged messages a second, and how long a PUBLISH waited for its PUBACK (microseconds). `mqtt_load ADDRESS steady RATE
//! [CONNECTIONS] [SECONDS]` publishes at that rate, whatever comes back, and counts each wait from when the PUBLISH was due.
//! `mqtt_load ADDRESS idle N` opens N connections and holds them for a minute.
//!
//! Its client is as small as a client can be, so that what is measured is the server: packets are made once, and of what comes back
//! PUBACKs are counted, not read.
#![allow(clippy::print_stdout, reason = "a tool whose output is its result")]

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

async fn connect(address: &str, name: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let length = u8::try_from(name.len()).map_err(io::Error::other)?;
    let mut packet = vec![0x10, 12 + length, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, length];
    packet.extend_from_slice(name.as_bytes());
    stream.write_all(&packet).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer != [0x20, 2, 0, 0] {
        return Err(io::Error::other("not let in"));
    }
    Ok(stream)
}

/// Appends a PUBLISH of an event of about 90 bytes.
fn publish(out: &mut Vec<u8>, device: usize, sequence: u64, pid: u16) {
    let topic = format!("load/{device}");
    let payload = format!(
        "{{\"device_id\":\"device-{device:04}\",\"seq\":{sequence:010},\"temperature\":21.5,\"humidity\":40.25}}"
    );
    let length = 2 + topic.len() + 2 + payload.len();
    out.push(0x32);
    out.push(u8::try_from(length & 0x7F).unwrap_or(0) | if length > 0x7F { 0x80 } else { 0 });
    if length > 0x7F {
        out.push(u8::try_from(length >> 7).unwrap_or(0));
    }
    out.push(0);
    out.push(u8::try_from(topic.len()).unwrap_or(0));
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(&pid.to_be_bytes());
    out.extend_from_slice(payload.as_bytes());
}

async fn device(address: String, device: usize, in_flight: usize, until: Instant) -> io::Result<Vec<u32>> {
    let mut stream = connect(&address, &format!("load-{device}")).await?;
    let mut sent = VecDeque::with_capacity(in_flight);
    let (mut waits, mut sequence, mut pid) = (Vec::new(), 0_u64, 0_u16);
    let (mut out, mut input, mut over) = (Vec::new(), [0_u8; 4096], 0_usize);
    loop {
        out.clear();
        let now = Instant::now();
        while sent.len() < in_flight && now < until {
            pid = pid.checked_add(1).unwrap_or(1);
            publish(&mut out, device, sequence, pid);
            sequence += 1;
            sent.push_back(now);
        }
        if sent.is_empty() {
            return Ok(waits);
        }
        stream.write_all(&out).await?;
        let read = stream.read(&mut input).await?;
        if read == 0 {
            return Err(io::Error::other("the server closed"));
        }
        let now = Instant::now();
        over += read;
        for _ in 0..over / 4 {
            if let Some(began) = sent.pop_front() {
                waits.push(u32::try_from(now.duration_since(began).as_micros()).unwrap_or(u32::MAX));
            }
        }
        over %= 4;
    }
}

/// A steady load: publish `n` is due at `began + n * every`, on connection `n % connections`.
#[derive(Clone, Copy)]
struct Pace {
    began: Instant,
    every: Duration,
    connections: u64,
    count: u64,
}

impl Pace {
    fn due(self, n: u64) -> Instant {
        self.began + Duration::from_nanos(u64::try_from(self.every.as_nanos()).unwrap_or(0) * n)
    }

    /// Sends all when they are due, from a thread of its own: a timer of the runtime would be late by a millisecond.
    fn publish(self, outputs: &[OwnedWriteHalf]) -> io::Result<()> {
        let mut out = Vec::new();
        for n in 0..self.count {
            std::thread::sleep(self.due(n).saturating_duration_since(Instant::now()));
            let (device, sequence) = ((n % self.connections) as usize, n / self.connections);
            out.clear();
            publish(&mut out, device, sequence, (sequence % 60_000) as u16 + 1);
            let output = outputs.get(device).ok_or_else(|| io::Error::other("no such connection"))?;
            let mut rest = out.as_slice();
            while !rest.is_empty() {
                match output.try_write(rest) {
                    Ok(wrote) => rest = rest.get(wrote..).unwrap_or_default(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Reads the PUBACKs of one connection, and how long each took from when its PUBLISH was due.
    async fn read(self, mut input: OwnedReadHalf, device: u64) -> io::Result<Vec<u32>> {
        let expected = (self.count + self.connections - 1 - device) / self.connections;
        let (mut waits, mut bytes, mut over) = (Vec::new(), [0_u8; 4096], 0_usize);
        while (waits.len() as u64) < expected {
            let read = input.read(&mut bytes).await?;
            if read == 0 {
                return Err(io::Error::other("the server closed"));
            }
            let now = Instant::now();
            over += read;
            for _ in 0..over / 4 {
                let due = self.due(waits.len() as u64 * self.connections + device);
                waits.push(u32::try_from(now.saturating_duration_since(due).as_micros()).unwrap_or(u32::MAX));
            }
            over %= 4;
        }
        Ok(waits)
    }
}

async fn steady(address: &str, rate: usize, connections: usize, seconds: usize) -> io::Result<Vec<u32>> {
    let mut halves = Vec::new();
    for device in 0..connections {
        halves.push(connect(address, &format!("load-{device}")).await?.into_split());
    }
    let pace = Pace {
        began: Instant::now() + Duration::from_millis(100),
        every: Duration::from_secs(1) / u32::try_from(rate.max(1)).map_err(io::Error::other)?,
        connections: connections as u64,
        count: (rate * seconds) as u64,
    };
    let (inputs, outputs): (Vec<_>, Vec<_>) = halves.into_iter().unzip();
    let reading: Vec<_> =
        (0..).zip(inputs).map(|(device, input)| tokio::spawn(pace.read(input, device))).collect();
    // Held to the end: a half that is dropped ends the connection.
    let _outputs = tokio::task::spawn_blocking(move || pace.publish(&outputs).map(|()| outputs))
        .await
        .map_err(io::Error::other)??;
    let mut waits = Vec::new();
    for one in reading {
        waits.extend(one.await.map_err(io::Error::other)??);
    }
    Ok(waits)
}

async fn hurried(
    address: &str,
    connections: usize,
    in_flight: usize,
    seconds: usize,
) -> io::Result<Vec<u32>> {
    let until = Instant::now() + Duration::from_secs(seconds as u64);
    let devices: Vec<_> =
        (0..connections).map(|at| tokio::spawn(device(address.to_owned(), at, in_flight, until))).collect();
    let mut waits = Vec::new();
    for device in devices {
        waits.extend(device.await.map_err(io::Error::other)??);
    }
    Ok(waits)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let address = given.first().cloned().unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let number =
        |at: usize, otherwise: usize| given.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    if given.get(1).is_some_and(|mode| mode == "idle") {
        let mut held = Vec::new();
        for at in 0..number(2, 10_000) {
            held.push(connect(&address, &format!("idle-{at}")).await?);
        }
        println!("{{\"idle\":{}}}", held.len());
        tokio::time::sleep(Duration::from_secs(60)).await;
        return Ok(());
    }
    let began = Instant::now();
    let mut waits = match given.get(1).is_some_and(|mode| mode == "steady") {
        true => steady(&address, number(2, 20_000), number(3, 100), number(4, 10)).await?,
        false => hurried(&address, number(1, 100), number(2, 32), number(3, 10)).await?,
    };
    let took = began.elapsed().as_secs_f64();
    waits.sort_unstable();
    let at = |share: f64| waits.get(((waits.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0);
    println!(
        "{{\"acknowledged\":{},\"per_second\":{:.0},\"p50_us\":{},\"p99_us\":{},\"max_us\":{}}}",
        waits.len(),
        waits.len() as f64 / took,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}
