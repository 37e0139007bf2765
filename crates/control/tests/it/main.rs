//! The control plane with real files, processes and sockets.

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
