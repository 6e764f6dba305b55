//! Transactions, dumps, ownership and the monitor against the kernel, with the `nft` program as a second reader.
#![allow(clippy::unwrap_used)]

use std::{
    net::Ipv4Addr,
    os::fd::AsFd,
    process::Command,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, poll};
use portolan_netns::world::enter_for_test;
use portolan_nftables::*;

const FAMILY: Family = Family::Ip;

fn id() -> TableId {
    TableId::new(FAMILY, "proof")
}

fn key(n: u32) -> Value {
    Value::new().address(Ipv4Addr::from(0x0a00_0000 + n).into()).protocol(6).port(80)
}

fn number(n: u32) -> Value {
    Value::new().number(n)
}

/// Runs nft, or says why not.
fn nft(test: &str, arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("nft").args(arguments).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            portolan_netns::world::skip(test, &format!("cannot run nft: {error}"));
            None
        }
    }
}

fn simple(socket: &mut Socket) {
    let mut batch = Batch::new();
    batch
        .table(&id())
        .add_table()
        .add_set(Set::map("m", &[Field::Ipv4, Field::Protocol, Field::Port], &[Field::Class]))
        .add_set(Set::new("nets", &[Field::Ipv4]).interval())
        .add_chain(Chain::new("c"));
    socket.commit(&batch).unwrap();
}

