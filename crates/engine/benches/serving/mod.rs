//! The default pack as the daemon runs it: what measurements of single requests share.

use std::path::Path;

use faceood_engine::capture;
use faceood_engine::pipeline::{Ask, Assembly, Faces, Pipeline};
use faceood_engine::policy::Policies;
use faceood_engine::runtime::Runtime;

/// A pipeline of one thread, and what a gate asks of it.
pub(crate) fn opened(runtime: Runtime) -> (Pipeline, Ask) {
    let limits = capture::Settings::default();
    let assembly =
        Assembly::open(runtime, Path::new("../../models/default"), limits).expect("the pack");
    let ask = Ask {
        scenario: "access".to_owned(),
        policy: Policies::default().get("access").expect("built in").clone(),
        faces: Faces::Largest,
        needs_face: true,
    };
    (assembly.pipeline().expect("a pipeline"), ask)
}
