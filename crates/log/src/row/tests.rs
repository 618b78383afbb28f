use super::*;
use crate::fixture::full_record;
use proptest::prelude::*;

#[test]
fn every_column_of_the_fixture_is_filled() {
    // What the other tests loop over would prove nothing about a column that is always NULL.
    let empty: Vec<_> = columns()
        .iter()
        .zip(to_values(&full_record("r", 1)))
        .filter(|(_, value)| *value == Value::Null)
        .collect();
    assert_eq!(empty, []);
}

#[test]
fn values_become_the_record_again() {
    let record = full_record("r", 7);
    let again = from_values(to_values(&record).into_iter().map(Ok)).unwrap();
    assert_eq!(again, record);
}

#[test]
fn a_bad_value_is_an_error_that_names_its_column() {
    for (index, column) in columns().iter().enumerate() {
        let mut values = to_values(&full_record("r", 1));
        values[index] = match column.kind {
            ColumnKind::Blob => Value::Integer(1),
            _ => Value::Blob(vec![1]),
        };
        let error = from_values(values.into_iter().map(Ok)).unwrap_err();
        let LogError::BadColumn { column: named, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(named, column.name);
    }
}

#[test]
fn numbers_that_are_none_become_null() {
    let mut record = full_record("r", 1);
    record.ood_logit = Some(f32::NAN);
    record.pose_yaw = Some(f32::INFINITY);
    let again = from_values(to_values(&record).into_iter().map(Ok)).unwrap();
    assert_eq!((again.ood_logit, again.pose_yaw), (None, None));
}

#[test]
fn json_has_a_member_for_each_column() {
    let json = to_json(&full_record("r", 1));
    assert_eq!(json.len(), columns().len());
    assert_eq!(json["causes"][0]["name"], "motion_blur");
    assert_eq!(json["quality_score"], 0.101);
    assert_eq!(json["thumbnail"], "AP8H");
}

proptest! {
    #[test]
    fn a_decimal_goes_back_to_the_same_float(bits: u32) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        let back = decimal(value) as f32;
        prop_assert_eq!(back.to_bits(), value.to_bits());
    }
}
