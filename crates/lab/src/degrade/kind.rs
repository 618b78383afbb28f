//! Kinds of degradation, each on a scale from 0 (nothing) to 1 (hardly a face any more).

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use faceood_engine::cause::CauseName;

use super::{Codec, Degradation, Kernel, Screen, unit};

/// A kind of degradation, on a scale from 0 (nothing) to 1 (hardly a face any more). JSON has its
/// [`DegradationKind::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DegradationKind {
    /// Sensor noise.
    Noise,
    /// Out of focus.
    #[serde(rename = "blur")]
    DefocusBlur,
    /// Movement.
    MotionBlur,
    /// Few pixels on the face.
    LowResolution,
    /// JPEG and WebP artefacts.
    Compression,
    /// Too dark.
    Underexposure,
    /// Too bright.
    Overexposure,
    /// A picture of a screen.
    #[serde(rename = "screen_recapture")]
    Recapture,
}

impl DegradationKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Noise,
        Self::DefocusBlur,
        Self::MotionBlur,
        Self::LowResolution,
        Self::Compression,
        Self::Underexposure,
        Self::Overexposure,
        Self::Recapture,
    ];

    /// The cause that a face with it has.
    pub const fn cause(self) -> CauseName {
        match self {
            Self::Noise => CauseName::Noise,
            Self::DefocusBlur => CauseName::Blur,
            Self::MotionBlur => CauseName::MotionBlur,
            Self::LowResolution => CauseName::LowResolution,
            Self::Compression => CauseName::Compression,
            Self::Underexposure => CauseName::Underexposure,
            Self::Overexposure => CauseName::Overexposure,
            Self::Recapture => CauseName::ScreenRecapture,
        }
    }

    /// The name of its cause.
    pub const fn name(self) -> &'static str {
        self.cause().name()
    }

    /// The plainest degradation of this kind at `strength` (0–1) on a face that is `face_px` wide.
    /// `turn` (0–1) chooses what strength leaves open: a direction, a pitch.
    pub fn at(self, strength: f32, face_px: f32, turn: f32) -> Degradation {
        let strength = strength.clamp(0.0, 1.0);
        match self {
            // ISO 100 … 51,200, a stop every ninth of the scale.
            Self::Noise => Degradation::noise(100.0 * (9.0 * strength).exp2()),
            Self::DefocusBlur => Degradation::DefocusBlur(0.11 * strength * face_px),
            Self::MotionBlur => Degradation::MotionBlur {
                length_px: 0.3 * strength * face_px,
                angle_deg: 180.0 * turn,
                bend_deg: 0.0,
            },
            // Down to a face of 10 pixels.
            Self::LowResolution => Degradation::LowResolution {
                factor: (face_px / 10.0).max(1.0).powf(strength),
                shrunk_by: Kernel::Area,
                enlarged_by: (turn < 0.5).then_some(Kernel::Linear),
            },
            Self::Compression => Degradation::Compression {
                codec: Codec::Jpeg,
                quality: (100.0 * (0.02_f32).powf(strength)).round() as u8,
                scale: 1.0,
            },
            Self::Underexposure => Degradation::Exposure(-8.0 * strength),
            Self::Overexposure => Degradation::Exposure(5.0 * strength),
            Self::Recapture => Degradation::Recapture(Screen {
                pitch_px: 1.4 + 2.6 * turn,
                turn_deg: 2.0 + 8.0 * turn,
                contrast: strength,
                glare: 0.4 * strength,
                glare_at: [0.7, 0.25],
                ..Screen::default()
            }),
        }
    }

    /// One of the many ways in which cameras show this kind at `strength`, drawn from `random`:
    /// other kernels, codecs, paths and screens, and faults that come along with it.
    pub fn draw(self, strength: f32, face_px: f32, random: &mut ChaCha8Rng) -> Vec<Degradation> {
        let mut unit = || unit(random);
        let mut step = self.at(strength, face_px, unit());
        let chance = unit();
        let second = match &mut step {
            // Half of all cameras leave the noise, the others remove it and some detail with it.
            Degradation::Noise { smoothing, .. } => {
                *smoothing = if chance < 0.5 { 0.0 } else { unit() };
                None
            }
            // A sharp-edged disc, or the softer spot of a lens with faults: two smaller discs.
            Degradation::DefocusBlur(radius_px) if chance < 0.5 => {
                *radius_px *= 0.7;
                Some(Degradation::DefocusBlur(*radius_px))
            }
            Degradation::MotionBlur { bend_deg, .. } => {
                if chance >= 0.5 {
                    *bend_deg = 240.0 * (unit() - 0.5);
                }
                None
            }
            Degradation::LowResolution {
                shrunk_by,
                enlarged_by,
                ..
            } => {
                let mut kernel = || Kernel::ALL[(unit() * Kernel::ALL.len() as f32) as usize];
                if chance >= 0.5 {
                    *shrunk_by = kernel();
                }
                *enlarged_by = (chance * 10.0 % 1.0 < 0.7).then(kernel);
                None
            }
            &mut Degradation::Compression { quality, .. } => {
                let mut write = |quality: u8| Degradation::Compression {
                    codec: match unit() {
                        ..0.3 => Codec::Jpeg,
                        ..0.75 => Codec::JpegHalfColour,
                        _ => Codec::Webp,
                    },
                    quality,
                    scale: if unit() < 0.6 {
                        1.0
                    } else {
                        0.6 + 0.4 * unit()
                    },
                };
                step = write(quality);
                // Sent on, and written once more.
                (chance < 0.4).then(|| write(quality.saturating_mul(2).clamp(20, 90)))
            }
            // Where light is short, its grains show.
            Degradation::Exposure(..0.0) => Some(Degradation::Noise {
                iso: 100.0 * (4.0 * chance).exp2(),
                smoothing: if unit() < 0.5 { 0.0 } else { unit() },
            }),
            Degradation::Exposure(_) => Some(Degradation::Scatter {
                share: 0.35 * (chance - 0.4).max(0.0),
                radius_px: 0.4 * face_px,
            }),
            Degradation::Recapture(screen) => {
                screen.turn_deg = 30.0 * (unit() - 0.5);
                screen.glare = strength * unit() * unit();
                screen.glare_at = [unit(), unit()];
                screen.warmth = 1.2 * strength * (unit() - 0.5);
                if chance >= 0.4 {
                    screen.keystone = 0.16 * (unit() - 0.5);
                }
                screen.contrast *= 0.3 + 0.7 * unit();
                screen.beats = (unit() < 0.5).then(|| [0.8 + 0.4 * unit(), 20.0 * (unit() - 0.5)]);
                screen.bands = (unit() < 0.5).then(|| {
                    let rows = (0.08 + 0.5 * unit()) * face_px;
                    [rows, strength * (0.1 + 0.3 * unit()), unit()]
                });
                Some(Degradation::DefocusBlur(
                    0.012 * strength * unit() * face_px,
                ))
            }
            _ => None,
        };
        std::iter::once(step).chain(second).collect()
    }
}
