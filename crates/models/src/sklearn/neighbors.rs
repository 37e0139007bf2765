//! Answers of what is near: `sklearn/neighbors`.

mod centroid;
pub(super) mod index;

use super::Kind;
use super::by_row::{Answers, Predict, RowPredictor, answers_rows, outlier_scores};
use crate::classifier::pick;
use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::argmax;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};
use crate::{Data, InputProblem, Method, NotServed, Prediction};
use index::{Index, Neighbor};

/// How neighbors were prepared; the tree and the effective metric say what became of it.
const FIT: &str = "\
    algorithm leaf_size metric metric_params n_neighbors outlier_label outputs_2d_ p radius n_outputs_";
const OUTLIERS: &str = "contamination _contamination negative_outlier_factor_ n_neighbors novelty";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.neighbors.KNeighborsClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.neighbors.KNeighborsRegressor", ignores: &[FIT], compile: regressor },
    Kind {
        path: "sklearn.neighbors.NearestNeighbors",
        ignores: &["algorithm leaf_size metric metric_params p radius"],
        compile: nearest_neighbors,
    },
    Kind { path: "sklearn.neighbors.RadiusNeighborsClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.neighbors.RadiusNeighborsRegressor", ignores: &[FIT], compile: regressor },
    Kind {
        path: "sklearn.neighbors.LocalOutlierFactor",
        ignores: &[FIT, OUTLIERS],
        compile: local_outlier_factor,
    },
    Kind {
        path: "sklearn.neighbors.NearestCentroid",
        ignores: &["deviations_ priors shrink_threshold true_classes_"],
        compile: centroid::nearest_centroid,
    },
];

/// The neighbors that count, and how much.
#[derive(Debug)]
struct Neighbors {
    name: String,
    index: Index,
    reach: Reach,
    by_distance: bool,
}

#[derive(Debug, Clone, Copy)]
enum Reach {
    /// This many of the nearest.
    Nearest(usize),
    /// All that are no farther.
    Within(f64),
}

#[derive(Debug)]
struct Regressor {
    neighbors: Neighbors,
    /// Answers of the points of fitting, point after point.
    targets: Vec<f64>,
    n_targets: usize,
    has_target_columns: bool,
}

#[derive(Debug)]
struct Classifier {
    neighbors: Neighbors,
    targets: Vec<Target>,
    /// Whether it was fitted with a table of targets.
    has_target_columns: bool,
}

/// One of the questions that a classifier answers.
#[derive(Debug)]
struct Target {
    classes: Data,
    /// The classes of the points of fitting, by place.
    of_points: Vec<usize>,
    /// The class of a row without neighbors.
    of_outliers: Option<usize>,
}

/// Points that are asked for their neighbors, and for nothing else.
#[derive(Debug)]
struct NearestNeighbors {
    index: Index,
    n_neighbors: usize,
}

