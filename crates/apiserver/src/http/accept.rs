//! Which form an answer takes: the `Accept` header, parsed as media types with parameters, in the client's order.
//!
//! kubectl asks for `application/json;as=Table;v=v1;g=meta.k8s.io` before plain JSON, some clients send `*/*`, kube-rs
//! sends nothing: all get JSON, in the first form that they listed and that exists.

use crate::status::ApiError;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The object itself.
    Plain,
    /// Rows and columns, as `kubectl get` prints them.
    Table,
    /// Only the metadata (`PartialObjectMetadata` and its list).
    Metadata,
}

/// One media type of the header.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaType<'a> {
    /// `application/json`, in lower case as sent by all clients.
    pub essence: &'a str,
    /// `as`, `g`, `v` and others.
    pub parameters: Vec<(&'a str, &'a str)>,
    /// `q`, 0 to 1.
    pub weight: f32,
}

impl MediaType<'_> {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Whether JSON satisfies it.
    pub fn allows_json(&self) -> bool {
        matches!(self.essence, "application/json" | "application/*" | "*/*")
    }
}

/// The media types of a header, best first: by weight, then in the order sent.
pub fn media_types(header: &str) -> Vec<MediaType<'_>> {
    let mut types: Vec<_> = header
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let essence = pieces.next().filter(|essence| !essence.is_empty())?;
            let mut weight = 1.0;
            let mut parameters = Vec::new();
            for piece in pieces {
                let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
                let (name, value) = (name.trim(), value.trim().trim_matches('"'));
                if name.eq_ignore_ascii_case("q") {
                    weight = value.parse().unwrap_or(1.0);
                } else if !name.is_empty() {
                    parameters.push((name, value));
                }
            }
            (weight > 0.0).then_some(MediaType { essence, parameters, weight })
        })
        .collect();
    types.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    types
}

/// The form for an object or a list. No header, or an empty one, means plain.
pub fn form(header: Option<&str>) -> Result<Form, ApiError> {
    let Some(header) = header.filter(|header| !header.trim().is_empty()) else { return Ok(Form::Plain) };
    media_types(header)
        .iter()
        .filter(|media| media.allows_json())
        .find_map(|media| match media.parameter("as") {
            None => Some(Form::Plain),
            Some(form) => {
                let meta = media.parameter("g") == Some("meta.k8s.io")
                    && matches!(media.parameter("v"), Some("v1" | "v1beta1"));
                match form {
                    "Table" if meta => Some(Form::Table),
                    "PartialObjectMetadata" | "PartialObjectMetadataList" if meta => Some(Form::Metadata),
                    _ => None,
                }
            }
        })
        .ok_or_else(ApiError::not_acceptable)
}

/// The form of discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryForm {
    /// `APIVersions`, `APIGroupList`.
    Plain,
    /// `APIGroupDiscoveryList` of apidiscovery.k8s.io in this version, matched exactly: a client that gets another
    /// version than it asked for sees no resources at all.
    Aggregated(&'static str),
}

/// The form of `/api` and `/apis`.
pub fn discovery_form(header: Option<&str>) -> Result<DiscoveryForm, ApiError> {
    let Some(header) = header.filter(|header| !header.trim().is_empty()) else { return Ok(DiscoveryForm::Plain) };
    media_types(header)
        .iter()
        .filter(|media| media.allows_json())
        .find_map(|media| match (media.parameter("as"), media.parameter("v")) {
            (None, _) => Some(DiscoveryForm::Plain),
            (Some("APIGroupDiscoveryList"), Some("v2")) => Some(DiscoveryForm::Aggregated("v2")),
            (Some("APIGroupDiscoveryList"), Some("v2beta1")) => Some(DiscoveryForm::Aggregated("v2beta1")),
            _ => None,
        })
        .ok_or_else(ApiError::not_acceptable)
}

/// The form of `/openapi/v2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwaggerForm {
    /// JSON.
    Json,
    /// Gnostic's protobuf.
    Protobuf,
}

impl SwaggerForm {
    /// The media type. The name with `@`, which older clients ask for, is no valid one and never answered.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        }
    }
}

/// The form of `/openapi/v2`.
pub fn swagger_form(header: Option<&str>) -> Result<SwaggerForm, ApiError> {
    let Some(header) = header.filter(|header| !header.trim().is_empty()) else { return Ok(SwaggerForm::Json) };
    media_types(header)
        .iter()
        .find_map(|media| match media.essence {
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
            | "application/com.github.proto-openapi.spec.v2@v1.0+protobuf" => Some(SwaggerForm::Protobuf),
            _ => media.allows_json().then_some(SwaggerForm::Json),
        })
        .ok_or_else(ApiError::not_acceptable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_acceptable_form_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (header, expected) in [
            (None, Ok(Form::Plain)),
            (Some(""), Ok(Form::Plain)),
            (Some("*/*"), Ok(Form::Plain)),
            (Some("application/json"), Ok(Form::Plain)),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Ok(Form::Plain)),
            (Some("application/vnd.kubernetes.protobuf, */*"), Ok(Form::Plain)),
            (Some(table), Ok(Form::Table)),
            (Some("application/json; g=meta.k8s.io; v=v1; as=Table"), Ok(Form::Table)),
            (Some("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), Ok(Form::Metadata)),
            (Some("application/json;as=Table;v=v9;g=meta.k8s.io, application/json"), Ok(Form::Plain)),
            (Some("application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io"), Ok(Form::Table)),
            (Some("text/html"), Err(406)),
            (Some("application/vnd.kubernetes.protobuf"), Err(406)),
        ] {
            assert_eq!(form(header).map_err(|error| error.code), expected, "{header:?}");
        }
    }

    #[test]
    fn discovery_matches_the_version_exactly() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        let both = format!("{v2},{beta},application/json");
        for (header, expected) in [
            (both.as_str(), DiscoveryForm::Aggregated("v2")),
            (beta, DiscoveryForm::Aggregated("v2beta1")),
            (
                "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json",
                DiscoveryForm::Plain,
            ),
            ("*/*", DiscoveryForm::Plain),
        ] {
            assert_eq!(discovery_form(Some(header)).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn the_old_openapi_has_two_forms() {
        for (header, expected) in [
            (None, Ok(SwaggerForm::Json)),
            (Some("*/*"), Ok(SwaggerForm::Json)),
            (Some("application/json"), Ok(SwaggerForm::Json)),
            (Some("application/com.github.proto-openapi.spec.v2@v1.0+protobuf"), Ok(SwaggerForm::Protobuf)),
            (Some("application/com.github.proto-openapi.spec.v2.v1.0+protobuf, */*"), Ok(SwaggerForm::Protobuf)),
            (Some("application/vnd.kubernetes.protobuf"), Err(406)),
        ] {
            assert_eq!(swagger_form(header).map_err(|error| error.code), expected, "{header:?}");
        }
    }
}
