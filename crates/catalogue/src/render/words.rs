//! Headings, and the sentences that say a value of an entry in words.

use crate::lang::{Lang, Text, text};
use crate::{Api, Bound, Entry, Message, Pattern, Portolan, Status, Upstream, Versions, vendor};

pub(super) const TYPE: Text = text("Type", "类型");
pub(super) const FROM: Text = text("From", "来源");
pub(super) const OBJECT: Text = text("Object", "对象");
pub(super) const CATEGORY: Text = text("Category", "类别");
pub(super) const VERSIONS: Text = text("Versions", "版本");
pub(super) const KUBERNETES: Text = text("Kubernetes", "上游");
pub(super) const PORTOLAN: Text = text("Portolan", "Portolan");
pub(super) const HARM: Text = text("Harm", "影响");
pub(super) const MESSAGES: Text = text("Messages", "消息原文");
pub(super) const MEANING: Text = text("Meaning", "含义");
pub(super) const WHO: Text = text("Who is hurt", "谁受影响");
pub(super) const CHAIN: Text = text("Before and after", "前因后果");
pub(super) const BEFORE: Text = text("Before", "之前");
pub(super) const AFTER: Text = text("After", "之后");
pub(super) const CHECKS: Text = text("What to check", "排查步骤");
pub(super) const REMEDIES: Text = text("What to do", "处理办法");
pub(super) const MISREADINGS: Text = text("Common misreadings", "常见误解");
pub(super) const NOT_SO: Text = text("Not so", "误");
pub(super) const ALIASES: Text = text("Other names", "其他名称");
pub(super) const SEE_ALSO: Text = text("See also", "另见");
pub(super) const REASON: Text = text("Reason", "事件原因");
pub(super) const PLACE: Text = text("Found", "所在");
pub(super) const FREQUENCY: Text = text("How often", "频率");
pub(super) const PATTERNS: Text = text("What the text tells", "文字说明的原因");
pub(super) const SCENARIO: Text = text("See it happen", "复现");
pub(super) const RISK: Text = text("Risk", "风险");
pub(super) const CODE: Text = text("Code", "诊断码");
pub(super) const CODES: Text = text("Findings", "诊断结论");
pub(super) const LINK: Text = text("Link", "环节");
pub(super) const PROOF: Text = text("How it is proven", "如何证明");
pub(super) const REASONS: Text = text("Events that come with it", "相关事件");
pub(super) const CAUSE: Text = text("Cause", "原因");
pub(super) const CAPTURED: Text = text("In the text", "文字内容");
pub(super) const PROVIDER: Text = text("Provider's code", "提供方错误码");
pub(super) const NO_CAUSE: Text = text("The text is none of the known variants.", "文字不属于任何已知的写法。");
pub(super) const SUMMARY: Text = text("Summary", "说明");

/// Punctuation between a term and its explanation.
pub(super) const fn colon(lang: Lang) -> &'static str {
    match lang {
        Lang::En => ": ",
        Lang::Zh => "：",
    }
}

/// Names in a row.
pub(super) fn enumerate<'a>(names: impl IntoIterator<Item = &'a str>, lang: Lang) -> String {
    let separator = match lang {
        Lang::En => ", ",
        Lang::Zh => "、",
    };
    names.into_iter().collect::<Vec<_>>().join(separator)
}

/// `Service (v1 Event)`: the object, and the API that the Event is written through.
pub(super) fn object(entry: &Entry, lang: Lang) -> String {
    let api = entry.api.as_str();
    match (entry.api, lang) {
        (Api::Condition, Lang::En) => format!("{} ({api}, no Event)", entry.object),
        (Api::Condition, Lang::Zh) => format!("{}（{api}，不是事件）", entry.object),
        (_, Lang::En) => format!("{} ({api} Event)", entry.object),
        (_, Lang::Zh) => format!("{}（{api} Event）", entry.object),
    }
}

/// What tells a variant of a message: its constant words, or the codes of providers.
pub(super) fn variant(pattern: &Pattern) -> String {
    match pattern.trouble {
        None => pattern.template.to_owned(),
        Some(trouble) => vendor::words_of(trouble).collect::<Vec<_>>().join(", "),
    }
}

/// The command that makes a scenario happen.
pub(super) fn run(scenario: &str) -> String {
    format!("portolan lab run {scenario}")
}

