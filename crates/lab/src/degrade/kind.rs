//! Kinds of degradation, each on a scale from 0 (nothing) to 1 (hardly a face any more).

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use faceood::cause::CauseName;

use super::{Codec, Degradation, Kernel, Screen, unit};

/// A kind of degradation, on a scale from 0 (nothing) to 1 (hardly a face any more). In JSON it is called by [`DegradationKind::name`].
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
    #[must_use]
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

    /// Its cause's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.cause().name()
    }

    /// The plainest degradation of this kind at `strength` (0–1) on a face that is `face_px` wide. `turn` (0–1) chooses what strength
    /// leaves open: a direction, a pitch.
    #[must_use]
    pub fn at(self, strength: f32, face_px: f32, turn: f32) -> Degradation {
        let strength = strength.clamp(0.0, 1.0);
        match self {
            // ISO 100 … 51,200, a stop every ninth of the scale.
            Self::Noise => Degradation::Noise {
                iso: 100.0 * (9.0 * strength).exp2(),
                smoothing: 0.0,
            },
            Self::DefocusBlur => Degradation::DefocusBlur {
                radius_px: 0.11 * strength * face_px,
            },
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
            Self::Underexposure => Degradation::Exposure {
                stops: -8.0 * strength,
            },
            Self::Overexposure => Degradation::Exposure {
                stops: 5.0 * strength,
            },
            Self::Recapture => Degradation::Recapture(Screen {
                pitch_px: 1.4 + 2.6 * turn,
                turn_deg: 2.0 + 8.0 * turn,
                contrast: strength,
                beats: None,
                bands: None,
                glare: 0.4 * strength,
                glare_at: [0.7, 0.25],
                warmth: 0.0,
                keystone: 0.0,
            }),
        }
    }

    /// One of the many ways in which cameras show this kind at `strength`, drawn from `random`: other kernels, codecs, paths and
    /// screens, and what goes along with it.
    #[must_use]
    pub fn draw(self, strength: f32, face_px: f32, random: &mut ChaCha8Rng) -> Vec<Degradation> {
        let mut unit = || unit(random);
        let plain = self.at(strength, face_px, unit());
        let chance = unit();
        match plain {
            Degradation::Noise { iso, .. } => vec![Degradation::Noise {
                iso,
                // Half of all cameras leave the noise, the others take it and some detail with it.
                smoothing: if chance < 0.5 { 0.0 } else { unit() },
            }],
            // A sharp-edged disc, or the softer spot of a lens with faults: two smaller discs one after the other.
            Degradation::DefocusBlur { radius_px } if chance < 0.5 => {
                vec![
                    Degradation::DefocusBlur {
                        radius_px: 0.7 * radius_px
                    };
                    2
                ]
            }
            Degradation::MotionBlur {
                length_px,
                angle_deg,
                ..
            } => vec![Degradation::MotionBlur {
                length_px,
                angle_deg,
                bend_deg: if chance < 0.5 {
                    0.0
                } else {
                    240.0 * (unit() - 0.5)
                },
            }],
            Degradation::LowResolution { factor, .. } => {
                let mut kernel = || Kernel::ALL[(unit() * Kernel::ALL.len() as f32) as usize];
                vec![Degradation::LowResolution {
                    factor,
                    shrunk_by: if chance < 0.5 { Kernel::Area } else { kernel() },
                    enlarged_by: (chance * 10.0 % 1.0 < 0.7).then(kernel),
                }]
            }
            Degradation::Compression { quality, .. } => {
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
                let mut files = vec![write(quality)];
                if chance < 0.4 {
                    // Sent on, and written once more.
                    files.push(write(quality.saturating_mul(2).clamp(20, 90)));
                }
                files
            }
            Degradation::Exposure { stops } if stops < 0.0 => vec![
                Degradation::Exposure { stops },
                // Where light is short, its grains show.
                Degradation::Noise {
                    iso: 100.0 * (4.0 * chance).exp2(),
                    smoothing: if unit() < 0.5 { 0.0 } else { unit() },
                },
            ],
            Degradation::Exposure { stops } => vec![
                Degradation::Exposure { stops },
                Degradation::Scatter {
                    share: 0.35 * (chance - 0.4).max(0.0),
                    radius_px: 0.4 * face_px,
                },
            ],
            Degradation::Recapture(screen) => vec![
                Degradation::Recapture(Screen {
                    turn_deg: 30.0 * (unit() - 0.5),
                    glare: strength * unit() * unit(),
                    glare_at: [unit(), unit()],
                    warmth: 1.2 * strength * (unit() - 0.5),
                    keystone: if chance < 0.4 {
                        0.0
                    } else {
                        0.16 * (unit() - 0.5)
                    },
                    contrast: screen.contrast * (0.3 + 0.7 * unit()),
                    beats: (unit() < 0.5).then(|| [0.8 + 0.4 * unit(), 20.0 * (unit() - 0.5)]),
                    bands: (unit() < 0.5).then(|| {
                        let rows = (0.08 + 0.5 * unit()) * face_px;
                        [rows, strength * (0.1 + 0.3 * unit()), unit()]
                    }),
                    ..screen
                }),
                Degradation::DefocusBlur {
                    radius_px: 0.012 * strength * unit() * face_px,
                },
            ],
            other => vec![other],
        }
    }
}
