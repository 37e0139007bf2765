//! The ports of a container, as far as its manifest tells: those it declares, and those that our own server listens on,
//! which its arguments say.

use super::{arguments, program};
use crate::kinds::pod::Container;

/// The ports of one container or more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ports {
    named: Vec<(String, u16)>,
    numbers: Vec<u16>,
    /// Whether there may be others.
    is_open: bool,
    /// Whether some could not be read, so that any name may be one of theirs.
    is_unknown: bool,
}

impl Ports {
    /// The ports of a container.
    pub(crate) fn of(container: &Container) -> Self {
        let named = container.ports.iter().filter_map(|port| Some((port.name.clone()?, port.container_port)));
        let declared = container.ports.iter().map(|port| port.container_port).collect::<Vec<_>>();
        let ours = program::of(&container.image, container.command.clone(), container.args.clone());
        let listening = match &ours {
            Some(super::Program::Forebay { arguments }) => arguments::ports(arguments),
            _ => None,
        };
        let is_open = listening.is_none() && declared.is_empty();
        Self { named: named.collect(), numbers: listening.unwrap_or(declared), is_open, is_unknown: false }
    }

    /// The ports of containers that could not be read whole.
    pub(crate) fn unknown() -> Self {
        Self { is_open: true, is_unknown: true, ..Self::default() }
    }

    /// The ports of all containers of a pod.
    pub(crate) fn of_all(containers: &[Container]) -> Self {
        let mut all = Self::default();
        for ports in containers.iter().map(Self::of) {
            all.named.extend(ports.named);
            all.numbers.extend(ports.numbers);
            all.is_open |= ports.is_open;
        }
        all
    }

    /// Whether there may be a port with this number.
    pub(crate) fn has_number(&self, number: u16) -> bool {
        self.is_open || self.numbers.contains(&number)
    }

    /// Whether there is a port with this name, at a number where something may listen.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.is_unknown || self.named.iter().any(|(known, number)| known == name && self.has_number(*number))
    }

    /// The name that is nearest to one that is not there.
    pub(crate) fn nearest_name(&self, written: &str) -> Option<&str> {
        let others = self.named.iter().map(|(name, _)| name.as_str()).filter(|name| *name != written);
        plan::suggest::nearest(written, others)
    }

    /// `http (8080)`, `9000`.
    pub(crate) fn described(&self) -> Vec<String> {
        let described = self.numbers.iter().map(|number| {
            let name = self.named.iter().find(|(_, other)| other == number);
            name.map_or_else(|| number.to_string(), |(name, number)| format!("{name} ({number})"))
        });
        described.collect()
    }
}
