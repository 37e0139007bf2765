//! Which containers run, and how somebody gets to them: a command beside one (`kubectl exec`), or a port of its pod.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::watch;

use super::command::{Command, Wanted};
use super::leftovers::Leftovers;
use super::process::Launch;
use super::stdin::Stdin;
use super::usage::{Meter, Used};

/// The containers that run. All clones are the same one.
#[derive(Debug, Clone)]
pub struct Running {
    containers: Rc<RefCell<BTreeMap<ContainerName, Place>>>,
    /// Commands that run beside containers are remembered as those are.
    leftovers: Rc<Leftovers>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerName {
    /// Namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its container.
    pub container: String,
}

/// A container that runs, and with what.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) launch: Launch,
    pub(super) address: IpAddr,
    pub(super) memory_limit: Option<u64>,
    /// The container's standard input, if somebody may write to it.
    stdin: Option<Stdin>,
    meter: Meter,
    /// Closed when the container has ended.
    pub(super) end: watch::Receiver<()>,
    pub(super) leftovers: Rc<Leftovers>,
}

/// As long as this is there, the container runs. What was started beside it ends with it.
#[derive(Debug)]
pub(super) struct Stay {
    running: Running,
    name: ContainerName,
    _end: watch::Sender<()>,
}

// === impl Running ===

impl Running {
    pub(super) fn new(leftovers: Leftovers) -> Self {
        Self { containers: Rc::default(), leftovers: Rc::new(leftovers) }
    }

    /// Takes in a container that has been started.
    pub(super) fn enter(
        &self,
        name: ContainerName,
        launch: &Launch,
        address: IpAddr,
        memory_limit: Option<u64>,
        stdin: Option<Stdin>,
        pid: u32,
    ) -> Stay {
        let (sender, end) = watch::channel(());
        let leftovers = Rc::clone(&self.leftovers);
        let meter = Meter::new(pid);
        let place = Place { launch: launch.clone(), address, memory_limit, stdin, meter, end, leftovers };
        self.containers.borrow_mut().insert(name.clone(), place);
        Stay { running: self.clone(), name, _end: sender }
    }

    /// A container, if it runs.
    #[must_use]
    pub fn find(&self, name: &ContainerName) -> Option<Place> {
        self.containers.borrow().get(name).cloned()
    }

    /// What each container uses.
    #[must_use]
    pub fn used(&self) -> Vec<(ContainerName, Used)> {
        let containers = self.containers.borrow();
        containers.iter().filter_map(|(name, place)| Some((name.clone(), place.meter.read()?))).collect()
    }

    /// The address of a pod, if one of its containers runs.
    #[must_use]
    pub fn address(&self, namespace: &str, pod: &str) -> Option<IpAddr> {
        let containers = self.containers.borrow();
        let mut of_pod = containers.iter().filter(|(name, _)| name.namespace == namespace && name.pod == pod);
        of_pod.next().map(|(_, place)| place.address)
    }
}

#[cfg(test)]
impl super::Machine {
    /// A machine on which one container runs, for tests of those who want to reach it.
    pub(crate) fn with_one(name: ContainerName, environment: &[(&str, &str)]) -> (Self, impl Sized) {
        let running = Running::new(Leftovers::new("/nowhere".into()));
        let launch = Launch {
            program: "/does/not/matter".into(),
            arguments: Vec::new(),
            environment: environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            working_directory: Some("/".into()),
            input: None,
            has_input: false,
        };
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let stay = running.enter(name, &launch, address, None, None, std::process::id());
        (Self { logs: super::Logs::new("/nowhere".into()), running }, stay)
    }
}

// === impl Place ===

impl Place {
    /// Starts a command beside the container: with its environment, its folder and its limit of memory. It ends when the
    /// container does.
    ///
    /// # Errors
    /// When the system cannot start it.
    pub async fn start(&self, command: &[String], wanted: Wanted) -> std::io::Result<Command> {
        let mut words = command.iter().cloned();
        let launch = Launch {
            program: PathBuf::from(words.next().unwrap_or_default()),
            arguments: words.collect(),
            input: None,
            ..self.launch.clone()
        };
        Command::start(&launch, wanted, self).await
    }

    /// The standard input of the container itself, if somebody may write to it.
    #[must_use]
    pub fn stdin(&self) -> Option<Stdin> {
        self.stdin.clone()
    }
}

// === impl Stay ===

impl Drop for Stay {
    fn drop(&mut self) {
        self.running.containers.borrow_mut().remove(&self.name);
    }
}
