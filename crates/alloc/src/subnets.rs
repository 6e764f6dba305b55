//! Pod ranges for nodes: equal parts of the cluster's range.
//!
//! Upstream: `pkg/controller/nodeipam/ipam/cidrset`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::bitmap::Bitmap;

/// Most parts of a range, as a power of two.
const MOST_BITS: u8 = 16;

/// Why a range cannot be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetsError {
    /// The parts would be larger than the whole.
    #[error("parts of /{prefix} do not fit into {net}")]
    TooLarge {
        /// The whole.
        net: IpNet,
        /// Prefix of a part.
        prefix: u8,
    },
    /// There would be too many.
    #[error("{net} has too many parts of /{prefix}: at most 65536, so use a longer prefix or a smaller range")]
    TooMany {
        /// The whole.
        net: IpNet,
        /// Prefix of a part.
        prefix: u8,
    },
}

/// A range in parts of one size. The next free one is given out, so that one that was freed comes back last. A part may
/// have several holders, and holders may have ranges of other sizes: they hold every part that they touch.
#[derive(Clone, Debug)]
pub struct Subnets {
    net: IpNet,
    prefix: u8,
    taken: Bitmap,
    holders: Vec<u32>,
    cursor: usize,
}

impl Subnets {
    /// All free.
    pub fn new(net: IpNet, prefix: u8) -> Result<Subnets, SubnetsError> {
        let net = net.trunc();
        if prefix < net.prefix_len() || prefix > net.max_prefix_len() {
            return Err(SubnetsError::TooLarge { net, prefix });
        }
        let bits = prefix - net.prefix_len();
        if bits > MOST_BITS {
            return Err(SubnetsError::TooMany { net, prefix });
        }
        let count = 1 << bits;
        Ok(Subnets { net, prefix, taken: Bitmap::new(count), holders: vec![0; count], cursor: 0 })
    }

    /// The whole.
    pub fn range(&self) -> IpNet {
        self.net
    }

    /// How many parts can still be given out.
    pub fn free(&self) -> usize {
        self.taken.free()
    }

    /// Takes the next free part.
    pub fn allocate(&mut self) -> Option<IpNet> {
        let index =
            self.taken.next_free(self.cursor, self.taken.len()).or_else(|| self.taken.next_free(0, self.cursor))?;
        let part = self.part(index)?;
        self.hold(part);
        self.cursor = index + 1;
        Some(part)
    }

    /// One holder more of what `net` touches.
    pub fn hold(&mut self, net: IpNet) {
        for index in self.touched(net) {
            self.holders[index] = self.holders[index].saturating_add(1);
            self.taken.take(index);
        }
    }

    /// One holder less.
    pub fn release(&mut self, net: IpNet) {
        for index in self.touched(net) {
            self.holders[index] = self.holders[index].saturating_sub(1);
            if self.holders[index] == 0 {
                self.taken.release(index);
            }
        }
    }

    /// Bits behind a part's number.
    fn shift(&self) -> u8 {
        self.net.max_prefix_len() - self.prefix
    }

    fn part(&self, index: usize) -> Option<IpNet> {
        // A /0 of IPv6 has no part of /0 to shift by 128: its only index is 0.
        let offset = u128::try_from(index).ok()?.checked_shl(self.shift().into()).unwrap_or(0);
        let number = number(self.net.network()) + offset;
        let address = match self.net {
            IpNet::V4(_) => IpAddr::V4(u32::try_from(number).ok()?.into()),
            IpNet::V6(_) => IpAddr::V6(number.into()),
        };
        IpNet::new(address, self.prefix).ok()
    }

    fn touched(&self, net: IpNet) -> std::ops::Range<usize> {
        let same_family = net.max_prefix_len() == self.net.max_prefix_len();
        if !same_family || !(self.net.contains(&net) || net.contains(&self.net)) {
            return 0..0;
        }
        let start = number(self.net.network());
        let index = |address: IpAddr| {
            let offset = number(address).saturating_sub(start);
            let index = offset.checked_shr(self.shift().into()).unwrap_or(0);
            usize::try_from(index).unwrap_or(usize::MAX).min(self.taken.len() - 1)
        };
        index(net.network())..index(net.broadcast()) + 1
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
