//! Pickles of PyTorch's kind, and pickles that are not.

use super::*;
use proptest::prelude::*;

#[test]
fn a_call_of_anything_else_is_refused_by_name_and_not_made() {
    // What `pickle.dumps` gives for an object whose `__reduce__` is `os.system("true")`, in
    // protocols 2 and 4.
    let old = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.";
    let new = b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
    for pickle in [&old[..], &new[..]] {
        let error = read(pickle).unwrap_err();
        assert!(
            matches!(&error, PickleError::Foreign(name) if name == "posix.system"),
            "{error}"
        );
    }
}

#[test]
fn what_is_shared_stays_shared() {
    // d = {}; memo 0 = d; (d, d); d is filled after it was remembered.
    let pickle = b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x07sh\x00\x86.";
    let values = read(pickle).unwrap();
    let PickleValue::Sequence(items) = values.root() else {
        panic!("{:?}", values.root());
    };
    assert_eq!(items[0], items[1]);
    let PickleValue::Dictionary(entries) = values.get(items[1]) else {
        panic!("{:?}", values.get(items[1]));
    };
    assert_eq!(values.entries(entries), [("a", &PickleValue::Integer(7))]);
}

#[test]
fn integers_have_the_sign_that_their_opcode_gives_them() {
    for (pickle, expected) in [
        (&b"K\xff."[..], 255),
        (b"M\xff\xff.", 65_535),
        (b"J\xff\xff\xff\xff.", -1),
        (b"\x8a\x03\x00\x00\x01.", 65_536),
        (b"\x8a\x01\xfe.", -2),
        (b"\x8a\x00.", 0),
    ] {
        assert_eq!(
            read(pickle).unwrap().root(),
            &PickleValue::Integer(expected)
        );
    }
}

#[test]
fn nesting_however_deep_is_no_danger() {
    let mut pickle = vec![b')'];
    pickle.extend(std::iter::repeat_n(0x85, 1_000_000));
    pickle.push(b'.');
    assert!(matches!(
        read(&pickle).unwrap().root(),
        PickleValue::Sequence(items) if items.len() == 1
    ));
}

/// A pickle that names a long text or tuple once and recalls it thousands of times, each a copy.
#[test]
fn a_pickle_that_multiplies_itself_is_refused() {
    let text = |length: usize| {
        let mut bytes = b"X".to_vec();
        bytes.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        bytes.extend(std::iter::repeat_n(b'a', length));
        bytes
    };
    // ('storage', FloatStorage, a key of a megabyte, 'cpu', 1), remembered and made into a storage
    // again and again.
    let mut storages = b"\x80\x02(".to_vec();
    storages.extend(text(7));
    storages.extend_from_slice(b"ctorch\nFloatStorage\n");
    storages.extend(text(1 << 20));
    storages.extend_from_slice(b"X\x03\0\0\0cpuK\x01tq\0");
    storages.extend(b"h\0Q".repeat(300_000));
    storages.push(b'.');
    // A tuple of 100,000 items, taken as the arguments of a call that needs none of them.
    let mut calls = b"ccollections\nOrderedDict\nq\x01(".to_vec();
    calls.extend(std::iter::repeat_n(b'N', 100_000));
    calls.extend_from_slice(b"tq\0");
    calls.extend(b"h\x010h\0R".repeat(300_000));
    calls.push(b'.');
    for pickle in [storages, calls] {
        assert!(matches!(
            read(&pickle),
            Err(PickleError::NotUnderstood { .. })
        ));
    }
    let values = b"N".repeat(4 << 20);
    let error = read(&values).unwrap_err().to_string();
    assert!(error.contains("more values"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_opcodes_that_are_known_give_a_value_or_an_error(
        opcodes in prop::collection::vec(prop::sample::select(b"()]}te as u N K q h R b Q .\x85\x86\x87\x94".to_vec()), 0..200)
    ) {
        let _ = read(&opcodes);
    }
}