#[derive(Debug)]
struct LocalOutlierFactor {
    index: Index,
    n_neighbors: usize,
    /// For each point: how far its last neighbor is.
    reaches: Vec<f64>,
    densities: Vec<f64>,
    offset: f64,
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let neighbors = Neighbors::read(object)?;
    let saved = object.get("_y")?;
    let shape = saved.array()?.shape.clone();
    let (n_targets, has_target_columns) = match shape[..] {
        [_] => (1, false),
        [_, n_targets] => (n_targets, true),
        _ => return Err(saved.problem("is neither a list nor a table")),
    };
    let targets = saved.n_numbers(neighbors.index.n_points() * n_targets)?;
    Ok(predictor(Regressor { neighbors, targets, n_targets, has_target_columns }))
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let neighbors = Neighbors::read(object)?;
    let has_target_columns = object.flag_or("outputs_2d_", false)?;
    let outliers = object.some("outlier_label_");
    let classes = object.get("classes_")?;
    let classes: Vec<Data> = match has_target_columns {
        true => classes.items()?.iter().map(Value::labels).collect::<Result<_, _>>()?,
        false => vec![classes.labels()?],
    };
    if outliers.is_some() && has_target_columns {
        return Err(Fault::unsupported(format!("`{}` with labels of outliers for targets", object.class())));
    }
    let saved = object.get("_y")?;
    let of_points = saved.integers()?;
    if of_points.len() != neighbors.index.n_points() * classes.len() || classes.is_empty() {
        return Err(saved.problem("does not have the class of each point"));
    }
    let n_targets = classes.len();
    let target = |(place, classes): (usize, Data)| {
        let own = of_points.iter().skip(place).step_by(n_targets);
        let of_points = own.map(|class| usize::try_from(*class).ok().filter(|class| *class < classes.len()));
        let of_points: Option<Vec<usize>> = of_points.collect();
        let of_points = of_points.ok_or_else(|| saved.problem("has a class that is not there"))?;
        let of_outliers = outliers.map(|label| outlier_class(&label, &classes)).transpose()?;
        Ok(Target { classes, of_points, of_outliers })
    };
    let targets = classes.into_iter().enumerate().map(target).collect::<Result<_, Fault>>()?;
    Ok(predictor(Classifier { neighbors, targets, has_target_columns }))
}

fn outlier_class(label: &Value<'_>, classes: &Data) -> Result<usize, Fault> {
    let items = label.items().unwrap_or_default();
    let label = items.first().unwrap_or(label);
    let place = match (classes, label.text(), label.number()) {
        (Data::Text(classes), Ok(text), _) => classes.iter().position(|class| *class == text),
        (classes, _, Ok(number)) => classes.to_doubles().iter().position(|class| *class == number),
        _ => None,
    };
    place.ok_or_else(|| label.unsupported("the label of outliers is one of the classes"))
}

fn nearest_neighbors(object: &Object<'_>) -> Result<Step, Fault> {
    let n_neighbors = object.get("n_neighbors")?.count()?;
    let index = Index::read(object)?;
    if n_neighbors == 0 || n_neighbors > index.n_points() {
        return Err(object.problem("it wants more neighbors than there are points"));
    }
    let answers = Answers { methods: NEIGHBOR_METHODS.to_vec(), predict: Predict::Number };
    Ok(answers_rows(object, answers, NearestNeighbors { index, n_neighbors }))
}

/// What a class can be asked for that knows a number of neighbors.
const NEIGHBOR_METHODS: [Method; 2] = [Method::Kneighbors, Method::KneighborsDistance];

/// Adds the answer to one of [`NEIGHBOR_METHODS`]; `false` if the method is another one.
fn answer_neighbors(index: &Index, n: usize, method: Method, row: &[f64], numbers: &mut Vec<f64>) -> bool {
    match method {
        Method::Kneighbors => numbers.extend(index.nearest(row, n).iter().map(|near| near.point as f64)),
        Method::KneighborsDistance => numbers.extend(index.nearest(row, n).iter().map(|near| near.distance)),
        _ => return false,
    }
    true
}

fn local_outlier_factor(object: &Object<'_>) -> Result<Step, Fault> {
    let novelty = object.get("novelty")?;
    if !novelty.flag()? {
        return Err(novelty.unsupported("it predicts only with novelty=True"));
    }
    let index = Index::read(object)?;
    let n_neighbors = object.get("n_neighbors_")?.count()?;
    let distances = object.get("_distances_fit_X_")?.grid()?;
    if n_neighbors == 0 || distances.n_columns < n_neighbors || distances.n_rows != index.n_points() {
        return Err(object.problem("its distances are not those of its points"));
    }
    let densities = object.get("_lrd")?.n_numbers(index.n_points())?;
    let offset = object.get("offset_")?.number()?;
    let reaches = distances.column(n_neighbors - 1);
    object.find("_n_samples_fit");
    let model = LocalOutlierFactor { index, n_neighbors, reaches, densities, offset };
    let outlier = Answers::outlier();
    let answers = Answers { methods: [&outlier.methods[..], &NEIGHBOR_METHODS].concat(), ..outlier };
    Ok(answers_rows(object, answers, model))
}

