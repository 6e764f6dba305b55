//! What the API server knows of each kind: schema, defaults, validation, patch rules, printer columns.
//!
//! Objects are plain [`serde_json::Value`]s; one [`Resource`] per row of the table in `resources.rs` knows how to
//! decode, default, prepare, validate, patch and print its objects. The linter uses a part of it; the API server takes a
//! request body through [`parse`], [`Resource::decode`], [`Resource::default`], [`Resource::prepare_create`] (or
//! [`Resource::prepare_update`]), [`Resource::validate_create`] (or [`Resource::validate_update`]) and, for Services,
//! [`allocate::Allocators::service`], in that order, and stores what comes out.
//!
//! Everything here is pure: no clock, no randomness, no files at run time. The schemas are checked-in data
//! (`schema/`), generated from the published OpenAPI definitions.

pub mod allocate;
mod defaults;
mod error;
mod events;
pub mod faults;
mod fields;
mod json;
pub mod openapi;
mod parse;
pub mod patch;
mod prepare;
mod protobuf;
mod resource;
mod resources;
mod scale;
mod schema;
mod table;
mod validate;

pub use error::{DecodeError, FieldError, FieldErrorKind, ParseError, PatchError, ScaleError};
pub use parse::{ContentType, parse};
pub use resource::{Column, FieldValidation, Part, Resource, Storage, Subresource};
pub use resources::{by_kind, find, resources};
pub use table::human_duration;
