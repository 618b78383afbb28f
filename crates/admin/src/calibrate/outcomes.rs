//! Evidence from the log: outcomes that callers reported.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use chrono::Utc;
use faceood_fleet::{CentreFilter, CentreReader};

use super::{Args, Evidence, Need};
use crate::Context;
use crate::when::Window;
use faceood_engine::pack::manifest::Ood;
use faceood_engine::pipeline::Assembly;
use faceood_engine::policy::Action;
use faceood_engine::quality::calibration::site::SiteSample;
use faceood_log::{Filter, InferenceRecord, LARGEST_PAGE, LogReader, Order, ReportedOutcome, Role};

/// Fewest outcomes. They come in more unevenly than photos, and nobody knows of how many people.
const LEAST_OUTCOMES: usize = 500;
/// Fewest among them that failed: with 50 the share of failures is known to within 28 % of itself
/// (1.96 / √50), and a knot of the map, which rests on 40, is about failures at all.
const LEAST_FAILS: usize = 50;
/// Fewest with a similarity: the score's map rests on them alone, as on a folder's photos.
const LEAST_COMPARED: usize = 300;
const METHOD: &str = "Learnt on site from outcomes in the log: isotonic over bins of equal count on similarities of genuine comparisons \
                      (unusable captures fail); the pack's own maps beyond the site's captures";

/// Why a request teaches nothing, in the words of the report.
const IMPOSTOR: &str = "left_out_impostor";
const OTHER_PACK: &str = "left_out_judged_by_another_pack";
const NO_FACE: &str = "left_out_without_a_judged_face";
const NOT_COMPARED: &str = "left_out_genuine_but_not_compared";
const POOR_REFERENCE: &str = "left_out_reference_not_accepted";
const SHARED_ID: &str = "left_out_several_requests_share_the_id";

pub(super) fn gather(
    args: &Args,
    context: &Context,
    assembly: &Assembly,
) -> anyhow::Result<Evidence> {
    let rows = match args.centre.reader(context)? {
        Some(centre) => context.block_on(of_centre(&centre, args.window))?,
        None => {
            let path = context.database()?;
            context.block_on(of_log(&path, args.window))?
        }
    };
    let pack = assembly.pack();
    let ood = &pack.manifest().embedder.ood;
    let least = assembly.calibration().pass_similarity();
    Ok(evidence(&rows, ood, pack.sha256(), least))
}

