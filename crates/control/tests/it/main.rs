//! The control plane with real files, processes and sockets.

#[cfg(test)]
mod crash;
