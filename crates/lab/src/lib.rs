//! What runs offline, not in the daemon: degrading photos, training a head, building and
//! importing model packs, and evaluating a pack.

pub mod building;
pub mod degrade;
pub mod evaluation;
pub mod fitting;
pub mod importing;
pub mod training;
