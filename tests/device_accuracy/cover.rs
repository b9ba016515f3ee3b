//! How few lines of a matrix hold all of some entries.

use std::collections::{BTreeMap, BTreeSet};

/// The least number of rows and columns that hold all these entries, row and column. By Kőnig's
/// theorem it is the greatest number of entries of which no two share a row or a column: each row in
/// turn takes a column of its own, for which others may have to move to another.
pub fn fewest_lines(entries: impl Iterator<Item = (usize, usize)>) -> usize {
    let mut cols_of = BTreeMap::<usize, Vec<usize>>::new();
    entries.for_each(|(row, col)| cols_of.entry(row).or_default().push(col));
    let mut row_of = BTreeMap::new();
    cols_of
        .keys()
        .filter(|&&row| takes_one(row, &cols_of, &mut row_of, &mut BTreeSet::new()))
        .count()
}

/// Whether the row finds a column, other rows moving where they can; none looks at a column twice.
fn takes_one(
    row: usize,
    cols_of: &BTreeMap<usize, Vec<usize>>,
    row_of: &mut BTreeMap<usize, usize>,
    seen: &mut BTreeSet<usize>,
) -> bool {
    cols_of[&row].iter().any(|&col| {
        let is_free = seen.insert(col)
            && row_of
                .get(&col)
                .copied()
                .is_none_or(|other| takes_one(other, cols_of, row_of, seen));
        if is_free {
            row_of.insert(col, row);
        }
        is_free
    })
}

#[test]
fn the_fewest_lines_are_found() {
    let of = |entries: &[(usize, usize)]| fewest_lines(entries.iter().copied());
    assert_eq!(of(&[]), 0);
    assert_eq!(of(&[(3, 4)]), 1);
    assert_eq!(of(&[(3, 4), (3, 7), (3, 0)]), 1);
    assert_eq!(of(&[(3, 4), (1, 4), (8, 4)]), 1);
    assert_eq!(of(&[(0, 0), (1, 1), (2, 2)]), 3);
    // Three rows of two columns: the column with most entries is none of the fewest lines.
    let rows = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 3)];
    assert_eq!(of(&rows), 3);
    // A row and a column that cross, and one entry elsewhere.
    assert_eq!(of(&[(5, 0), (5, 1), (5, 2), (0, 1), (1, 1), (9, 9)]), 3);
}
