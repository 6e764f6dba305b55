//! What the API's answers mean, and what went wrong in the words that logs and Events show.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The API server's message, or the error with its causes. Without this, kube prints the whole `Status` for debugging.
pub fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => crate::Failure::new(other).message,
    }
}

/// The API server answered with this HTTP status.
pub fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// The object is not as the write expected it: a stale version, or a precondition that no longer holds. A name that is
/// taken also answers 409, but does not go away by trying again.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 409 | 412) && status.reason != "AlreadyExists")
}

/// Creating failed because the namespace is being deleted: nothing to report and nothing to retry.
pub fn is_namespace_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// A deleted object that is still there, because somebody has to do something first.
pub fn has_finalizers(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
}
