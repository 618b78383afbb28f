//! Whether a provider works here: a driver may be loaded and broken, CUDA or cuDNN may be missing,
//! and all that shows only when a model is opened and run.

use ort::environment::Environment;

use super::{Candidate, RuntimeError, Session, Settings};

/// The smallest model: `y = Relu(x)` over one number (ONNX, opset 13).
const MODEL: &[u8] = include_bytes!("trial.onnx");

/// Runs the smallest model as `candidate` says.
pub(super) fn try_out(
    environment: &Environment,
    candidate: Candidate,
    settings: &Settings,
) -> Result<(), RuntimeError> {
    let mut session = Session::open(environment, "of a trial", MODEL, candidate, settings)?;
    session.run(&[1], &[1.0]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::{Precision, Provider, ProviderChoice, Runtime};
    use super::*;

    #[test]
    fn the_smallest_model_runs_where_models_can_run_and_says_why_not_where_they_cannot() {
        // The library that all tests of this process share.
        let settings = Settings {
            provider: ProviderChoice::Cpu,
            ..Settings::default()
        };
        let runtime = Runtime::load(&settings).unwrap();
        try_out(&runtime.environment, Candidate::REFERENCE, &settings).unwrap();
        let cuda = Candidate::new(Provider::Cuda, Precision::F32);
        let refusal = try_out(&runtime.environment, cuda, &settings).unwrap_err();
        assert!(refusal.to_string().contains("provider cuda"), "{refusal}");
    }
}