// === impl NearestNeighbors ===

impl RowPredictor for NearestNeighbors {
    fn n_inputs(&self) -> usize {
        self.index.n_columns()
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.index.example(column))
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        answer_neighbors(&self.index, self.n_neighbors, method, row, numbers);
    }
}

// === impl Neighbors ===

impl Neighbors {
    fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let weights = object.get("weights")?;
        let by_distance = match weights.text() {
            Ok(name) if name == "distance" => true,
            Ok(name) if name == "uniform" => false,
            _ if weights.is_none() => false,
            _ => return Err(weights.unsupported("weights are `uniform` or `distance`")),
        };
        let reach = match object.name().starts_with("Radius") {
            true => Reach::Within(object.get("radius")?.number()?),
            false => Reach::Nearest(object.get("n_neighbors")?.count()?),
        };
        let index = Index::read(object)?;
        if let Reach::Nearest(n_neighbors) = reach
            && (n_neighbors == 0 || n_neighbors > index.n_points())
        {
            return Err(object.problem("it wants more neighbors than there are points"));
        }
        Ok(Self { name: object.name().to_owned(), index, reach, by_distance })
    }

    /// The points that count for a row, and their weights.
    fn of(&self, row: &[f64]) -> Vec<(usize, f64)> {
        let found = match self.reach {
            Reach::Nearest(n_neighbors) => self.index.nearest(row, n_neighbors),
            Reach::Within(radius) => self.index.within(row, radius),
        };
        let is_there = found.iter().any(|neighbor| 1.0 / neighbor.distance == f64::INFINITY);
        let weight = |neighbor: &Neighbor| match (self.by_distance, 1.0 / neighbor.distance) {
            (false, _) => 1.0,
            // Where points are, only these count.
            (true, weight) if is_there => f64::from(weight == f64::INFINITY),
            (true, weight) => weight,
        };
        found.iter().map(|neighbor| (neighbor.point, weight(neighbor))).collect()
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.index.example(column))
    }

    /// What can be asked of the neighbors themselves.
    fn methods(&self) -> &'static [Method] {
        match self.reach {
            Reach::Nearest(_) => &NEIGHBOR_METHODS,
            Reach::Within(_) => &[],
        }
    }

    /// The answer to one of [`Neighbors::methods`], if it is one.
    fn answer(&self, method: Method, rows: &Rows<'_>) -> Result<Option<Prediction>, Refusal> {
        let Reach::Nearest(n) = self.reach else { return Ok(None) };
        if !NEIGHBOR_METHODS.contains(&method) {
            return Ok(None);
        }
        let matrix = rows.borrowed().into_matrix(Takes::Finite, &self.name)?;
        let mut numbers = Vec::with_capacity(matrix.n_rows * n);
        matrix.rows().for_each(|row| _ = answer_neighbors(&self.index, n, method, row, &mut numbers));
        let data = match method {
            Method::Kneighbors => Data::Long(numbers.iter().map(|place| *place as i64).collect()),
            _ => Data::Double(numbers),
        };
        Ok(Some(Prediction::rows(n, data)))
    }
}

// === impl Regressor ===

impl Part for Regressor {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.neighbors.index.n_columns())
    }

    fn hint(&self, column: usize) -> Hint {
        self.neighbors.hint(column)
    }
}

impl Predictor for Regressor {
    fn methods(&self) -> Vec<Method> {
        [&[Method::Predict], self.neighbors.methods()].concat()
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        if let Some(answer) = self.neighbors.answer(method, &rows)? {
            return Ok(answer);
        }
        let matrix = rows.into_matrix(Takes::Finite, &self.neighbors.name)?;
        let mut values = Vec::with_capacity(matrix.n_rows * self.n_targets);
        for row in matrix.rows() {
            let near = self.neighbors.of(row);
            let weight: f64 = near.iter().map(|(_, weight)| weight).sum();
            for target in 0..self.n_targets {
                let of_point = |point: usize| self.targets[point * self.n_targets + target];
                let sum: f64 = near.iter().map(|(point, weight)| of_point(*point) * weight).sum();
                values.push(sum / weight);
            }
        }
        Ok(match self.has_target_columns {
            true => Prediction::rows(self.n_targets, Data::Double(values)),
            false => Prediction::flat(Data::Double(values)),
        })
    }
}

