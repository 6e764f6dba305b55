//! Services and their addresses: allocation around a write, IPAddress objects in the same transaction.
//!
//! What is taken follows from what is stored: Services, IPAddress objects whoever made them, and the ServiceCIDRs that
//! say where addresses come from. [`Allocation`] reads their changes from the store before every decision, so it knows
//! all that was acknowledged before the request came, whichever way it came in. Nothing is free before the write that
//! gives it up is stored, and what a write took is free again when it is not stored.
//!
//! The decision and the write are not one step; the IPAddress that the transaction creates is what makes sure: if somebody
//! made one of this name meanwhile, the transaction fails and is decided anew.

use parking_lot::Mutex;
use portolan_kinds::{
    Resource,
    allocate::{AllocateError, Allocators, Families, Reservation, ip_address_object},
};
use serde_json::Value;

use super::{Registry, meta};
use crate::{
    status::ApiError,
    store::{Action, Cursor, Event, Expect, Key, Lost, Selection, Step, Store, Write},
};

const ADDRESSES: &str = "ipaddresses.networking.k8s.io";
const RANGES: &str = "servicecidrs.networking.k8s.io";
const SERVICES: &str = "services";
/// In this order: ranges and holders before anything can be released.
const FOLLOWED: [&str; 3] = [RANGES, SERVICES, ADDRESSES];

/// Whether writes of this resource allocate.
pub(super) fn is_service(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == SERVICES
}

/// The allocators with their view of the store.
pub(crate) struct Allocation {
    store: Store,
    /// Never held across a wait.
    state: Mutex<State>,
}

struct State {
    allocators: Allocators,
    /// One for each of [`FOLLOWED`]; none before the first look, and after one was lost.
    cursors: Vec<Cursor>,
}

impl Allocation {
    /// Over an open store. `allocators` have been told of nothing yet.
    pub(crate) fn new(store: Store, allocators: Allocators) -> Self {
        Self { store, state: Mutex::new(State { allocators, cursors: Vec::new() }) }
    }

    /// Catches up with the store. To be called now and then, so that the store's history is not outlived.
    pub(crate) fn follow(&self) {
        self.with(|_| ());
    }

    fn families(&self) -> Families {
        self.state.lock().allocators.families()
    }

    /// Does something with allocators that know everything that is stored.
    fn with<T>(&self, action: impl FnOnce(&mut Allocators) -> T) -> T {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.cursors.is_empty() || catch_up(state).is_err() {
            begin_anew(&self.store, state);
        }
        action(&mut state.allocators)
    }
}

/// Takes in what has changed since the last time.
fn catch_up(state: &mut State) -> Result<(), Lost> {
    for cursor in &mut state.cursors {
        loop {
            let events = cursor.ready()?;
            if events.is_empty() {
                break;
            }
            for event in events {
                tell(&mut state.allocators, cursor.storage(), &event);
            }
        }
    }
    Ok(())
}

fn tell(allocators: &mut Allocators, storage: &str, event: &Event) {
    let name = event.object.key.name.as_str();
    match (storage, event.action) {
        (RANGES, Action::Deleted) => allocators.range_gone(name),
        (RANGES, _) => allocators.range_stored(&event.object.value()),
        (ADDRESSES, Action::Added) => allocators.address_stored(name),
        (ADDRESSES, Action::Deleted) => allocators.address_gone(name),
        (SERVICES, action) => {
            if action != Action::Deleted {
                allocators.service_stored(&event.object.value());
            }
            if let Some(old) = &event.old {
                allocators.service_gone(&old.value());
            }
        }
        _ => {}
    }
}

/// Reads everything: at the start, and when the store has forgotten changes that were not read in time.
fn begin_anew(store: &Store, state: &mut State) {
    let allocators = &mut state.allocators;
    allocators.forget_stored();
    state.cursors.clear();
    for storage in FOLLOWED {
        let Some(page) = store.list(storage, &Selection::ALL, None) else { continue };
        for object in &page.objects {
            match storage {
                RANGES => allocators.range_stored(&object.value()),
                SERVICES => allocators.service_stored(&object.value()),
                _ => allocators.address_stored(&object.key.name),
            }
        }
        state.cursors.extend(store.watch(storage, page.revision));
    }
}

impl Registry {
    /// Catches up with the store; see [`Allocation::follow`].
    pub(crate) fn follow(&self) {
        self.allocation.follow();
    }

    /// Fills in a Service's families, which depend on the cluster.
    pub(super) fn fill_families(
        &self,
        resource: &Resource,
        name: &str,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        let filled = self.allocation.families().fill(new, old);
        filled.map_err(|errors| ApiError::invalid(resource, name, &errors))
    }

    /// Takes what the Service needs and writes it into the object.
    pub(super) fn reserve(
        &self,
        resource: &Resource,
        name: &str,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<Reservation, ApiError> {
        self.allocation.with(|allocators| allocators.service(new, old)).map_err(|error| match error {
            AllocateError::Invalid(errors) => ApiError::invalid(resource, name, &errors),
            AllocateError::Internal(message) => ApiError::internal(message),
        })
    }

    /// The write is stored, or will not be.
    pub(super) fn settle(&self, reservation: Option<Reservation>) {
        if let Some(reservation) = reservation {
            self.allocation.with(|allocators| allocators.settle(reservation));
        }
    }

    /// The IPAddress objects that follow from a reservation.
    pub(super) fn address_steps(&self, reservation: Option<&Reservation>, service: &Key) -> Vec<Step> {
        let Some(reservation) = reservation else { return Vec::new() };
        let mut steps = Vec::new();
        for address in &reservation.addresses_added {
            let key = Key::new("", address.to_string());
            let mut object = ip_address_object(*address, &service.namespace, &service.name);
            let metadata = meta::metadata(&mut object);
            metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
            metadata.insert("creationTimestamp".to_owned(), meta::now().into());
            steps.push(Step { storage: ADDRESSES, key, expect: Expect::Absent, write: Write::Put(object) });
        }
        let gone = reservation.addresses_released.iter().map(ToString::to_string);
        steps.extend(gone.filter_map(|address| self.address_removal(&address, service)));
        steps
    }

    /// What goes with a Service that is deleted: its IPAddress objects and the Endpoints of its name, whoever made
    /// them, so that a later Service of that name does not begin with the endpoints of this one.
    pub(super) fn leavings(&self, service: &Value) -> Vec<Step> {
        let key = Key::new(meta::text(service, "namespace"), meta::text(service, "name"));
        let addresses = portolan_kinds::allocate::addresses(service);
        let addresses = addresses.iter().filter_map(|address| self.address_removal(&address.to_string(), &key));
        addresses.chain(self.deletion_step("endpoints", &key)).collect()
    }

    /// None if the object is not there, or says that the address is another's: then it is the repair loop's to judge.
    fn address_removal(&self, address: &str, service: &Key) -> Option<Step> {
        let key = Key::new("", address);
        let object = self.store.get(ADDRESSES, &key)?;
        let value = object.value();
        let parent = &value["spec"]["parentRef"];
        if parent["namespace"] != *service.namespace || parent["name"] != *service.name {
            return None;
        }
        Some(Step { storage: ADDRESSES, key, expect: Expect::Revision(object.revision), write: Write::Delete(value) })
    }
}
