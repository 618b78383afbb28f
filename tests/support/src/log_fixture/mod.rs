//! Logs with planted patterns, for tests of analysis. Rows are mixed from what the real pipeline
//! measured on made pictures (`measured.csv`, which
//! `cargo test --test it measure_rows -- --ignored` writes anew), so their components have the
//! spreads and the ties among each other that real ones have; nothing is drawn from a made-up law.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike, Utc};
use faceood_engine::policy::{Action, Policy, Reason};
use faceood_engine::quality::{CauseName, Component};
use faceood_log::{InferenceLog, Settings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// What the pipeline measured on one made picture.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What was done to the picture: a cause's name, or `clean`.
    pub kind: String,
    /// The quality score.
    pub score: f32,
    /// Embedding norm.
    pub norm: f32,
    /// Sides of the face's box.
    pub box_px: [f32; 2],
    /// Weight of each cause.
    pub causes: Vec<f32>,
    /// The components; NaN where one was not assessed.
    pub components: Vec<f32>,
}

/// One row to be.
#[derive(Clone, Debug)]
pub struct Row {
    /// When.
    pub time: DateTime<Utc>,
    /// Where; `None` is NULL.
    pub source: Option<String>,
    /// What was planted, or `clean`.
    pub kind: String,
    /// Pack and calibration.
    pub model: [String; 2],
    /// What was measured; `None` for a failed request.
    pub measured: Option<Measured>,
    /// What a policy decided, and why, where the row says so.
    pub decided: Option<(Action, Vec<Reason>)>,
    id: String,
}

/// Rows, and chance that follows from a seed.
#[derive(Debug)]
pub struct LogFixture {
    /// The rows, in any order.
    pub rows: Vec<Row>,
    random: ChaCha8Rng,
    measured: BTreeMap<String, Vec<Measured>>,
}

/// The first moment of all fixtures.
pub fn begin() -> DateTime<Utc> {
    "2026-11-13T00:00:00Z".parse().expect("a time")
}

/// Where the measured rows stand.
pub fn measured_path() -> PathBuf {
    super::repository().join("tests/support/src/log_fixture/measured.csv")
}

/// The head of `measured.csv`.
pub fn head() -> Vec<String> {
    let mut head: Vec<String> = ["kind", "score", "norm", "box_width", "box_height"]
        .map(str::to_owned)
        .into();
    head.extend(
        CauseName::ALL
            .iter()
            .map(|cause| format!("cause_{}", cause.name())),
    );
    head.extend(
        Component::ALL
            .iter()
            .map(|component| component.name().to_owned()),
    );
    head
}

impl Row {
    /// The row's id, a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl LogFixture {
    /// No rows yet.
    pub fn new(seed: u64) -> Self {
        let mut reader = csv::Reader::from_path(measured_path()).expect("measured.csv is there");
        assert_eq!(
            reader.headers().expect("a head"),
            head(),
            "measure the rows anew"
        );
        let mut measured: BTreeMap<String, Vec<Measured>> = BTreeMap::new();
        for row in reader.records() {
            let row = row.expect("a row");
            let number = |at: usize| row[at].parse().unwrap_or(f32::NAN);
            let first = 5 + CauseName::ALL.len();
            measured
                .entry(row[0].to_owned())
                .or_default()
                .push(Measured {
                    kind: row[0].to_owned(),
                    score: number(1),
                    norm: number(2),
                    box_px: [number(3), number(4)],
                    causes: (5..first).map(number).collect(),
                    components: (first..row.len()).map(number).collect(),
                });
        }
        Self {
            rows: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
            measured,
        }
    }

