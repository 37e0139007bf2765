//! What clients may ask: the table of limits, and how people change it.

use std::net::IpAddr;

use net::{Gate, Limits, Neighbour};
use plan::SourceRanges;

/// Options of commands that take connections.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LimitOptions {
    /// Change a limit, for example connections=20000; `forebay config show` has them all
    #[arg(long = "limit", value_name = "NAME=NUMBER", env = "FOREBAY_LIMITS", value_delimiter = ',', value_parser = known)]
    changes: Vec<String>,

    /// A proxy in front, as an address or a range: its connections are not counted as those of one client
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    trusted_proxy: Vec<SourceRanges>,

    /// A proxy in front, as an address or a range, that begins each connection with a PROXY protocol header, version 1 or 2:
    /// whom it speaks for is taken for the client, and without a header it is not listened to
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    proxy_protocol_from: Vec<SourceRanges>,
}

impl LimitOptions {
    /// The limits, with all changes.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for change in &self.changes {
            // Each was tried when it was read.
            let _ = limits.set(change);
        }
        limits
    }

    /// Where connections are counted.
    pub(crate) fn gate(&self) -> Gate {
        let (trusted, announcing) = (self.trusted_proxy.clone(), self.proxy_protocol_from.clone());
        Gate::knowing(move |client: IpAddr| {
            let is_among = |ranges: &[SourceRanges]| ranges.iter().any(|range| range.admit(client));
            match (is_among(&announcing), is_among(&trusted)) {
                (true, _) => Neighbour::Announcer,
                (false, true) => Neighbour::Proxy,
                (false, false) => Neighbour::Stranger,
            }
        })
    }
}

fn known(text: &str) -> Result<String, String> {
    Limits::default().set(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// An address, or a range of them.
fn range(text: &str) -> Result<SourceRanges, String> {
    let written = match text.parse::<IpAddr>() {
        Ok(ip) => format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 }),
        Err(_) => text.to_owned(),
    };
    let cidr =
        written.parse().map_err(|_| format!("`{text}` is neither an address nor a range like 10.0.0.0/8"))?;
    Ok(SourceRanges { cidrs: vec![cidr], ..SourceRanges::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_proxy_is_an_address_or_a_range() {
        let admits = |text: &str, ip: &str| range(text).map(|range| range.admit(ip.parse().unwrap()));
        assert_eq!(admits("10.0.0.1", "10.0.0.1"), Ok(true));
        assert_eq!(admits("10.0.0.1", "10.0.0.2"), Ok(false));
        assert_eq!(admits("10.0.0.0/8", "10.9.0.2"), Ok(true));
        assert_eq!(admits("2001:db8::1", "2001:db8::1"), Ok(true));
        assert!(range("proxy.example").unwrap_err().contains("neither an address nor a range"));
    }
}
