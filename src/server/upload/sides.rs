//! The two sides of a comparison, each a picture or an embedding that was extracted before.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Text, Upload, UploadLimits, Wrapping};
use crate::embed::{EMBEDDING_LENGTH, Embedding};
use crate::problem::ProblemCode;
use crate::server::problem_response::{Part, Problem};

/// How far from 1 the length of a given embedding may be: what rounding to three digits does, with room.
const UNIT_TOLERANCE: f32 = 0.02;

/// Two sides in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompareRequest, title = "CompareRequest")]
pub struct PairBody<'a> {
    /// The sample being questioned.
    #[serde(borrow)]
    #[schema(value_type = SideBody)]
    probe: SideBody<'a>,
    /// The sample it is compared with.
    #[serde(borrow)]
    #[schema(value_type = SideBody)]
    reference: SideBody<'a>,
}

/// One side in JSON: `image`, or `embedding` with what is known of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `image`, or with `embedding`"
)]
#[schema(as = CompareSide, title = "CompareSide")]
pub struct SideBody<'a> {
    /// A picture as base64.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    image: Option<Text<'a>>,
    /// 512 numbers of unit length, as `/v1/extract` gives them.
    #[serde(default)]
    #[schema(min_items = 512, max_items = 512)]
    embedding: Option<Vec<f32>>,
    /// The pack that made the embedding: `model.sha256` of the answer that it came with.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    model_sha256: Option<Text<'a>>,
    /// The quality score that came with the embedding, 0–1.
    #[serde(default)]
    quality_score: Option<f32>,
}

/// An embedding that a caller kept.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenEmbedding {
    /// Of unit length again, whatever rounding did to it.
    pub embedding: Embedding,
    /// The pack it comes from, as the caller says.
    pub model_sha256: Option<String>,
    /// The quality score that it was given.
    pub quality_score: Option<f32>,
}

/// One side of a comparison.
#[derive(Debug)]
pub enum Side {
    /// A picture to be analysed.
    Image(Upload),
    /// An embedding to be taken as it is.
    Embedding(GivenEmbedding),
}

/// Both sides of a comparison.
#[derive(Debug)]
pub struct Pair {
    /// The sample being questioned.
    pub probe: Side,
    /// The sample it is compared with.
    pub reference: Side,
}

/// `problem`, blamed on the side called `name` if that is one.
pub(super) fn blame(problem: Problem, name: &str) -> Problem {
    match Part::ALL.into_iter().find(|part| part.name() == name) {
        Some(part) => problem.on(part),
        None => problem,
    }
}

impl Pair {
    /// Reads both sides.
    ///
    /// # Errors
    ///
    /// As for one picture, with the side at fault.
    pub(super) async fn read(
        request: &HttpRequest,
        payload: Payload,
        limits: &UploadLimits,
    ) -> Result<Self, Problem> {
        let wrapping = super::wrapping_of(request)?;
        if wrapping == Wrapping::Raw {
            return Err(Problem::new(
                ProblemCode::UnsupportedMediaType,
                "a comparison needs two sides: send multipart/form-data with the parts `probe` and `reference`, or JSON",
            ));
        }
        let body = super::guard(request, payload, limits, wrapping, 2)?;
        if wrapping == Wrapping::Multipart {
            let account = body.account();
            let names = Part::ALL.map(Part::name);
            let [probe, reference] =
                super::read_parts(request.headers(), body, names, limits.image_bytes).await?;
            return Ok(Self {
                probe: Side::Image(Upload {
                    bytes: probe,
                    _lease: account.lease(),
                }),
                reference: Side::Image(Upload {
                    bytes: reference,
                    _lease: account.lease(),
                }),
            });
        }
        let (text, lease) = super::collect(request, body).await?;
        let body: PairBody<'_> = super::parse_json(&text)?;
        let probe = body.probe.side(Part::Probe, limits.image_bytes)?;
        let reference = body.reference.side(Part::Reference, limits.image_bytes)?;
        // One lease stands for both pictures: it lives with whichever side is a picture.
        Ok(Self { probe, reference }.holding(lease))
    }

    fn holding(mut self, lease: super::Lease) -> Self {
        if let Side::Image(upload) = &mut self.probe {
            upload._lease = lease;
        } else if let Side::Image(upload) = &mut self.reference {
            upload._lease = lease;
        }
        self
    }
}

impl FromRequest for Pair {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let limits = super::limits_of(&request)?;
            Self::read(&request, payload, &limits).await
        })
    }
}

impl SideBody<'_> {
    fn side(self, part: Part, limit: usize) -> Result<Side, Problem> {
        self.checked(part.name(), limit)
            .map_err(|problem| problem.on(part))
    }

    fn checked(self, name: &str, limit: usize) -> Result<Side, Problem> {
        match (self.image, self.embedding) {
            (Some(_), Some(_)) => Err(Problem::malformed(format!(
                "`{name}` has both `image` and `embedding`; give one"
            ))),
            (None, None) => Err(Problem::malformed(format!(
                "`{name}` has neither `image` nor `embedding`; give one"
            ))),
            (Some(_), None) if self.model_sha256.is_some() || self.quality_score.is_some() => {
                Err(Problem::malformed(format!(
                    "`{name}` is an image; `model_sha256` and `quality_score` belong to an embedding"
                )))
            }
            (Some(image), None) => {
                let bytes = image.decode(&format!("{name}.image"), limit)?;
                Ok(Side::Image(Upload {
                    bytes,
                    _lease: super::Lease::default(),
                }))
            }
            (None, Some(values)) => Ok(Side::Embedding(GivenEmbedding {
                embedding: unit(&values, name)?,
                model_sha256: self.model_sha256.map(|text| text.as_str().to_owned()),
                quality_score: checked_score(self.quality_score, name)?,
            })),
        }
    }
}

fn checked_score(score: Option<f32>, name: &str) -> Result<Option<f32>, Problem> {
    match score {
        Some(score) if !(0.0..=1.0).contains(&score) => Err(Problem::malformed(format!(
            "`{name}.quality_score` is {score}; 0 to 1 is expected"
        ))),
        score => Ok(score),
    }
}

fn unit(values: &[f32], name: &str) -> Result<Embedding, Problem> {
    let refuse = |what: String| {
        Problem::malformed(format!(
            "`{name}.embedding` {what}; {EMBEDDING_LENGTH} numbers of unit length are expected, as /v1/extract gives them"
        ))
    };
    if values.len() != EMBEDDING_LENGTH {
        return Err(refuse(format!("has {} numbers", values.len())));
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(refuse(format!("has no finite number at index {index}")));
    }
    let (embedding, length) =
        Embedding::normalise(values).ok_or_else(|| refuse("is all zeros".to_owned()))?;
    if (length - 1.0).abs() > UNIT_TOLERANCE {
        return Err(refuse(format!("has the length {length}")));
    }
    Ok(embedding)
}
