//! Words of load balancer providers that tell what kind of trouble it is, whoever the vendor.
//!
//! One list for everybody: the recogniser of pasted messages, the doctor, and the scripted provider that speaks in
//! these codes. It is an open list: vendors add codes, and what is not in it is [`Trouble::Other`].

use serde::Serialize;

/// What kind of trouble a provider's error is: enough to choose a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Too many calls; trying later helps.
    Throttled,
    /// Credentials or rights are missing.
    Auth,
    /// A limit of the account is used up.
    Quota,
    /// No address is left in the pool or subnet.
    Pool,
    /// The wanted address belongs to another balancer.
    Conflict,
    /// No answer in time: whether the call was carried out is not known.
    Timeout,
    /// The provider cannot be reached.
    Unreachable,
    /// The Service asks for something that cannot be had.
    Invalid,
    /// Anything else.
    Other,
}

impl Trouble {
    /// The code of the finding that the doctor makes of it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Throttled => "load-balancer-throttled",
            Self::Auth => "load-balancer-forbidden",
            Self::Quota => "load-balancer-quota",
            Self::Pool => "load-balancer-pool-exhausted",
            Self::Conflict => "load-balancer-address-conflict",
            Self::Timeout => "load-balancer-timeout",
            Self::Unreachable => "load-balancer-provider-unreachable",
            Self::Invalid => "load-balancer-invalid-parameter",
            Self::Other => "load-balancer-sync-failed",
        }
    }
}

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Vendor {
    /// As the vendor spells it.
    pub code: &'static str,
    /// Whose it is.
    pub vendor: &'static str,
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// A typical message.
    pub message: &'static str,
}

const fn code(code: &'static str, vendor: &'static str, trouble: Trouble, message: &'static str) -> Vendor {
    Vendor { code, vendor, trouble, message }
}

/// The codes, by kind of trouble.
pub const CODES: &[Vendor] = &[
    code("RequestLimitExceeded", "AWS", Trouble::Throttled, "Request limit exceeded"),
    code("Throttling", "AWS", Trouble::Throttled, "Rate exceeded"),
    code("ThrottlingException", "AWS", Trouble::Throttled, "Rate exceeded"),
    code("TooManyRequests", "Azure", Trouble::Throttled, "The subscription has sent too many requests"),
    code("OperationNotAllowed", "Azure", Trouble::Quota, "The operation would exceed an approved quota"),
    code("rateLimitExceeded", "GCP", Trouble::Throttled, "Rate Limit Exceeded"),
    code("UnauthorizedOperation", "AWS", Trouble::Auth, "You are not authorized to perform this operation"),
    code("AccessDenied", "AWS", Trouble::Auth, "The identity is not authorized to perform this action"),
    code("AuthFailure", "AWS", Trouble::Auth, "The provided credentials could not be validated"),
    code("ExpiredToken", "AWS", Trouble::Auth, "The security token included in the request is expired"),
    code("AuthorizationFailed", "Azure", Trouble::Auth, "The client has no authorization to perform this action"),
    code("QuotaExceeded", "GCP", Trouble::Quota, "Quota 'FORWARDING_RULES' exceeded"),
    code("TooManyLoadBalancers", "AWS", Trouble::Quota, "The maximum number of load balancers has been reached"),
    code("TooManyTargetGroups", "AWS", Trouble::Quota, "The maximum number of target groups has been reached"),
    code("PublicIPCountLimitReached", "Azure", Trouble::Quota, "Cannot create more public IP addresses"),
    code("InsufficientFreeAddressesInSubnet", "AWS", Trouble::Pool, "The subnet has no free addresses"),
    code("AddressPoolExhausted", "Portolan", Trouble::Pool, "no address is left in the pool"),
    code("AddressInUse", "Portolan", Trouble::Conflict, "the address belongs to another load balancer"),
    code("AddressNotInPool", "Portolan", Trouble::Invalid, "the address is not in the pool"),
    code("InvalidParameterValue", "AWS, Azure", Trouble::Invalid, "A value of the request is not valid"),
    code("InvalidConfigurationRequest", "AWS", Trouble::Invalid, "The requested configuration is not valid"),
    code("SubnetNotFound", "AWS", Trouble::Invalid, "The subnet does not exist"),
    code("LoadBalancerNotFound", "AWS", Trouble::Invalid, "The load balancer does not exist"),
    code("DependencyViolation", "AWS", Trouble::Other, "The resource has a dependent object"),
    code("InternalError", "AWS, GCP", Trouble::Other, "An internal error has occurred"),
];

