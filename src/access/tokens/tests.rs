use chrono::TimeDelta;

use super::*;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(500_000 + hours)
}

fn with_one() -> (Tokens, Secret) {
    let mut tokens = Tokens::default();
    let secret = tokens
        .add(
            "gate-3",
            Role::Terminal,
            vec!["gate-3".into()],
            Some(at(10)),
            at(0),
        )
        .unwrap();
    (tokens, secret)
}

#[test]
fn a_secret_is_long_random_and_begins_so_that_scanners_find_it() {
    let [one, other] = [0, 1].map(|_| Secret::new().unwrap());
    assert_ne!(one.as_str(), other.as_str());
    let random = one.as_str().strip_prefix("fod_").unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
}

#[test]
fn only_the_secret_itself_is_found() {
    let (tokens, secret) = with_one();
    let find = |text: &str| tokens.find(&Presented::new(text), at(1));
    assert_eq!(find(secret.as_str()).unwrap().name, "gate-3");
    for wrong in [
        "",
        "fod_",
        "gate-3",
        &secret.as_str()[1..],
        &tokens.all[0].sha256,
    ] {
        assert_eq!(find(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_token_ends_by_time_or_by_hand() {
    let (mut tokens, _) = with_one();
    let state = |tokens: &Tokens, hour| tokens.all[0].state(at(hour));
    assert_eq!(state(&tokens, 9), TokenState::Valid);
    assert_eq!(state(&tokens, 10), TokenState::Expired);
    assert!(tokens.has_valid(at(9)) && !tokens.has_valid(at(10)));
    tokens.revoke("gate-3", at(2)).unwrap();
    assert_eq!(state(&tokens, 3), TokenState::Revoked);
    assert!(matches!(
        tokens.revoke("gate-3", at(3)),
        Err(TokenError::Revoked(_))
    ));
    assert!(matches!(
        tokens.rotate("gate-3", at(3), at(3)),
        Err(TokenError::Revoked(_))
    ));
    let again = tokens.add("gate-3", Role::Terminal, vec![], None, at(4));
    assert!(again.is_ok(), "a revoked name can be used again");
    tokens.forget("gate-3").unwrap();
    assert!(matches!(
        tokens.forget("gate-3"),
        Err(TokenError::Missing(_))
    ));
}

#[test]
fn what_has_expired_is_neither_made_nor_rotated() {
    let (mut tokens, _) = with_one();
    let mut add = |end| tokens.add("desk", Role::Admin, vec![], Some(end), at(5));
    assert!(matches!(add(at(4)), Err(TokenError::Past(_))));
    assert!(matches!(add(at(5)), Err(TokenError::Past(_))));
    assert!(add(at(6)).is_ok());
    let before = tokens.clone();
    assert!(matches!(
        tokens.rotate("gate-3", at(20), at(10)),
        Err(TokenError::Expired(_))
    ));
    assert_eq!(tokens, before);
    tokens.rotate("gate-3", at(20), at(9)).unwrap();
}

#[test]
fn after_a_rotation_the_old_secret_is_valid_for_a_while() {
    let (mut tokens, old) = with_one();
    let new = tokens.rotate("gate-3", at(5), at(1)).unwrap();
    let is_known = |secret: &Secret, hour| {
        tokens
            .find(&Presented::new(secret.as_str()), at(hour))
            .is_some()
    };
    assert!(is_known(&old, 4) && is_known(&new, 4));
    assert!(!is_known(&old, 5) && is_known(&new, 5));
}

#[test]
fn names_are_checked_and_taken_once() {
    let (mut tokens, _) = with_one();
    let mut add = |name: &str, sources: &[&str]| {
        let sources = sources.iter().map(|&source| source.to_owned()).collect();
        tokens
            .add(name, Role::Terminal, sources, None, at(0))
            .map(|_| ())
    };
    for wrong in ["", "a b", "tür", &"x".repeat(65)] {
        assert!(
            matches!(add(wrong, &[]), Err(TokenError::Name(_))),
            "{wrong:?}"
        );
        assert!(
            matches!(add("fine", &[wrong]), Err(TokenError::Name(_))),
            "{wrong:?}"
        );
    }
    assert!(matches!(add("gate-3", &[]), Err(TokenError::Exists(_))));
    for index in 1..MOST_TOKENS {
        add(&format!("t{index}"), &[]).unwrap();
    }
    assert!(matches!(add("one-more", &[]), Err(TokenError::Full)));
}

#[test]
fn an_error_does_not_repeat_a_wrong_name() {
    let (mut tokens, _) = with_one();
    let long = "x".repeat(15_000);
    let told = |outcome: Result<(), TokenError>| outcome.unwrap_err().to_string();
    let allowed = "use 1 to 64 of A-Z a-z 0-9 . _ : -";
    assert_eq!(
        told(tokens.revoke(&long, at(1))),
        format!("the name has 15000 characters; {allowed}")
    );
    assert_eq!(
        told(tokens.forget("my secret")),
        format!("the name has the character ' '; {allowed}")
    );
    let added = tokens.add("a", Role::Terminal, vec![long], None, at(1));
    assert_eq!(
        told(added.map(|_| ())),
        format!("a source has 15000 characters; {allowed}")
    );
}

/// The `number`-th of some names of full length.
fn long_name(number: usize) -> String {
    format!("{number:064}")
}

#[test]
fn a_file_that_could_not_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let sources = |count: usize| (0..count).map(long_name).collect::<Vec<_>>();
    let (mut tokens, _) = with_one();
    let too_many = tokens.add("a", Role::Terminal, sources(MOST_SOURCES + 1), None, at(0));
    assert!(matches!(too_many, Err(TokenError::ManySources(_))));

    // As many as there is room for.
    let refusal = (0..MOST_TOKENS).find_map(|number| {
        let (name, end) = (long_name(number), Some(at(20)));
        let sources = sources(MOST_SOURCES);
        let added = tokens.add(&name, Role::Terminal, sources, end, at(0));
        added.err()
    });
    assert!(matches!(refusal, Some(TokenError::TooLarge)));
    assert!(tokens.all.len() > 100, "{}", tokens.all.len());
    // Each of them can still be rotated and revoked.
    let names: Vec<String> = tokens.all.iter().map(|token| token.name.clone()).collect();
    for name in &names {
        tokens.rotate(name, at(5), at(1)).unwrap();
        tokens.revoke(name, at(1)).unwrap();
    }
    tokens.write(&path, None).unwrap();
    assert_eq!(Tokens::read(&path).unwrap(), tokens);

    let before = std::fs::read(&path).unwrap();
    let grown = Tokens::change(&path, None, |tokens| {
        tokens.all[0].sources = sources(2_000);
        Ok(())
    });
    assert!(matches!(grown, Err(TokenError::TooLarge)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn the_file_holds_no_secret_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    assert_eq!(Tokens::read(&path).unwrap(), Tokens::default());
    let (mut tokens, secret) = with_one();
    tokens.rotate("gate-3", at(3), at(1)).unwrap();
    tokens.write(&path, None).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("fod_") && !text.contains(secret.as_str()),
        "{text}"
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Tokens::read(&path).unwrap(), tokens);
}

#[test]
fn a_file_with_a_mistake_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let hash = "ab".repeat(32);
    let token = |name: &str, hash: &str| {
        format!(
            "[[token]]\nname = {name:?}\nrole = \"terminal\"\nsha256 = {hash:?}\ncreated = \"2026-11-30T00:00:00Z\"\n"
        )
    };
    for text in [
        "token = 3".to_owned(),
        "[[token]]\nname = \"a\"".to_owned(),
        token("a", "abc"),
        token("a b", &hash),
        token("a", &hex::encode(Sha256::digest(b""))),
        token("a", &hash) + &token("a", &hash),
        token("a", &hash) + "extra = 1\n",
        "#".repeat(MOST_BYTES + 1),
    ] {
        std::fs::write(&path, &text).unwrap();
        let shown = &text[..text.len().min(80)];
        let read = Tokens::read(&path);
        assert!(matches!(read, Err(TokenError::Malformed(..))), "{shown}");
    }
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(
        Tokens::read(&path),
        Err(TokenError::Malformed(..))
    ));
    assert!(matches!(
        Tokens::read(folder.path()),
        Err(TokenError::Malformed(..))
    ));
    std::fs::write(&path, token("a", &hash)).unwrap();
    assert_eq!(Tokens::read(&path).unwrap().all.len(), 1);
}
