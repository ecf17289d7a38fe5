//! A notice as a mail: one for each, to each of some people, by SMTP.
//!
//! What must stay true: a notice is the same `Message-ID` whenever it is sent, so that who keeps mail can drop a repeat; an address that
//! is refused for good keeps no other from its mail; and neither user nor password leave by a connection that others can read.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use forebay_core::clock::Clock;
use forebay_core::config::ChannelConfig;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::scram::ScramHash;
use forebay_core::{Error, Result};
use forebay_rules::Notice;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::carrier::{Around, Sent};
use super::webhook::{hex, text};

/// Longest subject, in characters: what a list of mails shows.
const SUBJECT: usize = 150;

/// So often a notice is sent to an address that the server defers while it takes the same mail for others: about eight minutes.
const ATTEMPTS: u32 = 10;

/// A server of mail, and who is written to.
pub struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// How long one mail may take: the library's own limit is for connecting alone.
    patience: Duration,
    from: Mailbox,
    to: Vec<Mailbox>,
    pipeline: String,
    clock: Arc<dyn Clock>,
    under_way: UnderWay,
}

/// A notice that is being sent.
#[derive(Default)]
struct UnderWay {
    id: String,
    /// To whom it needs not be sent again.
    done: BTreeSet<String>,
    /// Who of them cannot have it, and why.
    refusals: Vec<String>,
    /// How often it was sent to those who are left.
    attempts: u32,
}

/// What the file says of such a channel.
#[derive(Debug)]
pub struct Settings {
    host: String,
    port: u16,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// Reads it, and touches nothing.
///
/// # Errors
/// `BAD_VALUE`.
pub fn check(options: &Options) -> Result<Settings> {
    let bad = |message: String, hint: &str| Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    let text = |name: &str| options.text(name).unwrap_or_default().trim().to_owned();
    let usual = match text("tls").as_str() {
        "tls" => 465,
        "none" => 25,
        _ => 587,
    };
    let server = text("server");
    let (host, port) =
        server.rsplit_once(':').map_or((server.as_str(), Ok(usual)), |(host, port)| (host, port.parse()));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let (true, Ok(port @ 1..)) = (!host.is_empty() && host.chars().all(is_name), port) else {
        return bad(
            format!("option `server` is `{server}`, which is no server"),
            "Write `mail.example:587`.",
        );
    };
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let has = |name: &str| options.text(name).is_some();
    if has("user") != has("password") {
        return bad("option `user` and option `password` come together".to_owned(), "Give both, or neither.");
    }
    if text("tls") == "none" && has("password") && !is_here {
        return bad(
            "option `tls` is `none`, and the password would be sent where others can read it".to_owned(),
            "Leave `tls` out: `starttls` is what servers of mail speak at port 587.",
        );
    }
    if text("tls") == "none" && has("tlsCa") {
        return bad("option `tlsCa` stands beside `tls: none`".to_owned(), "Leave one of them out.");
    }
    let mailbox = |option: &str, text: &str| {
        text.trim().parse::<Mailbox>().map_err(|error| {
            Error::new(&codes::BAD_VALUE, format!("option `{option}`: `{}` is no address", text.trim()))
                .with_detail(error)
                .with_hint("Write `ana@plant.example`, or `Ana <ana@plant.example>`.")
        })
    };
    let from = mailbox("from", &text("from"))?;
    let to = text("to").split(',').map(|one| mailbox("to", one)).collect::<Result<Vec<Mailbox>>>()?;
    if let Some(one) = to.iter().chain([&from]).find(|one| !AsRef::<str>::as_ref(&one.email).is_ascii()) {
        return bad(
            format!(
                "the address `{}` has other letters than those of ASCII, which few servers take",
                one.email
            ),
            "Write the domain as `xn--…`.",
        );
    }
    Ok(Settings { host: host.to_owned(), port, from, to })
}

impl Post {
    /// The carrier of a channel; connects to nobody.
    pub fn new(config: &ChannelConfig, around: &Around) -> Result<Self> {
        let options = &config.options;
        let Settings { host, port, from, to } = check(options)?;
        let patience = options.duration("timeout").unwrap_or(Duration::from_secs(30));
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host)
            .port(port)
            .tls(tls(options, &host)?)
            .timeout(Some(patience));
        if let Some((user, password)) = options.text("user").zip(options.text("password")) {
            builder = builder.credentials(Credentials::new(user.to_owned(), password.to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            patience,
            from,
            to,
            pipeline: around.pipeline.clone(),
            clock: Arc::clone(&around.clock),
            under_way: UnderWay::default(),
        })
    }

