//! kube-proxy's iptables mode, out of `iptables-save`.
//!
//! Chains are followed from `KUBE-SERVICES` and `KUBE-NODEPORTS` in table nat wherever they lead, down to the
//! translations; what has no endpoints is in table filter. Upstream: `pkg/proxy/iptables`.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs, io,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portolan_diagnose::evidence::{Rule, Verdict};
use portolan_nftables::{Family, TableId};

use super::Rules;

/// For one run of the program: 10,000 Services take it about a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// What there was to read.
pub(super) enum Read {
    Rules(Vec<Rule>),
    /// There are tables, but no way to read them.
    Unreadable,
    /// kube-proxy left nothing here.
    Nothing,
}

/// `nat` are the tables of that name that nftables knows: iptables keeps its rules there, or in tables of its own.
pub(super) fn read(nat: &[TableId], problems: &mut Vec<String>) -> Read {
    let mut sources = Vec::new();
    for (family, command, legacy) in
        [(Family::Ip, "iptables", "ip_tables_names"), (Family::Ip6, "ip6tables", "ip6_tables_names")]
    {
        if nat.iter().any(|table| table.family == family) {
            sources.push([format!("{command}-nft-save"), format!("{command}-save")]);
        }
        let names = fs::read_to_string(format!("/proc/thread-self/net/{legacy}")).unwrap_or_default();
        if names.lines().any(|name| name == "nat") {
            sources.push([format!("{command}-legacy-save"), format!("{command}-save")]);
        }
    }
    let (mut rules, mut found, mut unreadable) = (Vec::new(), false, false);
    for programs in sources {
        match run_first(&programs) {
            Ok(text) => {
                let ruleset = Ruleset::parse(&text);
                found |= ruleset.is_kube();
                rules.extend(ruleset.rules());
            }
            Err(why) => {
                problems.push(why);
                unreadable = true;
            }
        }
    }
    rules.sort();
    rules.dedup();
    match (found, unreadable) {
        (true, _) => Read::Rules(rules),
        (false, true) => Read::Unreadable,
        (false, false) => Read::Nothing,
    }
}

/// The first of the programs that exists.
fn run_first(programs: &[String]) -> Result<String, String> {
    let mut missing = String::new();
    for program in programs {
        match run(program) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = format!("{program}: {error}"),
            Err(error) => return Err(format!("cannot read iptables' rules with {program}: {error}")),
        }
    }
    Err(format!("cannot read iptables' rules: {missing}"))
}

/// The program inherits the network of the calling thread.
fn run(program: &str) -> io::Result<String> {
    let child = Command::new(program).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let begun = Instant::now();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // Not told in time: whatever it waits for, such as a lock, it is not worth it. Until the output has been
            // read nobody has waited for the child, so the pid is still its.
            if wait.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let output = child.wait_with_output();
        drop(done);
        output
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    if begun.elapsed() >= PATIENCE {
        return Err(io::Error::other("it takes longer than 10 s"));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", output.status, text.lines().next().unwrap_or_default())))
}

/// The parts of a rule that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    destination: Option<IpAddr>,
    /// Another match on the destination, such as a network.
    other_destination: bool,
    protocol: Option<String>,
    port: Option<u16>,
    comment: Option<String>,
    jump: Option<String>,
    translation: Option<SocketAddr>,
    local_only: bool,
}

#[derive(Debug, Default)]
struct Ruleset {
    /// By table and chain.
    chains: HashMap<(String, String), Vec<Line>>,
    declared: HashSet<String>,
}

