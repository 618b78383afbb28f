//! A model that is open and ready to run.

use ort::environment::Environment;
use ort::ep::{
    self, ArbitrarilyConfigurableExecutionProvider, ArenaExtendStrategy, ExecutionProviderDispatch,
};
use ort::logging::LogLevel;
use ort::session::Session as OrtSession;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::{Candidate, Provider, RuntimeError, Settings};

/// Where a model should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On the CPU's own kernels: small models of varying shape, for which an accelerator would
    /// compile anew for each shape.
    Host,
    /// On the runtime's provider: the embedder.
    Accelerated,
}

/// Numbers with a shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many numbers as the dimensions multiply to.
    pub values: Vec<f32>,
}

/// A model that is open. Runs block and need `&mut`: one session belongs to one worker thread.
pub struct Session {
    name: String,
    provider: Provider,
    inner: OrtSession,
}

impl Session {
    pub(super) fn open(
        environment: &Environment,
        name: &str,
        model_bytes: &[u8],
        candidate: Candidate,
        settings: &Settings,
    ) -> Result<Self, RuntimeError> {
        let provider = candidate.provider;
        let inner = build(environment, model_bytes, candidate, settings).map_err(|error| {
            RuntimeError::ModelRefused(name.to_owned(), provider, words(&error.to_string()))
        })?;
        let name = name.to_owned();
        Ok(Self {
            name,
            provider,
            inner,
        })
    }

    /// Where it runs.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Runs the model on its only input, `values` in row-major order; gives every output with its
    /// name, in the graph's order.
    ///
    /// # Errors
    /// [`RuntimeError::ShapeMismatch`] where `shape` and `values` disagree,
    /// [`RuntimeError::RunFailed`] where the run fails or an output is not f32.
    pub fn run(
        &mut self,
        shape: &[usize],
        values: &[f32],
    ) -> Result<Vec<(String, Tensor)>, RuntimeError> {
        if shape.iter().product::<usize>() != values.len() {
            let (model, shape) = (self.name.clone(), shape.to_vec());
            return Err(RuntimeError::ShapeMismatch(model, values.len(), shape));
        }
        let failed = |error: ort::Error| {
            RuntimeError::RunFailed(self.name.clone(), words(&error.to_string()))
        };
        let input = TensorRef::from_array_view((shape, values)).map_err(failed)?;
        let outputs = self.inner.run(ort::inputs![input]).map_err(failed)?;
        outputs
            .iter()
            .map(|(name, value)| {
                let (shape, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
                let extents = shape.iter();
                let shape = extents
                    .map(|&extent| extent.try_into().unwrap_or(0))
                    .collect();
                let values = values.to_vec();
                Ok((name.to_owned(), Tensor { shape, values }))
            })
            .collect()
    }
}

fn build(
    environment: &Environment,
    model_bytes: &[u8],
    candidate: Candidate,
    settings: &Settings,
) -> ort::Result<OrtSession> {
    let mut builder = OrtSession::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(candidate.threads)?
        // Threads that wait for work must not take the core from other sessions or services.
        .with_intra_op_spinning(false)?
        .with_inter_threads(1)?
        // The detector sees many shapes: a remembered memory plan for each would only grow.
        .with_memory_pattern(false)?
        .with_log_level(LogLevel::Warning)?;
    if let Some(accelerator) = accelerator(candidate, settings) {
        // A provider that fails softly leaves the model on the CPU: make it an error.
        builder = builder.with_execution_providers([accelerator.error_on_failure()])?;
    }
    builder.commit_from_memory(model_bytes)
}

fn accelerator(candidate: Candidate, settings: &Settings) -> Option<ExecutionProviderDispatch> {
    match candidate.provider {
        Provider::Cpu => None,
        Provider::Cuda => Some(
            ep::CUDA::default()
                .with_device_id(settings.cuda_device)
                .with_memory_limit(settings.cuda_memory_limit_bytes)
                // Doubling the arena overshoots; shapes are fixed, so ask for what is needed.
                .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
                .with_conv_max_workspace(false)
                .build(),
        ),
        Provider::Openvino => {
            // With pinning left on, worker threads share one core (measured on two cores: 169 → 82
            // faces a second).
            let config = serde_json::json!({"CPU": {
                "INFERENCE_NUM_THREADS": candidate.threads.to_string(),
                "NUM_STREAMS": "1",
                "INFERENCE_PRECISION_HINT": candidate.precision.name(),
                "ENABLE_CPU_PINNING": "NO",
            }});
            Some(
                ep::OpenVINO::default()
                    .with_device_type("CPU")
                    .with_arbitrary_config("load_config", config)
                    .build(),
            )
        }
    }
}

/// What ONNX Runtime says, without the place in its source where it says so: `….cc:2043
/// onnxruntime::Provider& …::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library …`.
fn words(said: &str) -> String {
    let told = said.rsplit("[ONNXRuntimeError] : ").next();
    let told = told.filter(|told| told.len() < said.len());
    let told = told.and_then(|told| told.splitn(3, " : ").nth(2));
    told.unwrap_or(said).trim().to_owned()
}

/// ONNX Runtime's own log lines, into ours; its "info" is chatter and goes to trace.
pub(super) fn log_line(level: LogLevel, _category: &str, id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::trace!(target: "onnxruntime", id, message),
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", id, message),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "onnxruntime", id, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onnx_runtimes_words_stand_without_the_place_in_its_source() {
        let place = "/src/bridge.cc:2043 Provider& Get() [ONNXRuntimeError] : 1 : FAIL : ";
        let said = "Failed to load library x.so with error: a : b";
        assert_eq!(words(&format!("{place}{said}\n")), said);
        assert_eq!(words(said), said);
    }
}
