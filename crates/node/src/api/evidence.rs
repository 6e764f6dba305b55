//! `GET /evidence`: the kernel facts of this node, and connection attempts made on request: `probe=TARGET` from the
//! network of the node or of `from=NAMESPACE/POD`, `podProbe=NAMESPACE/POD,TARGET` from that of the pod it names.

use portolan_diagnose::evidence::{NodeEvidence, Owner, Target};
use portolan_evidence::{Asked, MOST_PROBES, Pods};

use crate::agent::Agent;

/// Connection attempts that somebody wants: from where, and to what.
pub(super) fn parse(query: &str) -> Result<Vec<(Owner, String)>, String> {
    let mut from = Owner::Node;
    let mut wishes = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "from" => from = owner(&value)?,
            "probe" => wishes.push((None, checked(&value)?)),
            "podProbe" => {
                let parts =
                    value.split_once(',').ok_or_else(|| format!("invalid podProbe {value:?}: want POD,TARGET"))?;
                wishes.push((Some(owner(parts.0)?), checked(parts.1)?));
            }
            _ => {}
        }
    }
    if wishes.len() > MOST_PROBES {
        return Err(format!("{} connection attempts are too many: at most {MOST_PROBES}", wishes.len()));
    }
    Ok(wishes.into_iter().map(|(own, target)| (own.unwrap_or_else(|| from.clone()), target)).collect())
}

fn owner(text: &str) -> Result<Owner, String> {
    if matches!(text, "" | "node") {
        return Ok(Owner::Node);
    }
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or_else(|| format!("invalid place {text:?}: want NAMESPACE/POD or node"))?;
    Ok(Owner::Pod { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn checked(target: &str) -> Result<String, String> {
    target.parse::<Target>().map(|_| target.to_owned()).map_err(|error| error.to_string())
}

/// Looks, and makes the attempts.
pub(super) async fn collect(agent: &Agent, probes: Vec<(Owner, String)>) -> NodeEvidence {
    let pods = agent.networks.all().into_iter();
    let named = pods.map(|(key, network)| (Owner::Pod { namespace: key.namespace, name: key.name }, network));
    portolan_evidence::collect(Asked {
        node: agent.config.name.clone(),
        namespace: agent.config.namespace.clone(),
        addresses: vec![agent.config.address],
        resolv_conf: agent.config.resolv_conf.clone(),
        pods: Pods::Known(named.collect()),
        probes,
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn wishes_are_read_or_refused() {
        assert_eq!(parse(""), Ok(vec![]));
        let pod = Owner::Pod { namespace: "a".into(), name: "b".into() };
        let both = parse("probe=tcp://10.0.0.1:80&from=a/b&probe=udp%3A%2F%2F10.0.0.1%3A53&pretty").unwrap();
        assert_eq!(both, [(pod.clone(), "tcp://10.0.0.1:80".to_owned()), (pod, "udp://10.0.0.1:53".to_owned())]);
        let own = parse("podProbe=a/b,tcp://10.0.0.1:80&probe=tcp://10.0.0.1:81").unwrap();
        assert_eq!(own[0].0.to_string(), "pod a/b");
        assert_eq!(own[1], (Owner::Node, "tcp://10.0.0.1:81".to_owned()));
        for query in [
            "probe=10.0.0.1:80",
            "from=b",
            "from=/b",
            "podProbe=tcp://10.0.0.1:80",
            "podProbe=b,tcp://10.0.0.1:80",
            &"probe=tcp://10.0.0.1:80&".repeat(65),
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