impl Ruleset {
    fn parse(text: &str) -> Self {
        let mut ruleset = Self::default();
        let mut table = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name.trim();
            } else if let Some(chain) = line.strip_prefix(':') {
                ruleset.declared.extend(chain.split(' ').next().map(str::to_owned));
            } else if let Some(rest) = line.strip_prefix("-A ") {
                let words = words(rest);
                let Some((chain, words)) = words.split_first() else { continue };
                let key = (table.to_owned(), chain.clone());
                ruleset.chains.entry(key).or_default().push(Line::parse(words));
            }
        }
        ruleset
    }

    fn is_kube(&self) -> bool {
        self.declared.contains("KUBE-SERVICES")
    }

    fn lines(&self, table: &str, chain: &str) -> &[Line] {
        self.chains.get(&(table.to_owned(), chain.to_owned())).map(Vec::as_slice).unwrap_or_default()
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = Rules::default();
        for (chain, node_port) in [("KUBE-SERVICES", false), ("KUBE-NODEPORTS", true)] {
            // Packets only come here by a jump from the built-in chains: somebody may have flushed those.
            for line in self.lines("nat", chain).iter().filter(|_| self.is_entered()) {
                let Some(key) = line.key(node_port) else { continue };
                let Some(target) = line.jump.as_deref().filter(|jump| leads_to_endpoints(jump)) else { continue };
                let rule = rules.at(key, Verdict::Balance);
                rule.endpoints.extend(self.endpoints(target));
                rule.service = rule.service.take().or_else(|| line.service());
            }
        }
        for chain in ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES"] {
            for line in self.lines("filter", chain) {
                let verdict = match line.jump.as_deref() {
                    Some("REJECT") => Verdict::Refuse,
                    Some("DROP") => Verdict::Drop,
                    _ => continue,
                };
                let Some(key) = line.key(line.local_only) else { continue };
                // Where table nat has endpoints this is for outside clients only.
                let rule = rules.at(key, verdict);
                rule.service = rule.service.take().or_else(|| line.service());
            }
        }
        rules.into_vec()
    }

    fn is_entered(&self) -> bool {
        let jumps = |chain| self.lines("nat", chain).iter().any(|line| line.jump.as_deref() == Some("KUBE-SERVICES"));
        jumps("PREROUTING") && jumps("OUTPUT")
    }

    fn endpoints(&self, chain: &str) -> BTreeSet<SocketAddr> {
        let mut found = BTreeSet::new();
        let (mut seen, mut open) = (HashSet::new(), vec![chain]);
        while let Some(chain) = open.pop() {
            if !seen.insert(chain) {
                continue;
            }
            for line in self.lines("nat", chain) {
                found.extend(line.translation);
                open.extend(line.jump.as_deref().filter(|jump| leads_to_endpoints(jump)));
            }
        }
        found
    }
}

fn leads_to_endpoints(chain: &str) -> bool {
    ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-", "KUBE-SEP-"]
        .iter()
        .any(|kind| chain.starts_with(kind))
}

impl Line {
    fn parse(words: &[String]) -> Self {
        let mut line = Self::default();
        let mut inverted = false;
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "!" => {
                    inverted = true;
                    continue;
                }
                "-d" => {
                    let host = words.next().filter(|_| !inverted).and_then(host);
                    line.destination = host;
                    line.other_destination = host.is_none();
                }
                "-p" => line.protocol = words.next().map(str::to_ascii_uppercase),
                "--dport" => line.port = words.next().and_then(|port| port.parse().ok()),
                "--comment" => line.comment = words.next().map(str::to_owned),
                "-j" | "-g" => line.jump = words.next().map(str::to_owned),
                "--to-destination" => line.translation = words.next().and_then(|address| address.parse().ok()),
                "--dst-type" => line.local_only = words.next() == Some("LOCAL"),
                _ => {}
            }
            inverted = false;
        }
        line
    }

    fn key(&self, node_port: bool) -> Option<super::Key> {
        let address = match (node_port, self.destination) {
            (true, None) if !self.other_destination => None,
            (false, Some(address)) => Some(address),
            _ => return None,
        };
        Some((address, self.protocol.clone()?, self.port?))
    }

    /// Comments begin with `NAMESPACE/NAME:PORT`.
    fn service(&self) -> Option<String> {
        let first = self.comment.as_deref()?.split(' ').next()?;
        first.contains('/').then(|| first.to_owned())
    }
}

