//! What runs offline: degrading photos, learning a head from them, building and importing model packs, and measuring how
//! well a pack does. The daemon needs none of it.

pub mod building;
pub mod degrade;
pub mod evaluation;
pub mod fitting;
pub mod importing;
pub mod training;
