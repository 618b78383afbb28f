//! What a pack's manifest states is what runs: packs that state other things behave otherwise, and
//! packs whose networks want other numbers get them.

use std::time::Duration;

use faceood_engine::capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::pack::network::graph::{Graph, Node, Tensor as Constant};
use faceood_engine::pack::{Pack, PackError};
use faceood_engine::pipeline::{AnalyzeError, Ask, Assembly, Face, Faces};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies};
use faceood_engine::problem::ProblemCode;
use faceood_engine::runtime::{PlaneNumber, ProviderChoice, Runtime, Settings};

use crate::support::{PackCopy, photos};

const ALL: Faces = Faces::All(50);

/// The faces of `upload`, by the pack.
fn faces(pack: &PackCopy, upload: &[u8], faces: Faces) -> Result<Vec<Face>, AnalyzeError> {
    let runtime = Runtime::load(&Settings {
        provider: ProviderChoice::Cpu,
        ..Settings::default()
    })
    .unwrap();
    let assembly = Assembly::open(runtime, &pack.folder(), capture::Settings::default())
        .expect("a sound pack");
    let ask = Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: Policies::default().get(DEFAULT_SCENARIO).cloned().unwrap(),
        faces,
        needs_face: true,
    };
    let mut pipeline = assembly.pipeline().expect("a pipeline");
    Ok(pipeline
        .analyze(upload, &ask, Duration::ZERO, &Checkpoint::OPEN)?
        .faces)
}

/// The astronaut, by the default pack with `edit` done to its manifest.
fn edited(edit: impl FnOnce(&mut toml::Table)) -> Result<Vec<Face>, AnalyzeError> {
    let pack = PackCopy::new();
    pack.edit_manifest(edit);
    faces(&pack, &photos::astronaut(), Faces::Largest)
}

#[track_caller]
fn assert_no_face(outcome: Result<Vec<Face>, AnalyzeError>) {
    let error = outcome.expect_err("no face");
    assert_eq!(error.problem(), ProblemCode::NoFace, "{error}");
}

#[test]
fn scores_that_no_candidate_reaches_find_nobody() {
    assert_no_face(edited(|table| {
        table["detector"]["sure_score"] = 2.0.into();
        table["detector"]["floor_score"] = 2.0.into();
    }));
}

#[test]
fn candidates_that_are_not_sure_stand_or_fall_with_the_second_opinion() {
    // Nothing is sure: the same face needs a second opinion, and gets it.
    let unsure = |table: &mut toml::Table| table["detector"]["sure_score"] = 2.0.into();
    assert_eq!(edited(unsure).unwrap().len(), 1);
    for (field, value) in [
        ("bias", -100.0),
        ("least_score", 2.0),
        ("least_overlap", 2.0),
    ] {
        assert_no_face(edited(|table| {
            unsure(table);
            table["detector"]["second_opinion"][field] = value.into();
        }));
    }
}

#[test]
fn boxes_that_may_overlap_are_several_faces() {
    let pack = PackCopy::new();
    let photo = photos::astronaut();
    assert_eq!(faces(&pack, &photo, ALL).unwrap().len(), 1);
    pack.edit_manifest(|table| {
        table["detector"]["overlap_threshold"] = 1.0.into();
        table["detector"]["containment_threshold"] = 1.0.into();
    });
    assert!(faces(&pack, &photo, ALL).unwrap().len() > 1);
}

#[test]
fn beside_faces_only_middling_candidates_are_judged() {
    let face = photos::resized(&photos::pixels(&photos::astronaut()), 200, 200);
    let mut crowd = photos::without_face(600, 400, 1);
    for place in 0..6 {
        crowd = photos::pasted(&crowd, &face, 200 * (place % 3), 200 * (place / 3));
    }
    let upload = photos::jpeg(&crowd, 95);
    let found = |middling: f64| {
        let pack = PackCopy::new();
        pack.edit_manifest(|table| {
            table["detector"]["sure_score"] = 2.0.into();
            table["detector"]["middling_score"] = middling.into();
        });
        faces(&pack, &upload, ALL).unwrap().len()
    };
    let (all, some) = (found(0.45), found(2.0));
    assert!(all == 6 && some < 6, "{all} and {some}");
}

#[test]
fn a_coarse_box_is_refined_only_by_a_score_that_is_believed() {
    let small = photos::resized(&photos::pixels(&photos::astronaut()), 128, 128);
    let scene = photos::pasted(&photos::without_face(640, 640, 1), &small, 250, 200);
    let upload = photos::jpeg(&scene, 95);
    let box_with = |refined: f64| {
        let pack = PackCopy::new();
        pack.edit_manifest(|table| table["detector"]["refined_score"] = refined.into());
        faces(&pack, &upload, Faces::Largest).unwrap()[0].bounding_box
    };
    assert_ne!(box_with(0.5), box_with(2.0));
}

#[test]
fn every_other_number_changes_the_embedding() {
    let plain = edited(|_| {}).unwrap();
    let list = |values: &[f64]| toml::Value::from(values.to_vec());
    let template = [
        [40.0, 54.0],
        [75.0, 53.5],
        [58.0, 74.0],
        [43.5, 94.5],
        [72.5, 94.0],
    ];
    let changes: [(&str, &str, toml::Value); 5] = [
        ("detector", "first_side", 200.into()),
        // The cells that see a face of this size best are left out.
        ("detector", "strides", vec![16, 32].into()),
        ("landmarks", "crop_scale", 1.6.into()),
        (
            "landmarks",
            "five_points",
            vec![vec![36], vec![45], vec![33], vec![48], vec![54]].into(),
        ),
        (
            "embedder",
            "template",
            template.map(|point| list(&point)).to_vec().into(),
        ),
    ];
    for (section, field, value) in changes {
        let other = edited(|table| table[section][field] = value).unwrap();
        assert!(
            other[0].embedding != plain[0].embedding,
            "{section}.{field} changes nothing"
        );
    }
}