/// The address of a network that is one host.
fn host(text: &str) -> Option<IpAddr> {
    match text.split_once('/') {
        Some((address, "32" | "128")) => address.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// Words as a shell would split them: comments are quoted, quotes in them escaped.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut begun, mut quoted) = (Vec::new(), String::new(), false, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => word.extend(characters.next()),
            ' ' if !quoted => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => word.push(other),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"
# Generated by iptables-save
*filter
:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d 10.96.0.20/32 -p tcp -m comment --comment "default/empty:http has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "default/empty:http has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30020 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-EXTERNAL-SERVICES -d 203.0.113.7/32 -p tcp -m comment --comment "default/web:http has no local endpoints" -m tcp --dport 80 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SERVICES -d 203.0.113.7/32 -p tcp -m comment --comment "default/web:http loadbalancer IP" -m tcp --dport 80 -j KUBE-EXT-WEB
-A KUBE-SERVICES -d 10.96.0.53/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-DNS
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -d 127.0.0.0/8 -p tcp -m comment --comment "default/web:http" -m tcp --dport 30080 -m nfacct --nfacct-name  localhost_nps_accepted_pkts -j KUBE-EXT-WEB
-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web:http" -m tcp --dport 30080 -j KUBE-EXT-WEB
-A KUBE-EXT-WEB -s 10.244.0.0/16 -m comment --comment "pod traffic for default/web:http external destinations" -j KUBE-SVC-WEB
-A KUBE-EXT-WEB -j KUBE-SVL-WEB
-A KUBE-SVC-WEB ! -s 10.244.0.0/16 -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-WEB -m comment --comment "default/web:http -> 10.244.1.5:8080" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A
-A KUBE-SVC-WEB -m comment --comment "default/web:http -> 10.244.2.6:8080" -j KUBE-SEP-B
-A KUBE-SEP-A -s 10.244.1.5/32 -m comment --comment "default/web:http" -j KUBE-MARK-MASQ
-A KUBE-SEP-A -p tcp -m comment --comment "default/web:http" -m tcp -j DNAT --to-destination 10.244.1.5:8080
-A KUBE-SEP-B -p tcp -m comment --comment "default/web:http" -m tcp -j DNAT --to-destination 10.244.2.6:8080
COMMIT
"#;

    fn told(text: &str) -> Vec<String> {
        let told = |rule: &Rule| {
            let address = rule.address.map_or("node".to_owned(), |address| address.to_string());
            let service = rule.service.as_deref().unwrap_or("?");
            format!("{address} {} {} {service} {:?} {:?}", rule.protocol, rule.port, rule.verdict, rule.endpoints)
        };
        Ruleset::parse(text).rules().iter().map(told).collect()
    }

    #[test]
    fn chains_are_followed_to_the_endpoints() {
        let both = "[10.244.1.5:8080, 10.244.2.6:8080]";
        assert_eq!(
            told(TEXT),
            [
                "node TCP 30020 default/empty:http Refuse []".to_owned(),
                format!("node TCP 30080 default/web:http Balance {both}"),
                format!("10.96.0.10 TCP 80 default/web:http Balance {both}"),
                "10.96.0.20 TCP 80 default/empty:http Refuse []".to_owned(),
                "10.96.0.53 UDP 53 kube-system/kube-dns:dns Balance []".to_owned(),
                format!("203.0.113.7 TCP 80 default/web:http Balance {both}"),
            ]
        );
        assert!(Ruleset::parse(TEXT).is_kube());
    }

    #[test]
    fn chains_that_nothing_jumps_to_are_no_rules() {
        let flushed = TEXT.replace("-A OUTPUT", "# ");
        assert_eq!(told(&flushed).iter().filter(|rule| rule.contains("Balance")).count(), 0);
        assert!(!Ruleset::parse("*nat\n:DOCKER - [0:0]\n").is_kube());
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words(r#"a  "b c" "" "d\"e""#), ["a", "b c", "", "d\"e"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,60}", arguments in "( -[djp]| --dport| --to-destination| !| \"|\\\\| [0-9./:]{0,9}| KUBE-SVC-A){0,12}") {
            Ruleset::parse(&format!("*nat\n-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A KUBE-SERVICES{arguments}\n-A KUBE-SVC-A{arguments}\n{text}")).rules();
        }
    }
}
