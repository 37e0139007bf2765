//! The operators that graphs are made of. A further one is a row here and a function in the file of its family.

mod arithmetic;
mod control;
mod distance;
mod features;
mod index;
mod labels;
mod layout;
mod linear;
mod matrix;
mod product;
mod reduce;
mod scores;
mod strings;
mod svm;
mod tfidf;
mod trees;
mod unary;

use std::collections::HashSet;

use super::file::{self, Attribute};
use super::graph::{Inputs, Outputs};
use super::node::Node;
use super::problem::Problem;
use super::tensor::Tensor;
use crate::fault::Fault;

/// The work of a node that was made ready.
pub(super) type Run = Box<dyn Fn(&Inputs<'_>) -> Result<Outputs, Problem> + Send + Sync>;

/// A kind of node.
pub(super) struct Operator {
    domain: &'static str,
    name: &'static str,
    compile: fn(&Node<'_>) -> Result<Run, Fault>,
}

/// The domain of the operators of ONNX itself.
const ONNX: &str = "";
/// The domain of classical machine learning.
const ML: &str = "ai.onnx.ml";
/// The domain of what only onnxruntime has.
const MICROSOFT: &str = "com.microsoft";

/// The newest version of each domain that the operators here follow.
const VERSIONS: &[(&str, i64)] = &[(ONNX, 28), (ML, 5), (MICROSOFT, 1)];

const fn onnx(name: &'static str, compile: fn(&Node<'_>) -> Result<Run, Fault>) -> Operator {
    Operator { domain: ONNX, name, compile }
}

const fn ml(name: &'static str, compile: fn(&Node<'_>) -> Result<Run, Fault>) -> Operator {
    Operator { domain: ML, name, compile }
}

const fn microsoft(name: &'static str, compile: fn(&Node<'_>) -> Result<Run, Fault>) -> Operator {
    Operator { domain: MICROSOFT, name, compile }
}

/// All operators.
const OPERATORS: &[Operator] = &[
    onnx("Abs", unary::abs),
    onnx("Add", arithmetic::add),
    onnx("And", arithmetic::and),
    onnx("ArgMax", reduce::arg_max),
    onnx("ArgMin", reduce::arg_min),
    onnx("BatchNormalization", matrix::batch_normalization),
    onnx("Cast", unary::cast),
    onnx("Ceil", unary::ceil),
    onnx("Clip", arithmetic::clip),
    onnx("Concat", layout::concat),
    onnx("Constant", layout::constant),
    onnx("ConstantOfShape", layout::constant_of_shape),
    onnx("CumSum", reduce::cumulative_sum),
    onnx("Div", arithmetic::div),
    onnx("Dropout", unary::dropout),
    onnx("Einsum", matrix::einsum),
    onnx("Elu", unary::elu),
    onnx("Equal", arithmetic::equal),
    onnx("Erf", unary::erf),
    onnx("Exp", unary::exp),
    onnx("Expand", layout::expand),
    onnx("EyeLike", layout::eye_like),
    onnx("Flatten", layout::flatten),
    onnx("Floor", unary::floor),
    onnx("Gather", index::gather),
    onnx("GatherElements", index::gather_elements),
    onnx("GatherND", index::gather_nd),
    onnx("Gemm", matrix::gemm),
    onnx("Greater", arithmetic::greater),
    onnx("GreaterOrEqual", arithmetic::greater_or_equal),
    onnx("HardSigmoid", unary::hard_sigmoid),
    onnx("Identity", unary::identity),
    onnx("IsInf", unary::is_inf),
    onnx("IsNaN", unary::is_nan),
    onnx("LeakyRelu", unary::leaky_relu),
    onnx("Less", arithmetic::less),
    onnx("LessOrEqual", arithmetic::less_or_equal),
    onnx("Log", unary::log),
    onnx("LogSoftmax", reduce::log_softmax),
    onnx("LpNormalization", reduce::lp_normalization),
    onnx("MatMul", matrix::mat_mul),
    onnx("Max", arithmetic::max),
    onnx("Mean", arithmetic::mean),
    onnx("Min", arithmetic::min),
    onnx("Mod", arithmetic::modulo),
    onnx("Mul", arithmetic::mul),
    onnx("Neg", unary::neg),
    onnx("NonZero", index::non_zero),
    onnx("Not", unary::not),
    onnx("OneHot", index::one_hot),
    onnx("Or", arithmetic::or),
    onnx("Pad", layout::pad),
    onnx("Pow", arithmetic::pow),
    onnx("Range", layout::range),
    onnx("Reciprocal", unary::reciprocal),
    onnx("ReduceL1", reduce::l1),
    onnx("ReduceL2", reduce::l2),
    onnx("ReduceLogSum", reduce::log_sum),
    onnx("ReduceLogSumExp", reduce::log_sum_exp),
    onnx("ReduceMax", reduce::max),
    onnx("ReduceMean", reduce::mean),
    onnx("ReduceMin", reduce::min),
    onnx("ReduceProd", reduce::product),
    onnx("ReduceSum", reduce::sum),
    onnx("ReduceSumSquare", reduce::sum_square),
    onnx("Relu", unary::relu),
    onnx("Reshape", layout::reshape),
    onnx("Round", unary::round),
    onnx("Scan", control::scan),
    onnx("Shape", layout::shape),
    onnx("Sigmoid", unary::sigmoid),
    onnx("Sign", unary::sign),
    onnx("Size", layout::size),
    onnx("Slice", layout::slice),
    onnx("Softmax", reduce::softmax),
    onnx("Softplus", unary::softplus),
    onnx("Softsign", unary::softsign),
    onnx("Split", layout::split),
    onnx("Sqrt", unary::sqrt),
    onnx("Squeeze", layout::squeeze),
    onnx("StringNormalizer", strings::normalizer),
    onnx("Sub", arithmetic::sub),
    onnx("Sum", arithmetic::sum),
    onnx("Tanh", unary::tanh),
    onnx("TfIdfVectorizer", tfidf::vectorizer),
    onnx("Tile", layout::tile),
    onnx("TopK", index::top_k),
    onnx("Transpose", layout::transpose),
    onnx("Trilu", layout::trilu),
    onnx("Unsqueeze", layout::unsqueeze),
    onnx("Where", arithmetic::where_),
    onnx("Xor", arithmetic::xor),
    ml("ArrayFeatureExtractor", index::feature_extractor),
    ml("Binarizer", features::binarizer),
    ml("CategoryMapper", labels::category_mapper),
    ml("FeatureVectorizer", features::vectorizer),
    ml("Imputer", features::imputer),
    ml("LabelEncoder", labels::encoder),
    ml("LinearClassifier", linear::classifier),
    ml("LinearRegressor", linear::regressor),
    ml("Normalizer", features::normalizer),
    ml("OneHotEncoder", labels::one_hot),
    ml("SVMClassifier", svm::classifier),
    ml("SVMRegressor", svm::regressor),
    ml("Scaler", features::scaler),
    ml("TreeEnsemble", trees::ensemble),
    ml("TreeEnsembleClassifier", trees::classifier),
    ml("TreeEnsembleRegressor", trees::regressor),
    ml("ZipMap", labels::zip_map),
    microsoft("CDist", distance::c_dist),
    microsoft("Tokenizer", strings::tokenizer),
];

