//! What the API server knows of each kind: schema, defaults, validation, patch rules, printer columns.
