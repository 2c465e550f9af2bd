//! The processor times of this machine, from the kernel.

use std::fs;

use anyhow::Context;

/// The processors' time since the start of the machine, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processors {
    all: u64,
    /// The time in which a thread could have run, but the hypervisor ran another machine.
    stolen: u64,
}

impl Processors {
    pub fn now() -> anyhow::Result<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?)
            .context("/proc/stat does not begin with the times of all processors")
    }

    /// Returns the percentage of the time since `before` that other machines took.
    pub fn stolen_since(&self, before: &Self) -> f64 {
        100.0 * (self.stolen - before.stolen) as f64 / (self.all - before.all).max(1) as f64
    }

    fn parse(stat: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal. The later fields are part of user
        // and nice.
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }
}

#[cfg(test)]
mod tests {
    use super::Processors;

    #[test]
    fn stolen_time_is_the_eighth_field() {
        let before = Processors::parse("cpu  10 0 10 60 0 0 0 20 5 0\ncpu0 1 2 3 4\n").unwrap();
        let after = Processors::parse("cpu  10 0 10 150 0 0 0 30 5 0\n").unwrap();
        assert_eq!(before, Processors { all: 100, stolen: 20 });
        assert!((after.stolen_since(&before) - 10.0).abs() < 1e-9);
        assert_eq!(Processors::parse("intr 1 2 3"), None);
    }
}
