//! The texts of all objects, and the page made of them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use portolan_objects::ObjectKey;
use portolan_runtime::{Change, Failure, Reconciler};

use crate::{
    families::{ENDPOINTS, Family, SERVICES, SLICES},
    render::Rendered,
};

/// What is watched, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Endpoints,
    Slices,
    Services,
}

/// One change of one kind.
pub(crate) struct Input {
    kind: Kind,
    change: Change<Rendered>,
}

impl Input {
    /// Makes the inputs of one kind.
    pub fn of(kind: Kind) -> impl Fn(Change<Rendered>) -> Self + Send + 'static {
        move |change| Self { kind, change }
    }
}

/// The objects of one kind.
#[derive(Debug, Default)]
struct Shelf {
    objects: RwLock<BTreeMap<ObjectKey, Box<[Box<str>]>>>,
    /// The first complete set is in.
    complete: AtomicBool,
}

/// What a scrape reads. Each kind has a lock of its own, held for the copying of its texts.
#[derive(Debug, Default)]
pub(crate) struct Page {
    shelves: [Shelf; 3],
}

const KINDS: [(Kind, &[Family]); 3] =
    [(Kind::Endpoints, ENDPOINTS), (Kind::Slices, SLICES), (Kind::Services, SERVICES)];

impl Page {
    /// Whether every kind has its first complete set. Half a page would be a page full of Services without endpoints.
    pub fn complete(&self) -> bool {
        self.shelves.iter().all(|shelf| shelf.complete.load(Ordering::Acquire))
    }

    /// The page as text. A kind of which there is no object has no headers either, as upstream.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (kind, families) in KINDS {
            let objects = self.shelves[kind as usize].objects.read();
            if objects.is_empty() {
                continue;
            }
            for (index, family) in families.iter().enumerate() {
                for part in ["# HELP ", family.name, " ", family.help, "\n# TYPE ", family.name, " gauge\n"] {
                    text.push_str(part);
                }
                objects.values().for_each(|texts| text.push_str(&texts[index]));
            }
        }
        text
    }
}

/// The one that writes the page.
pub(crate) struct Index {
    page: Arc<Page>,
}

impl Index {
    pub fn new(page: Arc<Page>) -> Self {
        Self { page }
    }

    /// Takes one change in: it costs what has changed.
    pub fn apply(&self, Input { kind, change }: Input) {
        let shelf = &self.page.shelves[kind as usize];
        match change {
            Change::Apply(object) => drop(shelf.objects.write().insert(object.key, object.texts)),
            Change::Delete(object) => drop(shelf.objects.write().remove(&object.key)),
            Change::Reset(objects) => {
                let kept: HashSet<&ObjectKey> = objects.iter().map(|object| &object.key).collect();
                let mut stored = shelf.objects.write();
                stored.retain(|key, _| kept.contains(key));
                stored.extend(objects.into_iter().map(|object| (object.key, object.texts)));
                shelf.complete.store(true, Ordering::Release);
            }
        }
    }
}

/// The index is the whole job: nothing is ever planned, so nothing is ever applied.
impl Reconciler for Index {
    type Input = Input;
    type Key = ();
    type Plan = ();
    type Outcome = ();

    fn index(&mut self, input: Input, _dirty: &mut Vec<()>) {
        Self::apply(self, input);
    }

    fn plan(&mut self, _key: &()) -> Option<()> {
        None
    }

    fn apply(&self, _key: (), _plan: ()) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn applied(&mut self, _key: &(), _outcome: ()) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(name: &str, word: &str) -> Rendered {
        let texts = SERVICES.iter().map(|family| format!("{} {word}\n", family.name).into_boxed_str()).collect();
        Rendered { key: ObjectKey::new("ns", name), texts }
    }

    #[test]
    fn the_page_follows_every_kind_of_change() {
        let page = Arc::new(Page::default());
        let index = Index::new(page.clone());
        let service = |change| index.apply(Input { kind: Kind::Services, change });
        let lines = || page.text().lines().filter(|line| line.starts_with("kube_service_info")).count();

        service(Change::Reset(vec![rendered("a", "1"), rendered("b", "1")]));
        assert_eq!(lines(), 2);
        assert!(!page.complete(), "the other kinds are not known yet");
        service(Change::Apply(rendered("a", "2")));
        assert_eq!((lines(), page.text().contains("kube_service_info 2")), (2, true));
        service(Change::Delete(rendered("a", "2")));
        assert_eq!((lines(), page.text().contains("kube_service_info 2")), (1, false));
        service(Change::Reset(vec![rendered("c", "3")]));
        assert_eq!((lines(), page.text().contains("kube_service_info 3")), (1, true));
        service(Change::Delete(rendered("c", "3")));
        assert_eq!(page.text(), "", "a kind without objects has no headers");

        for kind in [Kind::Slices, Kind::Endpoints] {
            index.apply(Input { kind, change: Change::Reset(Vec::new()) });
        }
        assert!(page.complete());
    }
}