    /// Uniform in 0…1.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.random.next_u32() >> 8) / f64::from(1_u32 << 24)
    }

    /// Nearly normal.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Something measured of this kind with a score in `scores`: two measured rows mixed in a
    /// random part, so that no two are alike.
    pub fn measure(&mut self, kind: &str, scores: [f32; 2]) -> Measured {
        let fitting: Vec<Measured> = self.measured[kind]
            .iter()
            .filter(|row| (scores[0]..=scores[1]).contains(&row.score))
            .cloned()
            .collect();
        assert!(
            fitting.len() >= 4,
            "{kind} has {} rows in {scores:?}",
            fitting.len()
        );
        let mut pick = || (self.unit() * fitting.len() as f64) as usize;
        let (one, other) = (&fitting[pick()], &fitting[pick()]);
        let part = self.unit() as f32;
        let mix = |a: f32, b: f32| if b.is_nan() { a } else { a + part * (b - a) };
        let all = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| mix(*a, *b)).collect();
        Measured {
            kind: kind.to_owned(),
            score: mix(one.score, other.score),
            norm: mix(one.norm, other.norm),
            box_px: [0, 1].map(|side| mix(one.box_px[side], other.box_px[side])),
            causes: all(&one.causes, &other.causes),
            components: all(&one.components, &other.components),
        }
    }

    /// Adds a row; gives it back for changes.
    pub fn add(
        &mut self,
        time: DateTime<Utc>,
        source: &str,
        kind: &str,
        measured: Measured,
    ) -> &mut Row {
        let number = self.rows.len();
        let id = format!(
            "{:08x}-0000-7000-8000-{number:012x}",
            self.random.next_u32()
        );
        self.rows.push(Row {
            time,
            source: Some(source.to_owned()),
            kind: kind.to_owned(),
            model: ["a".to_owned(), "c1".to_owned()],
            measured: Some(measured),
            decided: None,
            id,
        });
        self.rows.last_mut().expect("just added")
    }

    /// Adds `count` captures of a site without faults over `days`, mostly by day, at `sources`
    /// cameras.
    pub fn clean(&mut self, count: usize, days: i64, sources: usize) {
        for _ in 0..count {
            let time = self.moment(days, [7.0, 21.0]);
            let source = format!("gate-{}", 1 + (self.unit() * sources as f64) as usize);
            let measured = self.measure("clean", [0.41, 1.0]);
            self.add(time, &source, "clean", measured);
        }
    }

    /// Lets a policy decide on every row that was measured.
    pub fn decide(&mut self, policy: &Policy) {
        for row in &mut self.rows {
            row.decided = row.measured.as_ref().map(|found| {
                let side = found.box_px[0].min(found.box_px[1]);
                let decision = policy.decide("access", found.score, side, 1);
                (decision.action, decision.reasons)
            });
        }
    }

    /// Adds `count` low captures of a kind at one camera, over `days` and within these hours (which
    /// may go past midnight).
    pub fn plant(&mut self, kind: &str, count: usize, source: &str, days: i64, hours: [f64; 2]) {
        for _ in 0..count {
            let time = self.moment(days, hours);
            let measured = self.measure(kind, [0.0, 0.4]);
            self.add(time, source, kind, measured);
        }
    }

    fn moment(&mut self, days: i64, hours: [f64; 2]) -> DateTime<Utc> {
        let day = (self.unit() * days as f64) as i64;
        let hour = hours[0] + (hours[1] - hours[0]) * self.unit();
        begin() + TimeDelta::days(day) + TimeDelta::milliseconds((hour * 3_600_000.0) as i64)
    }

    /// What was planted, by row id.
    pub fn truth(&self) -> BTreeMap<String, String> {
        let pairs = self
            .rows
            .iter()
            .map(|row| (row.id.clone(), row.kind.clone()));
        pairs.collect()
    }

    /// Ids of rows with a score of at most `cut`.
    pub fn low(&self, cut: f32) -> Vec<String> {
        let is_low = |row: &&Row| {
            row.measured
                .as_ref()
                .is_some_and(|found| found.score <= cut)
        };
        self.rows
            .iter()
            .filter(is_low)
            .map(|row| row.id.clone())
            .collect()
    }

    /// Writes the rows, in the order in which they were added, into a fresh database.
    pub fn write(&self, database: &Path) {
        let folder = database.parent().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let log = InferenceLog::open(&Settings::default(), folder)
                .await
                .expect("a log");
            log.close().await;
            let made = folder.join(faceood_log::FILE_NAME);
            if made != database {
                std::fs::rename(&made, database).expect("it can be moved");
            }
            let mut connection = SqliteConnectOptions::new()
                .filename(database)
                .connect()
                .await
                .expect("it opens");
            let names: Vec<&str> = COLUMNS
                .into_iter()
                .chain(Component::ALL.iter().map(|component| component.name()))
                .collect();
            let places = vec!["?"; names.len()].join(", ");
            let insert = format!(
                "INSERT INTO inferences ({}) VALUES ({places})",
                names.join(", ")
            );
            let mut transaction = connection.begin().await.expect("a transaction");
            for row in &self.rows {
                let query = sqlx::query(sqlx::AssertSqlSafe(insert.clone()));
                bound(query, row)
                    .execute(&mut *transaction)
                    .await
                    .expect("a row");
            }
            transaction.commit().await.expect("it is written");
            connection.close().await.expect("it closes");
        });
    }
}

