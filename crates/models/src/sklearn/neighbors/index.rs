//! The points of fitting, and which of them are near (`sklearn/neighbors/_binary_tree.pxi`).
//!
//! Of points that are equally far, some are among the nearest and others are not. Which ones, depends on the order in
//! which points are looked at; so the trees are walked exactly as they were saved.

use crate::fault::Fault;
use crate::numeric::{dot, squared_distance};
use crate::object::{Grid, Object, Value};

/// The points of fitting, ready to be searched.
#[derive(Debug)]
pub(in crate::sklearn) struct Index {
    points: Grid,
    metric: Metric,
    search: Search,
}

/// A point that is near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sklearn) struct Neighbor {
    pub(in crate::sklearn) point: usize,
    pub(in crate::sklearn) distance: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Metric {
    Manhattan,
    Euclidean,
    Chebyshev,
    Minkowski { p: f64 },
    Cosine,
}

#[derive(Debug)]
enum Search {
    /// All points, by way of products. The squares of the points are known.
    Products {
        squares: Vec<f64>,
    },
    /// All points, one after another.
    All,
    Tree(Tree),
}

#[derive(Debug)]
struct Tree {
    /// The points in the order of the tree.
    order: Vec<usize>,
    nodes: Vec<TreeNode>,
    bounds: Bounds,
}

#[derive(Debug)]
struct TreeNode {
    start: usize,
    end: usize,
    is_leaf: bool,
    radius: f64,
}

#[derive(Debug)]
enum Bounds {
    /// Boxes: their lower and upper corners.
    Boxes { lower: Grid, upper: Grid },
    /// Balls around these centers.
    Balls { centers: Grid },
}

/// The nearest points that were found so far: a heap with the farthest on top.
#[derive(Debug)]
struct Nearest {
    distances: Vec<f64>,
    points: Vec<usize>,
}

// === impl Index ===

impl Index {
    pub(in crate::sklearn) fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let metric = Metric::read(object)?;
        let points = object.get("_fit_X")?.grid()?;
        object.find("n_samples_fit_");
        let method = object.get("_fit_method")?;
        let search = match method.text()?.as_ref() {
            "brute" if metric == Metric::Euclidean => {
                Search::Products { squares: points.rows().map(|point| product(point, point)).collect() }
            }
            "brute" => Search::All,
            "kd_tree" | "ball_tree" => Search::Tree(Tree::read(&object.get("_tree")?, &points)?),
            _ => return Err(method.unsupported("it is `brute`, `kd_tree` or `ball_tree`")),
        };
        object.find("_tree");
        if points.n_rows == 0 {
            return Err(object.problem("it has no points"));
        }
        Ok(Self { points, metric, search })
    }

    pub(in crate::sklearn) fn n_columns(&self) -> usize {
        self.points.n_columns
    }

    pub(in crate::sklearn) fn n_points(&self) -> usize {
        self.points.n_rows
    }

    pub(super) fn example(&self, column: usize) -> f64 {
        self.points.values.get(column).copied().unwrap_or_default()
    }

    /// The nearest points, the nearest first.
    pub(in crate::sklearn) fn nearest(&self, row: &[f64], n_neighbors: usize) -> Vec<Neighbor> {
        let mut nearest = Nearest::new(n_neighbors.min(self.points.n_rows));
        match &self.search {
            Search::Products { squares } => {
                let square = product(row, row);
                for (index, (point, of_point)) in self.points.rows().zip(squares).enumerate() {
                    let middle = -2.0 * product(row, point);
                    nearest.push((square + middle + of_point).max(0.0), index);
                }
            }
            Search::All => {
                for (index, point) in self.points.rows().enumerate() {
                    nearest.push(self.metric.reduced(row, point), index);
                }
            }
            Search::Tree(tree) => self.walk(tree, 0, tree.least(0, row, self.metric), row, &mut nearest),
        }
        let found = nearest.points.iter().zip(&nearest.distances);
        let found =
            found.map(|(point, reduced)| Neighbor { point: *point, distance: self.metric.finish(*reduced) });
        let mut found: Vec<Neighbor> = found.collect();
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        found
    }

    /// The points that are no farther than this, in the order of fitting.
    pub(super) fn within(&self, row: &[f64], radius: f64) -> Vec<Neighbor> {
        let reduced_radius = self.metric.reduce(radius);
        let neighbor = |(point, values): (usize, &[f64])| {
            let reduced = self.metric.reduced(row, values);
            (reduced <= reduced_radius).then(|| Neighbor { point, distance: self.metric.finish(reduced) })
        };
        self.points.rows().enumerate().filter_map(neighbor).collect()
    }

    /// `_query_single_depthfirst`: the nearer child first, and none that is too far.
    fn walk(&self, tree: &Tree, node: usize, least: f64, row: &[f64], nearest: &mut Nearest) {
        if least > nearest.farthest() {
            return;
        }
        let TreeNode { start, end, is_leaf, .. } = tree.nodes[node];
        if is_leaf {
            for point in &tree.order[start..end] {
                nearest.push(self.metric.reduced(row, self.points.row(*point)), *point);
            }
            return;
        }
        let (left, right) = (2 * node + 1, 2 * node + 2);
        let (of_left, of_right) = (tree.least(left, row, self.metric), tree.least(right, row, self.metric));
        if of_left <= of_right {
            self.walk(tree, left, of_left, row, nearest);
            self.walk(tree, right, of_right, row, nearest);
        } else {
            self.walk(tree, right, of_right, row, nearest);
            self.walk(tree, left, of_left, row, nearest);
        }
    }
}

