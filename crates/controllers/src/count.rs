//! Counters under upstream's names, which do not end in `_total` as this library's counters do.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, counter::Counter, family::Family},
};

/// A counter without the suffix.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Counter);

impl Count {
    pub(crate) fn inc(&self) {
        self.0.inc();
    }
}

impl EncodeMetric for Count {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.encode_gauge(&i64::try_from(self.0.get()).unwrap_or(i64::MAX))
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Count {
    const TYPE: MetricType = MetricType::Unknown;
}

/// What one write did to a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByOperation {
    operation: &'static str,
}

/// The writes of slices, by what they did.
pub(crate) type Changes = Family<ByOperation, Count>;

impl From<Operation> for ByOperation {
    fn from(operation: Operation) -> Self {
        let operation = match operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        };
        Self { operation }
    }
}
