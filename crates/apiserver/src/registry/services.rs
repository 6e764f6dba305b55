//! Services and their addresses: allocation around a write, IPAddress objects in the same transaction.
//!
//! Nothing is freed before the new Service is stored, and what a write took is given back when it is not stored. The
//! allocators hold no state that the stored Services do not: they are rebuilt from them at start.

use portolan_kinds::{
    Resource,
    allocate::{AllocateError, Reservation, ip_address_object},
};
use serde_json::Value;

use super::{Registry, meta};
use crate::{
    status::ApiError,
    store::{Expect, Key, Step, Write},
};

const ADDRESSES: &str = "ipaddresses.networking.k8s.io";

/// Whether writes of this resource allocate.
pub(super) fn is_service(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "services"
}

impl Registry {
    /// Takes what the Service needs and writes it into the object.
    pub(super) fn reserve(
        &self,
        resource: &Resource,
        name: &str,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<Reservation, ApiError> {
        self.allocators.lock().service(new, old).map_err(|error| match error {
            AllocateError::Invalid(errors) => ApiError::invalid(resource, name, &errors),
            AllocateError::Internal(message) => ApiError::internal(message),
        })
    }

    /// The write was not done.
    pub(super) fn give_back(&self, reservation: Option<Reservation>) {
        if let Some(reservation) = reservation {
            self.allocators.lock().roll_back(reservation);
        }
    }

    /// The write is stored.
    pub(super) fn settle(&self, reservation: Option<Reservation>) {
        if let Some(reservation) = reservation {
            self.allocators.lock().commit(reservation);
        }
    }

    /// The Service is gone.
    pub(crate) fn release(&self, service: &Value) {
        self.allocators.lock().release(service);
    }

    /// The IPAddress objects that follow from a reservation. The allocator decides, the objects only say so: one that is
    /// there already, from a user's hand, is overwritten.
    pub(super) fn address_steps(&self, reservation: Option<&Reservation>, service: &Key) -> Vec<Step> {
        let Some(reservation) = reservation else { return Vec::new() };
        let mut steps = Vec::new();
        for address in &reservation.addresses_added {
            let key = Key::new("", address.to_string());
            let expect = match self.store.get(ADDRESSES, &key) {
                Some(known) => Expect::Revision(known.revision),
                None => Expect::Absent,
            };
            let mut object = ip_address_object(*address, &service.namespace, &service.name);
            let metadata = meta::metadata(&mut object);
            metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
            metadata.insert("creationTimestamp".to_owned(), meta::now().into());
            metadata.insert("generation".to_owned(), 1.into());
            steps.push(Step { storage: ADDRESSES, key, expect, write: Write::Put(object) });
        }
        let gone = reservation.addresses_released.iter().map(ToString::to_string);
        steps.extend(gone.filter_map(|address| self.address_removal(&address)));
        steps
    }

    /// The removal of the IPAddress objects of a Service that is deleted.
    pub(super) fn address_removals(&self, service: &Value) -> Vec<Step> {
        let addresses = portolan_kinds::allocate::addresses(service);
        addresses.iter().filter_map(|address| self.address_removal(&address.to_string())).collect()
    }

    fn address_removal(&self, address: &str) -> Option<Step> {
        let key = Key::new("", address);
        let object = self.store.get(ADDRESSES, &key)?;
        let expect = Expect::Revision(object.revision);
        Some(Step { storage: ADDRESSES, key, expect, write: Write::Delete(object.value()) })
    }
}
