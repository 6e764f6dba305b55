//! The encoding below any schema: a message is a sequence of numbered fields in one of four shapes.
//!
//! Every length is checked against the bytes that are there, so reading costs no more than the body is long.

use super::Problem;

/// A field as it comes over the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'b> {
    /// Integers and booleans.
    Varint(u64),
    /// Strings, bytes, messages, entries of maps.
    Bytes(&'b [u8]),
    /// Floating point numbers; no field in scope has this shape, but unknown fields may.
    Fixed,
}

impl<'b> Wire<'b> {
    /// The number in it.
    pub(super) fn number(self) -> Result<u64, Problem> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(Problem::Shape),
        }
    }

    /// The bytes in it.
    pub(super) fn bytes(self) -> Result<&'b [u8], Problem> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Problem::Shape),
        }
    }

    /// The text in it.
    pub(super) fn text(self) -> Result<&'b str, Problem> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Problem::Text)
    }
}

/// The fields of one message, in the order sent.
pub(super) struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    pub(super) fn new(message: &'b [u8]) -> Self {
        Self(message)
    }

    /// The next field and its number; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Wire<'b>)>, Problem> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            // Groups, which Kubernetes never used, and what protobuf does not define.
            other => return Err(Problem::WireType(other)),
        };
        Ok(Some((key >> 3, wire)))
    }

    /// What is left, as numbers one after the other: the packed form of a list.
    pub(super) fn packed(mut self) -> Result<Vec<u64>, Problem> {
        let mut numbers = Vec::new();
        while !self.0.is_empty() {
            numbers.push(self.varint()?);
        }
        Ok(numbers)
    }

    /// Seven bits a byte, least significant first; at most ten bytes.
    fn varint(&mut self) -> Result<u64, Problem> {
        let mut number = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(number);
            }
        }
        Err(if self.0.len() < 10 { Problem::Truncated } else { Problem::Varint })
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], Problem> {
        let length = usize::try_from(length).map_err(|_| Problem::Truncated)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Problem::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}
