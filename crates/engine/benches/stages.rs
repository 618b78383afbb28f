//! Each stage of the pipeline on one thread, on the committed photo and on a 12-megapixel one made
//! from it.

#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run should say why and end"
)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use faceood_engine::capture::{self, pixels};
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::runtime::{Runtime, Settings};

mod serving;

fn stages(criterion: &mut Criterion) {
    let small = std::fs::read("../../tests/photos/astronaut.jpg").expect("the committed photo");
    let limits = capture::Settings::default();
    let picture = image::load_from_memory(&small)
        .expect("a picture")
        .to_rgb8();
    let mut large = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut large, 90)
        .encode_image(&pixels::resize(&picture, 3464, 3464))
        .expect("a large picture");

    let runtime = Runtime::load(&Settings::default()).expect("a runtime");
    let (mut pipeline, ask) = serving::opened(runtime);

    for (name, bytes) in [("512px", &small), ("12MP", &large)] {
        criterion.bench_function(&format!("decode/{name}"), |bencher| {
            bencher.iter(|| capture::decode(bytes, &limits).expect("a picture"));
        });
        criterion.bench_function(&format!("analyze/{name}"), |bencher| {
            bencher.iter(|| {
                pipeline
                    .analyze(bytes, &ask, Duration::ZERO, &Checkpoint::OPEN)
                    .expect("a face")
            });
        });
        // Where the time of one analysis goes, stage by stage, as the pipeline itself books it.
        let timings = pipeline
            .analyze(bytes, &ask, Duration::ZERO, &Checkpoint::OPEN)
            .expect("a face")
            .timings;
        println!("timings/{name}: {timings:?}");
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
