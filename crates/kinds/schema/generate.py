#!/usr/bin/env python3
"""Generates types.json.gz and openapi.json.gz from the published OpenAPI definitions.

Run by hand when the Kubernetes level moves; the results are checked in:

    pip download --no-deps kubernetes-validate==1.37.0 && unzip -q kubernetes_validate-*.whl -d wheel
    python3 generate.py wheel/kubernetes_validate/kubernetes-json-schema/v1.36.0-local/_definitions.json
"""

import gzip
import json
import pathlib
import sys

ROOTS = [
    *("core.v1." + kind for kind in (
        "Binding", "ConfigMap", "Endpoints", "Event", "Namespace", "Node", "Pod", "Secret", "Service", "ServiceAccount")),
    "apps.v1.Deployment", "apps.v1.ReplicaSet",
    "autoscaling.v1.Scale", "coordination.v1.Lease", "discovery.v1.EndpointSlice", "events.v1.Event",
    "networking.v1.IPAddress", "networking.v1.NetworkPolicy", "networking.v1.ServiceCIDR", "policy.v1.Eviction",
    "authentication.v1.SelfSubjectReview", "authorization.v1.SelfSubjectAccessReview",
    "authorization.v1.SelfSubjectRulesReview",
]
PREFIX = "#/$defs/"
# The published definitions carry no defaults. This one is a key of associative lists: without it a client that
# leaves the protocol out describes another list item than the one the server stored.
DEFAULTS = {
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
}
# Definitions that are not structs, by the code of types.json.
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
}


def target(schema):
    """The name a schema refers to, if it does."""
    return schema["$ref"].removeprefix(PREFIX) if "$ref" in schema else None


def closure(definitions, roots):
    """Every definition reachable from the roots."""
    seen, queue = set(), list(roots)
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        stack = [definitions[name]]
        while stack:
            node = stack.pop()
            if isinstance(node, dict):
                if isinstance(node.get("$ref"), str):
                    queue.append(target(node))
                stack.extend(node.values())
            elif isinstance(node, list):
                stack.extend(node)
    return sorted(seen)


def plain_type(schema):
    """The one type that is not null."""
    kind = schema.get("type")
    return next((k for k in kind if k != "null"), None) if isinstance(kind, list) else kind


def compact(schema):
    """A field's type for types.json: a code, or an object for references, lists and maps."""
    name = target(schema)
    patch = schema.get("x-kubernetes-patch-strategy")
    extra = {"patch": patch} if patch else {}
    if name in SPECIAL:
        return SPECIAL[name]
    if name:
        return {"struct": name, **extra}
    kind = plain_type(schema)
    if kind == "array":
        key = schema.get("x-kubernetes-patch-merge-key")
        return {"list": compact(schema["items"]), **({"key": key} if key else {}), **extra}
    if kind == "object":
        return {"map": compact(schema["additionalProperties"])} if "additionalProperties" in schema else "any"
    if kind == "integer":
        return schema.get("format", "int64")
    if kind == "string":
        return "bytes" if schema.get("format") == "byte" else "string"
    return {"number": "number", "boolean": "bool"}[kind]


def openapi(name, schema):
    """A definition in OpenAPI v3 form."""
    if name == "io.k8s.apimachinery.pkg.util.intstr.IntOrString":
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    if name == "io.k8s.apimachinery.pkg.api.resource.Quantity":
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    out = {}
    for key, value in schema.items():
        if key in ("enum", "oneOf"):
            continue
        if key == "$ref":
            reference = {"$ref": "#/components/schemas/" + value.removeprefix(PREFIX)}
            if set(schema) == {"$ref"}:
                return reference
            out["allOf"] = [reference]
        elif key == "type":
            out["type"] = plain_type(schema)
        elif key == "properties":
            out["properties"] = {field: openapi("", value[field]) for field in value}
            for field in value:
                if (name, field) in DEFAULTS:
                    out["properties"][field]["default"] = DEFAULTS[name, field]
        elif key in ("items", "additionalProperties"):
            out[key] = openapi("", value)
        else:
            out[key] = value
    return out


def write(path, data):
    """Compressed, the same bytes for the same data."""
    text = json.dumps(data, separators=(",", ":"), sort_keys=True).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{path.name}: {len(text)} bytes, {path.stat().st_size} compressed")


def main():
    here = pathlib.Path(__file__).parent
    definitions = json.loads(pathlib.Path(sys.argv[1]).read_text())["$defs"]
    names = closure(definitions, ["io.k8s.api." + root for root in ROOTS])
    types = {}
    for name in names:
        if name in SPECIAL:
            continue
        schema = definitions[name]
        types[name] = {field: compact(value) for field, value in schema.get("properties", {}).items()}
    write(here / "types.json.gz", types)
    write(here / "openapi.json.gz", {name: openapi(name, definitions[name]) for name in names})


if __name__ == "__main__":
    main()
