use super::*;

fn unseen() -> Survey {
    let settings = Settings {
        with_assignments: true,
        ..Settings::default()
    };
    Survey::new(&settings)
}

fn seen(numbers: std::ops::Range<u32>) -> Survey {
    let mut survey = unseen();
    for number in numbers {
        let source = format!("gate-{}", u64::from(number).pow(2) % 7);
        let reasons = [
            r#"["quality"]"#,
            r#"["face_too_small"]"#,
            r#"["several_faces"]"#,
            r#"["quality","several_faces"]"#,
        ];
        let calibration = format!("c{}", number / 3000);
        let row = Observation {
            id: Uuid::from_u128(u128::from(number) * 0x9e37_79b9_7f4a_7c15),
            time: time_of(number),
            source: Some(&source),
            quality_score: (number % 11 > 0).then_some((number % 10) as f32 / 10.0),
            embedding_norm: Some(number as f32),
            pack: Some("default"),
            pack_sha256: Some("ab"),
            calibration_id: Some(&calibration),
            error_code: (number % 11 == 0).then_some(["no_face", "newer"][number as usize % 2]),
            causes_json: Some(r#"[{"name":"noise","weight":0.5}]"#),
            action: [None, Some("accept"), Some("reject")][number as usize % 3],
            reasons_json: (number % 3 == 2).then_some(reasons[number as usize % 4]),
            image_px: None,
            box_px: None,
            components: [None; Component::ALL.len()],
        };
        survey.see(0, "box", &row).unwrap();
    }
    survey
}

/// Everything that a survey found, rows in an order that does not depend on how they were read.
fn shown(mut survey: Survey) -> String {
    survey.settle().unwrap();
    let row = |row: &StreamRow| (row.seconds, row.source, row.tie());
    let mut stream: Vec<_> = survey.stream.iter().flatten().map(row).collect();
    let low = |low: &LowRow| (row(&survey.row(low.row)), low.causes);
    let mut lows: Vec<_> = survey.lows.iter().flatten().map(low).collect();
    stream.sort_unstable();
    lows.sort_unstable();
    survey.low_ids.sort_unstable();
    let numbers = (
        survey.rows,
        survey.low_rows,
        survey.faultless,
        survey.errors,
        survey.failures,
        survey.stream_rows,
    );
    let samples = survey.take_samples();
    let facts = (&survey.sources, &survey.counts, &survey.models, survey.span);
    format!(
        "{stream:?} {lows:?} {:?} {facts:?} {numbers:?} {samples:?}",
        survey.low_ids
    )
}

#[test]
fn parts_in_any_order_are_as_the_whole() {
    // More low and good rows than a sample holds, and more than a piece.
    const ROWS: u32 = 80_000;
    let whole = shown(seen(0..ROWS));
    let (first, second) = (0..ROWS / 3, ROWS / 3..ROWS);
    for parts in [[first.clone(), second.clone()], [second, first]] {
        let mut both = unseen();
        parts.into_iter().for_each(|part| both.append(seen(part)));
        assert!(shown(both) == whole, "the parts differ from the whole");
    }
}

#[test]
fn a_pack_that_was_renamed_is_one_model() {
    let of = |names: [&str; 2]| {
        let mut survey = unseen();
        for name in names {
            survey.model(name, "ab", "c1");
        }
        survey.model("other", "ab", "c0");
        survey.settle().unwrap();
        let name = |model: &JudgingModel| (model.pack.clone(), model.calibration.clone());
        survey.models.iter().map(name).collect::<Vec<_>>()
    };
    let named = [("other", "c0"), ("a", "c1")].map(|(pack, id)| (pack.to_owned(), id.to_owned()));
    assert_eq!(of(["a", "b"]), named);
    assert_eq!(of(["b", "a"]), named);
}

#[test]
fn more_models_than_rows_can_name_are_refused() {
    let mut survey = unseen();
    for number in 0..=1 << 16 {
        survey.model("p", "ab", &format!("{number:05}"));
    }
    assert!(matches!(survey.settle(), Err(AnalysisError::TooManyModels)));
}
