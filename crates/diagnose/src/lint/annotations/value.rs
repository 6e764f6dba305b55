//! What the value of an annotation may be. Each kind accepts what its reader's parser accepts, no less: a value that
//! works is no finding.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::{Words, words::words};

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Anything.
    Any,
    /// Anything but nothing.
    Some,
    /// `true` or `false`.
    Bool,
    /// What Go's ParseBool takes.
    GoBool,
    /// A whole number within these bounds.
    Int(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words in any case.
    AnyCase(&'static [&'static str]),
    /// Address ranges, separated by commas.
    Ranges,
    /// IPv4 addresses, separated by commas.
    V4List,
    /// IPv6 addresses, separated by commas.
    V6List,
    /// Addresses, separated by commas.
    Addresses,
    /// Addresses, separated by spaces.
    SpacedAddresses,
    /// One IPv4 address.
    V4,
    /// One IPv6 address.
    V6,
    /// Names or ids, separated by commas.
    List,
    /// Ids that begin so, separated by commas.
    Ids(&'static str),
    /// Amazon resource names, separated by commas.
    Arns,
    /// `key=value` pairs, separated by commas; a key may stand alone.
    Pairs,
    /// A JSON object.
    Json,
    /// A port number, or this word.
    PortOr(&'static str),
    /// A port number or the name of a port.
    PortOrName,
    /// Port numbers, separated by commas.
    Ports,
    /// A path that begins with `/`.
    Path,
    /// HTTP status codes: `200`, `200-399`, `200,204`.
    Codes,
    /// Letters, digits and hyphens, at most this many.
    Name(usize),
    /// A DNS label of Azure, or nothing to remove it.
    AzureLabel,
    /// The id of an Azure resource.
    AzureId,
}

/// Items between commas, without spaces and without empty ones.
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Kind {
    /// Why a value will not do.
    pub(in crate::lint) fn refuses(self, value: &str) -> Option<Words> {
        let good = match self {
            Self::Any => true,
            Self::Some => !value.trim().is_empty(),
            Self::Bool => ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)),
            Self::GoBool => {
                let words = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
                words.contains(&value)
            }
            Self::Int(low, high) => value.trim().parse().is_ok_and(|number: i64| (low..=high).contains(&number)),
            Self::Word(words) => words.contains(&value),
            Self::AnyCase(words) => words.iter().any(|word| value.eq_ignore_ascii_case(word)),
            Self::Ranges => all(value, is_range),
            Self::V4List => all(value, |item| item.parse::<Ipv4Addr>().is_ok()),
            Self::V6List => all(value, |item| item.parse::<Ipv6Addr>().is_ok()),
            Self::Addresses => all(value, |item| item.parse::<IpAddr>().is_ok()),
            Self::SpacedAddresses => {
                let mut items = value.split_whitespace().peekable();
                items.peek().is_some() && items.all(|item| item.parse::<IpAddr>().is_ok())
            }
            Self::V4 => value.parse::<Ipv4Addr>().is_ok(),
            Self::V6 => value.parse::<Ipv6Addr>().is_ok(),
            Self::List => list(value).next().is_some(),
            Self::Ids(prefix) => all(value, |item| item.len() > prefix.len() && item.starts_with(prefix)),
            Self::Arns => all(value, |item| item.starts_with("arn:") && item.split(':').count() >= 6),
            Self::Pairs => all(value, |item| !item.starts_with('=')),
            Self::Json => serde_json::from_str(value).is_ok_and(|value: serde_json::Value| value.is_object()),
            Self::PortOr(word) => value == word || is_port(value),
            Self::PortOrName => is_port(value) || is_port_name(value),
            Self::Ports => all(value, is_port),
            Self::Path => value.starts_with('/'),
            Self::Codes => all(value, |item| {
                let (low, high) = item.split_once('-').unwrap_or((item, item));
                let code = |text: &str| text.parse().is_ok_and(|code: u16| (100..=599).contains(&code));
                code(low) && code(high)
            }),
            Self::Name(length) => {
                let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
                (1..=length).contains(&value.len())
                    && value.chars().all(letters)
                    && !value.starts_with('-')
                    && !value.ends_with('-')
            }
            Self::AzureLabel => value.is_empty() || is_azure_label(value),
            Self::AzureId => value.to_ascii_lowercase().starts_with("/subscriptions/"),
        };
        (!good).then(|| self.complaint(value))
    }

    fn complaint(self, value: &str) -> Words {
        let shown: String = value.chars().take(60).collect();
        match self {
            Self::Int(low, high) if value.trim().parse::<i64>().is_ok() => {
                words!("{shown} is not between {low} and {high}", "{shown} 不在 {low} 到 {high} 之间")
            }
            _ if value.is_empty() => words!("the value is empty", "值为空"),
            _ => words!("the value {shown:?} is not understood", "无法理解的值 {shown:?}"),
        }
    }

    /// What is expected, in English and Chinese.
    pub(in crate::lint) fn describe(self) -> (String, String) {
        let words = match self {
            Self::Any => words!("any text", "任意文本"),
            Self::Some => words!("a text that is not empty", "非空文本"),
            Self::Bool | Self::GoBool => words!("\"true\" or \"false\"", "\"true\" 或 \"false\""),
            Self::Int(low, i64::MAX) => words!("a whole number, at least {low}", "不小于 {low} 的整数"),
            Self::Int(low, high) => words!("a whole number from {low} to {high}", "{low} 到 {high} 的整数"),
            Self::Word(list) | Self::AnyCase(list) => {
                let list = list.join(" | ");
                words!("{list}", "{list}")
            }
            Self::Ranges => words!("address ranges separated by commas", "以逗号分隔的 CIDR"),
            Self::V4List => words!("IPv4 addresses separated by commas", "以逗号分隔的 IPv4 地址"),
            Self::V6List => words!("IPv6 addresses separated by commas", "以逗号分隔的 IPv6 地址"),
            Self::Addresses => words!("addresses separated by commas", "以逗号分隔的地址"),
            Self::SpacedAddresses => words!("addresses separated by spaces", "以空格分隔的地址"),
            Self::V4 => words!("an IPv4 address", "一个 IPv4 地址"),
            Self::V6 => words!("an IPv6 address", "一个 IPv6 地址"),
            Self::List => words!("names separated by commas", "以逗号分隔的名称"),
            Self::Ids(prefix) => words!("ids {prefix}... separated by commas", "以逗号分隔的 {prefix}... 标识"),
            Self::Arns => words!("ARNs separated by commas", "以逗号分隔的 ARN"),
            Self::Pairs => words!("key=value pairs separated by commas", "以逗号分隔的 key=value"),
            Self::Json => words!("a JSON object", "一个 JSON 对象"),
            Self::PortOr(word) => words!("a port number or {word}", "端口号或 {word}"),
            Self::PortOrName => words!("a port number or the name of a port", "端口号或端口名"),
            Self::Ports => words!("port numbers separated by commas", "以逗号分隔的端口号"),
            Self::Path => words!("a path that begins with /", "以 / 开头的路径"),
            Self::Codes => words!("HTTP codes such as 200 or 200-399", "HTTP 状态码，如 200 或 200-399"),
            Self::Name(length) => {
                words!("at most {length} letters, digits and inner hyphens", "最多 {length} 个字母、数字和中间的连字符")
            }
            Self::AzureLabel => words!(
                "3 to 63 lower-case letters, digits and hyphens, beginning with a letter",
                "3 到 63 个小写字母、数字和连字符，以字母开头"
            ),
            Self::AzureId => words!("the id of a resource, /subscriptions/...", "资源 ID，/subscriptions/..."),
        };
        (words.en, words.zh)
    }
}

/// At least one item, and all of them good.
fn all(value: &str, good: impl Fn(&str) -> bool) -> bool {
    list(value).next().is_some() && list(value).all(good)
}

fn is_port(value: &str) -> bool {
    value.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_port_name(value: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (1..=63).contains(&value.len()) && value.chars().all(letters)
}

/// Host bits may be set: the readers mask them away.
fn is_range(item: &str) -> bool {
    item.parse::<ipnet::IpNet>().is_ok()
}

fn is_azure_label(value: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (3..=63).contains(&value.len())
        && value.starts_with(|first: char| first.is_ascii_lowercase())
        && !value.ends_with('-')
        && value.chars().all(letters)
}
