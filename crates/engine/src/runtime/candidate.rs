//! The ways in which the embedder can run: provider, precision, form of the graph, threads.

use serde::{Deserialize, Serialize};

use super::Provider;
use crate::named;

named! {
    /// How exactly the embedder computes. The words are OpenVINO's, too
    /// (`INFERENCE_PRECISION_HINT`).
    Precision {
        /// Single precision.
        F32 "f32",
        /// Products of 16-bit brain floats, sums in single precision.
        Bf16 "bf16",
    }
}

named! {
    /// Into what `PRelu` is rewritten before a network is opened. All forms are equal to rounding.
    GraphForm {
        /// Depth-wise convolutions: ONNX Runtime's CPU kernels keep their blocked layout.
        Convolutions "convolutions",
        /// `x + (a − 1) · min(x, 0)`, which `OpenVINO` fuses into the convolution before, and a
        /// batch of one. With a free batch it plans at run time and fuses less (13.4 → 10.7 ms for
        /// both recognisers on one thread of an EPYC).
        Minimum "minimum",
        /// As published, with any batch.
        Published "published",
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
    pub const REFERENCE: Self = Self::new(Provider::Cpu, Precision::F32);

    /// On one thread of `provider`, in the form that suits it.
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
        write!(formatter, "{} {}", self.provider, self.precision.name())?;
        match self.threads {
            0 | 1 => Ok(()),
            threads => write!(formatter, " with {threads} threads a session"),
        }
    }
}