    /// Sends a notice to all to whom it is not sent yet.
    pub async fn send(&mut self, notice: &Notice) -> Sent {
        if self.under_way.id != notice.id {
            self.under_way = UnderWay { id: notice.id.clone(), ..UnderWay::default() };
        }
        let sent_at = SystemTime::UNIX_EPOCH
            + Duration::from_millis(u64::try_from(self.clock.now_ms()).unwrap_or_default());
        let mail = match mail(&self.pipeline, notice, (&self.from, &self.to), sent_at) {
            Ok(mail) => mail.formatted(),
            Err(error) => return Sent::Refused(format!("no mail can be made of it: {error}")),
        };
        self.under_way.attempts = self.under_way.attempts.saturating_add(1);
        let mut later = None;
        for to in &self.to {
            let address = to.email.to_string();
            if self.under_way.done.contains(&address) {
                continue;
            }
            let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()]);
            let outcome = match envelope {
                Ok(envelope) => {
                    let sent = self.transport.send_raw(&envelope, &mail);
                    match tokio::time::timeout(self.patience, sent).await {
                        Ok(Ok(_)) => Sent::Taken,
                        Ok(Err(error)) => self.judged(&error).await,
                        Err(_) => {
                            Sent::Later(format!("no answer for {} seconds", self.patience.as_secs()), None)
                        }
                    }
                }
                Err(error) => Sent::Refused(error.to_string()),
            };
            match outcome {
                Sent::Taken => {}
                Sent::Refused(why) => {
                    tracing::warn!(address, why, "a server of mail refused a notice for good");
                    self.under_way.refusals.push(format!("{address}: {why}"));
                }
                Sent::Later(why, _) => {
                    later.get_or_insert(why);
                    continue;
                }
            }
            self.under_way.done.insert(address);
        }
        match later {
            Some(why) => Sent::Later(why, None),
            None if self.under_way.refusals.is_empty() => Sent::Taken,
            None => Sent::Refused(self.under_way.refusals.join("; ")),
        }
    }

    /// What an error of the transport means. The server's own 5xx is for good, unless it is about who we are, or the server takes no mail at
    /// all just now. A full mailbox (4xx) is waited for, but not for so long that others get nothing.
    async fn judged(&self, error: &lettre::transport::smtp::Error) -> Sent {
        let why = all_of(error);
        let number: u16 = error.status().map_or(0, |code| code.to_string().parse().unwrap_or_default());
        let is_about_us = (530..540).contains(&number);
        if error.is_permanent() && !is_about_us {
            let serves = tokio::time::timeout(self.patience, self.transport.test_connection()).await;
            return match serves {
                Ok(Ok(true)) => Sent::Refused(why),
                _ => Sent::Later(why, None),
            };
        }
        let others_have_it = !self.under_way.done.is_empty();
        if error.is_transient() && others_have_it && self.under_way.attempts >= ATTEMPTS {
            return Sent::Refused(why);
        }
        Sent::Later(why, None)
    }
}

