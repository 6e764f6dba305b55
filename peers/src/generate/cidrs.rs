//! More ranges for Services: their state, and their end while addresses are in use.

use serde_json::json;

use super::{Generator, Step};
use crate::request::{self, Request};

/// After so many steps the controllers have certainly seen a new range: a quiet point lies between.
const SETTLED: usize = 30;

/// A range of the model.
#[derive(Debug, Clone)]
pub(super) struct Cidr {
    number: u32,
    open: bool,
    made: usize,
}

impl Generator {
    pub(super) fn change_cidrs(&mut self) -> Option<Step> {
        let open: Vec<String> =
            self.model.cidrs.iter().filter(|(_, cidr)| cidr.open).map(|(name, _)| name.clone()).collect();
        if !open.is_empty() && self.chance(50) {
            let name = self.one_of(&open);
            self.model.cidrs.get_mut(&name)?.open = false;
            return Some(Step::new(
                format!("delete ServiceCIDR {name}"),
                vec![Request::delete(request::CIDRS, "", &name, None)],
            ));
        }
        self.next.cidr += 1;
        let number = self.next.cidr;
        let name = format!("more{number}");
        let range = format!("10.97.{}.0/24", number % 250);
        self.model.cidrs.insert(name.clone(), Cidr { number, open: true, made: self.made });
        let requests = vec![Request::create(request::CIDRS, "", &name, json!({"spec": {"cidrs": [range]}}))];
        let title = format!("create ServiceCIDR {name} {range}");
        Some(Step::new(title, requests))
    }

    /// The first three numbers of an address outside the first range, where there is such a range.
    pub(super) fn other_range(&mut self) -> Option<String> {
        let made = self.made;
        let settled = self.model.cidrs.values().filter(|cidr| cidr.open && made > cidr.made + SETTLED);
        let numbers: Vec<u32> = settled.map(|cidr| cidr.number).collect();
        if numbers.is_empty() || !self.chance(30) {
            return None;
        }
        Some(format!("10.97.{}", self.one_of(&numbers) % 250))
    }
}
