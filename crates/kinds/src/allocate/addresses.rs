//! ClusterIPs: which families of a Service get an address from this write.

use std::net::IpAddr;

use portolan_alloc::{Family, PickError, ReserveError};
use serde_json::{Value, json};

use super::families::{is_untouched_preference, strings};
use super::{AllocateError, Allocators, Reservation, invalid, seed};
use crate::json::{object, text};
use crate::prepare::service::{has_cluster_ip, is_headless};

impl Allocators {
    /// A new Service, and one that was an ExternalName, gets an address of each of its families; one that has become
    /// dual-stack gets the second. Every other update leaves them as they are.
    pub(super) fn cluster_ips(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        if old.is_some_and(|old| is_untouched_preference(new, old)) {
            return Ok(());
        }
        let seed = seed(new, "clusterIP");
        let name = text(new, "metadata.name").to_string();
        let spec = object(new, "spec");
        if !has_cluster_ip(spec) || is_headless(spec) {
            return Ok(());
        }
        let families = strings(spec, "ipFamilies");
        let first = match old.map(|old| &old["spec"]).filter(|old| has_cluster_ip(old)) {
            None => 0,
            Some(old) if !is_headless(old) && strings(old, "ipFamilies").len() == 1 && families.len() == 2 => 1,
            Some(_) => return Ok(()),
        };
        let mut addresses = strings(spec, "clusterIPs");
        addresses.resize(addresses.len().max(families.len()), String::new());
        for index in first..families.len() {
            let family = if families[index] == Family::V6.as_str() { Family::V6 } else { Family::V4 };
            let address = match addresses[index].parse::<IpAddr>() {
                Ok(requested) => {
                    self.reserve_address(requested).map_err(|why| {
                        let why = format!("failed to allocate IP {}: {why}", addresses[index]);
                        invalid("spec.clusterIPs", addresses.clone(), &why)
                    })?;
                    requested
                }
                Err(_) => self.pick_address(family, seed.wrapping_add(index as u64), &name, &addresses)?,
            };
            reservation.addresses_added.push(address);
            // What the user wrote stays as it was written.
            if addresses[index].is_empty() {
                addresses[index] = address.to_string();
            }
        }
        spec["clusterIP"] = json!(addresses.first());
        spec["clusterIPs"] = json!(addresses);
        Ok(())
    }

    fn pick_address(
        &mut self,
        family: Family,
        seed: u64,
        name: &str,
        addresses: &[String],
    ) -> Result<IpAddr, AllocateError> {
        self.addresses.allocate(family, seed).map_err(|why| match why {
            PickError::Full => {
                AllocateError::Internal(format!("failed to allocate a serviceIP for Service {name:?}: {why}"))
            }
            PickError::NotReady => {
                invalid("spec.clusterIPs", addresses.to_vec(), &format!("failed to allocate IP: {why}"))
            }
        })
    }

    fn reserve_address(&mut self, address: IpAddr) -> Result<(), String> {
        self.addresses.reserve(address).map_err(|error| match error {
            ReserveError::Taken => "provided IP is already allocated".to_string(),
            ReserveError::OutOfRange => {
                let ranges = self.addresses.ranges(Family::of(address));
                let ranges: Vec<String> = ranges.iter().map(|range| range.net().to_string()).collect();
                format!(
                    "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}",
                    ranges.join(", ")
                )
            }
        })
    }
}
