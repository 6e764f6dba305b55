//! The grammars of names, labels, addresses. Each rule gives the reasons a value breaks it, none if it is fine.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

fn too_long(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

/// Lower-case letters, digits and dashes, no dash at the ends.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(inner)
        && bytes.last().copied().is_some_and(inner)
        && bytes.iter().all(|b| inner(*b) || *b == b'-')
}

/// Letters, digits, dash, underscore, dot; letter or digit at the ends.
fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// RFC 1123 label.
pub(super) fn label(text: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if text.len() > LABEL_MAX {
        reasons.push(format!("must be no more than {LABEL_MAX} characters"));
    }
    if !is_label(text) {
        let dotted = text.split('.').all(is_label);
        reasons.push(if dotted { "must not contain dots".to_string() } else { LABEL.to_string() });
    }
    reasons
}

/// RFC 1123 subdomain.
pub(super) fn subdomain(text: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        reasons.push(format!("must be no more than {SUBDOMAIN_MAX} characters"));
    }
    if !text.split('.').all(is_label) {
        reasons.push(SUBDOMAIN.to_string());
    }
    reasons
}

/// `prefix/name` or `name`: label keys, annotation keys, finalizers, load balancer classes.
pub(super) fn qualified(text: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    let name = match text.split_once('/') {
        Some(("", _)) => {
            reasons.push("prefix part must be non-empty".to_string());
            return reasons;
        }
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                QUALIFIED.trim_start_matches("name part ")
            )];
        }
        Some((prefix, name)) => {
            reasons.extend(subdomain(prefix).into_iter().map(|why| format!("prefix part {why}")));
            name
        }
        None => text,
    };
    if name.is_empty() {
        reasons.push("name part must be non-empty".to_string());
    } else if name.len() > LABEL_MAX {
        reasons.push(format!("name part {}", too_long(LABEL_MAX)));
    }
    if !is_name_part(name) {
        reasons.push(QUALIFIED.to_string());
    }
    reasons
}

/// Value of a label.
pub(super) fn label_value(text: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if text.len() > LABEL_MAX {
        reasons.push(too_long(LABEL_MAX));
    }
    if !text.is_empty() && !is_name_part(text) {
        reasons.push(LABEL_VALUE.to_string());
    }
    reasons
}

/// Name of a container port (IANA service name).
pub(super) fn port_name(text: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if text.len() > 15 {
        reasons.push("must be no more than 15 characters".to_string());
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        reasons.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_string());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        reasons.push("must contain at least one letter (a-z)".to_string());
    }
    if text.contains("--") {
        reasons.push("must not contain consecutive hyphens".to_string());
    }
    if text.starts_with('-') || text.ends_with('-') {
        reasons.push("must not begin or end with a hyphen".to_string());
    }
    reasons
}

/// Name of an environment variable.
pub(super) fn env_name(text: &str) -> Vec<String> {
    let fine = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    if fine { Vec::new() } else { vec![ENV_NAME.to_string()] }
}

/// Key of a ConfigMap or Secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    if text.len() > SUBDOMAIN_MAX {
        return vec![too_long(SUBDOMAIN_MAX)];
    }
    let fine = !text.is_empty()
        && text != "."
        && !text.starts_with("..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fine { Vec::new() } else { vec![CONFIG_KEY.to_string()] }
}

/// An IP address, in any spelling that everybody reads alike.
pub(super) fn ip(text: &str) -> Vec<String> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            vec!["must not be an IPv4-mapped IPv6 address".to_string()]
        }
        Ok(_) => Vec::new(),
        Err(_) if without_zeros(text).parse::<Ipv4Addr>().is_ok() => vec!["must not have leading 0s".to_string()],
        Err(_) => vec![IP.to_string()],
    }
}

/// The name of an IPAddress: an IP address in the one spelling that is everybody's.
pub(super) fn canonical_ip(text: &str) -> Vec<String> {
    let reasons = ip(text);
    match text.parse::<IpAddr>() {
        Ok(address) if reasons.is_empty() => not_canonical(text, &address.to_string()),
        _ => reasons,
    }
}

/// A CIDR whose host bits are zero.
pub(super) fn cidr(text: &str) -> Vec<String> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let plain = format!("{}/{}", without_zeros(address), without_zeros(length));
    let zeros = address.parse::<IpAddr>().is_err() || (length.len() > 1 && length.starts_with('0'));
    let why = match text.parse::<IpNet>() {
        Ok(_) if zeros => "must not have leading 0s in IP or prefix length",
        Ok(IpNet::V6(net)) if net.addr().to_ipv4_mapped().is_some() => "must not have an IPv4-mapped IPv6 address",
        Ok(net) if net.trunc() != net => "must not have bits set beyond the prefix length",
        Ok(_) => return Vec::new(),
        Err(_) if plain.parse::<IpNet>().is_ok() => "must not have leading 0s in IP or prefix length",
        Err(_) => CIDR,
    };
    vec![why.to_string()]
}

/// A range of a ServiceCIDR: a CIDR in the one spelling that is everybody's.
pub(super) fn canonical_cidr(text: &str) -> Vec<String> {
    let reasons = cidr(text);
    match text.parse::<IpNet>() {
        Ok(net) if reasons.is_empty() => not_canonical(text, &net.to_string()),
        _ => reasons,
    }
}

fn not_canonical(text: &str, canonical: &str) -> Vec<String> {
    if text == canonical { Vec::new() } else { vec![format!("must be in canonical form ({canonical:?})")] }
}

/// The text without leading zeros in any of its dotted parts.
fn without_zeros(text: &str) -> String {
    let part = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_string(),
        digits => digits.to_string(),
    };
    text.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// A name that is one segment of a path.
pub(super) fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    name.chars().filter(|c| *c == '/' || *c == '%').map(|c| format!("may not contain '{c}'")).collect()
}

/// An address traffic can be sent to from elsewhere.
pub(super) fn endpoint_ip(text: &str) -> Vec<String> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        return vec![IP.to_string()];
    };
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] == 0xff02),
    };
    let why = if ip.is_unspecified() {
        "may not be unspecified (0.0.0.0 or ::)"
    } else if ip.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    } else if link_local {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    } else if link_local_multicast {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    } else {
        return Vec::new();
    };
    vec![why.to_string()]
}
