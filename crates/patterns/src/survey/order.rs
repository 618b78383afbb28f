//! Numbers in the order of names.

/// The old places in the order of `names`.
pub(crate) fn sorted<T: Ord>(names: &[T]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..names.len() as u32).collect();
    order.sort_unstable_by_key(|&place| &names[place as usize]);
    order
}

/// What stands at the places of `order`.
pub(crate) fn permuted<T: Clone>(all: &[T], order: &[u32]) -> Vec<T> {
    let one = |&place: &u32| all[place as usize].clone();
    order.iter().map(one).collect()
}

/// For each old place the new one.
pub(crate) fn inverted(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (new, &old) in (0..).zip(order) {
        places[old as usize] = new;
    }
    places
}
