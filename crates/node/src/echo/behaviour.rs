//! How the echo server misbehaves, as its environment says: for showing what a broken application looks like.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// What it does otherwise than well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behaviour {
    /// `ECHO_LISTEN`: on which addresses; `None`: it listens on nothing at all.
    pub(super) listen: Option<IpAddr>,
    /// `ECHO_DELAY_MILLISECONDS`: how long every answer takes.
    pub(super) delay: Duration,
    /// `ECHO_PROTOCOL`: what it speaks.
    pub(super) speech: Speech,
    /// `ECHO_READY`: whether `/ready` says yes.
    pub(super) ready: bool,
}

/// What it speaks on its ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Speech {
    /// What it should.
    #[default]
    Normal,
    /// It accepts and listens, and says nothing.
    Silent,
    /// Something else than its clients understand.
    Garbage,
    /// UDP on every port, and TCP on none.
    UdpOnly,
}

impl Behaviour {
    /// Waits as long as every answer takes. No delay is no wait: a sleep of nothing would cost a tick of the timer.
    pub(super) async fn hesitate(&self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }

    /// As the variables say.
    ///
    /// # Errors
    /// If one of them has a value that means nothing; the message says which values there are.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> io::Result<Self> {
        Ok(Self {
            listen: read(&variable, "ECHO_LISTEN", "all, loopback or none", |text| match text {
                "all" => Some(Some(Ipv4Addr::UNSPECIFIED.into())),
                "loopback" => Some(Some(Ipv4Addr::LOCALHOST.into())),
                "none" => Some(None),
                _ => None,
            })?
            .unwrap_or(Some(Ipv4Addr::UNSPECIFIED.into())),
            delay: read(&variable, "ECHO_DELAY_MILLISECONDS", "a number of milliseconds", |text| {
                text.parse().ok().map(Duration::from_millis)
            })?
            .unwrap_or_default(),
            speech: read(&variable, "ECHO_PROTOCOL", "normal, silent, garbage or udp-only", |text| match text {
                "normal" => Some(Speech::Normal),
                "silent" => Some(Speech::Silent),
                "garbage" => Some(Speech::Garbage),
                "udp-only" => Some(Speech::UdpOnly),
                _ => None,
            })?
            .unwrap_or_default(),
            ready: read(&variable, "ECHO_READY", "true or false", |text| text.parse().ok())?.unwrap_or(true),
        })
    }
}

/// The variable's value, if it is set.
fn read<T>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    values: &str,
    read: impl Fn(&str) -> Option<T>,
) -> io::Result<Option<T>> {
    let Some(text) = variable(name) else { return Ok(None) };
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{name}={text} means nothing: use {values}"));
    read(&text).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(name: &str, value: &str) -> io::Result<Behaviour> {
        Behaviour::of(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn without_any_variable_it_behaves() {
        let well = Behaviour::of(|_| None).unwrap();
        assert_eq!((well.delay, well.speech, well.ready), (Duration::ZERO, Speech::Normal, true));
        assert_eq!(well.listen, Some(Ipv4Addr::UNSPECIFIED.into()));
    }

    #[test]
    fn every_value_is_read_and_others_are_answered_with_those_that_are() {
        assert_eq!(of("ECHO_LISTEN", "loopback").unwrap().listen, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(of("ECHO_LISTEN", "none").unwrap().listen, None);
        assert_eq!(of("ECHO_DELAY_MILLISECONDS", "250").unwrap().delay, Duration::from_millis(250));
        assert_eq!(of("ECHO_PROTOCOL", "silent").unwrap().speech, Speech::Silent);
        assert_eq!(of("ECHO_PROTOCOL", "garbage").unwrap().speech, Speech::Garbage);
        assert_eq!(of("ECHO_PROTOCOL", "udp-only").unwrap().speech, Speech::UdpOnly);
        assert!(!of("ECHO_READY", "false").unwrap().ready);
        for (name, value, words) in [
            ("ECHO_LISTEN", "lo", "all, loopback or none"),
            ("ECHO_DELAY_MILLISECONDS", "-1", "milliseconds"),
            ("ECHO_PROTOCOL", "http3", "udp-only"),
            ("ECHO_READY", "no", "true or false"),
        ] {
            let error = of(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(words), "{error}");
        }
    }
}
