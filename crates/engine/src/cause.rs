//! What can pull a quality score down. Every part of the program that names a cause names it by
//! [`CauseName`]: the score and its causes, the faults that training makes, the OOD head's outputs,
//! the analysis of the log.

use crate::named;

named! {
    /// What can pull a score down, as the contract names it.
    CauseName {
        /// Sensor noise.
        Noise "noise",
        /// Out of focus.
        Blur "blur",
        /// The head or the camera moved.
        MotionBlur "motion_blur",
        /// Too few pixels on the face.
        LowResolution "low_resolution",
        /// Compressed too strongly.
        Compression "compression",
        /// Too dark.
        Underexposure "underexposure",
        /// Too bright, clipped.
        Overexposure "overexposure",
        /// A picture of a screen or of a print.
        ScreenRecapture "screen_recapture",
        /// Something covers a part of the face.
        Occlusion "occlusion",
        /// A mask over mouth and nose.
        Mask "mask",
        /// The head is turned away.
        Pose "pose",
        /// Nothing that is measured explains it.
        Unknown "unknown",
    }
}

impl CauseName {
    /// Those that the OOD head names, in the order of its outputs.
    pub const LEARNT: [Self; 10] = [
        Self::Noise,
        Self::Blur,
        Self::MotionBlur,
        Self::LowResolution,
        Self::Compression,
        Self::Underexposure,
        Self::Overexposure,
        Self::ScreenRecapture,
        Self::Occlusion,
        Self::Mask,
    ];

    /// Those that hide a part of the face.
    pub const COVERS: [Self; 2] = [Self::Occlusion, Self::Mask];

    /// Its place among [`Self::LEARNT`]; `None` where the head does not name it.
    pub fn place(self) -> Option<usize> {
        Self::LEARNT.iter().position(|&learnt| learnt == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for cause in CauseName::ALL {
            assert_eq!(CauseName::from_name(cause.name()), Some(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
        }
        assert_eq!(CauseName::from_name("haze"), None);
    }

    #[test]
    fn the_order_of_the_head_s_outputs_is_that_of_the_packs_in_use() {
        // Packs list these names in their manifests; their networks have the outputs in this order.
        let names = CauseName::LEARNT.map(CauseName::name).join(" ");
        assert_eq!(
            names,
            "noise blur motion_blur low_resolution compression underexposure overexposure screen_recapture occlusion mask"
        );
        assert_eq!(CauseName::Noise.place(), Some(0));
        assert_eq!(CauseName::Mask.place(), Some(9));
        assert_eq!(CauseName::Pose.place(), None);
    }
}
