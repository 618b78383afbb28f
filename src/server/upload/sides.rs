//! The two sides of a comparison, each a picture or an embedding that was extracted before.

use std::fmt;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use faceood_engine::embed::{EMBEDDING_LENGTH, Embedding};
use faceood_engine::problem::ProblemCode;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{Bytes, Text, Upload, UploadLimits, Wrapping};
use crate::server::problem_response::{Part, Problem};

const PAIR_FORM: &str = r#"{"probe": {"image": "<base64>"}, "reference": {"image": "<base64>"}}, where a side may have an `embedding` instead"#;

/// How far from 1 the length of a given embedding may be: more than rounding to three digits does.
const UNIT_TOLERANCE: f32 = 0.02;

/// Two sides in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = CompareRequest, title = "CompareRequest")]
pub(crate) struct PairBody<'a> {
    /// The sample being questioned.
    #[serde(borrow, deserialize_with = "side")]
    #[schema(value_type = SideBody)]
    probe: SideBody<'a>,
    /// The sample it is compared with.
    #[serde(borrow, deserialize_with = "side")]
    #[schema(value_type = SideBody)]
    reference: SideBody<'a>,
}

/// One side in JSON: `image`, or `embedding` with what is known of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompareSide, title = "CompareSide")]
pub(crate) struct SideBody<'a> {
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

/// Reads one side as an object. A derived reader would also take a list of the fields in their
/// order.
fn side<'de, D: Deserializer<'de>>(value: D) -> Result<SideBody<'de>, D::Error> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = SideBody<'de>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object with `image`, or with `embedding`")
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
            SideBody::deserialize(MapAccessDeserializer::new(map))
        }
    }

    value.deserialize_map(Object)
}

/// An embedding that a caller kept.
pub(crate) struct GivenEmbedding {
    /// Of unit length again, whatever rounding did to it.
    pub(crate) embedding: Embedding,
    /// The pack it comes from, as the caller says.
    pub(crate) model_sha256: Option<String>,
    pub(crate) quality_score: Option<f32>,
}

/// One side of a comparison: a picture to be analysed, or an embedding to be taken as it is.
pub(crate) enum Side {
    Image(Upload),
    Embedding(GivenEmbedding),
}

pub(crate) struct Pair {
    pub(crate) probe: Side,
    pub(crate) reference: Side,
}

/// `problem`, blamed on the side called `name` if that is one.
pub(super) fn blame(problem: Problem, name: &str) -> Problem {
    match Part::ALL.into_iter().find(|part| part.name() == name) {
        Some(part) => problem.on(part),
        None => problem,
    }
}

impl Pair {
    async fn read(request: HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let limits = UploadLimits::of(&request)?;
        let wrapping = super::wrapping_of(&request)?;
        if wrapping == Wrapping::Raw {
            return Err(Problem::new(
                ProblemCode::UnsupportedMediaType,
                "a comparison needs two sides: send multipart/form-data with the parts `probe` and `reference`, or JSON",
            ));
        }
        let body = super::guard(&request, payload, &limits, wrapping, 2)?;
        let ([mut probe, mut reference], lease) = if wrapping == Wrapping::Multipart {
            let account = body.account();
            let names = Part::ALL.map(Part::name);
            let headers = request.headers();
            let pictures = super::read_parts(headers, body, names, limits.image_bytes).await?;
            (pictures.map(Side::picture), account.lease())
        } else {
            let (text, lease) = super::collect(&request, body).await?;
            let body: PairBody<'_> = super::parse_json(&text, PAIR_FORM)?;
            let side = |body: SideBody<'_>, part: Part| {
                let checked = body.checked(part.name(), limits.image_bytes);
                checked.map_err(|problem| problem.on(part))
            };
            let probe = side(body.probe, Part::Probe)?;
            ([probe, side(body.reference, Part::Reference)?], lease)
        };
        // One lease stands for both pictures.
        let lease = Arc::new(lease);
        for side in [&mut probe, &mut reference] {
            if let Side::Image(upload) = side {
                upload.lease = Arc::clone(&lease);
            }
        }
        Ok(Self { probe, reference })
    }
}

impl Side {
    fn picture(bytes: Bytes) -> Self {
        let lease = Arc::default();
        Self::Image(Upload { bytes, lease })
    }
}

impl FromRequest for Pair {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Self::read(request.clone(), payload.take()).boxed_local()
    }
}

impl SideBody<'_> {
    fn checked(self, name: &str, limit: usize) -> Result<Side, Problem> {
        let wrong = |what: &str| Err(Problem::malformed(format!("`{name}` {what}")));
        match (self.image, self.embedding) {
            (Some(_), Some(_)) => wrong("has both `image` and `embedding`; give one"),
            (None, None) => wrong("has neither `image` nor `embedding`; give one"),
            (Some(_), None) if self.model_sha256.is_some() || self.quality_score.is_some() => {
                wrong("is an image; `model_sha256` and `quality_score` belong to an embedding")
            }
            (Some(image), None) => {
                let bytes = image.decode(&format!("{name}.image"), limit)?;
                Ok(Side::picture(bytes))
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
