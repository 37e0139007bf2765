//! Which addresses models are fetched from: all but those at which a machine or a cloud gives out keys.
//!
//! A manifest names a `storageUri`, and whoever may write one is not whoever may have the keys of this machine. Loopback and
//! private addresses are fine: that is where people keep their MinIO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Why nothing is fetched from an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("no model is fetched from `{host}`: {why}")]
    Address { host: String, why: &'static str },
    #[error("no model is fetched from `{host}`: it leads to {address}, and {why}")]
    Resolved { host: String, address: IpAddr, why: &'static str },
    #[error("`{host}` redirects from https to {scheme}://, which is not followed")]
    Downgrade { host: String, scheme: String },
    #[error("`{host}` redirects more than {limit} times")]
    TooManyRedirects { host: String, limit: usize },
    #[error("`{host}` redirects to no http or https URL")]
    NoUrl { host: String },
}

/// Names of metadata services, in lower case. Most lead to a link-local address, and all are refused before they are looked
/// up.
const METADATA_NAMES: &[&str] = &[
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
];

/// Metadata services with addresses of the version 4 that are not link-local: Alibaba Cloud's, Oracle's old one, Azure's
/// WireServer.
const METADATA_V4: &[Ipv4Addr] =
    &[Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// The beginnings of the networks in which Amazon (`fd00:ec2::254`, `fd00:ec2::23`) and Google (`fd20:ce::254`) have theirs.
const METADATA_V6: &[[u16; 2]] = &[[0xfd00, 0x0ec2], [0xfd20, 0x00ce]];

/// Why an address of a machine is refused.
const LINK_LOCAL: &str = "it is link-local, where clouds give out the keys of a machine";
const METADATA: &str = "it is a cloud's metadata service, which gives out the keys of a machine";

/// Whether a URL may be asked, as far as it says itself. Names are looked at again when they are resolved.
pub(super) fn check_url(url: &Url) -> Result<(), Refused> {
    let host = url.host_str().unwrap_or_default();
    let refused = |why| Err(Refused::Address { host: host.to_owned(), why });
    // An URL library has already made decimal, octal and hexadecimal spellings into one.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let is_metadata = METADATA_NAMES.contains(&host.trim_end_matches('.').to_ascii_lowercase().as_str());
    match address.and_then(why_refused) {
        Some(why) => refused(why),
        None if is_metadata => refused(METADATA),
        None => Ok(()),
    }
}

/// Whether a name may be asked that leads to these addresses. One that is refused is enough.
pub(super) fn check_resolved(host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), Refused> {
    for address in addresses {
        if let Some(why) = why_refused(address) {
            return Err(Refused::Resolved { host: host.to_owned(), address, why });
        }
    }
    Ok(())
}

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Where a redirect leads, if it may be followed. `n_before` is how many were.
pub(super) fn redirect(from: &Url, location: &str, n_before: usize) -> Result<Url, Refused> {
    let host = || from.host_str().unwrap_or_default().to_owned();
    if n_before >= MAX_REDIRECTS {
        return Err(Refused::TooManyRedirects { host: host(), limit: MAX_REDIRECTS });
    }
    let mut to = from.join(location).map_err(|_| Refused::NoUrl { host: host() })?;
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", scheme) => {
            return Err(Refused::Downgrade { host: host(), scheme: scheme.to_owned() });
        }
        _ => return Err(Refused::NoUrl { host: host() }),
    }
    // What a server puts there is no password of ours, and neither is ours one of the server's.
    if to.set_username("").and_then(|()| to.set_password(None)).is_err() {
        return Err(Refused::NoUrl { host: host() });
    }
    check_url(&to)?;
    Ok(to)
}

/// Whether two URLs are asked at the same server.
pub(super) fn is_same_server(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

fn why_refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => why_refused_v4(address),
        IpAddr::V6(address) => why_refused_v6(address),
    }
}

fn why_refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_link_local() {
        return Some(LINK_LOCAL);
    }
    METADATA_V4.contains(&address).then_some(METADATA)
}

fn why_refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, ..] = address.segments();
    if address.is_unicast_link_local() {
        return Some(LINK_LOCAL);
    }
    if METADATA_V6.contains(&[first, second]) {
        return Some(METADATA);
    }
    embedded(address).into_iter().find_map(why_refused_v4)
}

