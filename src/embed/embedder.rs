//! One run of the pack's embedder for a batch of aligned faces: embedding, norms and OOD logit in one go.

use std::collections::BTreeMap;

use super::{EMBEDDING_LENGTH, Embedded, Embedding};
use crate::checkpoint::Interruption;
use crate::face::ALIGNED_SIDE;
use crate::runtime::{InputTransform, RuntimeError, Session, Tensor};
use image::RgbImage;

/// How the embedder is fed, and the names of its tensors and networks, as the pack's manifest gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedderSettings {
    /// How pixels become its numbers.
    pub input: InputTransform,
    /// Output `[N, 512]`.
    pub embedding: String,
    /// Output `[N]`: length before normalisation as the pack defines it; `None` where it is the length of `embedding` itself.
    pub embedding_norm: Option<String>,
    /// Output `[N, networks]`: length of each network's own output; `None` in a pack of one network without it.
    pub network_norms: Option<String>,
    /// The networks, in the order of `network_norms`.
    pub networks: Vec<String>,
    /// Output `[N]`: raw output of the OOD head.
    pub ood_logit: String,
    /// Output `[N, causes]` and how many causes there are; `None` in a pack that names none.
    pub cause_logits: Option<(String, usize)>,
}

/// Why aligned faces could not be turned into numbers.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// An output is missing or has another shape than the manifest says.
    #[error(
        "embedder output {name:?} is {got}, expected {expected}; run `faceood-admin models verify`"
    )]
    Output {
        /// Name of the tensor.
        name: String,
        /// What came.
        got: String,
        /// What should have come.
        expected: String,
    },
    /// The embedder answered with NaN, an infinite number, or an embedding of length zero.
    #[error("embedder output {name:?} of face {index} of {count} is not a finite number of use")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// Which face of the batch.
        index: usize,
        /// Size of the batch.
        count: usize,
    },
    /// A crop is not on the recogniser's grid.
    #[error("crop is {width}×{height} px, the embedder takes {ALIGNED_SIDE}×{ALIGNED_SIDE}")]
    CropSize {
        /// Width of the crop.
        width: u32,
        /// Height of the crop.
        height: u32,
    },
    /// The thread of a shared session is gone, or lost its session in a panic.
    #[error("the embedder's session was lost")]
    Lost,
    /// Nobody wants the outcome any more.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    /// The network could not be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// The embedder's session with its input buffer.
pub struct Embedder {
    session: Session,
    settings: EmbedderSettings,
    input: Vec<f32>,
}

impl Embedder {
    /// `session` takes [N, planes, 112, 112].
    #[must_use]
    pub fn new(session: Session, settings: EmbedderSettings) -> Self {
        Self {
            session,
            settings,
            input: Vec::new(),
        }
    }

    /// The numbers of each 112×112 crop, in the order given, in one run. No crops, no run.
    ///
    /// # Errors
    /// If a crop has another size, the run fails or any number that comes out is not finite.
    pub fn embed_crops(&mut self, crops: &[&RgbImage]) -> Result<Vec<Embedded>, EmbedError> {
        if crops.is_empty() {
            return Ok(Vec::new());
        }
        self.fill_input(crops)?;
        let side = ALIGNED_SIDE as usize;
        let outputs: BTreeMap<String, Tensor> = self
            .session
            .run(
                &[
                    crops.len(),
                    self.settings.input.channels.planes(),
                    side,
                    side,
                ],
                &self.input,
            )?
            .into_iter()
            .collect();
        read(&self.settings, &outputs, crops.len())
    }

    /// Interleaved RGB bytes → the network's planes.
    fn fill_input(&mut self, crops: &[&RgbImage]) -> Result<(), EmbedError> {
        let plane = (ALIGNED_SIDE * ALIGNED_SIDE) as usize;
        let numbers = self.settings.input.channels.planes() * plane;
        self.input.resize(crops.len() * numbers, 0.0);
        for (crop, values) in crops.iter().zip(self.input.chunks_exact_mut(numbers)) {
            let (width, height) = crop.dimensions();
            if (width, height) != (ALIGNED_SIDE, ALIGNED_SIDE) {
                return Err(EmbedError::CropSize { width, height });
            }
            self.settings.input.write(crop.as_raw(), values, plane, 0);
        }
        Ok(())
    }
}

