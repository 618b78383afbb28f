//! One run of the pack's embedder for a batch of aligned faces.

use std::collections::BTreeMap;

use image::RgbImage;

use super::{EMBEDDING_LENGTH, Embedded, Embedding};
use crate::checkpoint::Interruption;
use crate::face::ALIGNED_SIDE;
use crate::pack::manifest::{self, OutputTensor};
use crate::runtime::{RuntimeError, Session, Tensor};

/// Why aligned faces could not be turned into numbers.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// An output is missing or has another shape.
    #[error(
        "embedder output {name:?} is {got}, expected {expected}; run `faceood-admin models verify`"
    )]
    Output {
        /// Name of the output.
        name: String,
        /// What came.
        got: String,
        /// What the manifest says.
        expected: String,
    },
    /// The embedder answered with NaN, an infinite number, or an embedding of length zero.
    #[error("embedder output {name:?} of face {index} of {count} is not a finite number of use")]
    NotFinite {
        /// Name of the output.
        name: String,
        /// Place of the face in the batch, from 0.
        index: usize,
        /// Size of the batch.
        count: usize,
    },
    /// A crop of this width and height is not on the recogniser's grid.
    #[error("crop is {0}×{1} px, the embedder takes {ALIGNED_SIDE}×{ALIGNED_SIDE}")]
    CropSize(u32, u32),
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
    settings: manifest::Embedder,
    input: Vec<f32>,
}

impl Embedder {
    /// `session` takes [N, planes, 112, 112].
    pub fn new(session: Session, settings: manifest::Embedder) -> Self {
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
        let planes = self.settings.input.channels.planes();
        let shape = [crops.len(), planes, side, side];
        let outputs = self.session.run(&shape, &self.input)?.into_iter().collect();
        read(&self.settings, &outputs, crops.len())
    }

    fn fill_input(&mut self, crops: &[&RgbImage]) -> Result<(), EmbedError> {
        let plane = (ALIGNED_SIDE * ALIGNED_SIDE) as usize;
        let transform = self.settings.input.transform();
        let numbers = transform.channels.planes() * plane;
        self.input.resize(crops.len() * numbers, 0.0);
        for (crop, values) in crops.iter().zip(self.input.chunks_exact_mut(numbers)) {
            let (width, height) = crop.dimensions();
            if (width, height) != (ALIGNED_SIDE, ALIGNED_SIDE) {
                return Err(EmbedError::CropSize(width, height));
            }
            transform.write(crop.as_raw(), values, plane, 0);
        }
        Ok(())
    }
}

/// Outputs of a batch of `count` → one value per face.
fn read(
    settings: &manifest::Embedder,
    outputs: &BTreeMap<String, Tensor>,
    count: usize,
) -> Result<Vec<Embedded>, EmbedError> {
    let rows = |tensor: &OutputTensor, width: usize| rows(outputs, &tensor.name, count, width);
    let optional =
        |tensor: Option<&OutputTensor>, width| tensor.map(|tensor| rows(tensor, width)).transpose();
    let (networks, causes) = (&settings.networks, settings.causes.as_ref());
    let cause_count = causes.map_or(0, |causes| causes.names.len());
    let embeddings = rows(&settings.embedding, EMBEDDING_LENGTH)?;
    let norms = optional(settings.embedding_norm.as_ref(), 1)?;
    let logits = rows(&settings.ood.output, 1)?;
    let network_norms = optional(settings.network_norms.as_ref(), networks.len())?;
    let causes = optional(causes.map(|causes| &causes.output), cause_count)?;
    let face = |index: usize| -> Result<Embedded, EmbedError> {
        // An embedding of all zeros points nowhere: as useless as NaN.
        let (embedding, length) = Embedding::normalise(row(embeddings, index, EMBEDDING_LENGTH))
            .ok_or_else(|| EmbedError::NotFinite {
                name: settings.embedding.name.clone(),
                index,
                count,
            })?;
        let names = networks.iter().map(|network| network.name.clone());
        Ok(Embedded {
            embedding,
            embedding_norm: norms.map_or(length, |norms| norms[index]),
            network_norms: network_norms.map_or_else(BTreeMap::new, |norms| {
                names
                    .zip(row(norms, index, networks.len()).iter().copied())
                    .collect()
            }),
            ood_logit: logits[index],
            cause_logits: row(causes.unwrap_or_default(), index, cause_count).to_vec(),
        })
    };
    (0..count).map(face).collect()
}

fn row(values: &[f32], index: usize, width: usize) -> &[f32] {
    &values[index * width..(index + 1) * width]
}

/// The numbers of output `name`, checked to be `count` × `width` finite ones.
fn rows<'a>(
    outputs: &'a BTreeMap<String, Tensor>,
    name: &str,
    count: usize,
    width: usize,
) -> Result<&'a [f32], EmbedError> {
    let values = match outputs.get(name) {
        Some(tensor) if tensor.values.len() == count * width => &tensor.values[..],
        other => {
            let got = other.map_or("missing".to_owned(), |tensor| format!("{:?}", tensor.shape));
            let expected = format!("{count}×{width} numbers");
            return Err(EmbedError::Output {
                name: name.to_owned(),
                got,
                expected,
            });
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => {
            let index = position / width.max(1);
            Err(EmbedError::NotFinite {
                name: name.to_owned(),
                index,
                count,
            })
        }
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of the pack that ships, with outputs called after what they hold.
    fn settings() -> manifest::Embedder {
        let text = include_str!("../../../../models/default/manifest.toml");
        let mut settings = toml::from_str::<manifest::Manifest>(text).unwrap().embedder;
        let tensor = |name: &str| OutputTensor {
            name: name.to_owned(),
            shape: Vec::new(),
        };
        settings.embedding = tensor("embedding");
        settings.embedding_norm = Some(tensor("embedding_norm"));
        settings.network_norms = Some(tensor("network_norms"));
        settings.ood.output = tensor("ood_logit");
        for (network, name) in settings.networks.iter_mut().zip(["mobilefacenet", "sface"]) {
            name.clone_into(&mut network.name);
        }
        settings.causes = Some(manifest::Causes {
            output: tensor("cause_logits"),
            names: ["noise", "blur", "mask"].map(str::to_owned).to_vec(),
            covered_from: 1.0,
            covered_surely_from: None,
        });
        settings
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