/// The addresses of the version 4 that one of the version 6 may stand for: mapped and compatible ones (RFC 4291 §2.5.5),
/// translated ones (RFC 2765 §2.1, RFC 6052 §2.1), and those of 6to4 (RFC 3056 §2) and Teredo (RFC 4380 §4). A network that
/// translates under the prefix for local use (RFC 8215) chooses itself how long its own is, so each place is looked at.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => vec![of(high, low)],
        [0x2001, 0, _, _, _, _, high, low] => vec![of(!high, !low)],
        [0x64, 0xff9b, 1, ..] => {
            let octets = address.octets();
            let places = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
            places.map(|place| Ipv4Addr::from(place.map(|at: usize| octets[at]))).to_vec()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn metadata_services_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "169.254.1.1:8080",
            "2852039166",
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.0xfe.0251.254",
            "%31%36%39.254.169.254",
            "169。254。169。254",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[64:ff9b:1:a9fe:a9:fe00::]",
            "[64:ff9b:1:a9:fe:a9fe::]",
            "[64:ff9b:1:0:a9:fea9:fe00:0]",
            "[2001:0:1:2:3:4:5601:5601]",
            "[2002:a9fe:a9fe::1]",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "[fd20:ce::254]",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "metadata.google.internal",
            "METADATA.google.internal.",
            "user:word@metadata.google.internal:80",
            "instance-data",
        ] {
            let url = url(&format!("http://{host}/latest/meta-data/"));
            let refused = check_url(&url).unwrap_err().to_string();
            assert!(refused.starts_with("no model is fetched from `"), "{refused}");
            assert!(refused.contains("keys of a machine") && !refused.contains("word"), "{host}: {refused}");
        }
    }

    #[test]
    fn loopback_and_private_addresses_are_not() {
        for host in [
            "127.0.0.1:9000",
            "localhost",
            "[::1]",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "[fd00::1]",
            "[fec0::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b:1::10.0.0.1]",
            "[2001:db8::5601:5601]",
            "minio.minio.svc",
            "metadata.example.com",
            "169.253.1.1",
        ] {
            assert_eq!(check_url(&url(&format!("http://{host}/"))), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_name_is_refused_when_any_of_its_addresses_is() {
        let check = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse::<IpAddr>().unwrap());
            check_resolved("models.example.com", addresses).map_err(|refused| refused.to_string())
        };
        assert_eq!(check(&["10.0.0.1", "::1"]), Ok(()));
        let refused = check(&["10.0.0.1", "::ffff:169.254.169.254"]).unwrap_err();
        assert!(refused.contains("`models.example.com`: it leads to ::ffff:169.254.169.254"), "{refused}");
    }

    #[test]
    fn redirects_are_few_and_never_less_safe() {
        let follow = |from: &str, location: &str| {
            redirect(&url(from), location, 0).map(String::from).map_err(|refused| refused.to_string())
        };
        assert_eq!(follow("http://a/x/y", "../z?k=v"), Ok("http://a/z?k=v".to_owned()));
        assert_eq!(follow("http://a/x", "https://b:8443/"), Ok("https://b:8443/".to_owned()));
        assert_eq!(follow("https://a/x", "//u:p@b/"), Ok("https://b/".to_owned()));
        for (from, location, words) in [
            ("https://a/", "http://a/", "`a` redirects from https to http://, which is not followed"),
            ("https://a/", "file:///etc/passwd", "from https to file://"),
            ("http://a/", "ftp://a/", "`a` redirects to no http or https URL"),
            ("http://a/", "http://", "`a` redirects to no http or https URL"),
            ("http://a/", "http://169.254.169.254/latest", "no model is fetched from `169.254.169.254`"),
            ("http://a/", "//0xa9fea9fe/", "no model is fetched from `169.254.169.254`"),
        ] {
            let refused = follow(from, location).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
        let refused = redirect(&url("http://a/"), "/", MAX_REDIRECTS).unwrap_err();
        assert_eq!(refused.to_string(), "`a` redirects more than 5 times");
    }
}
