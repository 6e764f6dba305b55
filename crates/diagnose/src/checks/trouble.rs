//! What is wrong with one pod, before it is known what that means for the Service: the pods that do not run and those that
//! are not ready are told alike.

use crate::{Evidence, Finding, LinkId, Words};

/// Why one pod does not run, or is not ready.
pub(super) struct Trouble {
    pub(super) code: &'static str,
    /// The object at fault, if it is not the pod.
    pub(super) subject: Option<String>,
    /// What happened to the pod, without its name.
    pub(super) what: Words,
    /// What that means, if it does not follow at once.
    pub(super) because: Option<Words>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) remedies: Vec<(Words, Vec<String>)>,
    pub(super) reason: Option<String>,
    /// Only the state is known, or that nothing happens. Events get lost, so what is known of another pod counts for this one
    /// too.
    pub(super) vague: bool,
}

impl Trouble {
    pub(super) fn new(code: &'static str, what: Words, evidence: Vec<Evidence>) -> Self {
        Self { code, subject: None, what, because: None, evidence, remedies: Vec::new(), reason: None, vague: false }
    }

    #[must_use]
    pub(super) fn vague(mut self) -> Self {
        self.vague = true;
        self
    }

    #[must_use]
    pub(super) fn remedy(mut self, what: Words, commands: impl IntoIterator<Item = String>) -> Self {
        self.remedies.push((what, commands.into_iter().collect()));
        self
    }

    #[must_use]
    pub(super) fn because(mut self, step: Words) -> Self {
        self.because = Some(step);
        self
    }

    #[must_use]
    pub(super) fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    #[must_use]
    pub(super) fn subject(mut self, object: impl Into<String>) -> Self {
        self.subject = Some(object.into());
        self
    }

    /// The finding that it is for the Service, with what follows from it. The fault lies with `maker` if it lies with
    /// nobody more exactly.
    pub(super) fn finding<const N: usize>(
        self,
        link: LinkId,
        title: Words,
        follows: [Words; N],
        maker: Option<String>,
    ) -> Finding {
        let mut finding = Finding::new(self.code, link, title).proven_by(self.evidence);
        for step in self.because.into_iter().chain(follows) {
            finding = finding.leads_to(step);
        }
        for (what, commands) in self.remedies {
            finding = finding.remedy(what, commands);
        }
        finding.reason = self.reason;
        finding.subject = self.subject.or(maker);
        finding
    }
}
