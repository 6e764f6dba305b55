//! Asks the agents of nodes for evidence, through the API server. Kubelets know no such path: then there is none, and
//! that is no fault.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::serde_json;
use kube::Client;

use super::{NodeEvidence, Owner};
use crate::{Unread, probes::Questions};

/// For one node: attempts take two seconds, all at once, and a program that lists rules may take some more.
const PATIENCE: Duration = Duration::from_secs(15);
/// Nodes that are asked at a time.
const AT_ONCE: usize = 8;

/// The evidence of these nodes, with the connection attempts that each is asked for, and what could not be read.
/// A cluster whose nodes do not know the question gives neither.
pub async fn of_nodes(client: &Client, wanted: &BTreeMap<String, Questions>) -> (Vec<NodeEvidence>, Vec<Unread>) {
    let mut nodes = wanted.iter();
    let Some((first, questions)) = nodes.next() else { return (Vec::new(), Vec::new()) };
    // Where the first does not know, the others will not either.
    let mut answers = vec![of_node(client, first, questions).await];
    if !matches!(answers[0], Answer::Unknown) {
        let others = stream::iter(nodes.map(|(node, questions)| of_node(client, node, questions)));
        answers.extend(others.buffered(AT_ONCE).collect::<Vec<_>>().await);
    }
    let (mut evidence, mut failures) = (Vec::new(), BTreeMap::<String, Vec<&str>>::new());
    for (node, answer) in wanted.keys().zip(answers) {
        match answer {
            Answer::Evidence(found) => evidence.push(*found),
            Answer::Unknown => {}
            Answer::Failed(why) => failures.entry(why).or_default().push(node),
        }
    }
    let unread = failures.into_iter().map(|(why, nodes)| Unread {
        what: "nodes/proxy".to_owned(),
        why: format!("{}: {why}", nodes.join(", ")),
        essential: false,
    });
    (evidence, unread.collect())
}

enum Answer {
    Evidence(Box<NodeEvidence>),
    /// The node does not know the question.
    Unknown,
    Failed(String),
}

/// One request: the kernel's facts and all attempts.
async fn of_node(client: &Client, node: &str, questions: &Questions) -> Answer {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (from, target) in questions {
        match from {
            Owner::Node => drop(query.append_pair("probe", target)),
            Owner::Pod { namespace, name } => {
                query.append_pair("podProbe", &format!("{namespace}/{name},{target}"));
            }
            // Agents know their pods by name.
            Owner::PodUid(_) => {}
        }
    }
    let path = format!("/api/v1/nodes/{node}/proxy/evidence?{}", query.finish());
    let request = match http::Request::get(path).body(Vec::new()) {
        Ok(request) => request,
        Err(error) => return Answer::Failed(error.to_string()),
    };
    match tokio::time::timeout(PATIENCE, client.request_text(request)).await {
        Ok(Ok(text)) => match serde_json::from_str(&text) {
            Ok(evidence) => Answer::Evidence(Box::new(evidence)),
            // Something else answers there.
            Err(_) => Answer::Unknown,
        },
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Answer::Unknown,
        Ok(Err(kube::Error::Api(status))) => Answer::Failed(status.message.clone()),
        Ok(Err(error)) => Answer::Failed(error.to_string()),
        Err(_) => Answer::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
