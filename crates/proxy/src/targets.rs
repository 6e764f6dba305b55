//! Where a key leads: a number in the maps, chains in the kernel. The only chains that are ever added after the start
//! are those of an endpoint count or an affinity timeout that was never seen before.

use std::{fmt, time::Duration};

use portolan_nftables::{Batch, Chain, Element, Expr, TableId, Value, Verdict};

use crate::{
    rules::{Flavour, Shape, then},
    sets::SetId,
};

/// Endpoint counts of which the chains exist from the start: adding a rule to a full table is slow (it validates
/// every verdict), adding it to an empty one is not.
const PREPARED: u16 = 64;
/// The same for local lists.
const PREPARED_LOCAL: u16 = 16;
/// Most endpoints in a list.
pub(crate) const MOST_ENDPOINTS: usize = 32_767;
/// Most endpoints in a list with session affinity: count and timeout share 30 bits of a number.
pub(crate) const MOST_STICKY: usize = 8_191;

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// No endpoint anywhere.
    Refuse,
    /// Endpoints, but none that this traffic may use.
    Drop,
    /// Traffic policy Local: outside clients and others part ways.
    Etp,
    /// Source ranges first.
    Guard,
    /// Any of `count` endpoints.
    Pick { count: u16, local: bool },
    /// The endpoint that the client had within the last `seconds`, or any.
    Stick { seconds: u32, count: u16, local: bool },
}

const PICK: u32 = 0x2000_0000;
const PICK_LOCAL: u32 = 0x3000_0000;
const STICK: u32 = 0x8000_0000;
const STICK_LOCAL: u32 = 0x4000_0000;
const STICK_COUNT_BITS: u32 = 13;

impl Target {
    /// Its number: the value in `svc`, `svc-in` and `svc-out`. Never 0.
    pub(crate) fn number(self) -> u32 {
        match self {
            Target::Refuse => 1,
            Target::Drop => 2,
            Target::Etp => 3,
            Target::Guard => 4,
            Target::Pick { count, local: false } => PICK | u32::from(count),
            Target::Pick { count, local: true } => PICK_LOCAL | u32::from(count),
            Target::Stick { seconds, count, local } => {
                let flags = STICK | if local { STICK_LOCAL } else { 0 };
                flags | seconds << STICK_COUNT_BITS | u32::from(count)
            }
        }
    }