// === impl Classifier ===

impl Part for Classifier {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.neighbors.index.n_columns())
    }

    fn hint(&self, column: usize) -> Hint {
        self.neighbors.hint(column)
    }
}

impl Predictor for Classifier {
    fn methods(&self) -> Vec<Method> {
        let own: &[Method] = match self.has_target_columns {
            true => &[Method::Predict],
            false => &[Method::Predict, Method::PredictProba],
        };
        [own, self.neighbors.methods()].concat()
    }

    fn not_served(&self) -> Vec<NotServed> {
        let probabilities = self.has_target_columns.then(|| NotServed::of_targets(Method::PredictProba));
        probabilities.into_iter().collect()
    }

    fn classes(&self) -> Option<&Data> {
        self.targets.first().filter(|_| !self.has_target_columns).map(|target| &target.classes)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        if let Some(answer) = self.neighbors.answer(method, &rows)? {
            return Ok(answer);
        }
        let matrix = rows.into_matrix(Takes::Finite, &self.neighbors.name)?;
        let mut shares: Vec<Vec<f64>> = vec![Vec::new(); self.targets.len()];
        for (row_index, row) in matrix.rows().enumerate() {
            let near = self.neighbors.of(row);
            for (target, shares) in self.targets.iter().zip(&mut shares) {
                let Some(of_row) = target.shares(&near) else {
                    let (expected, got) =
                        ("a row near to those of fitting", "one without neighbors".to_owned());
                    let problem = InputProblem::WrongType { expected, got };
                    return Err(Refusal { row: Some(row_index), column: None, problem });
                };
                shares.extend(of_row);
            }
        }
        let picked = |(target, shares): (&Target, &Vec<f64>)| {
            pick(&target.classes, shares.chunks_exact(target.classes.len()).map(argmax))
        };
        let mut answers = self.targets.iter().zip(&shares).map(picked);
        Ok(match method {
            _ if self.has_target_columns => {
                Prediction::columns(&answers.map(|answer| answer.data).collect::<Vec<_>>())
            }
            Method::PredictProba => {
                Prediction::rows(self.targets[0].classes.len(), Data::Double(shares.concat()))
            }
            _ => answers.next().expect("a classifier has a target"),
        })
    }
}

impl Target {
    /// The share of each class among the neighbors; `None` if there are none.
    fn shares(&self, near: &[(usize, f64)]) -> Option<Vec<f64>> {
        let mut shares = vec![0.0; self.classes.len()];
        for (point, weight) in near {
            shares[self.of_points[*point]] += weight;
        }
        if near.is_empty() {
            shares[self.of_outliers?] = 1.0;
        }
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        Some(shares)
    }
}

// === impl LocalOutlierFactor ===

impl RowPredictor for LocalOutlierFactor {
    fn n_inputs(&self) -> usize {
        self.index.n_columns()
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.index.example(column))
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        if answer_neighbors(&self.index, self.n_neighbors, method, row, numbers) {
            return;
        }
        let near = self.index.nearest(row, self.n_neighbors);
        let n = near.len() as f64;
        let reach: f64 = near.iter().map(|near| near.distance.max(self.reaches[near.point])).sum();
        let density = 1.0 / (reach / n + 1e-10);
        let ratios: f64 = near.iter().map(|near| self.densities[near.point] / density).sum();
        let score = -(ratios / n) - self.offset;
        match method {
            Method::DecisionFunction => numbers.push(score),
            _ => numbers.extend(outlier_scores(score < 0.0)),
        }
    }
}
