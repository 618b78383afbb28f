use faceood_engine::policy::{Action, Reason};
use faceood_engine::quality::{CauseName, Component};
use faceood_log::Observation;
use faceood_test_support::LogFixture;
use faceood_test_support::log_fixture::Row;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

/// A row with the prefix of its box, as an input shows it.
struct Seen<'a> {
    prefix: &'static str,
    row: &'a Row,
    causes: String,
    reasons: Option<String>,
}

/// Three faults, clean captures, failed requests, two packs, three calibrations and a change of
/// the norm, at two boxes.
fn site() -> LogFixture {
    let mut fixture = LogFixture::new(5);
    fixture.clean(1600, 7, 5);
    fixture.plant("noise", 160, "gate-3", 7, [22.0, 29.0]);
    fixture.plant("blur", 120, "gate-5", 7, [7.0, 21.0]);
    fixture.plant("motion_blur", 140, "gate-1", 7, [7.0, 9.0]);
    let begin = faceood_test_support::log_fixture::begin();
    for (number, row) in fixture.rows.iter_mut().enumerate() {
        let days = (row.time - begin).num_days();
        row.model[1] = format!("c{}", 1 + number % 2 * usize::from(days > 3));
        if days > 4 {
            row.model[0] = "b".to_owned();
        }
        if let (true, Some(measured)) = (days > 2, &mut row.measured) {
            measured.norm *= 0.93;
        }
        // Many rows of one second, which only their contents can order.
        if number % 3 == 0 {
            row.time = begin + chrono::TimeDelta::hours(row.time.timestamp() / 3600 % 168);
        }
        if number % 50 == 0 {
            row.measured = None;
        }
        if number % 70 == 0 {
            row.source = None;
        }
        // Actions and reasons that do not follow from the score, and rows without any.
        row.decided = match number % 9 {
            0..5 => None,
            5 | 6 => Some((Action::Accept, Vec::new())),
            7 if number % 27 == 7 => Some((Action::Reject, vec![Reason::SeveralFaces])),
            7 => Some((Action::Review, vec![Reason::Quality])),
            _ => Some((Action::Reject, vec![Reason::FaceTooSmall])),
        };
    }
    fixture
}

fn causes(row: &Row) -> String {
    let weights = row.measured.iter().flat_map(|found| &found.causes);
    let named = CauseName::ALL.iter().zip(weights);
    let causes = named.filter(|(_, weight)| **weight > 0.0);
    let causes = causes.map(|(name, weight)| {
        serde_json::json!({"name": name.name(), "weight": weight}).to_string()
    });
    format!("[{}]", causes.collect::<Vec<_>>().join(","))
}

fn observation<'a>(seen: &'a Seen<'_>) -> Observation<'a> {
    let row = seen.row;
    let known = |value: f32| Some(value).filter(|value| value.is_finite());
    let measured = row.measured.as_ref();
    let component = |at: usize| measured.and_then(|found| known(found.components[at]));
    Observation {
        id: row.id().parse().unwrap(),
        time: row.time,
        source: row.source.as_deref(),
        quality_score: measured.map(|found| found.score),
        embedding_norm: measured.and_then(|found| known(found.norm)),
        pack: Some("pack"),
        pack_sha256: Some(&row.model[0]),
        calibration_id: Some(&row.model[1]),
        error_code: measured.is_none().then_some("no_face"),
        causes_json: measured.map(|_| seen.causes.as_str()),
        action: row.decided.as_ref().map(|(action, _)| action.name()),
        reasons_json: seen.reasons.as_deref(),
        image_px: None,
        box_px: measured.map(|found| found.box_px),
        components: std::array::from_fn::<_, { Component::ALL.len() }, _>(component),
    }
}

/// The report and the assignments of these rows, read in `parts` parts.
fn report(rows: &[Seen<'_>], parts: usize, settings: &Settings) -> (String, Vec<(Uuid, u32)>) {
    let mut survey = Survey::new(settings);
    for part in rows.chunks(rows.len().div_ceil(parts)) {
        let mut read = Survey::new(settings);
        for seen in part {
            read.see(0, seen.prefix, &observation(seen)).unwrap();
        }
        survey.append(read);
    }
    survey.settle().unwrap();
    let [low, good] = survey.take_samples();
    let found = found_in(&survey, &Samples { low, good }, Vec::new(), settings);
    let json = serde_json::to_string_pretty(&found.report).unwrap();
    (json, found.assignments)
}

#[test]
fn the_report_follows_from_the_set_of_rows() {
    let fixture = site();
    let seen = |(number, row)| Seen {
        prefix: ["box-1", "box-2"][number % 2],
        row,
        causes: causes(row),
        reasons: row
            .decided
            .as_ref()
            .map(|(_, reasons)| serde_json::json!(reasons).to_string()),
    };
    let mut rows: Vec<Seen<'_>> = fixture.rows.iter().enumerate().map(seen).collect();
    // All rows are learnt from, and a part of them.
    for (sample_rows, max_score) in [
        (4000, Some(0.4)),
        (120, Some(0.4)),
        (4000, None),
        (120, None),
    ] {
        let settings = Settings {
            sample_rows,
            max_score,
            with_assignments: true,
            ..Settings::default()
        };
        let expected = report(&rows, 1, &settings);
        let shown: PatternReport = serde_json::from_str(&expected.0).unwrap();
        if max_score.is_some() {
            assert_eq!(shown.clusters.len(), 3, "{}", expected.0);
        }
        assert!(!shown.clusters.is_empty(), "{}", expected.0);
        assert!(!shown.norm_anomalies.is_empty(), "{}", expected.0);
        assert_eq!(shown.method.is_sample, sample_rows == 120);
        for seed in 0..6 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            for at in (1..rows.len()).rev() {
                rows.swap(at, random.next_u64() as usize % (at + 1));
            }
            let parts = 1 + random.next_u64() as usize % 7;
            let found = report(&rows, parts, &settings);
            assert!(
                found.0 == expected.0,
                "seed {seed}, {parts} parts: {}",
                found.0
            );
            assert!(
                found.1 == expected.1,
                "seed {seed}, {parts} parts: assignments"
            );
        }
    }
}