/// Texts that are nobody's code and say as much; in lower case.
const PHRASES: &[(&str, Trouble)] = &[
    ("deadline exceeded", Trouble::Timeout),
    ("deadlineexceeded", Trouble::Timeout),
    ("client.timeout exceeded", Trouble::Timeout),
    ("i/o timeout", Trouble::Timeout),
    ("timed out", Trouble::Timeout),
    ("no such host", Trouble::Unreachable),
    ("unable to resolve endpoint", Trouble::Unreachable),
    ("connection refused", Trouble::Unreachable),
    ("network is unreachable", Trouble::Unreachable),
    ("no route to host", Trouble::Unreachable),
    // AWS, of both its controllers: no subnet has the tag.
    ("could not find any suitable subnets", Trouble::Invalid),
    ("unable to resolve at least one subnet", Trouble::Invalid),
    ("too many requests", Trouble::Throttled),
    ("rate limit", Trouble::Throttled),
    ("throttl", Trouble::Throttled),
    ("status code: 429", Trouble::Throttled),
    ("quota", Trouble::Quota),
    ("resourceexhausted", Trouble::Quota),
    ("limitexceeded", Trouble::Quota),
    ("ip pool exhausted", Trouble::Pool),
    ("no available ips", Trouble::Pool),
    ("no address is left", Trouble::Pool),
    ("no free address", Trouble::Pool),
    ("out of allocatable ips", Trouble::Pool),
    ("in use by", Trouble::Conflict),
    ("already in use", Trouble::Conflict),
    ("already allocated", Trouble::Conflict),
    ("sharing key", Trouble::Conflict),
    ("status code: 401", Trouble::Auth),
    ("status code: 403", Trouble::Auth),
    ("error 403", Trouble::Auth),
    ("not authorized", Trouble::Auth),
    ("accessdenied", Trouble::Auth),
    ("is not allowed in config", Trouble::Invalid),
    ("unknown pool", Trouble::Invalid),
    ("invalidparameter", Trouble::Invalid),
    ("invalid parameter", Trouble::Invalid),
];

/// What is known of a code.
pub fn lookup(code: &str) -> Option<&'static Vendor> {
    CODES.iter().find(|known| known.code == code)
}

/// The codes and phrases that tell of a kind of trouble, for people: parts of words are left out.
pub fn words_of(trouble: Trouble) -> impl Iterator<Item = &'static str> {
    let codes = CODES.iter().filter(move |known| known.trouble == trouble).map(|known| known.code);
    let phrases = PHRASES.iter().filter(move |(phrase, of)| *of == trouble && phrase.contains(' '));
    codes.chain(phrases.map(|(phrase, _)| *phrase))
}

/// The first known code that is a word of `text`.
pub fn code_in(text: &str) -> Option<&'static Vendor> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(lookup)
}

/// What kind of trouble a provider's text tells of; `None` if it is in nobody's list.
pub fn classify(text: &str) -> Option<Trouble> {
    if let Some(known) = code_in(text) {
        return Some(known.trouble);
    }
    let text = text.to_ascii_lowercase();
    PHRASES.iter().find(|(phrase, _)| text.contains(phrase)).map(|(_, trouble)| *trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_phrases_are_found_in_running_text() {
        for (text, trouble) in [
            ("RequestLimitExceeded: Request limit exceeded.", Some(Trouble::Throttled)),
            ("googleapi: Error 403: Rate Limit Exceeded, rateLimitExceeded", Some(Trouble::Throttled)),
            ("googleapi: Error 403: QUOTA_EXCEEDED - Quota 'X' exceeded, QuotaExceeded", Some(Trouble::Quota)),
            ("Code=\"AuthorizationFailed\" Message=\"no\"", Some(Trouble::Auth)),
            ("Post https://api.example: context deadline exceeded", Some(Trouble::Timeout)),
            ("dial tcp: lookup api.example: no such host", Some(Trouble::Unreachable)),
            ("could not find any suitable subnets for creating the ELB", Some(Trouble::Invalid)),
            ("RouteLimitExceeded: too many", Some(Trouble::Quota)),
            ("something else happened", None),
            ("", None),
        ] {
            assert_eq!(classify(text), trouble, "{text}");
        }
    }

    #[test]
    fn a_code_stands_for_one_thing() {
        let mut codes: Vec<&str> = CODES.iter().map(|known| known.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
    }
}
