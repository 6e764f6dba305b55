//! What the kernel knows of this process, under the names that every Prometheus client library uses.

use std::{fmt, fs};

use nix::unistd::{SysconfVar, sysconf};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// Registers memory, processor time and descriptors of this process.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

struct Usage {
    resident: f64,
    cpu_seconds: f64,
    descriptors: f64,
}

/// `None` where there is no /proc.
fn usage() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may contain anything; what follows are numbers, from field 3 on.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let per = |variable| sysconf(variable).ok().flatten().map(|value| value as f64);
    Some(Usage {
        cpu_seconds: (number(14)? + number(15)?) / per(SysconfVar::CLK_TCK)?,
        resident: number(24)? * per(SysconfVar::PAGE_SIZE)?,
        descriptors: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
    })
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(usage) = usage() else { return Ok(()) };
        let cpu = ConstCounter::new(usage.cpu_seconds);
        let help = "Total user and system CPU time spent in seconds";
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, cpu.metric_type())?)?;
        let resident = ConstGauge::new(usage.resident);
        let help = "Resident memory size in bytes";
        resident.encode(encoder.encode_descriptor(
            "process_resident_memory_bytes",
            help,
            None,
            resident.metric_type(),
        )?)?;
        let descriptors = ConstGauge::new(usage.descriptors);
        let help = "Number of open file descriptors";
        descriptors.encode(encoder.encode_descriptor("process_open_fds", help, None, descriptors.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_uses_something() {
        let usage = usage().expect("there is a /proc");
        assert!(usage.resident > 1e6 && usage.resident < 1e12, "{}", usage.resident);
        assert!(usage.descriptors >= 3.0 && usage.cpu_seconds < 1e6);
    }
}