/// Every expression of the vocabulary in one table.
fn everything() -> Batch {
    let k = [Field::Ipv4, Field::Protocol, Field::Port];
    let (r0, r1, r2, r3, r4, r5, r6, r7) = (Reg(0), Reg(1), Reg(2), Reg(3), Reg(4), Reg(5), Reg(6), Reg(7));
    let load = || vec![Expr::daddr(FAMILY, r0), Expr::Meta(Meta::L4Proto, r1), Expr::dport(r2)];
    let mut batch = Batch::new();
    let mut table = batch.table(&id());
    table
        .declare(Table::new(id()).comment("every expression"))
        .add_set(Set::map("svc", &k, &[Field::Class]).comment("what to do"))
        .add_set(Set::map("ep", &[k[0], k[1], k[2], Field::Number], &[Field::Ipv4, Field::Port]))
        .add_set(Set::verdicts("actions", &[Field::Class]))
        .add_set(Set::new("nets", &[Field::Ipv4]).interval())
        .add_set(Set::new("allow", &[k[0], k[1], k[2], Field::Ipv4]).interval())
        .add_set(Set::new("learnt", &[Field::Ipv4]).dynamic(100))
        .add_set(Set::map("aff", &[Field::Ipv4, k[0], k[1], k[2]], &[Field::Class]).dynamic(100).expiring())
        .add_chain(Chain::new("refuse").comment("no endpoint"))
        .add_chain(Chain::new("pick"))
        .add_chain(Chain::new("masq"))
        .add_chain(Chain::base("prerouting", ChainType::Nat, Hook::Prerouting, -100))
        .add_chain(Chain::base("output", ChainType::Nat, Hook::Output, -100))
        .add_chain(Chain::base("postrouting", ChainType::Nat, Hook::Postrouting, 100));
    table
        .add_rule(
            "refuse",
            vec![
                Expr::Meta(Meta::L4Proto, r0),
                Expr::Cmp(Compare::Equal, r0, Value::from_bytes([6])),
                Expr::Reject(Reject::TcpReset),
            ],
        )
        .add_rule("refuse", vec![Expr::Reject(Reject::PortUnreachable(FAMILY))])
        .add_rule(
            "pick",
            [
                vec![Expr::Immediate(r0, number(0)), Expr::SetMeta(Meta::Priority, r0)],
                load(),
                vec![
                    Expr::Numgen { to: r3, modulus: 2, offset: 0, counting: Counting::Random },
                    Expr::load("ep", r0, r0),
                    Expr::Nat { nat: Nat::Destination, family: FAMILY, address: Some(r0), port: Some(r1), flags: 0 },
                ],
            ]
            .concat(),
        )
        .add_rule("pick", vec![Expr::Counter, Expr::Verdict(Verdict::Drop)])
        .add_rule(
            "prerouting",
            [
                load(),
                vec![
                    Expr::load("svc", r0, r0),
                    Expr::SetMeta(Meta::Priority, r0),
                    Expr::Meta(Meta::Priority, r0),
                    Expr::follow("actions", r0),
                ],
            ]
            .concat(),
        )
        .add_rule(
            "prerouting",
            vec![
                Expr::daddr(FAMILY, r0),
                Expr::Dynset { op: SetOp::Update, set: "learnt".into(), key: r0, data: None, timeout: None },
            ],
        )
        .add_rule(
            "output",
            [
                vec![Expr::saddr(FAMILY, r0), Expr::daddr(FAMILY, r1), Expr::Meta(Meta::L4Proto, r2), Expr::dport(r3)],
                vec![Expr::Meta(Meta::Priority, r4)],
                [SetOp::Delete, SetOp::Update]
                    .map(|op| Expr::Dynset {
                        op,
                        set: "aff".into(),
                        key: r0,
                        data: Some(r4),
                        timeout: Some(Duration::from_secs(10)),
                    })
                    .to_vec(),
            ]
            .concat(),
        )
        .add_rule(
            "output",
            [load(), vec![Expr::saddr(FAMILY, r3), Expr::not_in("allow", r0), Expr::Verdict(Verdict::Drop)]].concat(),
        )
        .add_rule(
            "postrouting",
            vec![
                Expr::Ct(Ct::Status, r0),
                Expr::Bitwise { from: r0, to: r0, mask: number(STATUS_DNAT), xor: number(0) },
                Expr::Cmp(Compare::NotEqual, r0, number(0)),
                Expr::jump("masq"),
            ],
        )
        .add_rule(
            "masq",
            vec![
                Expr::saddr(FAMILY, r7),
                Expr::not_in("nets", r7),
                Expr::Fib(FibOf::Source, r6),
                Expr::Cmp(Compare::Equal, r6, number(FIB_LOCAL)),
                Expr::Ct(Ct::OriginalDestination, r0),
                Expr::Meta(Meta::L4Proto, r1),
                Expr::Ct(Ct::OriginalPort, r2),
                Expr::load("svc", r0, r5),
                Expr::Masquerade { flags: FULLY_RANDOM },
            ],
        )
        .add_elements("svc", vec![Element::map(key(1), number(2)), Element::map(key(2), number(1))])
        .add_elements(
            "actions",
            vec![
                Element::map(number(1), Verdict::goto("refuse")),
                Element::map(number(2), Verdict::goto("pick")),
                Element::map(number(3), Verdict::Drop),
            ],
        )
        .add_elements("nets", intervals(["10.244.0.0/16".parse().unwrap()]))
        .add_elements(
            "allow",
            vec![Element::range(
                Value::from_bytes([key(1).as_bytes(), &[10, 0, 0, 0]].concat()),
                Value::from_bytes([key(1).as_bytes(), &[10, 0, 0, 255]].concat()),
            )],
        );
    batch
}

