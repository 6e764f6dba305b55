//! The shape of a catalogue entry.

use serde::Serialize;

use crate::lang::{Text, text};
use crate::{Pattern, Reason, Severity, Upstream};

/// All that is known about one reason.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Entry {
    /// The reason, as in the Event.
    #[serde(rename = "reason")]
    pub name: &'static str,
    /// The same as a value, if Portolan knows how to say it; `None` for what only others say.
    #[serde(skip)]
    pub reason: Option<Reason>,
    /// The `type` of its Events.
    pub severity: Severity,
    /// The part of the Service network that it belongs to.
    pub category: Category,
    /// How upstream Kubernetes treats it.
    pub status: Status,
    /// Whether and when Portolan emits it.
    pub portolan: Portolan,
    /// The component in the From column of `kubectl describe`.
    pub emitter: &'static str,
    /// The kind of object that Kubernetes puts the Event on.
    pub object: &'static str,
    /// The events API that Kubernetes writes it through; of Portolan's parts only the repair loops use another than `v1`.
    pub api: Api,
    /// The Kubernetes versions that emit it.
    pub versions: Versions,
    /// One line, for lists.
    pub summary: Text,
    /// The exact texts; `{...}` is a variable part.
    pub messages: &'static [Message],
    /// What the variable parts tell, the most telling first.
    pub patterns: &'static [Pattern],
    /// What it says about the world.
    pub meaning: Text,
    /// How often it is normal to see it, and how often it repeats.
    pub frequency: Text,
    /// Where it is found, if not simply on the object.
    pub place: Option<Text>,
    /// Who is hurt, and how badly.
    pub impact: Impact,
    /// What comes before and after it.
    pub chain: Chain,
    /// Where to look, in this order.
    pub checks: &'static [Check],
    /// What to do.
    pub remedies: Remedies,
    /// What is often said about it and is not so.
    pub misreadings: &'static [Misreading],
    /// Other names that lead to this entry.
    pub aliases: &'static [Alias],
    /// The scenario that makes it appear: a folder of `scenarios/`.
    pub scenario: Option<&'static str>,
    /// Entries to read next.
    pub see_also: &'static [&'static str],
}

impl Entry {
    /// What the `upstream` vocabulary makes of it; `None` for what Portolan never says.
    pub const fn upstream(&self) -> Option<Upstream> {
        match self.reason {
            Some(reason) => Some(reason.upstream()),
            None => None,
        }
    }
}

/// The part of the Service network that a reason belongs to; lists are grouped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// External load balancers.
    LoadBalancer,
    /// Endpoints and EndpointSlices.
    Endpoint,
    /// DNS, host ports and addresses.
    Network,
    /// Deployments, ReplicaSets, pods and containers.
    Workloads,
    /// Nodes and their proxies.
    Node,
    /// The programs of the control plane themselves.
    ControlPlane,
}

impl Category {
    /// All of them, in the order of the catalogue.
    pub const ALL: [Category; 6] =
        [Self::LoadBalancer, Self::Endpoint, Self::Network, Self::Workloads, Self::Node, Self::ControlPlane];

    /// Its name for people.
    pub const fn name(self) -> Text {
        match self {
            Self::LoadBalancer => text("load balancer", "负载均衡器"),
            Self::Endpoint => text("endpoint", "端点"),
            Self::Network => text("network configuration", "网络配置"),
            Self::Workloads => text("workloads", "工作负载"),
            Self::Node => text("node", "节点"),
            Self::ControlPlane => text("control plane", "控制平面"),
        }
    }
}

/// How upstream Kubernetes treats a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Status {
    /// It is emitted today, under this very name.
    Current,
    /// It was emitted once and is gone.
    Legacy {
        /// What is emitted instead, nearest first.
        instead: &'static [&'static str],
    },
    /// Kubernetes does not emit it; other software does, under this name.
    ThirdParty {
        /// The component that emits it.
        by: &'static str,
    },
    /// No release is known to have emitted it.
    NeverUpstream {
        /// What is emitted instead, nearest first; empty if nothing is.
        instead: &'static [&'static str],
    },
}

