//! What a manager reads first: where something is to be done, what, and what it would bring.

use faceood_engine::policy::Reason;
use faceood_engine::quality::{CauseName, Language};

use super::report::{Cluster, FirstStep, FleetRow};
use super::survey::{SourceCounts, Survey};
use super::words;

/// More than one reads as a list of wishes.
const MOST: usize = 7;

/// Sources that a step names.
const NAMED: usize = 3;

/// Fewest captures with other people in the picture that call for a step, and their least share of
/// the source's captures.
const LEAST_SEVERAL: u64 = 15;
const LEAST_SEVERAL_SHARE: f64 = 0.05;

/// The steps, those first that bring most captures through.
pub(super) fn list(clusters: &[Cluster], fleet: &[FleetRow], survey: &Survey) -> Vec<FirstStep> {
    let mut steps: Vec<FirstStep> = Vec::new();
    for step in clusters.iter().map(|it| of_cluster(it, survey)) {
        // Two patterns may differ in what was measured alone: one thing is to be done about them.
        let is_same =
            |told: &&mut FirstStep| (&told.label, &told.sources) == (&step.label, &step.sources);
        match steps.iter_mut().find(is_same) {
            Some(told) => told.join(&step),
            None => steps.push(step),
        }
    }
    let is_told = |row: &FleetRow, steps: &[FirstStep]| {
        let mut named = steps.iter().flat_map(|step| &step.sources);
        named.any(|source| *source == row.source)
    };
    for row in fleet {
        let Some(counts) = counts_of(&row.source, survey) else {
            continue;
        };
        if row.is_worse && !is_told(row, &steps) {
            steps.extend(of_source(row, counts));
        }
        steps.extend(of_several_faces(row, counts));
    }
    let gained = |step: &FirstStep| step.captures as f64 * step.expected_gain.unwrap_or(0.5);
    steps.sort_by(|a, b| {
        let by_gain = gained(b).total_cmp(&gained(a));
        by_gain.then_with(|| (&a.label, &a.sources).cmp(&(&b.label, &b.sources)))
    });
    steps.truncate(MOST);
    steps
}

fn counts_of<'a>(source: &str, survey: &'a Survey) -> Option<&'a SourceCounts> {
    // A settled survey has its sources in the order of their names.
    let names = &survey.sources;
    let place = names.binary_search_by(|name| name.as_str().cmp(source));
    survey.counts.get(place.ok()?)
}

fn of_cluster(cluster: &Cluster, survey: &Survey) -> FirstStep {
    let sources = &cluster.sources;
    let (captures, scored) = if sources.is_empty() {
        (cluster.size, survey.scored)
    } else {
        let all = sources
            .iter()
            .filter_map(|part| counts_of(&part.source, survey));
        (
            sources.iter().map(|part| part.count).sum(),
            all.map(|counts| counts.scored).sum(),
        )
    };
    let causes: Vec<CauseName> = cluster
        .label
        .split('+')
        .filter_map(CauseName::from_name)
        .collect();
    FirstStep {
        sources: sources.iter().map(|part| part.source.clone()).collect(),
        pattern: Some(cluster.id),
        label: cluster.label.clone(),
        captures,
        share: captures as f64 / scored.max(1) as f64,
        remedy: words::remedies(&causes, Language::English),
        remedy_zh: words::remedies(&causes, Language::Chinese),
        expected_gain: cluster.expected_gain,
    }
}

/// A source that is worse than the others, though too few of its captures are alike for a pattern.
fn of_source(row: &FleetRow, counts: &SourceCounts) -> Option<FirstStep> {
    let cause = CauseName::from_name(row.top_cause.as_deref()?)?;
    let captures = u64::from(counts.causes[cause as usize]);
    Some(FirstStep {
        sources: vec![row.source.clone()],
        pattern: None,
        label: cause.name().to_owned(),
        captures,
        share: captures as f64 / counts.scored.max(1) as f64,
        remedy: words::remedies(&[cause], Language::English),
        remedy_zh: words::remedies(&[cause], Language::Chinese),
        expected_gain: None,
    })
}

fn of_several_faces(row: &FleetRow, counts: &SourceCounts) -> Option<FirstStep> {
    let captures = counts.reasons[Reason::SeveralFaces as usize];
    let share = captures as f64 / counts.scored.max(1) as f64;
    (captures >= LEAST_SEVERAL && share >= LEAST_SEVERAL_SHARE).then(|| FirstStep {
        sources: vec![row.source.clone()],
        pattern: None,
        label: Reason::SeveralFaces.name().to_owned(),
        captures,
        share,
        remedy: words::remedy_for_several(Language::English).to_owned(),
        remedy_zh: words::remedy_for_several(Language::Chinese).to_owned(),
        expected_gain: None,
    })
}

impl FirstStep {
    /// Takes in another pattern of the same cause and sources.
    fn join(&mut self, other: &Self) {
        let gained = [&*self, other].map(|step| Some(step.captures as f64 * step.expected_gain?));
        self.captures += other.captures;
        self.share += other.share;
        let [one, another] = gained;
        self.expected_gain = one
            .zip(another)
            .map(|(one, another)| (one + another) / self.captures.max(1) as f64);
    }

    /// Where, for a reader.
    pub(super) fn place(&self, language: Language) -> String {
        let named = self
            .sources
            .iter()
            .take(NAMED)
            .map(|name| words::source(name, language));
        let list = named.collect::<Vec<_>>().join(language.pick(", ", "、"));
        match self.sources.len() {
            0 => language.pick("all sources", "所有来源").to_owned(),
            few if few <= NAMED => list,
            many => language.pick(
                format!("{list} and {} more", many - NAMED),
                format!("{list} 等 {many} 个"),
            ),
        }
    }

    pub(super) fn remedy(&self, language: Language) -> &str {
        language.pick(&self.remedy, &self.remedy_zh)
    }

    /// How many captures more would pass, for a reader.
    pub(super) fn gain(&self, language: Language) -> Option<String> {
        let gained = (self.captures as f64 * self.expected_gain?).round();
        Some(language.pick(
            format!("about {gained} more accepted"),
            format!("预计多通过 {gained} 张"),
        ))
    }
}
