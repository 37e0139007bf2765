//! `BisectingKMeans`: clusters that were cut in two, again and again (`sklearn/cluster/_bisect_k_means.py`).

use super::Centers;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Object, Value};
use crate::sklearn::by_row::{Answers, Predict, RowPredictor, answers_rows};
use crate::{Data, Method};

/// Cuts, one after another.
const MAX_DEPTH: usize = 1 << 12;

#[derive(Debug)]
struct Bisecting {
    centers: Centers,
    /// Parents before their children; the first one is all.
    clusters: Vec<Cluster>,
}

#[derive(Debug)]
enum Cluster {
    Whole {
        label: usize,
    },
    /// Two clusters by place, each with its center.
    Cut {
        parts: [usize; 2],
        centers: [Vec<f64>; 2],
    },
}

pub(super) fn bisecting(object: &Object<'_>) -> Result<Step, Fault> {
    let centers = Centers::read(object)?;
    let n_columns = centers.n_inputs();
    let mean = object.some("_X_mean").map(|mean| mean.n_numbers(n_columns)).transpose()?;
    let mean = mean.unwrap_or_else(|| vec![0.0; n_columns]);
    let n_clusters = centers.squares.len();
    let mut clusters = Vec::new();
    read_cluster(&object.get("_bisecting_tree")?, &mean, n_clusters, 0, &mut clusters)?;
    let labels = Data::Integer((0..).take(n_clusters).collect());
    let methods = vec![Method::Predict, Method::Transform];
    Ok(answers_rows(
        object,
        Answers { methods, predict: Predict::Label(labels) },
        Bisecting { centers, clusters },
    ))
}

/// Adds a cluster and those inside of it, and tells its place.
fn read_cluster(
    value: &Value<'_>,
    mean: &[f64],
    n_clusters: usize,
    depth: usize,
    clusters: &mut Vec<Cluster>,
) -> Result<usize, Fault> {
    // There is one cut less than clusters; a file may say otherwise, and in circles.
    if depth > MAX_DEPTH || clusters.len() >= 2 * n_clusters {
        return Err(value.problem("has more cuts than clusters"));
    }
    let cluster = value.object()?;
    let place = clusters.len();
    let (Some(left), Some(right)) = (cluster.some("left"), cluster.some("right")) else {
        let label = cluster.get("label")?.count()?;
        if label >= n_clusters {
            return Err(value.problem("has a label that is not there"));
        }
        clusters.push(Cluster::Whole { label });
        return Ok(place);
    };
    clusters.push(Cluster::Whole { label: 0 });
    let center = |part: &Value<'_>| -> Result<Vec<f64>, Fault> {
        let center = part.object()?.get("center")?.n_numbers(mean.len())?;
        Ok(center.iter().zip(mean).map(|(center, mean)| center + mean).collect())
    };
    let centers = [center(&left)?, center(&right)?];
    let mut read = |part| read_cluster(part, mean, n_clusters, depth + 1, clusters);
    let parts = [read(&left)?, read(&right)?];
    clusters[place] = Cluster::Cut { parts, centers };
    Ok(place)
}

impl Bisecting {
    fn label(&self, row: &[f64]) -> usize {
        let mut place = 0;
        loop {
            match &self.clusters[place] {
                Cluster::Whole { label } => return *label,
                Cluster::Cut { parts, centers } => {
                    let [left, right] =
                        centers.each_ref().map(|center| dot(center, center) - 2.0 * dot(row, center));
                    place = parts[usize::from(right < left)];
                }
            }
        }
    }
}

impl RowPredictor for Bisecting {
    fn n_inputs(&self) -> usize {
        self.centers.n_inputs()
    }

    fn hint(&self, column: usize) -> Hint {
        self.centers.hint(column)
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        if method == Method::Transform {
            return self.centers.answer(method, row, numbers);
        }
        let label = self.label(row);
        numbers.extend((0..self.centers.squares.len()).map(|place| f64::from(u8::from(place == label))));
    }
}