impl Status {
    /// The real names to look for instead; empty for reasons that are real themselves.
    pub const fn instead(self) -> &'static [&'static str] {
        match self {
            Self::Current | Self::ThirdParty { .. } => &[],
            Self::Legacy { instead } | Self::NeverUpstream { instead } => instead,
        }
    }

    /// Its name for programs, as in `--status`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Legacy { .. } => "legacy",
            Self::ThirdParty { .. } => "third-party",
            Self::NeverUpstream { .. } => "never",
        }
    }

    /// The one word in lists.
    pub const fn word(self) -> Text {
        match self {
            Self::Current => text("current", "现行"),
            Self::Legacy { .. } => text("legacy", "已取消"),
            Self::ThirdParty { .. } => text("third-party", "第三方"),
            Self::NeverUpstream { .. } => text("never", "上游从无"),
        }
    }
}

/// What Portolan does with a reason in its `full` vocabulary.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Portolan {
    /// Whether it emits it at all.
    pub emits: bool,
    /// Exactly when; or why not.
    pub when: Text,
}

/// The API that it is written through; decides how it is counted and where `describe` finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Api {
    /// `v1` Events: counted by equal text, subject to aggregation and the spam filter.
    #[serde(rename = "v1")]
    Core,
    /// `events.k8s.io/v1`: series; a later differing note is not shown.
    #[serde(rename = "events.k8s.io/v1")]
    Events,
    /// No Event: the reason of a condition in the object's status, which no list of Events shows.
    #[serde(rename = "status.conditions")]
    Condition,
}

impl Api {
    /// As in an `apiVersion` field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "v1",
            Self::Events => "events.k8s.io/v1",
            Self::Condition => "status.conditions",
        }
    }
}

/// One end of a range of Kubernetes versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "version")]
pub enum Bound {
    /// Present in this minor, the oldest that was read; when it first came was not looked up.
    OrEarlier(&'static str),
    /// Exactly this one: the neighbouring release differs.
    In(&'static str),
    /// Repeated from elsewhere, not checked against source.
    Unverified(&'static str),
    /// Still so in the newest version read.
    Present,
    /// In no release.
    Never,
}

/// The Kubernetes versions that emit a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// First release.
    pub since: Bound,
    /// Last release.
    pub until: Bound,
}

impl Versions {
    /// Emitted today; the oldest source read has it too.
    pub(crate) const fn since(oldest_read: &'static str) -> Versions {
        Versions { since: Bound::OrEarlier(oldest_read), until: Bound::Present }
    }

    /// Emitted by no release.
    pub(crate) const NEVER: Versions = Versions { since: Bound::Never, until: Bound::Never };
}

/// One exact text.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Message {
    /// Whose text it is, with versions: `Kubernetes 1.29+`, `Portolan`, `MetalLB`.
    pub by: &'static str,
    /// The text; `{...}` is a variable part.
    pub template: &'static str,
    /// What this variant tells, if the template does not.
    pub note: Option<Text>,
}

/// How much a reason hurts users of the Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Nobody: routine.
    None,
    /// A part of the traffic or a side function, or only for a moment.
    Low,
    /// Changes do not take effect; what ran before keeps running.
    Medium,
    /// The Service or pod does not work.
    High,
}

impl Harm {
    /// The word for it.
    pub const fn name(self) -> Text {
        match self {
            Self::None => text("none", "无"),
            Self::Low => text("low", "低"),
            Self::Medium => text("medium", "中"),
            Self::High => text("high", "高"),
        }
    }
}

/// Who is hurt, and how badly.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Impact {
    /// How badly.
    pub harm: Harm,
    /// Who, and what keeps working.
    pub who: Text,
}

/// The Events around one.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Chain {
    /// What was said, or happened, before.
    pub before: Text,
    /// What follows.
    pub after: Text,
}

/// One look.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Check {
    /// What it shows.
    pub shows: Text,
    /// The exact command; upper-case words are yours to fill in.
    pub command: &'static str,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedies {
    /// Nothing; and why.
    NoneNeeded(Text),
    /// By cause, likeliest first.
    Steps(&'static [Remedy]),
}

/// One cause and its cure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Remedy {
    /// When this one applies.
    pub when: Text,
    /// What to do.
    pub action: Text,
    /// Commands that do it; upper-case words are yours to fill in.
    pub commands: &'static [&'static str],
    /// What it may break, if it may break something.
    pub risk: Option<Text>,
}

/// Something that is often said and is not so.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Misreading {
    /// What is said.
    pub claim: Text,
    /// What is so.
    pub fact: Text,
}

/// Another name that leads to an entry.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Alias {
    /// The name, as its emitter spells it.
    pub name: &'static str,
    /// Whose name it is and how it relates.
    pub note: Text,
}
