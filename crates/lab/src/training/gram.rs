//! A symmetric matrix that stores only its lower triangle, in panels of columns. It needs half
//! the memory and half the work of a square one.
//!
//! Threads share the panels. Each number is computed by one thread in a fixed order, so the
//! number of threads does not change the result.

use nalgebra::{Cholesky, DMatrix};
use rayon::prelude::*;

use super::TrainingError;

/// Columns of a panel. 64 to 192 take about the same time on 5,506 features.
const PANEL: usize = 96;

/// A symmetric matrix; what runs in parallel does so in the current pool of `rayon`.
#[derive(Clone, Debug)]
pub(super) struct Symmetric {
    /// Panel `p` holds columns `p * PANEL` and on, from the row of the same number down.
    panels: Vec<DMatrix<f64>>,
}

impl Symmetric {
    pub(super) fn zeros(size: usize) -> Self {
        let panel = |start: usize| DMatrix::zeros(size - start, PANEL.min(size - start));
        Self {
            panels: (0..size).step_by(PANEL).map(panel).collect(),
        }
    }

    /// Takes over the numbers of a matrix of the same size.
    pub(super) fn copy_from(&mut self, other: &Self) {
        for (panel, of_other) in self.panels.iter_mut().zip(&other.panels) {
            panel.copy_from(of_other);
        }
    }

    /// Adds `factor * block * blockᵀ`.
    pub(super) fn add_product(&mut self, factor: f64, block: &DMatrix<f64>) {
        add_products(&mut self.panels, factor, block);
    }

    pub(super) fn add_to_diagonal(&mut self, values: &[f64]) {
        for (panel, values) in self.panels.iter_mut().zip(values.chunks(PANEL)) {
            for (index, value) in values.iter().enumerate() {
                panel[(index, index)] += value;
            }
        }
    }

    /// Solves `self * x = right` by Cholesky's method in blocks: nearly all of the work is
    /// multiplication of matrices, which is fast in debug builds too. The factor takes the matrix's
    /// place.
    pub(super) fn solve(&mut self, right: &mut DMatrix<f64>) -> Result<(), TrainingError> {
        for number in 0..self.panels.len() {
            let (done, rest) = self.panels.split_at_mut(number + 1);
            let panel = &mut done[number];
            let width = panel.ncols();
            let corner = Cholesky::new(panel.rows(0, width).into_owned())
                .ok_or(TrainingError::Singular)?
                .unpack();
            // What lies below the corner becomes A₂₁ · L₁₁⁻ᵀ.
            let inverse = corner
                .solve_lower_triangular(&DMatrix::identity(width, width))
                .ok_or(TrainingError::Singular)?;
            let below = panel.rows_range(width..) * inverse.transpose();
            add_products(rest, -1.0, &below);
            panel.rows_mut(0, width).copy_from(&corner);
            panel.rows_range_mut(width..).copy_from(&below);
        }
        self.substitute(right)
    }

    /// Solves the two triangular systems that the factor leaves.
    fn substitute(&self, right: &mut DMatrix<f64>) -> Result<(), TrainingError> {
        let check = |is_solved: bool| is_solved.then_some(()).ok_or(TrainingError::Singular);
        for (number, panel) in self.panels.iter().enumerate() {
            let width = panel.ncols();
            let start = number * PANEL;
            let (mut own, mut rest) =
                right.rows_range_pair_mut(start..start + width, start + width..);
            check(panel.rows(0, width).solve_lower_triangular_mut(&mut own))?;
            rest.gemm(-1.0, &panel.rows_range(width..), &own, 1.0);
        }
        for (number, panel) in self.panels.iter().enumerate().rev() {
            let width = panel.ncols();
            let start = number * PANEL;
            let (mut own, rest) = right.rows_range_pair_mut(start..start + width, start + width..);
            own.gemm_tr(-1.0, &panel.rows_range(width..), &rest, 1.0);
            check(panel.rows(0, width).tr_solve_lower_triangular_mut(&mut own))?;
        }
        Ok(())
    }
}

