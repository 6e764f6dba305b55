//! Get and list: selection, freshness, paging.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Answer, Registry, render};
use crate::{
    http::{
        options::{At, Filter, ListOptions},
        request::{ResourceRequest, Verb},
    },
    status::ApiError,
    store::{Key, Object, Page, Revision, Selection},
};

/// Where a page ended: the content of a continue token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continue {
    /// The state that all pages show.
    pub revision: Revision,
    /// The last key of the page.
    pub after: Key,
}

impl Continue {
    /// The token; clients treat it as opaque.
    pub fn encode(&self) -> String {
        let token = json!({"rv": self.revision, "ns": self.after.namespace, "name": self.after.name});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    /// Reads a token.
    pub fn decode(token: &str) -> Result<Self, ApiError> {
        let parse = || {
            let token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
            let after = Key::new(token["ns"].as_str()?, token["name"].as_str()?);
            Some(Self { revision: token["rv"].as_u64()?, after })
        };
        parse().ok_or_else(|| ApiError::bad_request("continue key is not valid"))
    }
}

impl Filter {
    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether it selects `object`.
    pub fn matches(&self, object: &Object) -> bool {
        let field = |name: &str| match name {
            "metadata.name" => Some(object.key.name.as_str()),
            "metadata.namespace" => Some(object.key.namespace.as_str()),
            _ => object.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()),
        };
        self.fields.matches(field) && self.labels.matches(&object.labels)
    }
}

impl Registry {
    pub(super) fn get(&self, request: &ResourceRequest, name: &str) -> Result<Answer, ApiError> {
        if let Verb::Get { revision: Some(revision), .. } = request.verb {
            self.not_in_the_future(revision)?;
        }
        let object = self.current(request.resource, &request.namespace, name)?;
        if request.subresource.is_some_and(|part| part.name == "scale") {
            return self.scale_of(request.resource, name, &object);
        }
        Ok(self.answer(200, request, &object))
    }

    pub(super) fn list(&self, request: &ResourceRequest, options: &ListOptions) -> Result<Answer, ApiError> {
        let page = self.select(request, options)?;
        let next = page
            .objects
            .last()
            .filter(|_| page.more)
            .map(|last| Continue { revision: page.revision, after: last.key.clone() }.encode());
        let head = render::ListHead { revision: page.revision, next, remaining: page.remaining };
        let objects = page.objects.iter().map(AsRef::as_ref);
        Ok(Answer::json(200, render::list(request.resource, objects, &head, request.form, options.include)))
    }

    /// The objects that a list or deletecollection is about.
    pub(super) fn select(&self, request: &ResourceRequest, options: &ListOptions) -> Result<Page, ApiError> {
        let at = match (&options.page, options.at) {
            (Some(page), _) => Some(page.revision),
            (None, At::Exact(revision)) => Some(revision),
            (None, At::NotOlderThan(revision)) => {
                self.not_in_the_future(revision)?;
                None
            }
        };
        if let Some(revision) = at {
            self.not_in_the_future(revision)?;
        }
        let filter = |object: &Object| options.filter.matches(object);
        let selection = Selection {
            namespace: self.namespace_of(request, &options.filter),
            after: options.page.as_ref().map(|page| &page.after),
            limit: options.limit,
            matches: (!options.filter.is_everything()).then_some(&filter),
        };
        self.store.list(request.resource.storage.as_str(), &selection, at).ok_or_else(|| {
            ApiError::expired(if options.page.is_some() {
                "The provided continue parameter is too old to display a consistent list result. \
                 You can start a new list without the continue parameter."
            } else {
                "The resourceVersion for the provided list is too old."
            })
        })
    }

    /// The only namespace that can hold a match, if there is only one.
    pub(super) fn namespace_of<'a>(&self, request: &'a ResourceRequest, filter: &'a Filter) -> Option<&'a str> {
        if request.namespace.is_empty() {
            filter.fields.required("metadata.namespace").filter(|_| request.resource.namespaced)
        } else {
            Some(&request.namespace)
        }
    }

    pub(super) fn not_in_the_future(&self, revision: Revision) -> Result<(), ApiError> {
        if self.store.has_reached(revision) {
            Ok(())
        } else {
            Err(ApiError::too_large_revision(revision, self.store.revision()))
        }
    }
}
