//! Causes of a low score as the pack's own network detects them.

use super::CauseName;

/// The causes that a pack's network detects, and from where on a face may be covered and surely is.
#[derive(Clone, Debug, PartialEq)]
pub struct SymptomNames {
    names: Vec<CauseName>,
    covered: [f32; 2],
}

/// What it sees on one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Symptoms {
    seen: Vec<(CauseName, f32)>,
    covered: [f32; 2],
}

impl SymptomNames {
    /// Of a pack's manifest; the name that is no cause of the contract is the error.
    ///
    /// # Errors
    /// Where one of the names is unknown.
    pub fn new(names: &[String], covered: [f32; 2]) -> Result<Self, String> {
        let known = |name: &String| CauseName::from_name(name).ok_or_else(|| name.clone());
        Ok(Self {
            names: names.iter().map(known).collect::<Result<_, _>>()?,
            covered,
        })
    }

    /// `logits` in the order of the names.
    pub fn read(&self, logits: &[f32]) -> Symptoms {
        Symptoms {
            seen: self
                .names
                .iter()
                .copied()
                .zip(logits.iter().copied())
                .collect(),
            covered: self.covered,
        }
    }
}

impl Symptoms {
    /// How clearly `cause` shows, 0 … 1; `None` if the network does not know it.
    pub fn of(&self, cause: CauseName) -> Option<f32> {
        let (_, logit) = self.seen.iter().find(|(name, _)| *name == cause)?;
        Some(super::unit(*logit))
    }

    /// The chance that something covers mouth or eyes, 0 … 1.
    pub fn cover_chance(&self) -> f32 {
        let covers = CauseName::COVERS;
        let logits = self.seen.iter().filter(|(name, _)| covers.contains(name));
        let sum = logits.map(|(_, logit)| logit).sum::<f32>();
        let [maybe, surely] = self.covered;
        if sum >= surely {
            1.0
        } else {
            super::unit((sum - maybe) / (surely - maybe))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Symptoms with these logits; a face is covered from .5 on, perhaps, and from .9 on, surely.
    pub(in crate::quality) fn symptoms(seen: &[(CauseName, f32)]) -> Symptoms {
        Symptoms {
            seen: seen.to_vec(),
            covered: [0.5, 0.9],
        }
    }

    #[test]
    fn names_are_read_in_their_order_and_unknown_ones_are_named() {
        let names = ["mask".to_owned(), "noise".to_owned()];
        let found = SymptomNames::new(&names, [0.5; 2])
            .unwrap()
            .read(&[0.7, -0.2]);
        assert_eq!(found.of(CauseName::Mask), Some(0.7));
        assert_eq!(found.of(CauseName::Noise), Some(0.0));
        assert_eq!(found.of(CauseName::Pose), None);
        assert_eq!(
            SymptomNames::new(&["haze".to_owned()], [0.5; 2]),
            Err("haze".to_owned())
        );
    }

    #[test]
    fn the_chance_of_a_cover_rises_with_mask_and_occlusion_together() {
        let chance = |mask, occlusion| {
            let seen = [(CauseName::Mask, mask), (CauseName::Occlusion, occlusion)];
            symptoms(&seen).cover_chance()
        };
        assert_eq!(chance(0.3, 0.1), 0.0);
        assert!((chance(0.3, 0.4) - 0.5).abs() < 1e-6);
        assert_eq!((chance(0.5, 0.4), chance(1.4, 0.2)), (1.0, 1.0));
        let noisy = symptoms(&[(CauseName::Mask, 0.3), (CauseName::Noise, 0.9)]);
        assert_eq!(noisy.cover_chance(), 0.0);
        assert_eq!(symptoms(&[(CauseName::Mask, f32::NAN)]).cover_chance(), 0.0);
    }

    #[test]
    fn a_pack_without_doubt_has_a_cut() {
        let names = SymptomNames::new(&["mask".to_owned()], [0.5; 2]).unwrap();
        let chance = |mask| names.read(&[mask]).cover_chance();
        assert_eq!((chance(0.49), chance(0.5)), (0.0, 1.0));
    }
}