/// How the connection is encrypted.
fn tls(options: &Options, host: &str) -> Result<Tls> {
    let kind = options.text("tls").unwrap_or("starttls");
    if kind == "none" {
        return Ok(Tls::None);
    }
    let unusable = |what: String, why: String| Error::new(&codes::TLS, what).with_detail(why);
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(file) = options.text("tlsCa") {
        let pem = std::fs::read(Path::new(file)).map_err(|error| {
            unusable("the file of `tlsCa` cannot be read".to_owned(), error.to_string()).at(file)
        })?;
        let authority = Certificate::from_pem(&pem).map_err(|error| {
            unusable("the file of `tlsCa` holds no authority".to_owned(), error.to_string()).at(file)
        })?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    let parameters = parameters
        .build_rustls()
        .map_err(|error| unusable("no TLS connection can be made from here".to_owned(), error.to_string()))?;
    Ok(if kind == "tls" { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

/// An error with its causes.
fn all_of(error: &dyn StdError) -> String {
    let mut all = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !all.contains(&more) {
            all.push_str(": ");
            all.push_str(&more);
        }
        cause = error.source();
    }
    all
}

fn mail(
    pipeline: &str,
    notice: &Notice,
    (from, to): (&Mailbox, &[Mailbox]),
    sent_at: SystemTime,
) -> std::result::Result<Message, lettre::error::Error> {
    let id = |text: &str| {
        let digest = hex(&ScramHash::Sha256.digest(text.as_bytes()));
        format!("<{}@{}>", &digest[..40], from.email.domain())
    };
    let first = notice.lines.first().map(|line| line.alert.as_str()).unwrap_or_default();
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(subject(pipeline, notice))
        .message_id(Some(id(&format!("{pipeline}/{}", notice.id))))
        // What is told of an alert stands together.
        .references(id(&format!("{pipeline}/{}/{first}", notice.channel)))
        .date(sent_at)
        .header(ContentType::TEXT_PLAIN)
        .header(AutoSubmitted);
    for one in to {
        builder = builder.to(one.clone());
    }
    builder.body(format!("{}\n\npipeline {pipeline}, channel {}\n", text(notice), notice.channel))
}

/// `[plant] critical opened: heat: press-1, temperature 71.5 (and 4 more)`
fn subject(pipeline: &str, notice: &Notice) -> String {
    let line = notice.lines.first();
    let what = line.map_or_else(String::new, |line| {
        format!("{} {}: {}", line.severity.word(), line.event.word(), line.message)
    });
    let whole: String =
        format!("[{pipeline}] {what}").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut subject: String = whole.chars().take(SUBJECT).collect();
    if subject.len() < whole.len() {
        subject.push('…');
    }
    if notice.count > 1 {
        subject.push_str(&format!(" (and {} more)", notice.count - 1));
    }
    subject
}

/// So that nobody's absence note answers an alert.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> std::result::Result<Self, Box<dyn StdError + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use forebay_rules::Event;

    use super::*;
    use crate::channels::record::tests::{line, notice};
    use crate::channels::spec::EMAIL;

    fn options(more: &[(&str, &str)]) -> Options {
        let usual =
            [("server", "mail.example"), ("from", "forebay@plant.example"), ("to", "ana@plant.example")];
        let raw: BTreeMap<String, String> =
            usual.iter().chain(more).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Options::parse(&EMAIL, &raw).unwrap()
    }

    #[test]
    fn what_the_file_says_of_a_server_of_mail_is_read_or_refused_in_words() {
        let of = |more: &[(&str, &str)]| check(&options(more)).unwrap();
        assert_eq!((of(&[]).host.as_str(), of(&[]).port), ("mail.example", 587));
        assert_eq!(of(&[("tls", "tls")]).port, 465);
        let two =
            of(&[("server", "127.0.0.1:2525"), ("tls", "none"), ("to", "Ana <a@b.example>, c@d.example")]);
        assert_eq!((two.port, two.to.len(), two.to[0].name.as_deref()), (2525, 2, Some("Ana")));
        for (more, part) in [
            (&[("server", "mail.example:x")][..], "which is no server"),
            (&[("server", "mail.example:0")], "which is no server"),
            (&[("server", "https://mail.example")], "which is no server"),
            (&[("to", "ana")], "`ana` is no address"),
            (&[("to", "a@b.example,")], "is no address"),
            (&[("to", "a@b\u{e4}r.example")], "other letters than those of ASCII"),
            (&[("user", "u")], "come together"),
            (&[("tls", "none"), ("user", "u"), ("password", "p")], "where others can read it"),
            (&[("tls", "none"), ("tlsCa", "ca.pem")], "beside `tls: none`"),
        ] {
            let error = check(&options(more)).unwrap_err();
            assert!(error.message().contains(part), "{more:?}: {error}");
        }
    }

    #[test]
    fn a_notice_is_the_same_message_whenever_it_is_sent_and_no_text_of_it_becomes_a_header() {
        let mut evil = line(Some("press-1"), Event::Opened);
        evil.message = "hot\r\nBcc: eve@evil.example\r\n\r\nx".to_owned();
        let notice = notice(vec![evil], 5);
        let boxes = check(&options(&[])).unwrap();
        let at = |seconds| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let mail = mail("plant", &notice, (&boxes.from, &boxes.to), at).unwrap();
            String::from_utf8(mail.formatted()).unwrap()
        };
        let header = |mail: &str, name: &str| -> Vec<String> {
            let head = mail.split("\r\n\r\n").next().unwrap_or_default().to_owned();
            head.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
        };
        let (first, again) = (at(1), at(2_000_000));
        assert_eq!(header(&first, "Message-ID"), header(&again, "Message-ID"));
        assert!(header(&first, "Message-ID")[0].ends_with("@plant.example>"), "{first}");
        assert_ne!(header(&first, "Date"), header(&again, "Date"));
        assert_eq!(header(&first, "Bcc"), Vec::<String>::new(), "{first}");
        assert_eq!(header(&first, "Auto-Submitted"), ["Auto-Submitted: auto-generated"]);
        assert!(subject("plant", &notice).ends_with(" (and 4 more)"));
    }
}
