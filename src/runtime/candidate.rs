//! The ways in which the embedder can run: provider, precision, form of the graph, threads.

use serde::{Deserialize, Serialize};

use super::Provider;

/// How exactly the embedder computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    F32,
    /// Products of 16-bit brain floats, sums in single precision.
    Bf16,
}

impl Precision {
    /// Name in answers, files and messages; also `OpenVINO`'s.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Into what `PRelu` is rewritten before a network is opened. All forms are equal to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraphForm {
    /// Depth-wise convolutions, with which ONNX Runtime's CPU kernels keep their blocked layout.
    Convolutions,
    /// `x + (a − 1) · min(x, 0)`, which `OpenVINO` fuses into the convolution before, and a batch
    /// of one. With a free batch it plans at run time and fuses less (13.4 → 10.7 ms for both
    /// recognisers on one thread of an EPYC).
    Minimum,
    /// As published, with any batch.
    Published,
}

impl GraphForm {
    /// Name in answers, files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Convolutions => "convolutions",
            Self::Minimum => "minimum",
            Self::Published => "published",
        }
    }
}

/// One way to run the embedder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it runs.
    pub provider: Provider,
    /// How exactly.
    pub precision: Precision,
    /// In which form.
    pub form: GraphForm,
    /// Threads of each session. There are as many sessions as workers.
    pub threads: usize,
}

impl Candidate {
    /// ONNX Runtime's CPU kernels on one thread: they run everywhere, and what others compute is
    /// compared with them.
    pub const REFERENCE: Self = Self {
        provider: Provider::Cpu,
        precision: Precision::F32,
        form: GraphForm::Convolutions,
        threads: 1,
    };

    /// On one thread of `provider`, in the form that suits it.
    #[must_use]
    pub const fn new(provider: Provider, precision: Precision) -> Self {
        Self {
            provider,
            precision,
            form: match provider {
                Provider::Cpu => GraphForm::Convolutions,
                Provider::Openvino => GraphForm::Minimum,
                Provider::Cuda => GraphForm::Published,
            },
            threads: 1,
        }
    }
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            provider,
            precision,
            threads,
            ..
        } = self;
        write!(formatter, "{provider} {}", precision.name())?;
        if *threads > 1 {
            write!(formatter, " with {threads} threads a session")?;
        }
        Ok(())
    }
}