/// Makes the network of a section want `(pixel − 127.5) / 127.5`: the manifest says so, and its
/// graph undoes it.
fn want_scaled_pixels(pack: &PackCopy, section: &str) {
    let manifest = Pack::open(&pack.folder()).unwrap().manifest().clone();
    let published = match section {
        "detector" => manifest.detector.input,
        "landmarks" => manifest.landmarks.input,
        _ => manifest.embedder.input,
    };
    let (PlaneNumber::All(mean), PlaneNumber::All(scale)) = (published.mean, published.scale)
    else {
        panic!("the default pack has one number for all planes");
    };
    assert_eq!(mean, 0.0);
    let half = 127.5 * scale;
    before_the_network(pack, section, |graph, input, inner| {
        graph
            .initializer
            .push(Constant::floats("half", &[1], &[half]));
        vec![
            Node::new("Mul", &[input, "half"], "stretched"),
            Node::new("Add", &["stretched", "half"], inner),
        ]
    });
    pack.edit_manifest(|table| {
        table[section]["input"]["mean"] = 127.5.into();
        table[section]["input"]["scale"] = (1.0 / 127.5).into();
    });
}

/// Makes the network of a section want its colours the other way round.
fn want_other_channels(pack: &PackCopy, section: &str) {
    before_the_network(pack, section, |graph, input, inner| {
        let order = Constant::integers("order", &[2, 1, 0]);
        graph.initializer.push(order);
        vec![Node::new("Gather", &[input, "order"], inner).with_int("axis", 1)]
    });
    pack.edit_manifest(|table| {
        let channels = &mut table[section]["input"]["channels"];
        *channels = if channels.as_str() == Some("rgb") {
            "bgr".into()
        } else {
            "rgb".into()
        };
    });
}

/// Puts the nodes that `make` gives between a graph's input and whatever read it.
fn before_the_network(
    pack: &PackCopy,
    section: &str,
    make: impl FnOnce(&mut Graph, &str, &str) -> Vec<Node>,
) {
    const INNER: &str = "as published";
    pack.edit_graph(section, |graph| {
        let input = graph.input[0].name().to_owned();
        for name in graph.node.iter_mut().flat_map(|node| &mut node.input) {
            if *name == input {
                INNER.clone_into(name);
            }
        }
        let made = make(graph, &input, INNER);
        graph.node.splice(0..0, made);
    });
}

#[track_caller]
fn assert_same_face(got: &Face, expected: &Face) {
    let similarity = got.embedding.similarity(&expected.embedding);
    assert!(similarity > 0.9999, "{similarity}");
    let overlap = got.bounding_box.iou(&expected.bounding_box);
    assert!(overlap > 0.999, "{overlap}");
    for (got, expected) in [
        (got.ood_logit, expected.ood_logit),
        (got.embedding_norm, expected.embedding_norm),
        (got.quality.score, expected.quality.score),
    ] {
        assert!((got - expected).abs() < 2e-3, "{got}, not {expected}");
    }
}

#[test]
fn networks_that_want_scaled_pixels_get_them() {
    let expected = edited(|_| {}).unwrap();
    let pack = PackCopy::new();
    for section in ["detector", "landmarks", "embedder"] {
        want_scaled_pixels(&pack, section);
    }
    let got = faces(&pack, &photos::astronaut(), Faces::Largest).unwrap();
    assert_same_face(&got[0], &expected[0]);
}

#[test]
fn networks_that_want_other_channels_get_them() {
    let expected = edited(|_| {}).unwrap();
    let pack = PackCopy::new();
    for section in ["detector", "embedder"] {
        want_other_channels(&pack, section);
    }
    let got = faces(&pack, &photos::astronaut(), Faces::Largest).unwrap();
    assert_same_face(&got[0], &expected[0]);
}

#[test]
fn what_this_program_does_not_do_is_refused_by_the_name_of_the_field() {
    let refuse = |section: &'static str, field: &'static str, value: toml::Value| {
        let pack = PackCopy::new();
        pack.edit_manifest(|table| table[section][field] = value);
        let error = Pack::open(&pack.folder()).unwrap_err();
        let name = format!("{section}.{field}");
        assert!(matches!(error, PackError::Unsupported { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains(&name) && message.contains("manifest.toml"),
            "{message}"
        );
    };
    refuse("detector", "strides", vec![8, 12].into());
    refuse("detector", "outputs", Vec::<toml::Value>::new().into());
    refuse("detector", "first_side", 0.into());
    refuse(
        "landmarks",
        "five_points",
        vec![vec![36], vec![45], vec![68], vec![48], vec![54]].into(),
    );
    let grey = |table: &mut toml::Table| table["embedder"]["input"]["channels"] = "grey".into();
    let pack = PackCopy::new();
    pack.edit_manifest(grey);
    let message = Pack::open(&pack.folder()).unwrap_err().to_string();
    assert!(message.contains("embedder.input.shape"), "{message}");
}
