//! What the OOD head adds to a request: the embedder's graph as it is, and without the outputs of
//! the head and what only they need, in turns on one thread. `cargo bench --package faceood-engine --bench head`.

#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run should say why and end"
)]

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::pack::Pack;

use faceood_engine::pack::network::graph::{Graph, Model};
use faceood_engine::runtime::{Placement, Runtime, Session, Settings};
use faceood_engine::stats::quantile;

mod serving;

/// Runs of each graph, after as many as a tenth of that to get warm.
const RUNS: usize = 600;
/// An aligned face.
const SHAPE: [usize; 4] = [1, 3, 112, 112];

fn main() {
    let runtime = Runtime::load(&Settings::default()).expect("a runtime");
    let pack = Pack::open(Path::new("../../models/default")).expect("the pack");
    // As the daemon opens it on this machine.
    let form = runtime.candidate().form;
    let bytes = pack.embedder_for(form).expect("a graph");
    let mut bare = Model::read("embedder.onnx", bytes.to_vec()).expect("a graph");
    cut_head(bare.graph.as_mut().expect("a graph"));
    let open = |name: &str, bytes: &[u8]| {
        runtime
            .open(name, bytes, Placement::Accelerated)
            .expect("a session")
    };
    let mut graphs = [
        ("with the head", open("whole", &bytes), Vec::new()),
        ("without", open("bare", &bare.write()), Vec::new()),
    ];
    // Not all alike, so that nothing is skipped.
    let face: Vec<f32> = (0..SHAPE.iter().product::<usize>())
        .map(|index| (index * 37 % 256) as f32)
        .collect();
    for run in 0..RUNS + RUNS / 10 {
        // Each goes first as often as the other.
        let order = if run % 2 == 0 { [0, 1] } else { [1, 0] };
        for graph in order {
            let (_, session, times) = &mut graphs[graph];
            let took = milliseconds(session, &face);
            if run >= RUNS / 10 {
                times.push(took);
            }
        }
    }
    let medians = graphs.map(|(name, session, mut times)| {
        times.sort_by(f64::total_cmp);
        let [low, median, high] =
            [0.25, 0.5, 0.75].map(|share| quantile(&times, share).unwrap_or_default());
        println!(
            "embedder {name} on {}: {median:.3} ms (quartiles {low:.3}–{high:.3}, {RUNS} runs)",
            session.provider()
        );
        median
    });
    println!("with / without: {:.3}", medians[0] / medians[1]);
    let request = request(runtime);
    println!(
        "a whole request, decoding to decision: {request:.3} ms; of that the head {:.1} %",
        100.0 * (medians[0] - medians[1]) / request
    );
}

/// Median of a whole analysis of the committed photo, in milliseconds.
fn request(runtime: Runtime) -> f64 {
    let photo = std::fs::read("../../tests/photos/astronaut.jpg").expect("the committed photo");
    let (mut pipeline, ask) = serving::opened(runtime);
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            pipeline
                .analyze(&photo, &ask, Duration::ZERO, &Checkpoint::OPEN)
                .expect("a face");
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    quantile(&times, 0.5).unwrap_or_default()
}

fn milliseconds(session: &mut Session, face: &[f32]) -> f64 {
    let start = Instant::now();
    session.run(&SHAPE, face).expect("an answer");
    start.elapsed().as_secs_f64() * 1e3
}

/// Takes away the head's outputs and every node that nothing else needs.
fn cut_head(graph: &mut Graph) {
    graph
        .output
        .retain(|output| !["ood_logit", "cause_logits"].contains(&output.name()));
    let mut needed: HashSet<String> = graph
        .output
        .iter()
        .map(|output| output.name().to_owned())
        .collect();
    // Nodes stand in the order in which they run.
    let mut kept = Vec::new();
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.drop_unused_constants();
}
