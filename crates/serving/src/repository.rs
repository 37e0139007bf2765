//! Where models come from that are loaded while the server runs, and what clients may say of it.

use std::sync::Arc;

use crate::compute::Compute;
use crate::fault::{Cause, Fault, quoted};
use crate::json::{Kind, Reader};
use crate::model_set::ServedModel;

/// A place from which models can be loaded by name, for clients that may do so.
pub trait Repository: std::fmt::Debug + Send + Sync {
    /// Reads a model, once more if it was read before: all its versions, the default one first.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be read.
    fn load(&self, name: &str) -> Result<Vec<ServedModel>, RepositoryError>;
}

/// Why a model is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// There is no model of this name.
    #[error("the repository has no model {}", quoted(name))]
    Unknown {
        /// The name.
        name: String,
    },
    /// It cannot be read.
    #[error("model {} cannot be loaded: {problem}", quoted(name))]
    Load {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is to be done with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Load,
    Unload,
}

/// A repository, and the thread that reads it: one model after another.
#[derive(Debug)]
pub(crate) struct Loader {
    pub(crate) repository: Arc<dyn Repository>,
    pub(crate) thread: Compute,
}

/// How many changes may wait for their turn.
const MOST_WAITING: usize = 16;

impl Loader {
    pub(crate) fn new(repository: Arc<dyn Repository>) -> Self {
        Self { repository, thread: Compute::start(1, MOST_WAITING) }
    }
}

/// The parameter of Triton's clients that says whether what depends on a model goes with it. Here nothing does.
const WITHOUT_EFFECT: &str = "unload_dependents";

/// Refuses a parameter that would change how a model is served, or which: it is served as its folder says.
pub(crate) fn check_parameter(name: &str) -> Result<(), Fault> {
    if name == WITHOUT_EFFECT {
        return Ok(());
    }
    let problem = format!("{} is not taken: a model is loaded as it is in its folder", quoted(name));
    Err(Fault::input("$.parameters", problem)
        .with_help("change its `forebay.yaml` or `model-settings.json`, and load it again"))
}

/// Checks the body of a request to load or unload a model: nothing, or an object, of which `parameters` are looked at.
pub(crate) fn check_parameters(body: &[u8]) -> Result<(), Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let mut reader = Reader::new(body);
    let kind = reader.peek()?;
    if kind != Kind::Object {
        return Err(Fault::new(Cause::Format, format!("expected an object, got {kind}")));
    }
    let mut members = reader.object()?;
    while let Some(key) = members.next(&mut reader)? {
        if key != "parameters" {
            reader.skip()?;
            continue;
        }
        match reader.peek()? {
            Kind::Null => reader.skip()?,
            Kind::Object => {
                let mut parameters = reader.object()?;
                while let Some(name) = parameters.next(&mut reader)? {
                    check_parameter(&name)?;
                    reader.skip()?;
                }
            }
            kind => {
                let problem = format!("expected an object, got {kind}");
                return Err(Fault::new(Cause::Format, problem).at("$.parameters"));
            }
        }
    }
    reader.end()?;
    Ok(())
}
