#!/usr/bin/env python3
"""Generates protobuf.json.gz: which protobuf field number is which JSON field of the definitions in types.json.gz.

Run by hand after generate.py, with the unpacked source of the crate k8s-pb; the result is checked in:

    cargo fetch    # in any project that depends on k8s-pb 0.9
    python3 protobuf.py ~/.cargo/registry/src/*/k8s-pb-0.9.0

The numbers come from prost's attributes, the JSON names from the definitions; they are the same words in another
spelling (`cluster_i_ps`, `clusterIPs`). Per definition the result maps a number to

    "name"      a field; its type is the one of types.json
    "name*"     a field whose zero (0, false, "") says something and is kept
    {...}       a struct that protobuf nests and JSON flattens: the numbers of its fields
"""

import gzip
import json
import pathlib
import re
import sys

STRUCT = re.compile(r"^pub struct (\w+) \{(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"#\[prost\(([^)]*)\)\]\s*pub (?:r#)?(\w+):\s*([^,]+(?:<[^;]*?>)?),\n", re.S)
# Structs that protobuf nests and JSON flattens, where no JSON field has the name of the protobuf field.
INLINE = {"EphemeralContainerCommon", "LocalObjectReference", "ProbeHandler", "VolumeSource"}
# Scalars that Go holds by pointer, where nil is not zero; the definitions do not tell. Scalars that are required need
# no entry: Go writes their zero as well.
POINTERS = {
    "apps.v1.DeploymentSpec": "progressDeadlineSeconds replicas revisionHistoryLimit",
    "apps.v1.DeploymentStatus": "collisionCount terminatingReplicas",
    "apps.v1.ReplicaSetSpec": "replicas",
    "apps.v1.ReplicaSetStatus": "terminatingReplicas",
    "coordination.v1.LeaseSpec": "holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy",
    "core.v1.AzureDiskVolumeSource": "readOnly",
    "core.v1.CSIVolumeSource": "readOnly",
    "core.v1.ClientIPConfig": "timeoutSeconds",
    "core.v1.ClusterTrustBundleProjection": "optional",
    "core.v1.ConfigMap": "immutable",
    "core.v1.ConfigMapEnvSource": "optional",
    "core.v1.ConfigMapKeySelector": "optional",
    "core.v1.ConfigMapProjection": "optional",
    "core.v1.ConfigMapVolumeSource": "defaultMode optional",
    "core.v1.ContainerStatus": "started",
    "core.v1.DownwardAPIVolumeFile": "mode",
    "core.v1.DownwardAPIVolumeSource": "defaultMode",
    "core.v1.EndpointAddress": "nodeName",
    "core.v1.EndpointPort": "appProtocol",
    "core.v1.FCVolumeSource": "lun",
    "core.v1.FileKeySelector": "optional",
    "core.v1.GRPCAction": "service",
    "core.v1.KeyToPath": "mode",
    "core.v1.NodeFeatures": "supplementalGroupsPolicy",
    "core.v1.NodeRuntimeHandlerFeatures": "recursiveReadOnlyMounts userNamespaces",
    "core.v1.NodeSwapStatus": "capacity",
    "core.v1.PersistentVolumeClaimSpec": "storageClassName volumeAttributesClassName",
    "core.v1.PodCertificateProjection": "maxExpirationSeconds",
    "core.v1.PodSecurityContext": "fsGroup runAsGroup runAsNonRoot runAsUser",
    "core.v1.PodSpec": "activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers priority"
                       " runtimeClassName setHostnameAsFQDN shareProcessNamespace terminationGracePeriodSeconds",
    "core.v1.Probe": "terminationGracePeriodSeconds",
    "core.v1.ProjectedVolumeSource": "defaultMode",
    "core.v1.Secret": "immutable",
    "core.v1.SecretEnvSource": "optional",
    "core.v1.SecretKeySelector": "optional",
    "core.v1.SecretProjection": "optional",
    "core.v1.SecretVolumeSource": "defaultMode optional",
    "core.v1.SecurityContext": "allowPrivilegeEscalation privileged readOnlyRootFilesystem runAsGroup runAsNonRoot"
                               " runAsUser",
    "core.v1.ServiceAccount": "automountServiceAccountToken",
    "core.v1.ServiceAccountTokenProjection": "expirationSeconds",
    "core.v1.ServicePort": "appProtocol",
    "core.v1.ServiceSpec": "allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass"
                           " trafficDistribution",
    "core.v1.Toleration": "tolerationSeconds",
    "core.v1.TopologySpreadConstraint": "minDomains",
    "core.v1.WindowsSecurityContextOptions": "hostProcess",
    "discovery.v1.Endpoint": "hostname nodeName zone",
    "discovery.v1.EndpointConditions": "ready serving terminating",
    "discovery.v1.EndpointPort": "appProtocol name port protocol",
    "meta.v1.DeleteOptions": "gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents"
                             " propagationPolicy",
    "meta.v1.ObjectMeta": "deletionGracePeriodSeconds",
    "meta.v1.OwnerReference": "blockOwnerDeletion controller",
    "meta.v1.Preconditions": "resourceVersion uid",
}


def read_structs(source):
    """Fields of every prost struct, by (module path, name in lower case): number, name, type."""
    structs = {}
    for path in sorted(source.glob("src/**/*.rs")):
        module = ".".join(path.relative_to(source / "src").with_suffix("").parts).removesuffix(".mod")
        for name, body in STRUCT.findall(path.read_text()):
            fields = []
            for attributes, field, rust in FIELD.findall(body):
                number = re.search(r'tag\s*=\s*"(\d+)"', attributes)
                fields.append((number.group(1), field, rust))
            # prost writes HttpGetAction for HTTPGetAction.
            structs[module, name.lower()] = fields
    return structs


def plain(name):
    """A field's name without case and underscores, which differ."""
    return name.replace("_", "").lower()


def numbers(structs, key, json_fields, zeros, problems):
    """The numbers of one struct; `json_fields` maps plain names to JSON names and loses what was found."""
    out = {}
    for number, name, rust in structs[key]:
        known = json_fields.pop(plain(name), None)
        inner = rust.strip().rstrip(" >").rsplit(":", 1)[-1].rsplit("<", 1)[-1].strip()
        if known:
            out[number] = known + ("*" if known in zeros else "")
        elif inner in INLINE:
            out[number] = numbers(structs, (key[0], inner.lower()), json_fields, zeros, problems)
        else:
            problems.append(f"{key[1]}.{name} = {number} is no field of the definition")
    return out


def kept_zeros(name, fields, required):
    """Fields of a definition whose zero is kept."""
    short = ".".join(name.split(".")[-3:])
    zeros = set(POINTERS.get(short, "").split())
    if missing := zeros - set(fields):
        sys.exit(f"POINTERS names fields that {short} has not: {missing}")
    for field, code in fields.items():
        if code in ("int32", "int64", "bool") and field in required:
            zeros.add(field)
        # By pointer or required, all but this one, where zero means unset.
        if code == "int-or-string" and (short, field) != ("core.v1.ServicePort", "targetPort"):
            zeros.add(field)
    return zeros


def main():
    here = pathlib.Path(__file__).parent
    structs = read_structs(pathlib.Path(sys.argv[1]))
    types = json.loads(gzip.decompress((here / "types.json.gz").read_bytes()))
    openapi = json.loads(gzip.decompress((here / "openapi.json.gz").read_bytes()))
    table, problems = {}, []
    for name, fields in types.items():
        module, short = name.removeprefix("io.k8s.").rsplit(".", 1)
        short = short.lower()
        json_fields = {plain(field): field for field in fields if field not in ("apiVersion", "kind")}
        if (module, short) not in structs:
            problems.append(f"{name} has no protobuf struct")
            continue
        # Only objects have them in their envelope; elsewhere (ObjectReference) they are fields like others.
        declared = {plain(field) for _, field, _ in structs[module, short]}
        json_fields |= {plain(f): f for f in ("apiVersion", "kind") if f in fields and plain(f) in declared}
        zeros = kept_zeros(name, fields, openapi[name].get("required", ()))
        table[name] = numbers(structs, (module, short), json_fields, zeros, problems)
        problems.extend(f"{name}.{field} has no number" for field in json_fields.values())
    print(*problems, sep="\n", file=sys.stderr)
    text = json.dumps(table, separators=(",", ":"), sort_keys=True).encode()
    path = here / "protobuf.json.gz"
    path.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{path.name}: {len(text)} bytes, {path.stat().st_size} compressed")


if __name__ == "__main__":
    main()