/// `a · b`, rounded once per column, as libraries for linear algebra do it.
fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| a.mul_add(*b, sum))
}

// === impl Metric ===

impl Metric {
    fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let metric = object.get("effective_metric_")?;
        let parameters = object.some("effective_metric_params_");
        let parameters =
            parameters.map(|parameters| parameters.pairs().unwrap_or_default()).unwrap_or_default();
        let mut p = 2.0;
        for (key, value) in &parameters {
            match key.text()?.as_ref() {
                "p" => p = value.number()?,
                "w" if value.is_none() => {}
                _ => return Err(key.unsupported("metrics have no further parameters than `p`")),
            }
        }
        Self::named(&metric.text()?, p).ok_or_else(|| {
            metric.unsupported("metrics are `euclidean`, `manhattan`, `chebyshev`, `minkowski` and `cosine`")
        })
    }

    pub(super) fn named(name: &str, p: f64) -> Option<Self> {
        Some(match name {
            "manhattan" | "cityblock" | "l1" => Self::Manhattan,
            "euclidean" | "l2" => Self::Euclidean,
            "chebyshev" | "infinity" => Self::Chebyshev,
            "minkowski" | "p" => Self::Minkowski { p },
            "cosine" => Self::Cosine,
            _ => return None,
        })
    }

    /// What is compared: the distance, without the root that ends it.
    fn reduced(self, a: &[f64], b: &[f64]) -> f64 {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        match self {
            Self::Manhattan => differences.sum(),
            Self::Euclidean => squared_distance(a, b),
            Self::Chebyshev => differences.fold(0.0, f64::max),
            Self::Minkowski { p } => differences.map(|difference| difference.powf(p)).sum(),
            Self::Cosine => 1.0 - dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()),
        }
    }

    pub(super) fn distance(self, a: &[f64], b: &[f64]) -> f64 {
        self.finish(self.reduced(a, b))
    }

    /// A distance, from what is compared.
    fn finish(self, reduced: f64) -> f64 {
        match self {
            Self::Manhattan | Self::Chebyshev | Self::Cosine => reduced,
            Self::Euclidean => reduced.sqrt(),
            Self::Minkowski { p } => reduced.powf(1.0 / p),
        }
    }

    /// A distance as it is compared.
    fn reduce(self, distance: f64) -> f64 {
        match self {
            Self::Manhattan | Self::Chebyshev | Self::Cosine => distance,
            Self::Euclidean => distance * distance,
            Self::Minkowski { p } => distance.powf(p),
        }
    }
}

// === impl Tree ===

