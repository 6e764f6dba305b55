//! Connection attempts, all at once, each with two seconds.

use std::{
    io,
    time::{Duration, Instant},
};

use futures::future::join_all;
use portolan_diagnose::evidence::{Outcome, Owner, Probe, Target};
use portolan_netns::Namespace;

use crate::{MOST_PROBES, Place, dns, http};

/// For one attempt. A connection that loses its first packet tries again after one second.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the attempts and says which could not be made.
pub(crate) async fn all(places: &[Place], asked: &[(Owner, String)]) -> (Vec<Probe>, Vec<String>) {
    let mut problems = Vec::new();
    let mut attempts = Vec::new();
    for (from, target) in asked.iter().take(MOST_PROBES) {
        let Some(place) = places.iter().find(|place| place.owner == *from) else {
            problems.push(format!("cannot try {target} from {from}: it has no network of its own here"));
            continue;
        };
        match target.parse::<Target>() {
            Ok(parsed) => attempts.push(one(place, target, parsed)),
            Err(error) => problems.push(format!("cannot try a target: {error}")),
        }
    }
    if asked.len() > MOST_PROBES {
        problems
            .push(format!("{} connection attempts are left out: {MOST_PROBES} are enough", asked.len() - MOST_PROBES));
    }
    (join_all(attempts).await, problems)
}

async fn one(place: &Place, target: &str, parsed: Target) -> Probe {
    let begun = Instant::now();
    let outcome = attempt(&place.namespace, &parsed).await.unwrap_or_else(failed);
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Probe { from: place.owner.clone(), target: target.to_owned(), outcome, milliseconds }
}

async fn attempt(namespace: &Namespace, target: &Target) -> io::Result<Outcome> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let in_time = |work| tokio::time::timeout_at(deadline, work);
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    match target {
        Target::Tcp(address) => {
            in_time(namespace.tcp_connect(*address)).await.map_err(late)??;
            Ok(Outcome::Connected)
        }
        Target::Http { address, path } => {
            let connected = tokio::time::timeout_at(deadline, namespace.tcp_connect(*address)).await.map_err(late)?;
            let mut stream = connected?;
            // A server that keeps the connection open has answered all the same: its first line is enough.
            let mut answer = Vec::new();
            let line = |answer: &[u8]| answer.contains(&b'\n');
            let exchange = http::get(&mut stream, (*address, path), &mut answer, line);
            // It was accepted, whatever came after: a reset, or nothing more.
            let _ = tokio::time::timeout_at(deadline, exchange).await;
            Ok(if answer.is_empty() {
                Outcome::Connected
            } else {
                Outcome::Answered { text: http::first_line(&answer) }
            })
        }
        Target::Udp(address) => {
            let exchange = async {
                let socket = namespace.udp_connect(*address).await?;
                socket.send(b"portolan\n").await?;
                let mut buffer = [0; http::MOST];
                let length = socket.recv(&mut buffer).await?;
                Ok(Outcome::Answered { text: http::first_line(&buffer[..length]) })
            };
            tokio::time::timeout_at(deadline, exchange).await.map_err(late)?
        }
        Target::Dns { name, server } => {
            tokio::time::timeout_at(deadline, dns::resolve(namespace, name, *server)).await.map_err(late)?
        }
    }
}

fn failed(error: io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Outcome::Refused,
        io::ErrorKind::TimedOut => Outcome::TimedOut,
        _ => Outcome::Unreachable { why: error.to_string() },
    }
}
