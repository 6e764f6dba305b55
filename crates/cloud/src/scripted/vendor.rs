//! The error codes of the large vendors that operators meet, with their class.

use crate::Class;

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// As the vendor spells it.
    pub code: &'static str,
    /// Whose it is.
    pub vendor: &'static str,
    /// What kind of trouble it is.
    pub class: Class,
    /// A typical message.
    pub message: &'static str,
}

const fn code(code: &'static str, vendor: &'static str, class: Class, message: &'static str) -> Vendor {
    Vendor { code, vendor, class, message }
}

/// The codes, by kind of trouble.
pub const CODES: &[Vendor] = &[
    code("RequestLimitExceeded", "AWS", Class::Throttled, "Request limit exceeded"),
    code("Throttling", "AWS", Class::Throttled, "Rate exceeded"),
    code("TooManyRequests", "Azure", Class::Throttled, "The subscription has sent too many requests"),
    code("rateLimitExceeded", "GCP", Class::Throttled, "Rate Limit Exceeded"),
    code("UnauthorizedOperation", "AWS", Class::Auth, "You are not authorized to perform this operation"),
    code("AuthFailure", "AWS", Class::Auth, "The provided credentials could not be validated"),
    code("AuthorizationFailed", "Azure", Class::Auth, "The client has no authorization to perform this action"),
    code("QuotaExceeded", "GCP", Class::Quota, "Quota 'FORWARDING_RULES' exceeded"),
    code("TooManyLoadBalancers", "AWS", Class::Quota, "The maximum number of load balancers has been reached"),
    code("PublicIPCountLimitReached", "Azure", Class::Quota, "Cannot create more public IP addresses"),
    code("InsufficientFreeAddressesInSubnet", "AWS", Class::Pool, "The subnet has no free addresses"),
    code("InvalidParameterValue", "AWS, Azure", Class::Invalid, "A value of the request is not valid"),
    code("LoadBalancerNotFound", "AWS", Class::Invalid, "The load balancer does not exist"),
    code("DependencyViolation", "AWS", Class::Other, "The resource has a dependent object"),
    code("InternalError", "AWS, GCP", Class::Other, "An internal error has occurred"),
];

/// What is known of a code.
pub fn lookup(code: &str) -> Option<&'static Vendor> {
    CODES.iter().find(|known| known.code == code)
}
