//! Reads the figures of this machine; when, and who hears of them, is the job of the plugin.

use std::time::Duration;

use octa_plugin_api::{Result, Schema};
use serde::{Deserialize, Serialize};
use sysinfo::{Disks, Networks, System};

/// How busy the processors are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Schema)]
pub(crate) struct Cpu {
    /// Of all cores together, from 0 to 100.
    pub(crate) percent: f64,
    /// Of each core, from 0 to 100.
    pub(crate) cores: Vec<f64>,
}

/// How much memory is in use, in bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Schema)]
pub(crate) struct Memory {
    /// What there is.
    pub(crate) total: u64,
    /// What is in use.
    pub(crate) used: u64,
    /// The part in use, from 0 to 100.
    pub(crate) percent: f64,
}

/// How full the disks are that can be written to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Schema)]
pub(crate) struct Disk {
    /// The part in use of the fullest, from 0 to 100.
    pub(crate) percent: f64,
    /// Each one.
    pub(crate) disks: Vec<Mounted>,
}

/// One mounted disk, in bytes.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
pub(crate) struct Mounted {
    /// Where it is mounted.
    pub(crate) path: String,
    /// Its size.
    pub(crate) total: u64,
    /// What is in use.
    pub(crate) used: u64,
}

/// How much goes through the network, over all interfaces but the loopback.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Schema)]
pub(crate) struct Network {
    /// Bytes received per second.
    pub(crate) received: f64,
    /// Bytes sent per second.
    pub(crate) sent: f64,
}

/// All figures of one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Schema)]
pub(crate) struct Reading {
    /// The processors.
    pub(crate) cpu: Cpu,
    /// The memory.
    pub(crate) memory: Memory,
    /// The disks.
    pub(crate) disk: Disk,
    /// The network.
    pub(crate) network: Network,
}

/// Processors and network are measured from one reading to the next.
pub(crate) struct Meter {
    system: System,
    disks: Disks,
    networks: Networks,
}

impl Meter {
    /// Fails where the system tells nothing.
    pub(crate) fn new() -> Result<Self> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self {
            system,
            disks: Disks::new()?,
            networks: Networks::new_with_refreshed_list()?,
        })
    }

    /// Reads everything; `elapsed` is the time since the last reading.
    pub(crate) fn read(&mut self, elapsed: Duration) -> Reading {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.refresh(true);
        self.networks.refresh(true);
        Reading {
            cpu: self.cpu(),
            memory: self.memory(),
            disk: self.disk(),
            network: self.network(elapsed),
        }
    }

    fn cpu(&self) -> Cpu {
        let cores = self.system.cpus().iter();
        Cpu {
            percent: tenths(self.system.global_cpu_usage().into()),
            cores: cores.map(|core| tenths(core.usage().into())).collect(),
        }
    }

    fn memory(&self) -> Memory {
        let (total, used) = (self.system.total_memory(), self.system.used_memory());
        Memory {
            total,
            used,
            percent: percent(used, total),
        }
    }

    fn disk(&self) -> Disk {
        let mounted = |disk: &sysinfo::Disk| Mounted {
            path: disk.mount_point().display().to_string(),
            total: disk.total_space(),
            used: disk.total_space().saturating_sub(disk.available_space()),
        };
        // What cannot be written to is always full.
        let writable = self.disks.iter().filter(|disk| !disk.is_read_only());
        let disks: Vec<_> = writable.map(mounted).collect();
        let percents = disks.iter().map(|disk| percent(disk.used, disk.total));
        Disk {
            percent: percents.fold(0.0, f64::max),
            disks,
        }
    }

    fn network(&self, elapsed: Duration) -> Network {
        let outside = || self.networks.iter().filter(|(name, _)| *name != "lo");
        let received = outside().map(|(_, data)| data.received()).sum();
        let sent = outside().map(|(_, data)| data.transmitted()).sum();
        Network {
            received: per_second(received, elapsed),
            sent: per_second(sent, elapsed),
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    tenths(100.0 * part as f64 / whole as f64)
}

fn per_second(bytes: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    tenths(bytes as f64 / elapsed.as_secs_f64())
}

/// Figures are read by people: one digit is enough.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
