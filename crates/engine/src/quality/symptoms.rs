//! Causes of a low score as the pack's own network detects them.

use super::CauseName;

/// The causes that a pack's network detects, and from where on a face is covered.
#[derive(Clone, Debug, PartialEq)]
pub struct SymptomNames {
    names: Vec<CauseName>,
    covered_from: f32,
}

/// What it sees on one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Symptoms {
    seen: Vec<(CauseName, f32)>,
    covered_from: f32,
}

impl SymptomNames {
    /// Of a pack's manifest; the name that is no cause of the contract is the error.
    ///
    /// # Errors
    /// Where one of the names is unknown.
    pub fn new(names: &[String], covered_from: f32) -> Result<Self, String> {
        let known = |name: &String| CauseName::from_name(name).ok_or_else(|| name.clone());
        Ok(Self {
            names: names.iter().map(known).collect::<Result<_, _>>()?,
            covered_from,
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
            covered_from: self.covered_from,
        }
    }
}

impl Symptoms {
    /// How clearly `cause` shows, 0 … 1; `None` if the network does not know it.
    pub fn of(&self, cause: CauseName) -> Option<f32> {
        let (_, logit) = self.seen.iter().find(|(name, _)| *name == cause)?;
        Some(super::unit(*logit))
    }

    /// Whether mouth or eyes are covered by something.
    pub fn is_covered(&self) -> bool {
        let covers = CauseName::COVERS;
        let logits = self.seen.iter().filter(|(name, _)| covers.contains(name));
        logits.map(|(_, logit)| logit).sum::<f32>() >= self.covered_from
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Symptoms with these logits and a cut of one half.
    pub(in crate::quality) fn symptoms(seen: &[(CauseName, f32)]) -> Symptoms {
        Symptoms {
            seen: seen.to_vec(),
            covered_from: 0.5,
        }
    }

    #[test]
    fn names_are_read_in_their_order_and_unknown_ones_are_named() {
        let names = ["mask".to_owned(), "noise".to_owned()];
        let found = SymptomNames::new(&names, 0.5).unwrap().read(&[0.7, -0.2]);
        assert_eq!(found.of(CauseName::Mask), Some(0.7));
        assert_eq!(found.of(CauseName::Noise), Some(0.0));
        assert_eq!(found.of(CauseName::Pose), None);
        assert_eq!(
            SymptomNames::new(&["haze".to_owned()], 0.5),
            Err("haze".to_owned())
        );
    }

    #[test]
    fn a_face_is_covered_where_mask_and_occlusion_reach_the_cut_together() {
        assert!(symptoms(&[(CauseName::Mask, 0.3), (CauseName::Occlusion, 0.3)]).is_covered());
        assert!(!symptoms(&[(CauseName::Mask, 0.3), (CauseName::Noise, 0.9)]).is_covered());
    }
}
