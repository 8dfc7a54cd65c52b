//! `allOf`, `anyOf`, `oneOf`: which schema of the update stands for which of the original is not said, so the best matching
//! is looked for.

use super::Check;
use super::difference::{Difference, is_compatible};
use crate::registry::language::json::Criterion;

/// Schemas of a combination that are matched at most; beyond that it is said that they changed.
const MAX_SCHEMAS: usize = 500;

impl<'s> Check<'s> {
    pub(super) fn combined(
        &mut self,
        (criterion, originals): (Criterion, &'s [usize]),
        (updated, updates): (Criterion, &'s [usize]),
        found: &mut Vec<Difference>,
    ) {
        if criterion != updated {
            let single = originals.len() == 1;
            let extends = match updated {
                Criterion::Any => true,
                Criterion::One => single,
                Criterion::All => single && updates.len() == 1,
            };
            if !extends {
                found.push(Difference::here("COMBINED_TYPE_CHANGED"));
                return;
            }
            found.push(Difference::here("COMBINED_TYPE_EXTENDED"));
        }
        let is_product = updated == Criterion::All;
        match originals.len().cmp(&updates.len()) {
            std::cmp::Ordering::Less => {
                found.push(Difference::here(if is_product { "PRODUCT_TYPE_EXTENDED" } else { "SUM_TYPE_EXTENDED" }))
            }
            std::cmp::Ordering::Greater => {
                found.push(Difference::here(if is_product { "PRODUCT_TYPE_NARROWED" } else { "SUM_TYPE_NARROWED" }));
            }
            std::cmp::Ordering::Equal => {}
        }
        let smaller = originals.len().min(updates.len());
        if smaller > MAX_SCHEMAS {
            found.push(Difference::here("COMBINED_TYPE_SUBSCHEMAS_CHANGED"));
            return;
        }
        // For each original, the updates that read it.
        let mut edges: Vec<Vec<(usize, Vec<Difference>)>> = Vec::with_capacity(originals.len());
        for (index, original) in originals.iter().enumerate() {
            let mut readers = Vec::new();
            for (at, update) in updates.iter().enumerate() {
                let within = self.compare_at(&format!("{}/{index}", criterion.name()), Some(*original), Some(*update));
                if is_compatible(&within) {
                    readers.push((at, within));
                }
            }
            edges.push(readers);
        }
        let matched = matching(&edges, updates.len());
        let count = matched.iter().flatten().count();
        for (update, original) in matched.iter().enumerate() {
            let within = original.and_then(|original| edges.get(original)).and_then(|readers| readers.iter().find(|(at, _)| *at == update));
            found.extend(within.into_iter().flat_map(|(_, within)| within.iter().cloned()));
        }
        if count < smaller {
            found.push(Difference::here("COMBINED_TYPE_SUBSCHEMAS_CHANGED"));
        }
    }
}

/// For each update, the original that it stands for, in a matching as large as can be.
fn matching(edges: &[Vec<(usize, Vec<Difference>)>], updates: usize) -> Vec<Option<usize>> {
    fn place(original: usize, edges: &[Vec<(usize, Vec<Difference>)>], seen: &mut [bool], matched: &mut [Option<usize>]) -> bool {
        for (update, _) in edges.get(original).into_iter().flatten() {
            match seen.get_mut(*update) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            let holder = matched.get(*update).copied().flatten();
            if holder.is_none_or(|holder| place(holder, edges, seen, matched)) {
                if let Some(slot) = matched.get_mut(*update) {
                    *slot = Some(original);
                }
                return true;
            }
        }
        false
    }
    let mut matched = vec![None; updates];
    for original in 0..edges.len() {
        place(original, edges, &mut vec![false; updates], &mut matched);
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_matching_is_found() {
        let edges = |lists: &[&[usize]]| lists.iter().map(|l| l.iter().map(|at| (*at, Vec::new())).collect()).collect::<Vec<Vec<_>>>();
        assert_eq!(matching(&edges(&[&[0, 1], &[0]]), 2), [Some(1), Some(0)]);
        assert_eq!(matching(&edges(&[&[0], &[0]]), 1), [Some(0)]);
        assert_eq!(matching(&edges(&[&[], &[2]]), 3), [None, None, Some(1)]);
    }
}
