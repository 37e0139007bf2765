//! Graphs, ready to run: sorted, constants folded, each value with a place of its own while it is needed.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::file;
use super::node::Node;
use super::operators::{self, Run};
use super::problem::Problem;
use super::tensor::{MAX_VALUES, Tensor};
use crate::fault::Fault;

/// Values that all arrays of one run may have together.
const MAX_VALUES_OF_RUN: usize = 1 << 30;

/// A graph that can be run.
pub(super) struct Graph {
    constants: Vec<Tensor>,
    n_inputs: usize,
    /// Places for values on their way. The first ones are the inputs.
    n_places: usize,
    steps: Vec<Step>,
    outputs: Vec<Source>,
}

/// Which steps some of the outputs need.
#[derive(Debug)]
pub(super) struct Plan {
    outputs: Vec<usize>,
    steps: Vec<usize>,
}

/// A node that can be run.
struct Step {
    title: String,
    inputs: Vec<Source>,
    /// Where its outputs go; `None` if nobody looks at one.
    outputs: Vec<Option<usize>>,
    run: Run,
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Nothing,
    Constant(usize),
    Place(usize),
}

/// The inputs of a node on a run.
pub(super) struct Inputs<'r> {
    graph: &'r Graph,
    sources: &'r [Source],
    places: &'r [Option<Tensor>],
}

/// The outputs of a node. Most have one.
pub(super) enum Outputs {
    One(Tensor),
    Many(Vec<Tensor>),
}

/// What went wrong on a run, and in which node.
#[derive(Debug)]
pub(super) struct RunError {
    pub(super) node: String,
    pub(super) problem: Problem,
}

impl From<Tensor> for Outputs {
    fn from(tensor: Tensor) -> Self {
        Self::One(tensor)
    }
}

impl From<Vec<Tensor>> for Outputs {
    fn from(tensors: Vec<Tensor>) -> Self {
        Self::Many(tensors)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| &step.title)).finish()
    }
}

// === impl Inputs ===

impl<'r> Inputs<'r> {
    /// An input that must be given.
    pub(super) fn get(&self, input: usize) -> Result<&'r Tensor, Problem> {
        self.find(input).ok_or_else(|| Problem::new(format!("input {input} is missing")))
    }

    pub(super) fn find(&self, input: usize) -> Option<&'r Tensor> {
        match *self.sources.get(input)? {
            Source::Nothing => None,
            Source::Constant(constant) => Some(&self.graph.constants[constant]),
            Source::Place(place) => self.places[place].as_ref(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Result<&'r Tensor, Problem>> {
        (0..self.len()).map(|input| self.get(input))
    }
}

// === impl Plan ===

impl Plan {
    /// A plan for who runs whole graphs.
    #[cfg(feature = "onnxruntime")]
    pub(super) fn of_outputs(outputs: &[usize]) -> Self {
        Self { outputs: outputs.to_vec(), steps: Vec::new() }
    }

    /// The numbers of the outputs.
    pub(super) fn outputs(&self) -> &[usize] {
        &self.outputs
    }
}

// === impl Graph ===

impl Graph {
    pub(super) fn n_outputs(&self) -> usize {
        self.outputs.len()
    }

    /// What some of the outputs need, and nothing else.
    pub(super) fn plan(&self, outputs: &[usize]) -> Plan {
        let mut needed: HashSet<usize> = HashSet::new();
        let need = |source: &Source, needed: &mut HashSet<usize>| {
            if let Source::Place(place) = source {
                needed.insert(*place);
            }
        };
        outputs.iter().for_each(|output| need(&self.outputs[*output], &mut needed));
        let mut steps = Vec::new();
        for (index, step) in self.steps.iter().enumerate().rev() {
            if step.outputs.iter().flatten().any(|place| needed.contains(place)) {
                steps.push(index);
                step.inputs.iter().for_each(|source| need(source, &mut needed));
            }
        }
        steps.reverse();
        Plan { outputs: outputs.to_vec(), steps }
    }

    /// The outputs of a plan. There are as many inputs as the graph has.
    pub(super) fn run(&self, plan: &Plan, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        debug_assert_eq!(inputs.len(), self.n_inputs);
        let mut places: Vec<Option<Tensor>> = inputs.into_iter().map(Some).collect();
        places.resize(self.n_places, None);
        let mut n_values = 0;
        for step in plan.steps.iter().map(|index| &self.steps[*index]) {
            let failed = |problem| RunError { node: step.title.clone(), problem };
            let inputs = Inputs { graph: self, sources: &step.inputs, places: &places };
            match (step.run)(&inputs).map_err(failed)? {
                Outputs::One(tensor) if step.outputs.len() == 1 => {
                    n_values += tensor.n_values();
                    if let Some(place) = step.outputs[0] {
                        places[place] = Some(tensor);
                    }
                }
                Outputs::Many(tensors) if step.outputs.len() <= tensors.len() => {
                    for (place, tensor) in step.outputs.iter().zip(tensors) {
                        n_values += tensor.n_values();
                        if let Some(place) = place {
                            places[*place] = Some(tensor);
                        }
                    }
                }
                _ => return Err(failed(Problem::new("has more outputs than are known"))),
            }
            if n_values > MAX_VALUES_OF_RUN {
                return Err(failed(Problem::of_values("the arrays of this request are too large")));
            }
        }
        let output = |output: &usize| match self.outputs[*output] {
            Source::Constant(constant) => self.constants[constant].clone(),
            Source::Place(place) => places[place].clone().expect("the plan fills what it needs"),
            Source::Nothing => unreachable!("outputs were found when the graph was made"),
        };
        Ok(plan.outputs.iter().map(output).collect())
    }
}

