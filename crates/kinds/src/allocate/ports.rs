//! Node ports and the health check node port.

use std::collections::BTreeMap;

use portolan_alloc::ReserveError;
use serde_json::Value;

use super::{AllocateError, Allocators, Reservation, invalid, seed};
use crate::json::{int, items_mut, list, object};
use crate::prepare::service::{has_health_port, has_node_ports, needs_node_ports};

impl Allocators {
    pub(super) fn node_ports(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let seed = seed(new, "nodePort");
        let spec = object(new, "spec");
        if !has_node_ports(spec) {
            return Ok(());
        }
        match old {
            None => self.first_node_ports(spec, seed, reservation),
            Some(old) => self.changed_node_ports(spec, old, seed, reservation),
        }
    }

    /// Ports of one number and different protocols (DNS over UDP and TCP) share a node port, but only in a new Service:
    /// upstream does not do that on update.
    fn first_node_ports(
        &mut self,
        spec: &mut Value,
        seed: u64,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let needed = needs_node_ports(spec);
        let mut requests: BTreeMap<i64, i64> = BTreeMap::new();
        for port in list(spec, "ports") {
            if let Some(requested) = node_port(port) {
                requests.entry(number(port)).or_insert(requested);
            }
        }
        let mut shared: BTreeMap<i64, i64> = BTreeMap::new();
        for (index, port) in items_mut(spec, "ports").enumerate() {
            let own = node_port(port);
            if own.is_none() && !needed {
                continue;
            }
            let held = match (shared.get(&number(port)), requests.get(&number(port))) {
                (Some(shared), _) => {
                    if let Some(own) = own.filter(|own| own != shared) {
                        self.take_port(index, own, reservation)?;
                        continue;
                    }
                    *shared
                }
                (None, Some(requested)) => {
                    self.take_port(index, *requested, reservation)?;
                    *requested
                }
                (None, None) => self.pick_port(seed.wrapping_add(index as u64), reservation)?,
            };
            shared.insert(number(port), held);
            port["nodePort"] = held.into();
        }
        Ok(())
    }

    fn changed_node_ports(
        &mut self,
        spec: &mut Value,
        old: &Value,
        seed: u64,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let needed = needs_node_ports(spec);
        let mut ours: Vec<i64> = list(old, "spec.ports").iter().filter_map(node_port).collect();
        for (index, port) in items_mut(spec, "ports").enumerate() {
            match node_port(port) {
                Some(own) if ours.contains(&own) => {}
                Some(own) => {
                    self.take_port(index, own, reservation)?;
                    ours.push(own);
                }
                None if needed => {
                    port["nodePort"] = self.pick_port(seed.wrapping_add(index as u64), reservation)?.into();
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(super) fn health_port(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let seed = seed(new, "healthCheckNodePort");
        let spec = object(new, "spec");
        if !has_health_port(spec) || old.is_some_and(|old| has_health_port(&old["spec"])) {
            return Ok(());
        }
        let port = match int(spec, "healthCheckNodePort").filter(|port| *port != 0) {
            Some(port) => self.reserve_port(port).map_err(|why| {
                AllocateError::Internal(format!("failed to allocate requested HealthCheck NodePort {port}: {why}"))
            })?,
            None => self.ports.allocate(seed).ok_or_else(|| {
                AllocateError::Internal("failed to allocate a HealthCheck NodePort 0: range is full".to_string())
            })?,
        };
        reservation.ports_added.push(port);
        spec["healthCheckNodePort"] = port.into();
        Ok(())
    }

    fn take_port(&mut self, index: usize, port: i64, reservation: &mut Reservation) -> Result<(), AllocateError> {
        let taken =
            self.reserve_port(port).map_err(|why| invalid(format!("spec.ports[{index}].nodePort"), port, &why))?;
        reservation.ports_added.push(taken);
        Ok(())
    }

    fn pick_port(&mut self, seed: u64, reservation: &mut Reservation) -> Result<i64, AllocateError> {
        let picked = self
            .ports
            .allocate(seed)
            .ok_or_else(|| AllocateError::Internal("failed to allocate a nodePort: range is full".to_string()))?;
        reservation.ports_added.push(picked);
        Ok(picked.into())
    }

    fn reserve_port(&mut self, port: i64) -> Result<u16, String> {
        let reserved = u16::try_from(port)
            .map_err(|_| ReserveError::OutOfRange)
            .and_then(|port| self.ports.reserve(port).map(|()| port));
        reserved.map_err(|error| match error {
            ReserveError::Taken => "provided port is already allocated".to_string(),
            ReserveError::OutOfRange => {
                format!("provided port is not in the valid range. The range of valid ports is {}", self.ports)
            }
        })
    }
}

fn number(port: &Value) -> i64 {
    int(port, "port").unwrap_or(0)
}

fn node_port(port: &Value) -> Option<i64> {
    int(port, "nodePort").filter(|number| *number != 0)
}
