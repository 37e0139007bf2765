//! Clusters: the nearest of some centers (`sklearn/cluster/_kmeans.py`).

mod agglomeration;
mod bisecting;

use super::Kind;
use super::by_row::{Answers, Predict, RowPredictor, answers_rows};
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Grid, Object};
use crate::{Data, Method};

/// How the centers were found.
const FIT: &str = "\
    algorithm _algorithm batch_size _batch_size bisecting_strategy compute_labels copy_x _counts counts_ \
    _ewa_inertia _ewa_inertia_min inertia_ init _init_size _kmeans_single init_size init_size_ labels_ max_no_improvement n_clusters \
    _n_features_out n_init _n_init n_steps_ _n_since_last_reassign _n_threads _no_improvement \
    precompute_distances _random_state random_state_ reassignment_ratio _tol";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.cluster.KMeans", ignores: &[FIT], compile: k_means },
    Kind { path: "sklearn.cluster.MiniBatchKMeans", ignores: &[FIT], compile: k_means },
    Kind { path: "sklearn.cluster.BisectingKMeans", ignores: &[FIT], compile: bisecting::bisecting },
    Kind {
        path: "sklearn.cluster.Birch",
        ignores: &[
            "branching_factor compute_labels _deprecated_fit _deprecated_partial_fit dummy_leaf_ fit_ labels_ n_clusters _n_features_out partial_fit_ root_ \
             _subcluster_norms threshold",
        ],
        compile: birch,
    },
    Kind {
        path: "sklearn.cluster.FeatureAgglomeration",
        ignores: &[agglomeration::FIT],
        compile: agglomeration::agglomeration,
    },
    Kind {
        path: "sklearn.cluster.MeanShift",
        ignores: &["bandwidth bin_seeding cluster_all labels_ min_bin_freq seeds"],
        compile: nearest_center,
    },
    Kind {
        path: "sklearn.cluster.AffinityPropagation",
        ignores: &[
            "affinity affinity_matrix_ cluster_centers_indices_ convergence_iter damping labels_ preference",
        ],
        compile: nearest_center,
    },
];

#[derive(Debug)]
struct Centers {
    centers: Grid,
    squares: Vec<f64>,
}

fn k_means(object: &Object<'_>) -> Result<Step, Fault> {
    let centers = Centers::read(object)?;
    let labels = Data::Integer((0..).take(centers.squares.len()).collect());
    let methods = vec![Method::Predict, Method::Transform];
    Ok(answers_rows(object, Answers { methods, predict: Predict::Label(labels) }, centers))
}

fn nearest_center(object: &Object<'_>) -> Result<Step, Fault> {
    let centers = Centers::read(object)?;
    let labels = Data::Long((0..).take(centers.squares.len()).collect());
    Ok(answers_rows(
        object,
        Answers { methods: vec![Method::Predict], predict: Predict::Label(labels) },
        centers,
    ))
}

/// Many small clusters, of which several may have the same label.
fn birch(object: &Object<'_>) -> Result<Step, Fault> {
    let centers = Centers::of(object, object.get("subcluster_centers_")?.grid()?)?;
    let labels = object.get("subcluster_labels_")?;
    let of_centers = labels.labels()?;
    if of_centers.len() != centers.squares.len() {
        return Err(labels.problem("are not one per center"));
    }
    let methods = vec![Method::Predict, Method::Transform];
    Ok(answers_rows(object, Answers { methods, predict: Predict::Label(of_centers) }, centers))
}

impl Centers {
    fn read(object: &Object<'_>) -> Result<Self, Fault> {
        Self::of(object, object.get("cluster_centers_")?.grid()?)
    }

    fn of(object: &Object<'_>, centers: Grid) -> Result<Self, Fault> {
        if centers.n_rows == 0 {
            return Err(object.problem("it has no centers"));
        }
        let squares = centers.rows().map(|center| dot(center, center)).collect();
        Ok(Self { centers, squares })
    }
}

impl RowPredictor for Centers {
    fn n_inputs(&self) -> usize {
        self.centers.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        self.centers.values.get(column).map_or_else(Hint::default, |near| Hint::number(*near))
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let square = dot(row, row);
        let centers = self.centers.rows().zip(&self.squares);
        // As `euclidean_distances` does it, which is not what is most exact.
        let distances = centers.map(|(center, of_center)| -2.0 * dot(row, center) + square + of_center);
        match method {
            Method::Transform => numbers.extend(distances.map(|distance| distance.max(0.0).sqrt())),
            // A cluster that is alone has one score, which is no other than zero.
            _ => numbers.extend(distances.map(|distance| -distance)),
        }
    }
}
