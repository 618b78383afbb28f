use super::*;

fn seen(numbers: std::ops::Range<u32>) -> Survey {
    let mut survey = Survey::new(0.4, 0.6, 1, true);
    for number in numbers {
        let source = format!("gate-{}", u64::from(number).pow(2) % 7);
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
            is_error: number % 11 == 0,
            causes_json: Some(r#"[{"name":"noise","weight":0.5}]"#),
            image_px: None,
            box_px: None,
            components: [None; Component::ALL.len()],
        };
        survey.see(0, "box", &row).unwrap();
    }
    survey
}

#[test]
fn two_parts_are_as_the_whole() {
    // More low and good rows than a sample holds, and more than a piece.
    const ROWS: u32 = 80_000;
    let mut both = Survey::new(0.4, 0.6, 1, true);
    both.append(seen(0..ROWS / 3));
    both.append(seen(ROWS / 3..ROWS));
    let mut whole = seen(0..ROWS);
    assert_eq!(both.take_samples(), whole.take_samples());
    let shown = |survey: &Survey| {
        let rows = (&survey.stream, &survey.lows, &survey.low_ids);
        let facts = (&survey.sources, &survey.counts, &survey.models, survey.span);
        let numbers = (
            survey.rows,
            survey.low_rows,
            survey.errors,
            survey.stream_rows,
        );
        format!("{rows:?} {facts:?} {numbers:?}")
    };
    assert!(
        shown(&both) == shown(&whole),
        "the parts differ from the whole"
    );
    assert_eq!(both.rows, u64::from(ROWS));
}
