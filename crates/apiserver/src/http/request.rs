//! From the head of a request to a typed [`Operation`]: a pure function of method, path, query and headers.
//!
//! No store in sight: whether an object exists is the registry's question. Everything that can be wrong with a request
//! before its body is read is found here, with the error that upstream answers. Unknown query parameters are ignored,
//! as upstream does, but the rules of list and watch options are kept to the letter: clients fall back on them.

use std::time::Duration;

use http::{HeaderMap, Method, header};
use portolan_kinds::{ContentType, FieldValidation, Resource, Subresource};
use portolan_objects::selector;

use super::{
    accept::{self, DiscoveryForm, Form, SwaggerForm},
    options::{At, DeleteOptions, Filter, Include, ListOptions, PatchKind, Propagation, WatchOptions, WriteOptions},
    select::FieldSelector,
};
use crate::{registry::Continue, status::ApiError, store::Revision};

#[cfg(test)]
mod tests;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// `/healthz`, `/livez`, `/readyz`.
    Probe {
        /// Which of them, for the text of the answer.
        name: String,
        /// Whether to list the checks.
        verbose: bool,
    },
    /// `/version`.
    Version,
    /// `/metrics`.
    Metrics,
    /// `/debug/faults`.
    Faults {
        /// Replace the list, or only read it.
        replace: bool,
    },
    /// `/api`.
    Api(DiscoveryForm),
    /// `/apis`.
    Apis(DiscoveryForm),
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    GroupVersion {
        /// Empty for core.
        group: String,
        /// `v1`.
        version: String,
    },
    /// `/openapi/v2`.
    Swagger(SwaggerForm),
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/PATH`.
    OpenApiDocument {
        /// `api/v1`.
        path: String,
        /// Whether the URL names the content's hash, so that it can be cached for ever.
        hashed: bool,
    },
    /// Anything to do with objects.
    Resource(Box<ResourceRequest>),
}

/// A request for objects of one resource.
#[derive(Debug, Clone)]
pub struct ResourceRequest {
    /// Which.
    pub resource: &'static Resource,
    /// Empty for cluster-scoped resources and for all namespaces.
    pub namespace: String,
    /// The path below the object.
    pub subresource: Option<&'static Subresource>,
    /// What to do.
    pub verb: Verb,
    /// The form of the answer.
    pub form: Form,
}

impl PartialEq for ResourceRequest {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resource, other.resource)
            && self.namespace == other.namespace
            && self.subresource == other.subresource
            && self.verb == other.verb
            && self.form == other.form
    }
}

/// What to do with objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Read one.
    Get {
        /// Its name.
        name: String,
        /// At least this revision.
        revision: Option<Revision>,
    },
    /// Read the log of a pod.
    Log {
        /// The pod.
        name: String,
        /// Passed on to the node.
        query: Vec<(String, String)>,
    },
    /// Ask the agent of a node.
    Proxy {
        /// The node; `NAME:PORT` and `https:NAME:PORT` name a port of it.
        name: String,
        /// The path at the node, percent-encoded, without its first slash.
        path: String,
        /// Passed on to the node.
        query: Vec<(String, String)>,
    },
    /// Read many.
    List(ListOptions),
    /// Follow changes.
    Watch(WatchOptions),
    /// Make one; for a subresource, of the object with this name.
    Create {
        /// The object a subresource belongs to.
        name: Option<String>,
        /// How.
        options: WriteOptions,
        /// Format of the body.
        body: ContentType,
    },
    /// Replace one.
    Update {
        /// Its name.
        name: String,
        /// How.
        options: WriteOptions,
        /// Format of the body.
        body: ContentType,
    },
    /// Change one.
    Patch {
        /// Its name.
        name: String,
        /// Language of the patch.
        kind: PatchKind,
        /// How.
        options: WriteOptions,
    },
    /// Delete one. Options in the body win over these.
    Delete {
        /// Its name.
        name: String,
        /// From the query.
        options: DeleteOptions,
    },
    /// Delete many.
    DeleteCollection {
        /// Which.
        list: ListOptions,
        /// From the query.
        options: DeleteOptions,
    },
}

impl Verb {
    /// The name that discovery and metrics use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Get { .. } | Self::Log { .. } | Self::Proxy { .. } => "get",
            Self::List(_) => "list",
            Self::Watch(_) => "watch",
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
            Self::DeleteCollection { .. } => "deletecollection",
        }
    }
}

/// What cannot stand as it is in a segment of a path.
const IN_SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The query, decoded.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().filter(|(name, _)| !name.is_empty()).collect())
    }

    /// The first non-empty value.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// True for `?name`, `?name=true`, `?name=1`.
    fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|(known, value)| known == name && matches!(value.as_str(), "" | "true" | "1"))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| ApiError::bad_request(format!("invalid {name}: {text:?} is not a number")))
            })
            .transpose()
    }

    fn dry_run(&self) -> Result<bool, ApiError> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(ApiError::invalid_options(
                "CreateOptions",
                "dryRun",
                "FieldValueNotSupported",
                &format!("Unsupported value: {other:?}: supported values: \"All\""),
            )),
        }
    }
}

/// Parses the head of a request.
pub fn parse(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> Result<Operation, ApiError> {
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8().map(|text| text.into_owned()))
        .collect::<Result<_, _>>()
        .map_err(|_| ApiError::bad_request("the path is not UTF-8"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = Query::parse(query);
    let accept = text(headers, header::ACCEPT);
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        other => return fixed(method, other, &query, accept),
    };
    let place = Place::find(group, version, rest)?;
    let form = accept::form(accept)?;
    let (resource, subresource, namespace) = (place.resource, place.subresource, place.namespace.to_owned());
    // A log is text and its errors are Status objects: any Accept will do.
    let verb = place.verb(method, &query, headers)?;
    Ok(Operation::Resource(Box::new(ResourceRequest { resource, namespace, subresource, verb, form })))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The paths that are not resources.
fn fixed(method: &Method, segments: &[&str], query: &Query, accept: Option<&str>) -> Result<Operation, ApiError> {
    let operation = match segments {
        [name @ ("healthz" | "livez" | "readyz"), ..] => {
            Operation::Probe { name: (*name).to_owned(), verbose: query.flag("verbose") }
        }
        ["version"] => Operation::Version,
        ["metrics"] => Operation::Metrics,
        ["debug", "faults"] if method == Method::PUT => return Ok(Operation::Faults { replace: true }),
        ["debug", "faults"] => Operation::Faults { replace: false },
        ["api"] => Operation::Api(accept::discovery_form(accept)?),
        ["apis"] => Operation::Apis(accept::discovery_form(accept)?),
        ["apis", group] => Operation::Group((*group).to_owned()),
        ["api", version] => Operation::GroupVersion { group: String::new(), version: (*version).to_owned() },
        ["apis", group, version] => {
            Operation::GroupVersion { group: (*group).to_owned(), version: (*version).to_owned() }
        }
        ["openapi", "v2"] => Operation::Swagger(accept::swagger_form(accept)?),
        ["openapi", "v3"] => Operation::OpenApiIndex,
        ["openapi", "v3", path @ ..] => {
            Operation::OpenApiDocument { path: path.join("/"), hashed: query.get("hash").is_some() }
        }
        _ => return Err(ApiError::no_such_path()),
    };
    if method == Method::GET || method == Method::HEAD { Ok(operation) } else { Err(ApiError::method_not_allowed()) }
}

/// A resource path taken apart.
struct Place<'a> {
    resource: &'static Resource,
    namespace: &'a str,
    /// Whether the path names a namespace, if the resource has one.
    scoped: bool,
    name: Option<&'a str>,
    subresource: Option<&'static Subresource>,
    /// What follows a proxy subresource, percent-encoded.
    tail: String,
}

impl<'a> Place<'a> {
    fn find(group: &str, version: &str, rest: &[&'a str]) -> Result<Self, ApiError> {
        let find = |plural: &str| portolan_kinds::find(group, version, plural).ok_or_else(ApiError::no_such_path);
        let in_namespace = |namespace: &'a str, plural: &str, name: Option<&'a str>| {
            let resource = find(plural)?;
            let place = Place { namespace, name, ..Place::of(resource, "") };
            if resource.namespaced { Ok(place) } else { Err(ApiError::no_such_path()) }
        };
        match rest {
            ["namespaces", name, part] if group.is_empty() && find("namespaces")?.subresource(part).is_some() => {
                Place::of(find("namespaces")?, name).below(part)
            }
            ["namespaces", namespace, plural] => in_namespace(namespace, plural, None),
            ["namespaces", namespace, plural, name] => in_namespace(namespace, plural, Some(name)),
            ["namespaces", namespace, plural, name, part] => in_namespace(namespace, plural, Some(name))?.below(part),
            [plural] => {
                let resource = find(plural)?;
                Ok(Place { scoped: !resource.namespaced, name: None, ..Place::of(resource, "") })
            }
            [plural, name] => Place::of(find(plural)?, name).cluster(),
            [plural, name, part] => Place::of(find(plural)?, name).cluster()?.below(part),
            [plural, name, "proxy", tail @ ..] => {
                let place = Place::of(find(plural)?, name).cluster()?.below("proxy")?;
                Ok(Place { tail: encoded(tail), ..place })
            }
            _ => Err(ApiError::no_such_path()),
        }
    }

    fn of(resource: &'static Resource, name: &'a str) -> Self {
        Self { resource, namespace: "", scoped: true, name: Some(name), subresource: None, tail: String::new() }
    }

    fn cluster(self) -> Result<Self, ApiError> {
        if self.resource.namespaced { Err(ApiError::no_such_path()) } else { Ok(self) }
    }

    fn below(self, part: &str) -> Result<Self, ApiError> {
        let subresource = Some(self.resource.subresource(part).ok_or_else(ApiError::no_such_path)?);
        Ok(Self { subresource, ..self })
    }

    fn verb(&self, method: &Method, query: &Query, headers: &HeaderMap) -> Result<Verb, ApiError> {
        let verb = match (method.as_str(), self.name.map(str::to_owned)) {
            ("GET" | "HEAD", Some(name)) if self.subresource.is_some_and(|part| part.name == "log") => {
                Verb::Log { name, query: query.0.clone() }
            }
            ("GET" | "HEAD", Some(name)) if self.subresource.is_some_and(|part| part.name == "proxy") => {
                Verb::Proxy { name, path: self.tail.clone(), query: query.0.clone() }
            }
            ("GET" | "HEAD", Some(name)) => Verb::Get { name, revision: query.number("resourceVersion")? },
            ("GET" | "HEAD", None) if query.flag("watch") => Verb::Watch(watch(self.resource, query)?),
            ("GET" | "HEAD", None) => Verb::List(list(self.resource, query)?),
            ("POST", name) if self.scoped && name.is_some() == self.subresource.is_some() => {
                Verb::Create { name, options: write(query)?, body: body_type(headers)? }
            }
            ("PUT", Some(name)) => Verb::Update { name, options: write(query)?, body: body_type(headers)? },
            ("PATCH", Some(name)) => Verb::Patch { name, kind: patch_kind(headers)?, options: write(query)? },
            ("DELETE", Some(name)) => {
                body_type(headers)?;
                Verb::Delete { name, options: delete(query)? }
            }
            ("DELETE", None) if self.scoped => {
                body_type(headers)?;
                Verb::DeleteCollection { list: list(self.resource, query)?, options: delete(query)? }
            }
            _ => return Err(ApiError::method_not_allowed()),
        };
        let verbs = self.subresource.map_or(self.resource.verbs, |part| part.verbs);
        if verbs.contains(&verb.as_str()) { Ok(verb) } else { Err(ApiError::method_not_allowed()) }
    }
}

/// A path again, of its decoded segments.
fn encoded(segments: &[&str]) -> String {
    let encode = |segment: &&str| percent_encoding::utf8_percent_encode(segment, IN_SEGMENT).to_string();
    segments.iter().map(encode).collect::<Vec<_>>().join("/")
}

fn filter(resource: &Resource, query: &Query) -> Result<Filter, ApiError> {
    let labels = query
        .get("labelSelector")
        .map(|text| selector::parse(text).map_err(|error| ApiError::bad_request(error.to_string())))
        .transpose()?
        .unwrap_or_default();
    let fields = query.get("fieldSelector").map(|text| FieldSelector::parse(text, resource)).transpose()?;
    Ok(Filter { labels, fields: fields.unwrap_or_default() })
}

fn include(query: &Query) -> Result<Include, ApiError> {
    match query.get("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::None),
        Some("Object") => Ok(Include::Object),
        Some(other) => Err(ApiError::bad_request(format!(
            "Invalid includeObject {other:?}: must be one of None, Metadata, Object"
        ))),
    }
}

fn revision(query: &Query) -> Result<Option<Revision>, ApiError> {
    let Some(text) = query.get("resourceVersion") else { return Ok(None) };
    let refuse = |_| {
        ApiError::invalid_options(
            "ListOptions",
            "resourceVersion",
            "FieldValueInvalid",
            &format!("Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"),
        )
    };
    text.parse().map(Some).map_err(refuse)
}

fn forbidden(field: &str, why: &str) -> ApiError {
    ApiError::invalid_options("ListOptions", field, "FieldValueForbidden", &format!("Forbidden: {why}"))
}

fn list(resource: &Resource, query: &Query) -> Result<ListOptions, ApiError> {
    let limit: usize = query.number("limit")?.unwrap_or(0);
    let revision = revision(query)?;
    let page = query.get("continue").map(Continue::decode).transpose()?;
    let matching = query.get("resourceVersionMatch");
    if query.get("sendInitialEvents").is_some() {
        return Err(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if matching.is_some() && revision.is_none() {
        let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(forbidden("resourceVersionMatch", why));
    }
    if page.is_some() && matching.is_some() {
        return Err(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"));
    }
    if page.is_some() && revision.is_some_and(|revision| revision != 0) {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    let at = match (matching, revision) {
        (Some("Exact"), Some(0)) => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return Err(forbidden("resourceVersionMatch", why));
        }
        (Some("Exact"), Some(revision)) => At::Exact(revision),
        (None, Some(revision)) if revision > 0 && limit > 0 => At::Exact(revision),
        (None | Some("NotOlderThan"), revision) => At::NotOlderThan(revision.unwrap_or(0)),
        (Some(other), _) => {
            let detail = format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\"");
            return Err(ApiError::invalid_options(
                "ListOptions",
                "resourceVersionMatch",
                "FieldValueNotSupported",
                &detail,
            ));
        }
    };
    Ok(ListOptions { filter: filter(resource, query)?, limit, page, at, include: include(query)? })
}

fn watch(resource: &Resource, query: &Query) -> Result<WatchOptions, ApiError> {
    let initial_events = query.get("sendInitialEvents").map(|value| value == "true");
    let matching = query.get("resourceVersionMatch");
    match (query.get("sendInitialEvents"), matching) {
        (None, Some(_)) => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(forbidden("resourceVersionMatch", why));
        }
        (Some(_), Some("NotOlderThan")) | (None, None) => {}
        (Some(_), _) => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(forbidden("resourceVersionMatch", why));
        }
    }
    Ok(WatchOptions {
        filter: filter(resource, query)?,
        from: revision(query)?.filter(|revision| *revision != 0),
        initial_events,
        bookmarks: query.flag("allowWatchBookmarks"),
        timeout: query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        include: include(query)?,
    })
}

fn write(query: &Query) -> Result<WriteOptions, ApiError> {
    let validation = match query.get("fieldValidation") {
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        None | Some("Warn") => FieldValidation::Warn,
        Some(other) => {
            let detail =
                format!("Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\", \"\"");
            return Err(ApiError::invalid_options(
                "CreateOptions",
                "fieldValidation",
                "FieldValueNotSupported",
                &detail,
            ));
        }
    };
    Ok(WriteOptions { dry_run: query.dry_run()?, validation })
}

fn delete(query: &Query) -> Result<DeleteOptions, ApiError> {
    Ok(DeleteOptions {
        dry_run: query.dry_run()?,
        grace: query.number("gracePeriodSeconds")?,
        propagation: query.get("propagationPolicy").map(Propagation::parse).transpose()?,
        uid: None,
        revision: None,
    })
}

/// The media type of the body without its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    text(headers, header::CONTENT_TYPE).map_or("", |value| value.split(';').next().unwrap_or("").trim())
}

fn body_type(headers: &HeaderMap) -> Result<ContentType, ApiError> {
    match content_type(headers) {
        "" | "application/json" | "*/*" => Ok(ContentType::Json),
        "application/yaml" => Ok(ContentType::Yaml),
        // What kubectl of 1.32 and later makes from flags, and what Go's typed clients send; neither falls back to JSON.
        "application/vnd.kubernetes.protobuf" => Ok(ContentType::Protobuf),
        _ => Err(ApiError::unsupported_media_type("application/json, application/yaml")),
    }
}

fn patch_kind(headers: &HeaderMap) -> Result<PatchKind, ApiError> {
    match content_type(headers) {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        _ => Err(ApiError::unsupported_media_type(
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json",
        )),
    }
}