#[test]
fn every_expression_is_accepted_and_nft_lists_it() {
    const TEST: &str = "kernel::every_expression_is_accepted_and_nft_lists_it";
    if !enter_for_test(TEST) {
        return;
    }
    let mut socket = Socket::open().unwrap();
    socket.commit(&everything()).unwrap();
    // Declaring all of it again is fine, except for the rules, which would double.
    let dump = socket.elements(&id(), "actions").unwrap();
    assert_eq!(dump[0], Element::map(number(1), Verdict::goto("refuse")));
    assert_eq!(dump.len(), 3);
    let allow = socket.elements(&id(), "allow").unwrap();
    assert_eq!(allow[0].key_end.as_ref().unwrap().word(3), Some([10, 0, 0, 255]));
    assert_eq!(socket.table(&id()).unwrap().unwrap().comment.as_deref(), Some("every expression"));
    assert!(socket.chains(&id()).unwrap().contains(&"prerouting".to_owned()));
    assert_eq!(socket.sets(&id()).unwrap().len(), 7);
    let Some((ok, text)) = nft(TEST, &["list", "table", "ip", "proof"]) else { return };
    assert!(ok, "{text}");
    for expected in [
        "10.0.0.1 . tcp . 80 : 0:2",
        "0:1 : goto refuse",
        "elements = { 10.244.0.0/16 }",
        "10.0.0.1 . tcp . 80 . 10.0.0.0/24",
        "comment \"every expression\"",
        "comment \"no endpoint\"",
        "type nat hook prerouting priority dstnat; policy accept;",
        "ip daddr . meta l4proto . th dport map @svc",
        "numgen random mod 2",
        "reject with tcp reset",
        "masquerade fully-random",
        "update @learnt { ip daddr }",
        "ct status dnat jump masq",
        "fib saddr type local",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn an_error_names_the_operation_and_the_element_and_changes_nothing() {
    const TEST: &str = "kernel::an_error_names_the_operation_and_the_element_and_changes_nothing";
    if !enter_for_test(TEST) {
        return;
    }
    let mut socket = Socket::open().unwrap();
    simple(&mut socket);
    let mut batch = Batch::new();
    batch.table(&id()).add_elements("m", vec![Element::map(key(7), number(1))]);
    socket.commit(&batch).unwrap();
    let mut batch = Batch::new();
    batch
        .table(&id())
        .add_chain(Chain::new("d"))
        .add_elements("m", (5..9).map(|n| Element::map(key(n), number(2))).collect());
    let error = socket.commit(&batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot add 4 elements to m (element 0a000007.06000000.00500000) in table ip proof: \
         it exists with other contents (errno 17); nothing was changed"
    );
    assert_eq!(socket.elements(&id(), "m").unwrap().len(), 1);
    assert_eq!(socket.chains(&id()).unwrap(), ["c"]);
    let mut batch = Batch::new();
    batch.table(&id()).add_rule("nowhere", vec![Expr::Counter]);
    let error = socket.commit(&batch).unwrap_err();
    assert!(error.to_string().starts_with("cannot add rule to chain nowhere in table ip proof"), "{error}");
    // The socket is still good after errors.
    batch = Batch::new();
    batch.table(&id()).delete_elements("m", vec![Element::new(key(7))]);
    socket.dry_run(&batch).unwrap();
    assert_eq!(socket.elements(&id(), "m").unwrap().len(), 1, "a dry run changes nothing");
    socket.commit(&batch).unwrap();
    assert_eq!(socket.elements(&id(), "m").unwrap().len(), 0);
    assert!(socket.elements(&id(), "none").unwrap_err().is_missing());
}

#[test]
fn a_hundred_thousand_elements_are_one_transaction() {
    const TEST: &str = "kernel::a_hundred_thousand_elements_are_one_transaction";
    if !enter_for_test(TEST) {
        return;
    }
    let mut socket = Socket::open().unwrap();
    simple(&mut socket);
    let mut batch = Batch::new();
    let all: Vec<_> = (0..100_000).map(|n| Element::map(key(n), number(n))).collect();
    batch.table(&id()).add_elements("m", all.clone());
    match socket.commit(&batch) {
        Ok(()) => {}
        // Without CAP_NET_ADMIN on the host the send buffer stays small.
        Err(CommitError::Send { source, .. }) => {
            portolan_netns::world::skip(TEST, &format!("the send buffer may not grow here: {source}"));
            return;
        }
        Err(error) => panic!("{error}"),
    }
    let mut all = all;
    all.sort();
    // The hash table grows in the background for a moment, and a dump may miss elements meanwhile.
    let deadline = Instant::now() + Duration::from_secs(10);
    while socket.elements(&id(), "m").unwrap() != all {
        assert!(Instant::now() < deadline, "the dump differs from what was sent");
    }
    // The last element is bad: nothing of it may stay.
    let mut batch = Batch::new();
    batch.table(&id()).flush_set("m").delete_elements("m", vec![Element::new(key(200_000))]);
    socket.commit(&batch).unwrap_err();
    assert_eq!(socket.elements(&id(), "m").unwrap().len(), 100_000);
    let start = Instant::now();
    for n in 0..100 {
        let mut batch = Batch::new();
        batch
            .table(&id())
            .delete_elements("m", vec![Element::new(key(n))])
            .add_elements("m", vec![Element::map(key(n), number(n + 1))]);
        socket.commit(&batch).unwrap();
    }
    eprintln!("one element of 100000 replaced in {:?}", start.elapsed() / 100);
}

#[test]
fn plain_interval_sets_are_replaced_in_one_transaction() {
    if !enter_for_test("kernel::plain_interval_sets_are_replaced_in_one_transaction") {
        return;
    }
    let mut socket = Socket::open().unwrap();
    simple(&mut socket);
    for networks in [&["10.0.0.0/8"][..], &["10.1.0.0/16", "10.2.0.0/16", "10.9.0.0/24"], &[], &["0.0.0.0/0"]] {
        let expected = intervals(networks.iter().map(|n| n.parse().unwrap()));
        let mut batch = Batch::new();
        batch.table(&id()).flush_set("nets").add_elements("nets", expected.clone());
        socket.commit(&batch).unwrap();
        let dump = socket.elements(&id(), "nets").unwrap();
        assert_eq!(dump, expected, "{networks:?}");
    }
}

#[test]
fn an_owned_table_is_safe_from_others_and_outlives_its_owner() {
    const TEST: &str = "kernel::an_owned_table_is_safe_from_others_and_outlives_its_owner";
    if !enter_for_test(TEST) {
        return;
    }
    let mut owner = Socket::open().unwrap();
    let mut declare = Batch::new();
    declare.table(&id()).declare(Table::new(id()).owned()).add_chain(Chain::new("c"));
    if let Err(error) = owner.commit(&declare) {
        portolan_netns::world::skip(TEST, &format!("this kernel has no owned, persistent tables: {error}"));
        return;
    }
    let table = owner.table(&id()).unwrap().unwrap();
    assert_eq!((table.owned, table.persist, table.owner), (true, true, Some(owner.port())));
    let mut other = Socket::open().unwrap();
    let mut delete = Batch::new();
    delete.table(&id()).delete_table();
    assert_eq!(other.commit(&delete).unwrap_err().errno(), Some(nix::errno::Errno::EPERM as i32));
    if let Some((ok, text)) = nft(TEST, &["flush", "ruleset"]) {
        assert!(ok, "{text}");
    }
    assert!(other.table(&id()).unwrap().is_some(), "a flush of everything passes it by");
    drop(owner);
    let orphan = other.table(&id()).unwrap().unwrap();
    assert_eq!((orphan.persist, orphan.owner), (true, None));
    other.commit(&declare).unwrap();
    assert_eq!(other.table(&id()).unwrap().unwrap().owner, Some(other.port()));
}

#[test]
fn the_monitor_sees_foreign_changes_of_the_table_only() {
    const TEST: &str = "kernel::the_monitor_sees_foreign_changes_of_the_table_only";
    if !enter_for_test(TEST) {
        return;
    }
    let mut ours = Socket::open().unwrap();
    let mut monitor = Monitor::open(ours.port()).unwrap();
    let before = ours.generation().unwrap();
    simple(&mut ours);
    assert!(ours.generation().unwrap() > before);
    assert!(!readable(&monitor, 50), "our own changes are filtered in the kernel");
    let mut foreign = Socket::open().unwrap();
    let other = TableId::new(FAMILY, "other");
    let mut batch = Batch::new();
    batch.table(&other).add_table();
    foreign.commit(&batch).unwrap();
    assert!(readable(&monitor, 1000));
    assert_eq!(monitor.read(&[id()]).unwrap(), Disturbance::None);
    let mut batch = Batch::new();
    batch.table(&id()).delete_table();
    foreign.commit(&batch).unwrap();
    assert!(readable(&monitor, 1000));
    assert_eq!(monitor.read(&[id()]).unwrap(), Disturbance::Touched);
}

fn readable(monitor: &Monitor, milliseconds: u16) -> bool {
    let mut fds = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, milliseconds).unwrap() > 0
}
