//! Tracked connections that a Service translated.

use portolan_diagnose::evidence::Flow;
use portolan_nftables::{Family, Flow as Tracked, Socket};

/// Most flows that are told.
pub(crate) const MOST: usize = 10_000;

/// Those of the calling thread's namespace.
pub(crate) fn read(problems: &mut Vec<String>) -> Option<Vec<Flow>> {
    let mut socket = match Socket::open() {
        Ok(socket) => socket,
        Err(error) => {
            problems.push(format!("cannot read tracked connections: {}", crate::rules::chain(&error)));
            return None;
        }
    };
    let mut flows = Vec::new();
    let mut beyond = 0usize;
    for family in [Family::Ip, Family::Ip6] {
        let read = socket.each_flow(family, |tracked| {
            let Some(flow) = translated(&tracked) else { return };
            if flows.len() < MOST { flows.push(flow) } else { beyond += 1 }
        });
        if let Err(error) = read {
            let advice = "it takes CAP_NET_ADMIN, and connection tracking in the kernel";
            problems.push(format!("{}; {advice}", crate::rules::chain(&error)));
            return None;
        }
    }
    if beyond > 0 {
        problems.push(format!("{beyond} more translated connections are left out: {MOST} are enough"));
    }
    flows.sort();
    Some(flows)
}

/// `None` for what goes where it was sent.
fn translated(tracked: &Tracked) -> Option<Flow> {
    let protocol = match tracked.protocol {
        6 => "TCP",
        17 => "UDP",
        132 => "SCTP",
        _ => return None,
    };
    let (destination, translated) = (tracked.original.destination, tracked.reply.source);
    (destination != translated).then(|| Flow {
        protocol: protocol.to_owned(),
        source: tracked.original.source,
        destination,
        translated,
        state: tracked.tcp_state.and_then(state).map(str::to_owned),
        answered: tracked.answered,
    })
}

/// The kernel's names (`enum tcp_conntrack`).
fn state(number: u8) -> Option<&'static str> {
    const NAMES: [&str; 10] = [
        "NONE",
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
        "CLOSE",
        "SYN_SENT2",
    ];
    NAMES.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use portolan_nftables::Tuple;

    use super::*;

    fn tracked(protocol: u8, destination: &str, from: &str) -> Tracked {
        let client = "10.244.0.9:40000".parse().unwrap();
        Tracked {
            protocol,
            original: Tuple { source: client, destination: destination.parse().unwrap() },
            reply: Tuple { source: from.parse().unwrap(), destination: client },
            id: 1,
            answered: true,
            tcp_state: (protocol == 6).then_some(3),
        }
    }

    #[test]
    fn only_translated_connections_are_told() {
        let flow = translated(&tracked(6, "10.96.0.1:80", "10.244.0.3:8080")).unwrap();
        assert_eq!(
            (flow.translated.to_string(), flow.state.as_deref()),
            ("10.244.0.3:8080".into(), Some("ESTABLISHED"))
        );
        assert_eq!(translated(&tracked(17, "10.96.0.1:80", "10.244.0.3:8080")).unwrap().state, None);
        assert_eq!(translated(&tracked(6, "10.0.0.1:80", "10.0.0.1:80")), None);
        assert_eq!(translated(&tracked(1, "10.96.0.1:0", "10.0.0.1:0")), None);
        assert_eq!(state(200), None);
    }
}
