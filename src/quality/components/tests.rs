use super::*;

#[test]
fn the_registry_is_complete_and_names_are_columns() {
    let mut names: Vec<_> = Component::ALL.map(Component::name).to_vec();
    for (index, component) in Component::ALL.into_iter().enumerate() {
        assert_eq!(component as usize, index, "{component:?} is out of order");
        assert!(
            component
                .name()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        );
        assert!(!component.unit().is_empty());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Component::ALL.len());
}

#[test]
fn a_number_that_is_not_finite_counts_as_not_assessed() {
    let mut components = Components::default();
    components.set(Component::Noise, 3.0);
    components.set(Component::Noise, f32::NAN);
    assert_eq!(components.get(Component::Noise), None);
}
