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
        Err(TokenError::Missing(_))
    ));
    assert!(matches!(
        tokens.rotate("gate-3", at(3)),
        Err(TokenError::Missing(_))
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
fn after_a_rotation_the_old_secret_is_valid_for_a_while() {
    let (mut tokens, old) = with_one();
    let new = tokens.rotate("gate-3", at(5)).unwrap();
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
fn the_file_holds_no_secret_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    assert_eq!(Tokens::read(&path).unwrap(), Tokens::default());
    let (mut tokens, secret) = with_one();
    tokens.rotate("gate-3", at(3)).unwrap();
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
        "#".repeat((MOST_BYTES + 1) as usize),
    ] {
        std::fs::write(&path, &text).unwrap();
        let shown = &text[..text.len().min(80)];
        assert!(Tokens::read(&path).is_err(), "{shown}");
    }
    std::fs::write(&path, token("a", &hash)).unwrap();
    assert_eq!(Tokens::read(&path).unwrap().all.len(), 1);
}
