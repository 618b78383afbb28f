//! Restarts, copies, and logs that take the place of others.

use super::*;
use crate::{backup, set_aside_files};

#[tokio::test]
async fn places_are_never_given_again_below_a_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let reopened = async || {
        let settings = Settings::default();
        InferenceLog::open(&settings, folder.path()).await.unwrap()
    };
    let log = reopened().await;
    log.append_all(vec![row("a"), row("b")]).await.unwrap();
    let mut outbox = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    ship(&mut outbox, &mut centre, 10).await;
    // The tail goes, so that SQLite gives its row numbers again.
    log.execute("DELETE FROM inferences").await;
    log.close().await;
    let log = reopened().await;
    let later = row("c");
    log.append(later.clone()).await.unwrap();
    assert_eq!(ids(&outbox.next(10).await.unwrap()), [later.id]);
    // A daemon of a copy from before that was shipped.
    log.execute("UPDATE shipping SET seq = 1000").await;
    log.close().await;
    let log = reopened().await;
    let last = row("d");
    log.append(last.clone()).await.unwrap();
    let batch = outbox.next(10).await.unwrap();
    assert_eq!(ids(&batch), [last.id]);
    assert_eq!(batch.rows[0].seq, Some(1001));
}

#[tokio::test]
async fn an_older_copy_ships_its_rows_again_and_what_it_gets_anew() {
    let (folder, log) = open(&Settings::default()).await;
    let mut centre = Centre::default();
    log.append_all(vec![row("a"), row("b")]).await.unwrap();
    let mut sender = outbox(folder.path(), "centre").await;
    ship(&mut sender, &mut centre, 1).await;
    let identity = sender.identity().clone();
    let copy = folder.path().join("copy.db");
    backup(log.reader(), &copy).await.unwrap();
    log.append(row("lost with the disk")).await.unwrap();
    log.record_feedback(told("a", ReportedOutcome::Impostor))
        .await
        .unwrap();
    ship(&mut sender, &mut centre, 1).await;
    std::fs::rename(&copy, folder.path().join(FILE_NAME)).unwrap();
    let error = sender.next(10).await.unwrap_err();
    assert!(matches!(error, LogError::Replaced(_)), "{error}");
    // The daemon goes on with the copy.
    let later = row("later");
    log.append(later.clone()).await.unwrap();
    let mut sender = outbox(folder.path(), "centre").await;
    assert_eq!(*sender.identity(), identity);
    assert_eq!(ship(&mut sender, &mut centre, 10).await, 1);
    assert_eq!(centre.0.len(), 4);
    sender.rewind().await.unwrap();
    assert_eq!(ship(&mut sender, &mut centre, 10).await, 3);
    // The centre keeps what it was told after the copy was made.
    let told = centre
        .0
        .values()
        .filter(|(_, outcome, _)| outcome.is_some());
    assert_eq!((centre.0.len(), told.count()), (4, 1));
}

#[tokio::test]
async fn a_log_begun_after_damage_is_another_log_of_the_same_box() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let settings = Settings::default();
    let log = InferenceLog::open(&settings, folder.path()).await.unwrap();
    log.set_node("east-1").await.unwrap();
    log.append_all((0..50).map(|_| row("old")).collect())
        .await
        .unwrap();
    let mut before = outbox(folder.path(), "centre").await;
    let identity = before.identity().clone();
    assert_eq!(identity.node.as_deref(), Some("east-1"));
    ship(&mut before, &mut Centre::default(), 100).await;
    log.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[4096..].fill(0x5a);
    std::fs::write(&path, &damaged).unwrap();
    log.execute("PRAGMA shrink_memory").await;
    log.append(row("new")).await.unwrap();
    assert_eq!(set_aside_files(folder.path()).len(), 1);
    assert!(before.next(10).await.is_err());
    assert_eq!(log.reader().targets().await.unwrap(), []);
    let mut after = outbox(folder.path(), "centre").await;
    assert_ne!(after.identity().log_id, identity.log_id);
    assert_eq!(after.identity().node, identity.node);
    assert_eq!(ship(&mut after, &mut Centre::default(), 100).await, 1);
}

#[tokio::test]
async fn the_identity_stays_and_the_name_follows_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let mut seen = Vec::new();
    for node in [None, Some("east-1"), None, Some("east-2")] {
        let log = InferenceLog::open(&settings, folder.path()).await.unwrap();
        if let Some(node) = node {
            log.set_node(node).await.unwrap();
        }
        seen.push(outbox(folder.path(), "centre").await.identity().clone());
        log.close().await;
    }
    let names: Vec<_> = seen.iter().map(|it| it.node.as_deref()).collect();
    assert_eq!(
        names,
        [None, Some("east-1"), Some("east-1"), Some("east-2")]
    );
    assert!(seen.iter().all(|it| it.log_id == seen[0].log_id));
}
