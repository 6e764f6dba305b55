//! A diagnosis for people: plain text, or with colour if the caller says that someone can see it.

use std::fmt::Write;

use portolan_catalogue::Lang;

use crate::{Diagnosis, Evidence, Finding, Link, LinkId, State};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// The whole diagnosis: the chain, the cause with evidence and remedies, hints, and what could not be read.
pub fn text(diagnosis: &Diagnosis, lang: Lang, colour: bool) -> String {
    let mut page = Page { out: String::new(), lang, colour };
    page.chain(diagnosis);
    for (index, finding) in diagnosis.findings.iter().enumerate() {
        page.finding(finding, index == 0);
    }
    page.rest(diagnosis);
    page.out
}

struct Page {
    out: String,
    lang: Lang,
    colour: bool,
}

impl Page {
    fn pick(&self, en: &'static str, zh: &'static str) -> &'static str {
        match self.lang {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }

    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    fn chain(&mut self, diagnosis: &Diagnosis) {
        let title = format!("Service {}", diagnosis.service);
        self.line(&self.paint(BOLD, &title));
        let states: Vec<usize> = diagnosis.links.iter().map(|link| width(self.state(link.state))).collect();
        let names: Vec<usize> = diagnosis.links.iter().map(|link| width(self.link_name(link.id))).collect();
        let (states, names) = (states.into_iter().max().unwrap_or(0), names.into_iter().max().unwrap_or(0));
        for link in &diagnosis.links {
            let line = self.link(link, states, names);
            self.line(&line);
        }
    }

    fn link(&self, link: &Link, states: usize, names: usize) -> String {
        let style = match link.state {
            State::Ok => GREEN,
            State::Broken => RED,
            State::Consequence => YELLOW,
            State::NotChecked => DIM,
        };
        let state = self.paint(style, &padded(self.state(link.state), states));
        let name = padded(self.link_name(link.id), names);
        format!("  {state}  {name}  {}", link.summary.get(self.lang))
    }

    fn state(&self, state: State) -> &'static str {
        match state {
            State::Ok => self.pick("ok", "正常"),
            State::Broken => self.pick("BROKEN", "故障"),
            State::Consequence => self.pick("consequence", "受影响"),
            State::NotChecked => self.pick("not checked", "未检查"),
        }
    }

    fn link_name(&self, id: LinkId) -> &'static str {
        match id {
            LinkId::Service => self.pick("service", "服务"),
            LinkId::Name => self.pick("name", "域名"),
            LinkId::Address => self.pick("address", "地址"),
            LinkId::Selector => self.pick("selector", "选择器"),
            LinkId::Pods => self.pick("pods", "Pod"),
            LinkId::Readiness => self.pick("readiness", "就绪"),
            LinkId::Slices => self.pick("slices", "端点切片"),
            LinkId::Ports => self.pick("ports", "端口"),
            LinkId::Policy => self.pick("policy", "流量策略"),
            LinkId::NetworkPolicy => self.pick("network policy", "网络策略"),
            LinkId::Topology => self.pick("topology", "拓扑"),
            LinkId::SourceRanges => self.pick("source ranges", "来源网段"),
            LinkId::Proxy => self.pick("kernel rules", "内核规则"),
            LinkId::Conntrack => self.pick("conntrack", "连接跟踪"),
            LinkId::Socket => self.pick("socket", "监听套接字"),
            LinkId::Probe => self.pick("probe", "实际探测"),
            LinkId::LoadBalancer => self.pick("load balancer", "负载均衡"),
        }
    }

    fn finding(&mut self, finding: &Finding, first: bool) {
        let heading = if first { self.pick("Cause", "原因") } else { self.pick("Also", "另外") };
        let heading = format!("{heading}{}{}", self.pick(": ", "\u{ff1a}"), finding.title.get(self.lang));
        self.line("");
        self.line(&self.paint(BOLD, &heading));
        self.line(&self.paint(DIM, &format!("  [{}]", finding.code)));
        for step in &finding.chain {
            let step = format!("  -> {}", step.get(self.lang));
            self.line(&step);
        }
        if !finding.evidence.is_empty() {
            self.line(self.pick("Evidence", "证据"));
            self.evidence(&finding.evidence);
        }
        if !finding.remedies.is_empty() {
            self.line(self.pick("What to do", "处理办法"));
        }
        for (index, remedy) in finding.remedies.iter().enumerate() {
            let what = format!("  {}. {}", index + 1, remedy.what.get(self.lang));
            self.line(&what);
            for command in &remedy.commands {
                self.line(&format!("     {command}"));
            }
        }
        let known = finding.reason.as_deref().filter(|reason| portolan_catalogue::find(reason).is_some());
        if let Some(reason) = known {
            let more = self.pick("More about the event:", "关于该事件：");
            self.line(&format!("  {more} portolan explain {reason}"));
        }
    }

    fn evidence(&mut self, evidence: &[Evidence]) {
        let objects = evidence.iter().map(|item| width(&item.object)).max().unwrap_or(0);
        let fields = evidence.iter().map(|item| width(&item.field)).max().unwrap_or(0);
        for item in evidence {
            let (object, field) = (padded(&item.object, objects), padded(&item.field, fields));
            self.line(&format!("  {object}  {field}  {}", item.value));
        }
    }

    fn rest(&mut self, diagnosis: &Diagnosis) {
        if !diagnosis.hints.is_empty() {
            self.line("");
            self.line(self.pick("Worth knowing", "提示"));
        }
        for hint in &diagnosis.hints {
            let hint = format!("  - {}", hint.get(self.lang));
            self.line(&hint);
        }
        if !diagnosis.unread.is_empty() {
            self.line("");
            self.line(self.pick("Could not read", "未能读取"));
        }
        for unread in &diagnosis.unread {
            self.line(&format!("  - {}: {}", unread.what, unread.why));
        }
        if diagnosis.findings.is_empty() {
            let verdict = match diagnosis.exit_code() {
                0 => self.pick("No fault found.", "未发现故障。"),
                _ => self.pick("No fault found in what could be read.", "在可读取的范围内未发现故障。"),
            };
            self.line("");
            self.line(verdict);
        }
    }
}

/// Columns on a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|character| if character >= '\u{2e80}' { 2 } else { 1 }).sum()
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}
