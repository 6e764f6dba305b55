//! The error codes of the large vendors that operators meet. The catalogue has the list, for it explains them as well.

pub use portolan_catalogue::vendor::{CODES, Trouble, Vendor, lookup};

use crate::Class;

impl From<Trouble> for Class {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Throttled => Self::Throttled,
            Trouble::Auth => Self::Auth,
            Trouble::Quota => Self::Quota,
            Trouble::Pool => Self::Pool,
            Trouble::Conflict => Self::Conflict,
            Trouble::Timeout => Self::Timeout,
            Trouble::Unreachable => Self::Unreachable,
            Trouble::Invalid => Self::Invalid,
            Trouble::Other => Self::Other,
        }
    }
}