    /// The target of a number.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        const COUNT: u32 = (1 << STICK_COUNT_BITS) - 1;
        if number & STICK != 0 {
            let seconds = (number & !(STICK | STICK_LOCAL)) >> STICK_COUNT_BITS;
            let count = (number & COUNT) as u16;
            return Some(Target::Stick { seconds, count, local: number & STICK_LOCAL != 0 });
        }
        Some(match number {
            1 => Target::Refuse,
            2 => Target::Drop,
            3 => Target::Etp,
            4 => Target::Guard,
            _ => {
                let local = number & 0xf000_0000 == PICK_LOCAL;
                let count = u16::try_from(number & 0x0fff_ffff).ok().filter(|count| *count > 0)?;
                let target = Target::Pick { count, local };
                return (target.number() == number).then_some(target);
            }
        })
    }

    /// The number as map data.
    pub(crate) fn value(self) -> Value {
        Value::new().number(self.number())
    }

    fn chain(self, flavour: Flavour) -> String {
        match flavour {
            Flavour::Address => self.to_string(),
            Flavour::NodePort => format!("np-{self}"),
        }
    }

    fn verdict(self, flavour: Flavour) -> Verdict {
        match self {
            Target::Drop => Verdict::Drop,
            // One chain for both: it looks at no key.
            Target::Refuse | Target::Guard => Verdict::goto(self.to_string()),
            _ => Verdict::goto(self.chain(flavour)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = |local: &bool| if *local { "-local" } else { "" };
        match self {
            Target::Refuse => f.write_str("refuse"),
            Target::Drop => f.write_str("drop"),
            Target::Etp => f.write_str("etp"),
            Target::Guard => f.write_str("guard"),
            Target::Pick { count, local } => write!(f, "pick-{count}{}", suffix(local)),
            Target::Stick { seconds, count, local } => write!(f, "stick-{seconds}s-{count}{}", suffix(local)),
        }
    }
}

/// The targets that exist from the start.
pub(crate) fn prepared() -> impl Iterator<Item = Target> {
    let main = (1..=PREPARED).map(|count| Target::Pick { count, local: false });
    let local = (1..=PREPARED_LOCAL).map(|count| Target::Pick { count, local: true });
    [Target::Refuse, Target::Drop, Target::Etp, Target::Guard].into_iter().chain(main).chain(local)
}

/// What a target needs before it: the list that it falls back to.
pub(crate) fn fallback(target: Target) -> Option<Target> {
    match target {
        Target::Stick { count, local, .. } => Some(Target::Pick { count, local }),
        Target::Pick { count, local } if count > 1 => Some(Target::Pick { count: 1, local }),
        _ => None,
    }
}

/// The chains and rules of a target in both flavours. Those of `refuse`, `etp` and `guard` belong to the layout.
pub(crate) fn add_chains(batch: &mut Batch, table: &TableId, shape: Shape, target: Target) {
    let mut table = batch.table(table);
    for flavour in [Flavour::Address, Flavour::NodePort] {
        let chain = target.chain(flavour);
        match target {
            Target::Refuse | Target::Drop | Target::Etp | Target::Guard => continue,
            Target::Pick { count, local } => {
                table.add_chain(Chain::new(&chain));
                table.add_rule(&chain, shape.pick(flavour, count.into(), local));
            }
            Target::Stick { seconds, count, local } => {
                let timeout = Duration::from_secs(seconds.into());
                table.add_chain(Chain::new(&chain));
                table.add_rule(&chain, shape.stick_again(flavour, timeout, local));
                table.add_rule(&chain, shape.stick_new(flavour, timeout, count.into(), local));
            }
        }
        // The slot was gone, or the memory is full. A packet that went on untranslated would be lost for good:
        // conntrack remembers "no translation" for every retransmission.
        let end = match fallback(target) {
            Some(next) => next.verdict(flavour),
            None => Verdict::Drop,
        };
        table.add_rule(&chain, then(vec![Expr::Counter], end));
    }
}

/// The chains of a target and how many rules each has.
pub(crate) fn chains(target: Target) -> Vec<(String, usize)> {
    let rules = match target {
        Target::Refuse | Target::Drop | Target::Etp | Target::Guard => return Vec::new(),
        Target::Pick { .. } => 2,
        Target::Stick { .. } => 3,
    };
    [Flavour::Address, Flavour::NodePort].map(|flavour| (target.chain(flavour), rules)).to_vec()
}

/// The elements of the verdict maps for a target.
pub(crate) fn verdicts(target: Target) -> Vec<(SetId, Element)> {
    let element = |flavour| Element::map(target.value(), target.verdict(flavour));
    let address = element(Flavour::Address);
    let node_port = element(Flavour::NodePort);
    match target {
        // A second look that could reach a first look would be a loop, which the kernel refuses.
        Target::Guard => vec![(SetId::Actions, address)],
        Target::Etp => vec![(SetId::Actions, address), (SetId::ActionsNp, node_port)],
        _ => vec![
            (SetId::Actions, address.clone()),
            (SetId::ActionsNp, node_port.clone()),
            (SetId::Leaf, address),
            (SetId::LeafNp, node_port),
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_are_unique_and_lead_back() {
        let mut targets: Vec<Target> = prepared().collect();
        for (seconds, count) in [(1, 1), (10_800, 3), (86_400, MOST_STICKY as u16)] {
            targets.extend([false, true].map(|local| Target::Stick { seconds, count, local }));
        }
        targets.push(Target::Pick { count: MOST_ENDPOINTS as u16, local: true });
        let numbers: HashSet<u32> = targets.iter().map(|target| target.number()).collect();
        assert_eq!(numbers.len(), targets.len());
        for target in targets {
            assert_eq!(Target::from_number(target.number()), Some(target));
        }
        for number in [0, 5, PICK, 0x1000_0001] {
            assert_eq!(Target::from_number(number), None, "{number:x}");
        }
    }

    #[test]
    fn names_tell_what_a_chain_does() {
        assert_eq!(Target::Pick { count: 2, local: true }.chain(Flavour::NodePort), "np-pick-2-local");
        assert_eq!(Target::Stick { seconds: 10_800, count: 2, local: false }.to_string(), "stick-10800s-2");
    }
}