async fn of_log(path: &Path, window: Window) -> anyhow::Result<Vec<InferenceRecord>> {
    let filter = Filter {
        has_outcome: true,
        limit: Some(LARGEST_PAGE),
        order: Order::OldestFirst,
        ..window.filter()
    };
    let reader = LogReader::open(path).await?;
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = reader.query(&filter, cursor.as_ref()).await?;
        rows.extend(page.records.into_iter().map(of_interest));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

async fn of_centre(centre: &CentreReader, window: Window) -> anyhow::Result<Vec<InferenceRecord>> {
    let filter = CentreFilter {
        has_outcome: true,
        since: window.since,
        until: window.until,
        ..CentreFilter::default()
    };
    let mut snapshot = centre.snapshot().await?;
    let mut rows = Vec::new();
    let found = snapshot.export(&filter, |node, row| {
        // Two boxes may have a door of the same name, and callers repeat their ids.
        rows.push(InferenceRecord {
            source: Some(format!(
                "{node}/{}",
                row.source.as_deref().unwrap_or_default()
            )),
            request_id: format!("{node}/{}", row.request_id),
            ..of_interest(row)
        });
        ControlFlow::Continue(())
    });
    found.await?;
    snapshot.close().await;
    Ok(rows)
}

/// What is read of a row. All of all rows, pictures and embeddings too, might not fit into memory.
fn of_interest(row: InferenceRecord) -> InferenceRecord {
    InferenceRecord {
        time: row.time,
        request_key: row.request_key,
        source: row.source,
        face_index: row.face_index,
        ood_logit: row.ood_logit,
        similarity: row.similarity,
        action: row.action,
        pack_sha256: row.pack_sha256,
        outcome: row.outcome,
        ..InferenceRecord::new(&row.request_id, row.endpoint, row.role)
    }
}

/// What `rows` teach. A capture passes at the similarity `least`.
fn evidence(rows: &[InferenceRecord], ood: &Ood, pack_sha256: &str, least: f64) -> Evidence {
    let mut requests: Vec<Vec<&InferenceRecord>> = Vec::new();
    let mut places = HashMap::new();
    for row in rows {
        // Callers repeat their ids; rows of older releases have no key of ours.
        let id = (&row.request_id, row.request_key);
        let place = *places.entry(id).or_insert(requests.len());
        if place == requests.len() {
            requests.push(Vec::new());
        }
        requests[place].push(row);
    }
    let mut counts = BTreeMap::from([
        ("outcomes", requests.len() as u64),
        (IMPOSTOR, 0),
        (OTHER_PACK, 0),
        (NO_FACE, 0),
        (NOT_COMPARED, 0),
        (POOR_REFERENCE, 0),
        (SHARED_ID, 0),
    ]);
    let mut samples: Vec<SiteSample> = Vec::new();
    // Whoever is sent back tries again at the same door within the hour.
    let mut groups = HashMap::new();
    for request in &requests {
        match judged(request, pack_sha256) {
            Ok((row, logit, similarity)) => {
                let hour = row.time.timestamp().div_euclid(60 * 60);
                let next = groups.len();
                samples.push(SiteSample {
                    signal: f64::from(ood.signal(logit)),
                    similarity: similarity.map(f64::from),
                    group: *groups.entry((&row.source, hour)).or_insert(next),
                });
            }
            Err(why) => *counts.entry(why).or_default() += 1,
        }
    }
    let compared = samples.iter().filter(|s| s.similarity.is_some()).count();
    let fails = samples.iter().filter(|sample| !sample.passes(least));
    let fails = fails.count();
    counts.extend([
        ("captures", samples.len() as u64),
        ("compared", compared as u64),
        ("fails", fails as u64),
    ]);
    let need = |of, got, least| Need { of, got, least };
    let captures = samples.len();
    let of_failures = "that failed (unusable, or genuine and below the cut)";
    let date = rows.last().map_or_else(Utc::now, |row| row.time);
    Evidence {
        cuts: Vec::new(),
        thresholds: None,
        needs: vec![
            need("outcomes that tell of a capture", captures, LEAST_OUTCOMES),
            need("genuine ones with a similarity", compared, LEAST_COMPARED),
            need(of_failures, fails, LEAST_FAILS),
        ],
        samples,
        counts,
        method: METHOD,
        date: date.date_naive().to_string(),
    }
}

/// The row of the capture in question, its logit, and the similarity it reached; or why the request
/// teaches nothing.
fn judged<'a>(
    request: &[&'a InferenceRecord],
    pack_sha256: &str,
) -> Result<(&'a InferenceRecord, f32, Option<f32>), &'static str> {
    let is_questioned = |row: &&&InferenceRecord| match row.role {
        Role::Probe => true,
        // Of several faces the largest: whoever stood before the camera.
        Role::Image => row.face_index.is_none_or(|index| index == 0),
        Role::Reference => false,
    };
    let mut questioned = request.iter().filter(is_questioned);
    let row = *questioned.next().ok_or(NO_FACE)?;
    if questioned.next().is_some() {
        return Err(SHARED_ID);
    }
    if row.outcome == Some(ReportedOutcome::Impostor) {
        // What two people's pictures have in common says nothing of either picture.
        return Err(IMPOSTOR);
    }
    let logit = row.ood_logit.ok_or(NO_FACE)?;
    if row.pack_sha256.as_deref() != Some(pack_sha256) {
        return Err(OTHER_PACK);
    }
    if row.outcome == Some(ReportedOutcome::Unusable) {
        return Ok((row, logit, None));
    }
    let similarity = row.similarity.ok_or(NOT_COMPARED)?;
    let is_good =
        |row: &&InferenceRecord| row.role != Role::Reference || row.action == Some(Action::Accept);
    if !request.iter().all(is_good) {
        // A low similarity may then be the reference's fault.
        return Err(POOR_REFERENCE);
    }
    Ok((row, logit, Some(similarity)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::pack::manifest::{OodTransform, OutputTensor, Polarity};
    use faceood_engine::quality::calibration::PASS_SIMILARITY;
    use faceood_log::Endpoint;

    fn row(request_id: &str, role: Role, outcome: ReportedOutcome) -> InferenceRecord {
        InferenceRecord {
            time: "2026-11-24T08:10:00Z".parse().unwrap(),
            source: Some("gate-1".to_owned()),
            face_index: Some(0),
            ood_logit: Some(0.7),
            similarity: Some(0.6),
            action: Some(Action::Accept),
            pack_sha256: Some("ab".to_owned()),
            outcome: Some(outcome),
            ..InferenceRecord::new(request_id, Endpoint::Compare, role)
        }
    }

    fn ood() -> Ood {
        Ood {
            output: OutputTensor {
                name: "ood".to_owned(),
                shape: Vec::new(),
            },
            transform: OodTransform::Identity,
            polarity: Polarity::LowerIsBetter,
        }
    }

    #[test]
    fn each_request_teaches_what_it_can_and_the_rest_is_counted() {
        use ReportedOutcome::{Genuine, Impostor, Unusable};
        let reference = |row: &InferenceRecord| InferenceRecord {
            role: Role::Reference,
            similarity: row.similarity,
            ..row.clone()
        };
        let genuine = row("genuine", Role::Probe, Genuine);
        let unusable = InferenceRecord {
            similarity: None,
            ..row("unusable", Role::Image, Unusable)
        };
        let behind = InferenceRecord {
            face_index: Some(1),
            ..unusable.clone()
        };
        let later = InferenceRecord {
            time: "2026-11-24T09:00:00Z".parse().unwrap(),
            ..row("later", Role::Probe, Genuine)
        };
        let poor = row("poor reference", Role::Probe, Genuine);
        let poor_reference = InferenceRecord {
            action: Some(Action::Review),
            ..reference(&poor)
        };
        let alone = InferenceRecord {
            similarity: None,
            ..row("alone", Role::Image, Genuine)
        };
        let faceless = InferenceRecord {
            ood_logit: None,
            ..row("faceless", Role::Image, Unusable)
        };
        let older = InferenceRecord {
            pack_sha256: Some("cd".to_owned()),
            ..row("older", Role::Probe, Genuine)
        };
        let shared = row("shared", Role::Probe, Genuine);
        let rows = [
            reference(&genuine),
            genuine,
            unusable,
            behind,
            row("impostor", Role::Probe, Impostor),
            poor,
            poor_reference,
            alone,
            faceless,
            older,
            shared.clone(),
            shared,
            later,
        ];
        let evidence = evidence(&rows, &ood(), "ab", PASS_SIMILARITY);
        let sample = |similarity: Option<f32>, group| SiteSample {
            signal: f64::from(-0.7_f32),
            similarity: similarity.map(f64::from),
            group,
        };
        assert_eq!(
            evidence.samples,
            [sample(Some(0.6), 0), sample(None, 0), sample(Some(0.6), 1)]
        );
        let expected = [
            ("outcomes", 9),
            ("captures", 3),
            ("compared", 2),
            ("fails", 1),
            (IMPOSTOR, 1),
            (POOR_REFERENCE, 1),
            (NOT_COMPARED, 1),
            (NO_FACE, 1),
            (OTHER_PACK, 1),
            (SHARED_ID, 1),
        ];
        assert_eq!(evidence.counts, BTreeMap::from(expected));
        assert_eq!(evidence.date, "2026-11-24");
        let error = evidence.suffices().unwrap_err().to_string();
        assert!(
            error.contains("3 of at least 500, 497 are missing"),
            "{error}"
        );
    }
}