impl Tree {
    fn read(value: &Value<'_>, points: &Grid) -> Result<Self, Fault> {
        let is_ball = value.class_name().is_some_and(|class| class.contains("ball_tree"));
        let state = value.state_items()?;
        let [_data, order, nodes, bounds, ..] = &state[..] else { return Err(value.problem("is no tree")) };
        let problem = || value.problem("is no tree over the points");
        let in_range = |point: i64| usize::try_from(point).ok().filter(|point| *point < points.n_rows);
        let order: Option<Vec<usize>> = order.integers()?.into_iter().map(in_range).collect();
        let order = order.filter(|order| order.len() == points.n_rows).ok_or_else(problem)?;

        let array = nodes.array()?;
        let longs = |field: &str| array.field_longs(field).ok_or_else(problem);
        let (starts, ends, leaves) = (longs("idx_start")?, longs("idx_end")?, longs("is_leaf")?);
        let radii = array.field_doubles("radius").ok_or_else(problem)?;
        let node = |index: usize| {
            let (start, end) = (usize::try_from(starts[index]).ok()?, usize::try_from(ends[index]).ok()?);
            let is_leaf = leaves[index] != 0;
            let is_right = start <= end && end <= order.len() && (is_leaf || 2 * index + 2 < starts.len());
            is_right.then_some(TreeNode { start, end, is_leaf, radius: radii[index] })
        };
        let nodes: Vec<TreeNode> = (0..starts.len()).map(node).collect::<Option<_>>().ok_or_else(problem)?;

        let shape = bounds.array()?.shape.clone();
        let [n_kinds, n_nodes, n_columns] = shape[..] else { return Err(problem()) };
        if n_nodes != nodes.len() || n_columns != points.n_columns || nodes.is_empty() {
            return Err(problem());
        }
        let mut values = bounds.numbers()?;
        let grid = |values| Grid { n_rows: n_nodes, n_columns, values };
        let bounds = match (is_ball, n_kinds) {
            (true, 1) => Bounds::Balls { centers: grid(values) },
            (false, 2) => {
                let upper = values.split_off(n_nodes * n_columns);
                Bounds::Boxes { lower: grid(values), upper: grid(upper) }
            }
            _ => return Err(problem()),
        };
        Ok(Self { order, nodes, bounds })
    }

    /// The least distance that a point of a node can have, as it is compared.
    fn least(&self, node: usize, row: &[f64], metric: Metric) -> f64 {
        let (lower, upper) = match &self.bounds {
            Bounds::Balls { centers } => {
                let of_center = metric.distance(row, centers.row(node));
                return metric.reduce((of_center - self.nodes[node].radius).max(0.0));
            }
            Bounds::Boxes { lower, upper } => (lower.row(node), upper.row(node)),
        };
        let outside = row.iter().zip(lower.iter().zip(upper)).map(|(x, (lower, upper))| {
            let (below, above) = (lower - x, x - upper);
            0.5 * ((below + below.abs()) + (above + above.abs()))
        });
        match metric {
            Metric::Chebyshev => outside.fold(0.0, f64::max),
            Metric::Euclidean => outside.map(|x| x * x).sum(),
            Metric::Minkowski { p } => outside.map(|x| x.powf(p)).sum(),
            Metric::Manhattan | Metric::Cosine => outside.sum(),
        }
    }
}

// === impl Nearest ===

impl Nearest {
    fn new(n_neighbors: usize) -> Self {
        Self { distances: vec![f64::INFINITY; n_neighbors], points: vec![0; n_neighbors] }
    }

    fn farthest(&self) -> f64 {
        self.distances.first().copied().unwrap_or(f64::NEG_INFINITY)
    }

    /// `heap_push`: in the place of the farthest, if it is nearer than that.
    fn push(&mut self, distance: f64, point: usize) {
        if distance >= self.farthest() || distance.is_nan() {
            return;
        }
        let n = self.distances.len();
        let mut place = 0;
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= n {
                break;
            }
            let child =
                if right >= n || self.distances[left] >= self.distances[right] { left } else { right };
            if self.distances[child] <= distance {
                break;
            }
            self.distances[place] = self.distances[child];
            self.points[place] = self.points[child];
            place = child;
        }
        self.distances[place] = distance;
        self.points[place] = point;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_kept_and_of_equals_the_first() {
        let mut nearest = Nearest::new(3);
        for (point, distance) in [5.0, 1.0, 4.0, 1.0, 4.0, 9.0].into_iter().enumerate() {
            nearest.push(distance, point);
        }
        nearest.points.sort_unstable();
        assert_eq!(nearest.points, [1, 2, 3]);
        let mut none = Nearest::new(0);
        none.push(1.0, 0);
        assert_eq!(none.points, Vec::<usize>::new());
    }
}
