//! Expressions, verdicts and data as attributes. Every expression is a list element {name, data}.

use crate::{
    Compare, Counting, Ct, Data, Expr, FibOf, Found, Header, Meta, Nat, Reg, Reject, SetOp, Value, Verdict, uapi::*,
    wire::Writer,
};

fn reg(reg: Reg) -> u32 {
    NFT_REG32_00 + u32::from(reg.0)
}

/// Writes one rule's expressions into the open attribute.
pub(crate) fn rule(w: &mut Writer, exprs: &[Expr]) {
    for expr in exprs {
        w.nest(NFTA_LIST_ELEM, |w| {
            w.text(NFTA_EXPR_NAME, name(expr));
            w.nest(NFTA_EXPR_DATA, |w| body(w, expr));
        });
    }
}

fn name(expr: &Expr) -> &'static str {
    match expr {
        Expr::Payload { .. } => "payload",
        Expr::Meta(..) | Expr::SetMeta(..) => "meta",
        Expr::Cmp(..) => "cmp",
        Expr::Bitwise { .. } => "bitwise",
        Expr::Immediate(..) | Expr::Verdict(_) => "immediate",
        Expr::Lookup { .. } => "lookup",
        Expr::Numgen { .. } => "numgen",
        Expr::Nat { .. } => "nat",
        Expr::Masquerade { .. } => "masq",
        Expr::Fib(..) => "fib",
        Expr::Ct(..) => "ct",
        Expr::Counter => "counter",
        Expr::Reject(_) => "reject",
        Expr::Dynset { .. } => "dynset",
    }
}

/// The attributes of one expression. The numbers are the kernel's `NFTA_<EXPRESSION>_*`, in the order of its enums.
fn body(w: &mut Writer, expr: &Expr) {
    match expr {
        Expr::Payload { header, offset, length, to } => {
            w.u32(1, reg(*to));
            w.u32(
                2,
                match header {
                    Header::Network => 1,
                    Header::Transport => 2,
                },
            );
            w.u32(3, *offset);
            w.u32(4, *length);
        }
        Expr::Meta(key, to) => {
            w.u32(1, reg(*to));
            w.u32(2, meta(*key));
        }
        Expr::SetMeta(key, from) => {
            w.u32(2, meta(*key));
            w.u32(3, reg(*from));
        }
        Expr::Cmp(compare, from, value) => {
            w.u32(1, reg(*from));
            w.u32(2, comparison(*compare));
            data(w, 3, value);
        }
        Expr::Bitwise { from, to, mask, xor } => {
            w.u32(1, reg(*from));
            w.u32(2, reg(*to));
            w.u32(3, mask.as_bytes().len() as u32);
            data(w, 4, mask);
            data(w, 5, xor);
        }
        Expr::Immediate(to, value) => {
            w.u32(1, reg(*to));
            data(w, 2, value);
        }
        Expr::Verdict(to) => {
            w.u32(1, NFT_REG_VERDICT);
            w.nest(2, |w| verdict(w, to));
        }
        Expr::Lookup { set, key, found } => {
            w.text(1, set);
            w.u32(2, reg(*key));
            match found {
                Found::Continue => {}
                Found::Stop => w.u32(5, 1),
                Found::Load(to) => w.u32(3, reg(*to)),
                Found::Follow => w.u32(3, NFT_REG_VERDICT),
            }
        }
        Expr::Numgen { to, modulus, offset, counting } => {
            w.u32(1, reg(*to));
            w.u32(2, *modulus);
            w.u32(
                3,
                match counting {
                    Counting::Incremental => 0,
                    Counting::Random => 1,
                },
            );
            w.u32(4, *offset);
        }
        Expr::Nat { nat, family, address, port, flags } => {
            w.u32(
                1,
                match nat {
                    Nat::Source => 0,
                    Nat::Destination => 1,
                },
            );
            w.u32(2, u32::from(family.number()));
            if let Some(address) = address {
                w.u32(3, reg(*address));
            }
            if let Some(port) = port {
                w.u32(5, reg(*port));
            }
            if *flags != 0 {
                w.u32(7, *flags);
            }
        }
        Expr::Masquerade { flags } if *flags == 0 => {}
        Expr::Masquerade { flags } => w.u32(1, *flags),
        Expr::Fib(of, to) => {
            const ADDRESS_TYPE: u32 = 3;
            w.u32(1, reg(*to));
            w.u32(2, ADDRESS_TYPE);
            w.u32(
                3,
                match of {
                    FibOf::Source => 1,
                    FibOf::Destination => 2,
                },
            );
        }
        Expr::Ct(key, to) => ct(w, *key, *to),
        Expr::Counter => {
            w.u64(1, 0);
            w.u64(2, 0);
        }
        Expr::Reject(reject) => match reject {
            Reject::TcpReset => w.u32(1, 1),
            Reject::PortUnreachable(family) => {
                w.u32(1, 0);
                w.u8(2, if *family == crate::Family::Ip6 { 4 } else { 3 });
            }
        },
        Expr::Dynset { op, set, key, data, timeout } => {
            w.text(1, set);
            w.u32(
                3,
                match op {
                    SetOp::Add => 0,
                    SetOp::Update => 1,
                    SetOp::Delete => 2,
                },
            );
            w.u32(4, reg(*key));
            if let Some(data) = data {
                w.u32(5, reg(*data));
            }
            if let Some(timeout) = timeout {
                w.u64(6, timeout.as_millis() as u64);
            }
        }
    }
}