/// Makes a graph ready. Its inputs are the graph's own and then `captures`.
pub(super) fn compile(
    graph: &file::Graph,
    opsets: &[(String, i64)],
    captures: &[String],
) -> Result<Graph, Fault> {
    operators::check_all(graph, opsets)?;
    let mut compiler = Compiler::default();
    for (name, tensor) in &graph.constants {
        compiler.define(name, Known::Constant(compiler.constants.len()))?;
        compiler.constants.push(tensor.clone());
    }
    for name in input_names(graph).chain(captures.iter().map(String::as_str)) {
        compiler.define(name, Known::Value(compiler.values.len()))?;
        compiler.values.push(Value::default());
    }
    let n_inputs = compiler.values.len();
    for node in sorted(graph, captures)? {
        compiler.add(node, opsets)?;
    }
    compiler.finish(graph, n_inputs)
}

/// The names of the inputs that a request gives: those that are no constants.
pub(super) fn input_names(graph: &file::Graph) -> impl Iterator<Item = &str> {
    let is_constant = |name: &str| graph.constants.iter().any(|(constant, _)| constant == name);
    graph.inputs.iter().map(|input| input.name.as_str()).filter(move |name| !is_constant(name))
}

/// The nodes, each after those whose outputs it takes.
fn sorted<'g>(graph: &'g file::Graph, captures: &[String]) -> Result<Vec<&'g file::Node>, Fault> {
    let mut defined: HashSet<&str> = input_names(graph).chain(captures.iter().map(String::as_str)).collect();
    defined.extend(graph.constants.iter().map(|(name, _)| name.as_str()));
    let made: HashSet<&str> = graph.nodes.iter().flat_map(|node| &node.outputs).map(String::as_str).collect();
    let (mut sorted, mut rest): (Vec<_>, Vec<&file::Node>) = (Vec::new(), graph.nodes.iter().collect());
    while !rest.is_empty() {
        let n_before = rest.len();
        rest.retain(|node| {
            let captures = operators::captures(node);
            let mut uses = node.inputs.iter().map(String::as_str).chain(captures.iter().map(|it| &**it));
            let is_ready = uses.all(|name| name.is_empty() || defined.contains(name));
            if is_ready {
                defined.extend(node.outputs.iter().map(String::as_str));
                sorted.push(*node);
            }
            !is_ready
        });
        if rest.len() == n_before {
            let missing = |node: &&file::Node| {
                let names = node.inputs.iter().cloned().chain(operators::captures(node));
                names
                    .into_iter()
                    .find(|name| !name.is_empty() && !made.contains(&**name) && !defined.contains(&**name))
            };
            let undefined = rest.iter().find_map(|node| Some((node, missing(node)?)));
            return Err(match undefined {
                Some((node, name)) => {
                    Fault::inconsistent(Node::title(node), format!("nothing makes its input `{name}`"))
                }
                None => Fault::inconsistent(Node::title(rest[0]), "it needs what is made of its own output"),
            });
        }
    }
    Ok(sorted)
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
enum Known {
    Constant(usize),
    Value(usize),
}

/// A value that a step makes, or an input.
#[derive(Debug, Default)]
struct Value {
    /// The last step that takes it.
    last_use: Option<usize>,
    is_output: bool,
}

/// A step whose values have no places yet.
struct Draft {
    title: String,
    inputs: Vec<Option<Known>>,
    outputs: Vec<Option<usize>>,
    run: Run,
}

#[derive(Default)]
struct Compiler {
    names: HashMap<String, Known>,
    constants: Vec<Tensor>,
    values: Vec<Value>,
    drafts: Vec<Draft>,
    n_folded: usize,
}

impl Compiler {
    fn define(&mut self, name: &str, known: Known) -> Result<(), Fault> {
        match self.names.insert(name.to_owned(), known) {
            None => Ok(()),
            Some(_) => Err(Fault::inconsistent("onnx.GraphProto", format!("two values are called `{name}`"))),
        }
    }

