//! The control plane with real files, processes and sockets.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod control;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod local;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod responder;
#[cfg(test)]
mod workloads;

/// How long a test waits for what must happen. Far more than it takes, even on a machine that is busy.
#[cfg(test)]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