/// Adds `factor * block * blockᵀ` to the lower triangle whose panels these are.
fn add_products(panels: &mut [DMatrix<f64>], factor: f64, block: &DMatrix<f64>) {
    // The panels differ in height, so each is dealt alone.
    let panels = panels.par_iter_mut().enumerate().with_max_len(1);
    panels.for_each(|(number, panel)| {
        let from = number * PANEL;
        let own = block.rows(from, panel.ncols()).transpose();
        panel.gemm(factor, &block.rows_range(from..), &own, 1.0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 2 * PANEL + 17;

    /// Numbers without a pattern that products could cancel.
    fn block(rows: usize, columns: usize) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |row, column| {
            ((row * 31 + column * 17) % 23) as f64 / 23.0 - 0.5
        })
    }

    fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(work)
    }

    /// The lower triangle as a square matrix, zeros above.
    fn square(of: &Symmetric) -> DMatrix<f64> {
        let size = of.panels[0].nrows();
        DMatrix::from_fn(size, size, |row, column| {
            let (panel, start) = (&of.panels[column / PANEL], column / PANEL * PANEL);
            if row < column {
                0.0
            } else {
                panel[(row - start, column - start)]
            }
        })
    }

    #[test]
    fn products_are_those_of_whole_matrices() {
        let (one, two) = (block(SIZE, 40), block(SIZE, 7));
        let mut gram = Symmetric::zeros(SIZE);
        gram.add_product(1.0, &one);
        gram.add_product(-0.5, &two);
        gram.add_to_diagonal(&[2.0; SIZE]);
        let wanted = &one * one.transpose() - 0.5 * &two * two.transpose()
            + DMatrix::from_diagonal_element(SIZE, SIZE, 2.0);
        let gap = square(&gram) - wanted.lower_triangle();
        assert!(gap.amax() < 1e-12, "{}", gap.amax());
    }

    #[test]
    fn what_is_taken_away_again_leaves_the_rest() {
        let (kept, gone) = (block(SIZE, 40), block(SIZE, 7) * 3.0);
        let mut rest = Symmetric::zeros(SIZE);
        rest.add_product(1.0, &kept);
        let mut all = rest.clone();
        all.add_product(1.0, &gone);
        let mut work = Symmetric::zeros(SIZE);
        work.copy_from(&all);
        work.add_product(-1.0, &gone);
        assert!((square(&work) - square(&rest)).amax() < 1e-12);
    }

    #[test]
    fn a_system_is_solved_as_by_the_whole_matrix() {
        let root = block(SIZE, SIZE);
        let mut gram = Symmetric::zeros(SIZE);
        gram.add_product(1.0, &root);
        gram.add_to_diagonal(&[1.0; SIZE]);
        let whole = &root * root.transpose() + DMatrix::identity(SIZE, SIZE);
        let right = block(SIZE, 3);
        let wanted = whole.lu().solve(&right).unwrap();
        let mut found = right;
        gram.solve(&mut found).unwrap();
        assert!((found - wanted).amax() < 1e-9);
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let solved = |threads| {
            on_threads(threads, || {
                let mut gram = Symmetric::zeros(SIZE);
                gram.add_product(1.0, &block(SIZE, 2 * SIZE));
                gram.add_to_diagonal(&[0.1; SIZE]);
                let mut right = block(SIZE, 3);
                gram.solve(&mut right).unwrap();
                right
            })
        };
        let alone = solved(1);
        assert_eq!(alone, solved(2));
        assert_eq!(alone, solved(5));
    }

    #[test]
    fn a_matrix_that_is_not_positive_has_no_solution() {
        let mut gram = Symmetric::zeros(SIZE);
        gram.add_to_diagonal(&[-1.0; SIZE]);
        let error = gram.solve(&mut block(SIZE, 1)).unwrap_err();
        assert!(matches!(error, TrainingError::Singular), "{error}");
    }
}
