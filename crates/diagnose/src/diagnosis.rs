//! What a diagnosis says: data, ready for JSON and for rendering.

use serde::Serialize;

use crate::{Unread, Words};

/// Everything found about one Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// `NAMESPACE/NAME`.
    pub service: String,
    /// All links, in the order of the chain.
    pub links: Vec<Link>,
    /// The causes, the most causal first. None of them follows from another.
    pub findings: Vec<Finding>,
    /// What is worth knowing but is no fault.
    pub hints: Vec<Words>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Diagnosis {
    /// The cause: the most causal finding.
    pub fn cause(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// 0: every link that applies holds; 1: a link is broken; 2: nothing is proven broken, but not everything that
    /// the links rest on could be read.
    pub fn exit_code(&self) -> u8 {
        match (self.findings.is_empty(), self.unread.iter().any(|unread| unread.essential)) {
            (false, _) => 1,
            (true, true) => 2,
            (true, false) => 0,
        }
    }

    /// The link with this name.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }
}

/// The links of the chart, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkId {
    /// The Service exists and is not on its way out.
    Service,
    /// Its name resolves: cluster DNS, and the caller's way to it.
    Name,
    /// It has the addresses and ports that its type promises, and has them alone.
    Address,
    /// Its load balancer exists, has nodes and is up to date.
    LoadBalancer,
    /// Its selector selects something.
    Selector,
    /// What is selected runs.
    Pods,
    /// What runs is ready.
    Readiness,
    /// The slices say so.
    Slices,
    /// Its ports lead to ports of the pods.
    Ports,
    /// Its traffic policies leave an endpoint.
    Policy,
    /// No NetworkPolicy keeps callers from the pods.
    NetworkPolicy,
    /// Topology hints leave every zone an endpoint.
    Topology,
    /// Its source ranges let the caller in.
    SourceRanges,
    /// The nodes' kernels have its rules.
    Proxy,
    /// No tracked connection leads to an endpoint that is gone.
    Conntrack,
    /// The pods listen where the endpoints say.
    Socket,
    /// Real connections are answered.
    Probe,
}

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Proven to hold.
    Ok,
    /// Proven broken, and no earlier link explains it.
    Broken,
    /// Does not hold because of an earlier link.
    Consequence,
    /// Does not apply, could not be looked at, or says nothing while an earlier link is broken.
    NotChecked,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Which one.
    pub id: LinkId,
    /// How it stands.
    pub state: State,
    /// One line: what holds, what does not, or why it was not checked.
    pub summary: Words,
    /// What that rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// One field of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// `KIND/NAME` as kubectl takes it, such as `pod/web-1`.
    pub object: String,
    /// Path of the field, or `event REASON`.
    pub field: String,
    /// Its value.
    pub value: String,
}

impl Evidence {
    /// The field `field` of `object` is `value`.
    pub(crate) fn new(object: impl Into<String>, field: impl Into<String>, value: impl Into<String>) -> Self {
        Self { object: object.into(), field: field.into(), value: value.into() }
    }
}

/// A proven cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name, such as `selector-matches-no-pod`.
    pub code: &'static str,
    /// The link that it breaks.
    pub link: LinkId,
    /// The object at fault if it is not the Service itself, such as `node/node1`: what many Services suffer from together
    /// is then told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What is wrong, in one sentence.
    pub title: Words,
    /// From the cause to what clients notice.
    pub chain: Vec<Words>,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// What to do, the most likely first.
    pub remedies: Vec<Remedy>,
    /// The event reason behind it, for `portolan explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Finding {
    pub(crate) fn new(code: &'static str, link: LinkId, title: Words) -> Self {
        debug_assert!(portolan_catalogue::codes::find(code).is_some(), "{code} has no page in the catalogue");
        let (chain, evidence, remedies) = (Vec::new(), Vec::new(), Vec::new());
        Self { code, link, subject: None, title, chain, evidence, remedies, reason: None }
    }

    /// The fault lies with this object, `KIND/NAME`, not with the Service.
    #[must_use]
    pub(crate) fn subject(mut self, object: impl Into<String>) -> Self {
        self.subject = Some(object.into());
        self
    }

    #[must_use]
    pub(crate) fn leads_to(mut self, step: Words) -> Self {
        self.chain.push(step);
        self
    }

    #[must_use]
    pub(crate) fn proven_by(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    #[must_use]
    pub(crate) fn remedy(mut self, what: Words, commands: impl IntoIterator<Item = String>) -> Self {
        self.remedies.push(Remedy { what, commands: commands.into_iter().collect() });
        self
    }

    #[must_use]
    pub(crate) fn explained_by(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// In words.
    pub what: Words,
    /// Exact commands, ready to paste.
    pub commands: Vec<String>,
}
