//! `PolynomialFeatures`: products of columns (`sklearn/preprocessing/_polynomial.py`).

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{MAX_COLUMNS, Object};
use crate::sklearn::by_row::{RowTransformer, transforms_rows};

pub(super) const FIT: &str = "degree _n_out_full n_input_features_ n_output_features_ order powers_";

#[derive(Debug)]
struct Polynomial {
    n_columns: usize,
    /// The constant comes first.
    has_constant: bool,
    /// Each product is a column times an earlier product, or by itself.
    products: Vec<Product>,
    /// How many of the products, which are needed only for later ones, are left out.
    n_left_out: usize,
}

#[derive(Debug, Clone, Copy)]
struct Product {
    column: usize,
    times: Option<usize>,
}

pub(super) fn polynomial(object: &Object<'_>) -> Result<Step, Fault> {
    let n_columns = object.n_columns(&["n_features_in_", "n_input_features_"])?;
    let n_columns = n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    let (min_degree, max_degree) = match (object.some("_min_degree"), object.some("_max_degree")) {
        (Some(min), Some(max)) => (min.count()?, max.count()?),
        _ => (0, object.get("degree")?.count()?),
    };
    let is_interaction_only = object.get("interaction_only")?.flag()?;
    let has_constant = object.get("include_bias")?.flag()?;
    let products = products(object, n_columns, max_degree, is_interaction_only)?;
    let n_below = products.iter().take_while(|product| degree(&products, product) < min_degree).count();
    let polynomial = Polynomial { n_columns, has_constant, products, n_left_out: n_below };
    Ok(transforms_rows(object, polynomial))
}

/// All products, in the order of their degrees.
fn products(
    object: &Object<'_>,
    n_columns: usize,
    max_degree: usize,
    is_interaction_only: bool,
) -> Result<Vec<Product>, Fault> {
    let mut products: Vec<Product> = Vec::new();
    let mut before = 0..0;
    for degree in 1..=max_degree {
        let start = products.len();
        for column in 0..n_columns {
            if degree == 1 {
                products.push(Product { column, times: None });
                continue;
            }
            // The column times the products of no earlier columns.
            let is_later = |product: &Product| {
                product.column > column || product.column == column && !is_interaction_only
            };
            for index in before.clone().filter(|index| is_later(&products[*index])).collect::<Vec<_>>() {
                products.push(Product { column, times: Some(index) });
            }
            if products.len() > MAX_COLUMNS {
                return Err(object.problem("it makes too many columns"));
            }
        }
        before = start..products.len();
        if before.is_empty() {
            break;
        }
    }
    Ok(products)
}

fn degree(products: &[Product], product: &Product) -> usize {
    let mut degree = 1;
    let mut rest = product.times;
    while let Some(index) = rest {
        degree += 1;
        rest = products[index].times;
    }
    degree
}

impl RowTransformer for Polynomial {
    fn n_inputs(&self) -> usize {
        self.n_columns
    }

    fn n_outputs(&self) -> usize {
        usize::from(self.has_constant) + self.products.len() - self.n_left_out
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        transformed.extend(self.has_constant.then_some(1.0));
        let start = transformed.len();
        for Product { column, times } in &self.products {
            let factor = times.map_or(1.0, |index| transformed[start + index]);
            transformed.push(factor * row[*column]);
        }
        transformed.drain(start..start + self.n_left_out);
    }
}
