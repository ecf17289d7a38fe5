//! To whom something may be sent: a URL that the file names, and the addresses that its name has.
//!
//! A name is looked up by us, at every connection, and each of its addresses must be allowed: a name that means this machine, the
//! network around it or the metadata of a cloud today is refused today, whatever it meant when the file was written. What must
//! stay true: no address is connected to that was not looked at here.

use std::error::Error as StdError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The URL of a channel, checked as far as that needs nobody else.
pub fn of(options: &Options) -> Result<Url> {
    let allows_local = options.bool("allowLocal");
    let refused = |why: &str, hint: &str| {
        Err(Error::new(&codes::BAD_VALUE, format!("option `url` {why}")).with_hint(hint))
    };
    let Ok(url) = Url::parse(options.text("url").unwrap_or_default().trim()) else {
        return refused("is no URL", "Write `https://HOST/PATH`.");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return refused("is not of HTTP", "Write `https://HOST/PATH`.");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused(
            "holds a user or a password",
            "The receiver knows who sends it by `secret`, or by a part of the path.",
        );
    }
    if !allows_local && url.scheme() == "http" {
        return refused(
            "is one of plain HTTP, which everybody on the way can read",
            "Write `https://…`; within your own network `allowLocal: true` allows it.",
        );
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse().is_ok_and(|ip| !is_public(ip));
    if is_here && !allows_local {
        return refused(
            "leads to this machine or its network",
            "With `allowLocal: true` beside it such addresses are allowed.",
        );
    }
    Ok(url)
}

/// Looks names up, and gives their addresses only if each of them is allowed.
pub struct Guarded {
    pub allows_local: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allows_local = self.allows_local;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| !allows_local && !is_public(address.ip())) {
                Some(address) => {
                    let ip = address.ip();
                    Err(Box::<dyn StdError + Send + Sync>::from(format!(
                        "its name leads to {ip}, which is an address of this machine or its network (`allowLocal` is false)"
                    )))
                }
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// True of an address that anybody in the world can have: not of this machine, its network, a cloud's inside, nor one that is
/// reserved. Those that stand for one of IPv4 are what that is.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_reserved = ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation();
    // This network, carriers' inside, IETF protocols, benchmarks, and what is kept for later.
    !(is_reserved
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // NAT64 and 6to4 lead to an address of IPv4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Documentation; Teredo and others for protocols.
        [0x2001, 0xdb8, ..] => false,
        [0x2001, second, ..] if second < 0x200 => false,
        // All else that is given out to the world.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::channels::spec::WEBHOOK;

    fn refused(url: &str, allows_local: bool) -> Option<String> {
        let raw = [("url", url.to_owned()), ("allowLocal", allows_local.to_string())];
        let raw: BTreeMap<String, String> =
            raw.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        of(&Options::parse(&WEBHOOK, &raw).unwrap()).err().map(|error| error.message().to_owned())
    }

    #[test]
    fn what_leads_to_this_machine_or_its_network_is_refused_unless_the_file_allows_it() {
        for url in [
            "https://localhost/x",
            "https://a.LOCALHOST/x",
            "https://127.0.0.1/x",
            "https://127.1/x",
            "https://0x7f000001/x",
            "https://2130706433/x",
            "https://0.0.0.0/x",
            "https://10.1.2.3/x",
            "https://172.16.0.1/x",
            "https://192.168.1.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/x",
            "https://[::1]/x",
            "https://[::]/x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[fe80::1]/x",
            "https://[fd00:ec2::254]/x",
            "https://[64:ff9b::7f00:1]/x",
            "https://[2002:7f00:1::]/x",
            "https://224.0.0.1/x",
            "https://255.255.255.255/x",
        ] {
            let why = refused(url, false).unwrap_or_else(|| panic!("{url} is allowed"));
            assert!(why.contains("this machine or its network"), "{url}: {why}");
            assert_eq!(refused(url, true), None, "{url}");
        }
        for url in ["https://ops.example/x", "https://93.184.216.34/x", "https://[2606:2800:220:1::1]/x"] {
            assert_eq!(refused(url, false), None, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_http_or_is_read_on_the_way_is_refused() {
        for (url, why) in [
            ("ops.example/x", "is no URL"),
            ("file:///etc/passwd", "is not of HTTP"),
            ("ftp://ops.example/x", "is not of HTTP"),
            ("https://ana:pw@ops.example/x", "a user or a password"),
            ("http://ops.example/x", "plain HTTP"),
        ] {
            let found = refused(url, false).unwrap_or_else(|| panic!("{url} is allowed"));
            assert!(found.contains(why), "{url}: {found}");
        }
        assert_eq!(refused("http://ops.example/x", true), None);
    }

    #[tokio::test]
    async fn a_name_is_looked_at_when_it_is_looked_up() {
        let resolve = |allows_local| Guarded { allows_local }.resolve("localhost".parse().unwrap());
        let error = resolve(false).await.err().unwrap().to_string();
        assert!(error.contains("`allowLocal` is false"), "{error}");
        assert!(resolve(true).await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