fn meta(key: Meta) -> u32 {
    match key {
        Meta::Priority => 2,
        Meta::Mark => 3,
        Meta::InputName => 6,
        Meta::OutputName => 7,
        Meta::L4Proto => 16,
    }
}

fn comparison(compare: Compare) -> u32 {
    match compare {
        Compare::Equal => 0,
        Compare::NotEqual => 1,
        Compare::Less => 2,
        Compare::LessOrEqual => 3,
        Compare::Greater => 4,
        Compare::GreaterOrEqual => 5,
    }
}

fn ct(w: &mut Writer, key: Ct, to: Reg) {
    let (number, original) = match key {
        Ct::State => (0, false),
        Ct::Status => (2, false),
        Ct::OriginalPort => (12, true),
        Ct::OriginalSource => (19, true),
        Ct::OriginalDestination => (20, true),
        Ct::OriginalSource6 => (21, true),
        Ct::OriginalDestination6 => (22, true),
    };
    w.u32(1, reg(to));
    w.u32(2, number);
    if original {
        w.u8(3, 0);
    }
}

/// A nested value attribute.
pub(crate) fn data(w: &mut Writer, kind: u16, value: &Value) {
    w.nest(kind, |w| w.attribute(NFTA_DATA_VALUE, value.as_bytes()));
}

/// What a map element holds.
pub(crate) fn element_data(w: &mut Writer, value: &Data) {
    match value {
        Data::Value(value) => data(w, NFTA_SET_ELEM_DATA, value),
        Data::Verdict(to) => w.nest(NFTA_SET_ELEM_DATA, |w| verdict(w, to)),
    }
}

fn verdict(w: &mut Writer, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (NF_DROP, None),
        Verdict::Accept => (NF_ACCEPT, None),
        Verdict::Continue => (NFT_CONTINUE, None),
        Verdict::Break => (NFT_BREAK, None),
        Verdict::Return => (NFT_RETURN, None),
        Verdict::Jump(chain) => (NFT_JUMP, Some(chain)),
        Verdict::Goto(chain) => (NFT_GOTO, Some(chain)),
    };
    w.nest(NFTA_DATA_VERDICT, |w| {
        w.u32(NFTA_VERDICT_CODE, code as u32);
        if let Some(chain) = chain {
            w.text(NFTA_VERDICT_CHAIN, chain);
        }
    });
}
