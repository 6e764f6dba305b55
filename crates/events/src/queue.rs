//! From the parts, which must never wait, to the one writer, which often has to.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::metrics::Metrics;

/// Reports that may wait for the writer; what comes on top is dropped and counted.
pub(crate) const CAPACITY: usize = 1000;

/// What goes through the queue.
#[derive(Debug)]
pub(crate) enum Order<R> {
    /// Decide and write.
    Record(Box<R>),
    /// Say when everything before has been done.
    Flush(oneshot::Sender<()>),
    /// The same, and write what has been kept back.
    Close(oneshot::Sender<()>),
}

/// The end that the recorders hold.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    orders: mpsc::Sender<Order<R>>,
    closing: Arc<watch::Sender<bool>>,
    metrics: Arc<Metrics>,
}

/// By hand: a derived one would ask that reports can be cloned, and nothing here clones one.
impl<R> Clone for Queue<R> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), closing: Arc::clone(&self.closing), metrics: Arc::clone(&self.metrics) }
    }
}

/// The end of the writer.
#[derive(Debug)]
pub(crate) struct Inbox<R> {
    pub(crate) orders: mpsc::Receiver<Order<R>>,
    pub(crate) closing: watch::Receiver<bool>,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) fn queue<R>() -> (Queue<R>, Inbox<R>) {
    let (sender, orders) = mpsc::channel(CAPACITY);
    let (closing, closed) = watch::channel(false);
    let metrics = Arc::new(Metrics::default());
    let queue = Queue { orders: sender, closing: Arc::new(closing), metrics: Arc::clone(&metrics) };
    (queue, Inbox { orders, closing: closed, metrics })
}

impl<R> Queue<R> {
    /// Hands the report on, or drops and counts it.
    pub(crate) fn report(&self, report: R, component: &'static str, object: Option<&str>, reason: &'static str) {
        if let Err(error) = self.orders.try_send(Order::Record(Box::new(report))) {
            self.metrics.dropped.inc();
            let object = object.unwrap_or_default();
            warn!(component, object, reason, %error, "event dropped");
        }
    }

    pub(crate) async fn flush(&self) {
        self.ask(Order::Flush).await;
    }

    pub(crate) async fn close(&self, limit: Duration) -> bool {
        self.closing.send_replace(true);
        tokio::time::timeout(limit, self.ask(Order::Close)).await.is_ok()
    }

    async fn ask(&self, order: fn(oneshot::Sender<()>) -> Order<R>) {
        let (done, written) = oneshot::channel();
        if self.orders.send(order(done)).await.is_ok() {
            // An error means that the writer is gone together with its runtime: nothing is left to wait for.
            let _ = written.await;
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