/// Outputs of a batch of `count` → one value per face.
fn read(
    settings: &EmbedderSettings,
    outputs: &BTreeMap<String, Tensor>,
    count: usize,
) -> Result<Vec<Embedded>, EmbedError> {
    let rows = |name: &str, width: usize| rows(outputs, name, count, width);
    let embeddings = rows(&settings.embedding, EMBEDDING_LENGTH)?;
    let norms = match &settings.embedding_norm {
        Some(name) => Some(rows(name, 1)?),
        None => None,
    };
    let logits = rows(&settings.ood_logit, 1)?;
    let network_norms = match &settings.network_norms {
        Some(name) => Some(rows(name, settings.networks.len())?),
        None => None,
    };
    let causes = match &settings.cause_logits {
        Some((name, causes)) => Some((rows(name, *causes)?, *causes)),
        None => None,
    };
    let mut embedded = Vec::with_capacity(count);
    for index in 0..count {
        let values = &embeddings[index * EMBEDDING_LENGTH..(index + 1) * EMBEDDING_LENGTH];
        // An embedding of all zeros points nowhere: as useless as NaN.
        let (embedding, length) =
            Embedding::normalise(values).ok_or_else(|| EmbedError::NotFinite {
                name: settings.embedding.clone(),
                index,
                count,
            })?;
        let networks = settings.networks.len();
        embedded.push(Embedded {
            embedding,
            embedding_norm: norms.map_or(length, |norms| norms[index]),
            network_norms: network_norms.map_or_else(BTreeMap::new, |norms| {
                settings
                    .networks
                    .iter()
                    .cloned()
                    .zip(norms[index * networks..].iter().copied())
                    .collect()
            }),
            ood_logit: logits[index],
            cause_logits: causes.map_or_else(Vec::new, |(logits, causes)| {
                logits[index * causes..(index + 1) * causes].to_vec()
            }),
        });
    }
    Ok(embedded)
}

/// The numbers of output `name`, checked to be `count` × `width` finite ones.
fn rows<'a>(
    outputs: &'a BTreeMap<String, Tensor>,
    name: &str,
    count: usize,
    width: usize,
) -> Result<&'a [f32], EmbedError> {
    let expected = count * width;
    let values = match outputs.get(name) {
        Some(tensor) if tensor.values.len() == expected => &tensor.values[..],
        other => {
            return Err(EmbedError::Output {
                name: name.to_owned(),
                got: other.map_or("missing".to_owned(), |tensor| format!("{:?}", tensor.shape)),
                expected: format!("{count}×{width} numbers"),
            });
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(EmbedError::NotFinite {
            name: name.to_owned(),
            index: position / width.max(1),
            count,
        }),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Channels;

    fn settings() -> EmbedderSettings {
        EmbedderSettings {
            input: InputTransform {
                channels: Channels::Rgb,
                mean: 0.0,
                scale: 1.0,
            },
            embedding: "embedding".to_owned(),
            embedding_norm: Some("embedding_norm".to_owned()),
            network_norms: Some("network_norms".to_owned()),
            networks: vec!["mobilefacenet".to_owned(), "sface".to_owned()],
            ood_logit: "ood_logit".to_owned(),
            cause_logits: Some(("cause_logits".to_owned(), 3)),
        }
    }

    fn outputs(count: usize) -> BTreeMap<String, Tensor> {
        let tensor = |width: usize| Tensor {
            shape: vec![count, width],
            values: (0..count * width).map(|value| value as f32 + 1.0).collect(),
        };
        BTreeMap::from([
            ("embedding".to_owned(), tensor(EMBEDDING_LENGTH)),
            ("embedding_norm".to_owned(), tensor(1)),
            ("network_norms".to_owned(), tensor(2)),
            ("ood_logit".to_owned(), tensor(1)),
            ("cause_logits".to_owned(), tensor(3)),
        ])
    }

    #[test]
    fn each_face_gets_its_own_row() {
        let embedded = read(&settings(), &outputs(3), 3).unwrap();
        assert_eq!(embedded.len(), 3);
        assert_eq!(embedded[2].embedding_norm, 3.0);
        assert_eq!(embedded[2].ood_logit, 3.0);
        assert_eq!(embedded[1].cause_logits, [4.0, 5.0, 6.0]);
        assert_eq!(embedded[1].network_norms["mobilefacenet"], 3.0);
        assert_eq!(embedded[1].network_norms["sface"], 4.0);
        let length: f32 = embedded[0]
            .embedding
            .values()
            .iter()
            .map(|value| value * value)
            .sum();
        assert!((length - 1.0).abs() < 1e-5);
        assert!(embedded[0].embedding != embedded[1].embedding);
    }

    #[test]
    fn numbers_that_are_not_finite_are_errors_in_every_output() {
        for name in [
            "embedding",
            "embedding_norm",
            "network_norms",
            "ood_logit",
            "cause_logits",
        ] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut outputs = outputs(2);
                let values = &mut outputs.get_mut(name).unwrap().values;
                let last = values.len() - 1;
                values[last] = bad;
                let error = read(&settings(), &outputs, 2).unwrap_err();
                assert!(
                    matches!(&error, EmbedError::NotFinite { name: culprit, index: 1, .. } if culprit == name),
                    "{name} {bad}: {error}"
                );
            }
        }
    }

    #[test]
    fn an_embedding_of_zeros_is_an_error() {
        let mut outputs = outputs(1);
        outputs.get_mut("embedding").unwrap().values.fill(0.0);
        let error = read(&settings(), &outputs, 1).unwrap_err();
        assert!(matches!(error, EmbedError::NotFinite { .. }), "{error}");
    }

    #[test]
    fn a_wrong_shape_says_what_came() {
        let error = read(&settings(), &outputs(2), 3).unwrap_err();
        assert!(error.to_string().contains("[2, 512]"), "{error}");
        let mut outputs = outputs(1);
        outputs.remove("ood_logit");
        let error = read(&settings(), &outputs, 1).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