/// Makes a node ready.
pub(super) fn compile(
    file: &file::Node,
    opsets: &[(String, i64)],
    constants: Vec<Option<&Tensor>>,
    captures: &[String],
) -> Result<Run, Fault> {
    let (operator, version) = find(file, opsets).ok_or_else(|| unsupported(&[file]))?;
    let node = Node::new(file, version, opsets, constants, captures);
    let run = (operator.compile)(&node)?;
    node.finish()?;
    Ok(run)
}

/// Checks that all operators of a graph are known, and names all that are not.
pub(super) fn check_all(graph: &file::Graph, opsets: &[(String, i64)]) -> Result<(), Fault> {
    for (domain, version) in opsets {
        let newest = VERSIONS.iter().find(|(known, _)| *known == domain_name(domain));
        if let Some((_, newest)) = newest.filter(|(_, newest)| version > newest) {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            let what = format!("version {version} of the operators `{domain}`");
            let help = Some(format!("this build knows them up to version {newest}"));
            return Err(Fault::Unsupported { what, help });
        }
    }
    let unknown: Vec<&file::Node> = graph.nodes.iter().filter(|node| find(node, opsets).is_none()).collect();
    if unknown.is_empty() { Ok(()) } else { Err(unsupported(&unknown)) }
}

fn unsupported(nodes: &[&file::Node]) -> Fault {
    /// Nodes that are named.
    const MAX_NAMED: usize = 5;

    let mut seen = HashSet::new();
    let first = nodes.iter().filter(|node| seen.insert((&node.domain, &node.operator)));
    let names: Vec<String> = first.take(MAX_NAMED).map(|node| Node::title(node)).collect();
    let known: Vec<&str> = OPERATORS.iter().map(|operator| operator.name).collect();
    Fault::Unsupported {
        what: format!("the ONNX operator {}", names.join(", ")),
        help: Some(format!("this build runs {}", known.join(", "))),
    }
}

fn find(node: &file::Node, opsets: &[(String, i64)]) -> Option<(&'static Operator, i64)> {
    let domain = domain_name(&node.domain);
    let operator =
        OPERATORS.iter().find(|operator| operator.name == node.operator && operator.domain == domain)?;
    let version =
        opsets.iter().filter(|(known, _)| domain_name(known) == domain).map(|(_, version)| *version);
    // Some converters forget the domains that only a few nodes are from.
    Some((operator, version.max().unwrap_or(1)))
}

fn domain_name(domain: &str) -> &str {
    if domain == "ai.onnx" { ONNX } else { domain }
}

/// What the graphs inside of a node use from outside.
pub(super) fn captures(node: &file::Node) -> Vec<String> {
    let mut captures = Vec::new();
    for (_, attribute) in &node.attributes {
        if let Attribute::Graph(graph) = attribute {
            free_names(graph, &mut captures);
        }
    }
    captures.sort();
    captures.dedup();
    captures
}

fn free_names(graph: &file::Graph, free: &mut Vec<String>) {
    let inputs = graph.inputs.iter().map(|input| &input.name);
    let constants = graph.constants.iter().map(|(name, _)| name);
    let made = graph.nodes.iter().flat_map(|node| &node.outputs);
    let known: HashSet<&String> = inputs.chain(constants).chain(made).collect();
    let used = graph.nodes.iter().flat_map(|node| node.inputs.iter().cloned().chain(captures(node)));
    let outputs = graph.outputs.iter().map(|output| output.name.clone());
    free.extend(used.chain(outputs).filter(|name| !name.is_empty() && !known.contains(name)));
}

/// The work of a node, as a function.
fn run<O: Into<Outputs>>(
    work: impl Fn(&Inputs<'_>) -> Result<O, Problem> + Send + Sync + 'static,
) -> Result<Run, Fault> {
    Ok(Box::new(move |inputs| work(inputs).map(Into::into)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_sorted_by_domain_and_name() {
        let keys: Vec<(usize, &str)> = OPERATORS
            .iter()
            .map(|operator| {
                let domain = VERSIONS.iter().position(|(domain, _)| *domain == operator.domain).unwrap();
                (domain, operator.name)
            })
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }
}
