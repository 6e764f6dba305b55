//! Bodies as kubectl sends them: 1.32 and 1.36 send the same bytes. Caught by a server that printed what came.

/// `kubectl create namespace web`
pub(super) const NAMESPACE: &[u8] = b"\
    k8s\0\n\x0f\n\x02v1\x12\x09Namespace\x12\x1b\n\x13\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\0\x1a\x02\n\0\
    \x1a\0\"\0";

/// `kubectl create deployment web --image=portolan/echo --replicas=2 --port=8080`
pub(super) const DEPLOYMENT: &[u8] = b"\
    k8s\0\n\x15\n\x07apps/v1\x12\nDeployment\x12\xc0\x01\n\x1f\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0Z\n\n\x03a\
    pp\x12\x03web\x12\x8e\x01\x08\x02\x12\x0c\n\n\n\x03app\x12\x03web\x1at\n\x1c\n\0\x12\0\x1a\0\"\0*\x002\x008\0\
    B\0Z\n\n\x03app\x12\x03web\x12T\x126\n\x04echo\x12\x0dportolan/echo*\x002\x0b\n\0\x10\0\x18\x90?\"\0*\0B\0j\
    \0r\0\x80\x01\0\x88\x01\0\x90\x01\0\xa2\x01\0\x1a\x002\0B\0J\0R\0X\0`\0h\0\x82\x01\0\x8a\x01\0\x9a\x01\0\
    \xc2\x01\0\"\x02\n\0(\x008\0\x1a\x0c\x08\0\x10\0\x18\0 \0(\x008\0\x1a\0\"\0";

/// `kubectl create service clusterip web --tcp=80:8080`
pub(super) const CLUSTER_IP: &[u8] = b"\
    k8s\0\n\x0d\n\x02v1\x12\x07Service\x12i\n\x1f\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0Z\n\n\x03app\x12\x03web\
    \x12B\n\x1b\n\x0780-8080\x12\x03TCP\x18P\"\x07\x08\0\x10\x90?\x1a\0(\0\x12\n\n\x03app\x12\x03web\x1a\0\"\
    \x09ClusterIP:\0B\0R\0Z\0`\0h\0\x1a\x02\n\0\x1a\0\"\0";

/// `kubectl create service nodeport web --tcp=80:8080 --node-port=30080`
pub(super) const NODE_PORT: &[u8] = b"\
    k8s\0\n\x0d\n\x02v1\x12\x07Service\x12j\n\x1f\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0Z\n\n\x03app\x12\x03web\
    \x12C\n\x1d\n\x0780-8080\x12\x03TCP\x18P\"\x07\x08\0\x10\x90?\x1a\0(\x80\xeb\x01\x12\n\n\x03app\x12\x03we\
    b\x1a\0\"\x08NodePort:\0B\0R\0Z\0`\0h\0\x1a\x02\n\0\x1a\0\"\0";

/// `kubectl create service loadbalancer web --tcp=443:https`
pub(super) const LOAD_BALANCER: &[u8] = b"\
    k8s\0\n\x0d\n\x02v1\x12\x07Service\x12s\n\x1f\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0Z\n\n\x03app\x12\x03web\
    \x12L\n\"\n\x09443-https\x12\x03TCP\x18\xbb\x03\"\x0b\x08\x01\x10\0\x1a\x05https(\0\x12\n\n\x03app\x12\
    \x03web\x1a\0\"\x0cLoadBalancer:\0B\0R\0Z\0`\0h\0\x1a\x02\n\0\x1a\0\"\0";

/// `kubectl create service externalname web --external-name=example.org`
pub(super) const EXTERNAL_NAME: &[u8] = b"\
    k8s\0\n\x0d\n\x02v1\x12\x07Service\x12Z\n\x1f\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0Z\n\n\x03app\x12\x03web\
    \x123\x12\n\n\x03app\x12\x03web\x1a\0\"\x0cExternalName:\0B\0R\x0bexample.orgZ\0`\0h\0\x1a\x02\n\0\x1a\0\
    \"\0";

/// `kubectl create configmap web --from-literal=a=1 --from-file=bin=FILE`
pub(super) const CONFIG_MAP: &[u8] = b"\
    k8s\0\n\x0f\n\x02v1\x12\x09ConfigMap\x12)\n\x13\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\x06\n\x01a\x12\
    \x011\x1a\n\n\x03bin\x12\x03\0\xff\x01\x1a\0\"\0";

/// `kubectl create secret generic web --from-literal=password=hunter2`
pub(super) const SECRET: &[u8] = b"\
    k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12,\n\x13\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\x13\n\x08password\
    \x12\x07hunter2\x1a\0\x1a\0\"\0";

/// `kubectl create serviceaccount web`
pub(super) const SERVICE_ACCOUNT: &[u8] = b"\
    k8s\0\n\x14\n\x02v1\x12\x0eServiceAccount\x12\x15\n\x13\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0\x1a\0\"\0";

/// `kubectl create service clusterip web --clusterip=None`
pub(super) const HEADLESS: &[u8] = b"\
    k8s\0\n\x0d\n\x02v1\x12\x07Service\x12P\n\x1f\n\x03web\x12\0\x1a\0\"\0*\x002\x008\0B\0Z\n\n\x03app\x12\x03web\
    \x12)\x12\n\n\x03app\x12\x03web\x1a\x04None\"\x09ClusterIP:\0B\0R\0Z\0`\0h\0\x1a\x02\n\0\x1a\0\"\0";

/// `kubectl drain n1 --force --disable-eviction --grace-period=0 --timeout=2s`
pub(super) const DELETE_OPTIONS: &[u8] = b"\
    k8s\0\n\x13\n\x02v1\x12\x0dDeleteOptions\x12\x02\x08\0\x1a\0\"\0";
