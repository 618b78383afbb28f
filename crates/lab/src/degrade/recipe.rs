//! The degradation of a site's camera, as kinds and strengths. `analyze-logs --export-cluster`
//! writes it and `models train --augment` reads it.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Degradation, DegradationKind, unit};

/// Kinds that come together, each between two strengths.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Empty if nothing in this module makes such pictures.
    pub kinds: Vec<Dose>,
}

/// How much of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    /// What is wrong with the picture.
    pub kind: DegradationKind,
    /// The least and the most, on the kind's scale from 0 to 1.
    pub strengths: [f32; 2],
}

impl Recipe {
    /// Checks that the strengths rise and lie on the scale.
    ///
    /// # Errors
    /// A message that names the first kind whose strengths are wrong.
    pub fn check(&self) -> Result<(), String> {
        for dose in &self.kinds {
            let ([least, most], name) = (dose.strengths, dose.kind.name());
            if !(0.0 <= least && least <= most && most <= 1.0) {
                return Err(format!(
                    "the strengths of {name} are {least} to {most}, and have to rise between 0 and 1"
                ));
            }
        }
        Ok(())
    }

    /// One of the ways in which such pictures get worse, for a face that is `face_px` wide: the
    /// steps, and how strong each kind is.
    pub fn draw(
        &self,
        face_px: f32,
        random: &mut ChaCha8Rng,
    ) -> (Vec<Degradation>, Vec<(DegradationKind, f32)>) {
        let mut steps = Vec::new();
        let mut strengths = Vec::new();
        for dose in &self.kinds {
            let [least, most] = dose.strengths;
            let strength = least + (most - least) * unit(random);
            steps.extend(dose.kind.draw(strength, face_px, random));
            strengths.push((dose.kind, strength));
        }
        (steps, strengths)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn recipe(least: f32, most: f32) -> Recipe {
        Recipe {
            kinds: vec![Dose {
                kind: DegradationKind::MotionBlur,
                strengths: [least, most],
            }],
        }
    }

    #[test]
    fn what_is_drawn_lies_between_the_strengths() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<f32> = (0..200)
            .map(|_| recipe(0.2, 0.6).draw(100.0, &mut random).1[0].1)
            .collect();
        assert!(drawn.iter().all(|strength| (0.2..=0.6).contains(strength)));
        assert!(drawn.iter().any(|strength| *strength < 0.25));
        assert!(drawn.iter().any(|strength| *strength > 0.55));
    }

    #[test]
    fn strengths_off_the_scale_are_named() {
        assert_eq!(recipe(0.0, 1.0).check(), Ok(()));
        for (least, most) in [(0.6, 0.2), (-0.1, 0.5), (0.5, 1.1), (f32::NAN, 0.5)] {
            let message = recipe(least, most).check().unwrap_err();
            assert!(message.contains("motion_blur"), "{message}");
        }
    }

    #[test]
    fn kinds_are_called_by_their_names_in_json() {
        for kind in DegradationKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