    fn add(&mut self, file: &file::Node, opsets: &[(String, i64)]) -> Result<(), Fault> {
        let captures = operators::captures(file);
        let names = file.inputs.iter().chain(&captures);
        let inputs: Vec<Option<Known>> = names.map(|name| self.names.get(name).copied()).collect();
        let constant = |input: &Option<Known>| match input {
            Some(Known::Constant(constant)) => Some(&self.constants[*constant]),
            _ => None,
        };
        let constants: Vec<Option<&Tensor>> = inputs.iter().map(constant).collect();
        let run = operators::compile(file, opsets, constants, &captures)?;
        let can_be_folded = inputs.iter().all(|input| !matches!(input, Some(Known::Value(_))));
        if can_be_folded {
            return self.fold(file, &inputs, &run);
        }
        for input in inputs.iter().flatten() {
            if let Known::Value(value) = input {
                self.values[*value].last_use = Some(self.drafts.len());
            }
        }
        let mut outputs = Vec::with_capacity(file.outputs.len());
        for name in &file.outputs {
            outputs.push(match &**name {
                "" => None,
                name => {
                    self.define(name, Known::Value(self.values.len()))?;
                    self.values.push(Value::default());
                    Some(self.values.len() - 1)
                }
            });
        }
        self.drafts.push(Draft { title: Node::title(file), inputs, outputs, run });
        Ok(())
    }

    /// Runs a node now, because it would give the same for all requests.
    fn fold(&mut self, file: &file::Node, inputs: &[Option<Known>], run: &Run) -> Result<(), Fault> {
        let source = |input: &Option<Known>| match input {
            Some(Known::Constant(constant)) => Source::Constant(*constant),
            _ => Source::Nothing,
        };
        let sources: Vec<Source> = inputs.iter().map(source).collect();
        let constants = std::mem::take(&mut self.constants);
        let graph = Graph { constants, n_inputs: 0, n_places: 0, steps: Vec::new(), outputs: Vec::new() };
        let outputs = run(&Inputs { graph: &graph, sources: &sources, places: &[] });
        self.constants = graph.constants;
        let outputs = match outputs {
            Ok(Outputs::One(tensor)) => vec![tensor],
            Ok(Outputs::Many(tensors)) => tensors,
            Err(problem) => return Err(Fault::inconsistent(Node::title(file), problem.text)),
        };
        self.n_folded += outputs.iter().map(Tensor::n_values).sum::<usize>();
        if self.n_folded > MAX_VALUES {
            return Err(Fault::TooLarge {
                what: "numbers in the constants of a graph",
                limit: MAX_VALUES as u64,
            });
        }
        if outputs.len() < file.outputs.len() {
            return Err(Fault::inconsistent(Node::title(file), "it has more outputs than are known"));
        }
        for (name, tensor) in file.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            self.define(name, Known::Constant(self.constants.len()))?;
            self.constants.push(tensor);
        }
        Ok(())
    }

    fn finish(mut self, graph: &file::Graph, n_inputs: usize) -> Result<Graph, Fault> {
        let mut outputs = Vec::with_capacity(graph.outputs.len());
        for output in &graph.outputs {
            let Some(known) = self.names.get(&output.name) else {
                let problem = format!("nothing makes its output `{}`", output.name);
                return Err(Fault::inconsistent("onnx.GraphProto", problem));
            };
            if let Known::Value(value) = known {
                self.values[*value].is_output = true;
            }
            outputs.push(*known);
        }
        let mut places = Places { of: vec![None; self.values.len()], free: Vec::new(), n_places: n_inputs };
        (0..n_inputs).for_each(|input| places.of[input] = Some(input));
        let mut steps = Vec::with_capacity(self.drafts.len());
        for (index, draft) in self.drafts.into_iter().enumerate() {
            let outputs = draft.outputs.iter().map(|output| {
                let is_needed =
                    |value: &usize| self.values[*value].is_output || self.values[*value].last_use.is_some();
                output.filter(is_needed).map(|value| places.take(value))
            });
            let outputs = outputs.collect();
            let inputs: Vec<Source> = draft.inputs.iter().map(|input| places.source(*input)).collect();
            let mut used: Vec<usize> = draft
                .inputs
                .iter()
                .filter_map(|input| match input {
                    Some(Known::Value(value)) => Some(*value),
                    _ => None,
                })
                .collect();
            used.sort_unstable();
            used.dedup();
            for value in used {
                if self.values[value].last_use == Some(index) && !self.values[value].is_output {
                    places.free(value);
                }
            }
            steps.push(Step { title: draft.title, inputs, outputs, run: draft.run });
        }
        let outputs = outputs.into_iter().map(|known| places.source(Some(known))).collect();
        Ok(Graph { constants: self.constants, n_inputs, n_places: places.n_places, steps, outputs })
    }
}

/// Hands out places for values. One that is no longer needed is taken again.
struct Places {
    of: Vec<Option<usize>>,
    free: Vec<usize>,
    n_places: usize,
}

impl Places {
    fn take(&mut self, value: usize) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.n_places += 1;
            self.n_places - 1
        });
        self.of[value] = Some(place);
        place
    }

    fn free(&mut self, value: usize) {
        self.free.extend(self.of[value]);
    }

    fn source(&self, known: Option<Known>) -> Source {
        match known {
            None => Source::Nothing,
            Some(Known::Constant(constant)) => Source::Constant(constant),
            Some(Known::Value(value)) => Source::Place(self.of[value].expect("steps are sorted")),
        }
    }
}