/// `messages` with the label that each one needs: none when it is the same as the one before.
pub(super) fn labelled(messages: &[Message]) -> impl Iterator<Item = (Option<&'static str>, &Message)> {
    let mut last = None;
    messages.iter().map(move |message| {
        let repeated = last == Some(message.by);
        last = Some(message.by);
        ((!repeated).then_some(message.by), message)
    })
}

/// What upstream does with the reason.
pub(super) fn status(status: Status, lang: Lang) -> String {
    let instead = || enumerate(status.instead().iter().copied(), lang);
    match (status, lang) {
        (Status::Current, Lang::En) => "emits it under this name".to_owned(),
        (Status::Current, Lang::Zh) => "以此名称发出".to_owned(),
        (Status::Legacy { instead: [] }, Lang::En) => "emitted it in the past, and nothing instead today".to_owned(),
        (Status::Legacy { instead: [] }, Lang::Zh) => "曾经发出，现已不再使用，也没有替代".to_owned(),
        (Status::Legacy { .. }, Lang::En) => {
            format!("emitted it in the past and no longer does; look for {}", instead())
        }
        (Status::Legacy { .. }, Lang::Zh) => format!("曾经发出，现已不再使用；应查找 {}", instead()),
        (Status::ThirdParty { by }, Lang::En) => format!("does not emit it; {by} does"),
        (Status::ThirdParty { by }, Lang::Zh) => format!("不会发出；由 {by} 发出"),
        (Status::NeverUpstream { instead: [] }, Lang::En) => "no release emits it, and none instead".to_owned(),
        (Status::NeverUpstream { instead: [] }, Lang::Zh) => "没有任何版本发出它，也没有替代".to_owned(),
        (Status::NeverUpstream { .. }, Lang::En) => format!("no release emits it; look for {}", instead()),
        (Status::NeverUpstream { .. }, Lang::Zh) => format!("没有任何版本发出它；应查找 {}", instead()),
    }
}

/// Whether and when Portolan emits it, and what its upstream vocabulary makes of it.
pub(super) fn portolan(entry: &Entry, lang: Lang) -> String {
    let Portolan { emits, when } = entry.portolan;
    let verdict = match (emits, lang) {
        (true, Lang::En) => "Emits it. ",
        (true, Lang::Zh) => "会发出。",
        (false, Lang::En) => "Does not emit it. ",
        (false, Lang::Zh) => "不会发出。",
    };
    let upstream = match (emits, entry.upstream(), lang) {
        (false, ..) | (_, None | Some(Upstream::Same), _) => String::new(),
        (_, Some(Upstream::Renamed(name)), Lang::En) => format!(" In the upstream vocabulary it is {name}."),
        (_, Some(Upstream::Renamed(name)), Lang::Zh) => format!("在 upstream 词表下改为 {name}。"),
        (_, Some(Upstream::Never), Lang::En) => " In the upstream vocabulary it is left out.".to_owned(),
        (_, Some(Upstream::Never), Lang::Zh) => "在 upstream 词表下不发。".to_owned(),
    };
    format!("{verdict}{}{upstream}", when.get(lang))
}

/// The range of versions.
pub(super) fn versions(versions: Versions, lang: Lang) -> String {
    let Versions { since, until } = versions;
    let (since, until) = (bound(since, lang), bound(until, lang));
    match (since, until, lang) {
        (Some(since), Some(until), Lang::En) => format!("from {since} until {until}"),
        (Some(since), Some(until), Lang::Zh) => format!("自 {since}起，至 {until}止"),
        (Some(since), None, Lang::En) => format!("from {since} until today"),
        (Some(since), None, Lang::Zh) => format!("自 {since}起，至今仍有"),
        (None, _, Lang::En) => "none".to_owned(),
        (None, _, Lang::Zh) => "无".to_owned(),
    }
}

fn bound(bound: Bound, lang: Lang) -> Option<String> {
    match (bound, lang) {
        (Bound::In(version), Lang::En) => Some(version.to_owned()),
        (Bound::In(version), Lang::Zh) => Some(format!("{version} ")),
        (Bound::OrEarlier(version), Lang::En) => Some(format!("{version} or earlier")),
        (Bound::OrEarlier(version), Lang::Zh) => Some(format!("{version}（或更早）")),
        (Bound::Unverified(version), Lang::En) => Some(format!("{version} (unverified)")),
        (Bound::Unverified(version), Lang::Zh) => Some(format!("{version}（未核实）")),
        (Bound::Present | Bound::Never, _) => None,
    }
}