/// Columns that a fixture fills, before the components.
const COLUMNS: [&str; 17] = [
    "id",
    "time",
    "request_id",
    "endpoint",
    "role",
    "source",
    "pack",
    "pack_sha256",
    "calibration_id",
    "error_code",
    "quality_score",
    "embedding_norm",
    "causes",
    "box_width",
    "box_height",
    "action",
    "reasons",
];

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bound(query: Query, row: &Row) -> Query {
    let number = |value: f32| (!value.is_nan()).then_some(f64::from(value));
    let causes = row.measured.as_ref().map(|measured| {
        let mut causes: Vec<(CauseName, f32)> = CauseName::ALL
            .into_iter()
            .zip(measured.causes.iter().copied())
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        causes.sort_by(|a, b| b.1.total_cmp(&a.1));
        let list: Vec<_> = causes
            .into_iter()
            .map(|(name, weight)| json!({"name": name.name(), "weight": weight}))
            .collect();
        json!(list).to_string()
    });
    let measured = row.measured.as_ref();
    let error = measured.is_none().then_some("no_face");
    let mut query = query
        .bind(row.id.clone())
        .bind(row.time.to_rfc3339_opts(SecondsFormat::Micros, true))
        .bind(format!("request-{}", row.id))
        .bind("extract")
        .bind("image")
        .bind(row.source.clone())
        .bind(format!("pack-{}", row.model[0]))
        .bind(row.model[0].repeat(64))
        .bind(row.model[1].clone())
        .bind(error)
        .bind(measured.map(|found| f64::from(found.score)))
        .bind(measured.and_then(|found| number(found.norm)))
        .bind(causes)
        .bind(measured.and_then(|found| number(found.box_px[0])))
        .bind(measured.and_then(|found| number(found.box_px[1])))
        .bind(row.decided.as_ref().map(|(action, _)| action.name()))
        .bind(
            row.decided
                .as_ref()
                .map(|(_, reasons)| json!(reasons).to_string()),
        );
    for index in 0..Component::ALL.len() {
        query = query.bind(measured.and_then(|found| number(found.components[index])));
    }
    query
}

/// The local hour of a row at UTC, for what a test expects.
pub fn hour(row: &Row) -> usize {
    row.time.hour() as usize
}

/// How alike two groupings are: 1 the same, 0 as chance would have it (Hubert and Arabie 1985).
pub fn adjusted_rand(one: &[String], other: &[String]) -> f64 {
    let mut table: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    let (mut rows, mut columns) = (BTreeMap::<&str, f64>::new(), BTreeMap::<&str, f64>::new());
    for (a, b) in one.iter().zip(other) {
        *table.entry((a, b)).or_default() += 1.0;
        *rows.entry(a).or_default() += 1.0;
        *columns.entry(b).or_default() += 1.0;
    }
    let pairs = |count: f64| count * (count - 1.0) / 2.0;
    let together: f64 = table.values().map(|&count| pairs(count)).sum();
    let in_rows: f64 = rows.values().map(|&count| pairs(count)).sum();
    let in_columns: f64 = columns.values().map(|&count| pairs(count)).sum();
    let chance = in_rows * in_columns / pairs(one.len() as f64).max(1.0);
    let most = f64::midpoint(in_rows, in_columns);
    if (most - chance).abs() < 1e-12 {
        return 1.0;
    }
    (together - chance) / (most - chance)
}
