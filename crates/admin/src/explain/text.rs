//! An explanation as text for a terminal.

use super::{ExplainedRow, Explanation, output, words};
use crate::sinks::terminal_line;

impl Explanation {
    pub(super) fn text(&self) -> String {
        let known = |label: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{label} {value}"))
        };
        let head = [
            Some(format!("request {}", self.request_id)),
            Some(self.time.clone()),
            Some(format!("{:?}", self.endpoint).to_lowercase()),
            known("source", &self.source),
            known("token", &self.token),
            known("scenario", &self.scenario),
        ];
        let model = [
            known("pack", &self.pack),
            self.pack_version.clone(),
            known("on", &self.provider),
            known("· calibration", &self.calibration_id),
        ];
        let head = head.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        let model = model.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let (head, model) = (terminal_line(&head), terminal_line(&model));
        let mut blocks = vec![format!("{head}\n{model}")];
        if let Some(comparison) = &self.comparison {
            let head = format!("verdict: {}", comparison.verdict.name());
            blocks.push(block(head, &comparison.why));
        }
        if let Some(outcome) = self.outcome {
            let words = self.outcome_note.iter().cloned().chain(self.history());
            blocks.push(block(format!("feedback: {}", outcome.name()), words));
        }
        if !self.same_id.is_empty() {
            let head = "earlier requests with this id (explain takes the id of a row too):";
            blocks.push(block(head.to_owned(), &self.same_id));
        }
        blocks.extend(self.samples.iter().map(ExplainedRow::text));
        blocks.join("\n\n")
    }

    /// Who said what and when, the last first.
    fn history(&self) -> impl Iterator<Item = String> {
        self.feedback.iter().rev().map(|told| {
            let who = [told.author.as_deref(), told.address.as_deref()];
            let who = match who.into_iter().flatten().collect::<Vec<_>>().as_slice() {
                [] => "unknown".to_owned(),
                known => known.join(", "),
            };
            let note = told.note.as_ref().map(|note| format!(": {note}"));
            let (time, outcome) = (told.time.format("%F %T UTC"), told.outcome.name());
            format!("{time} by {who}: {outcome}{}", note.unwrap_or_default())
        })
    }
}

impl ExplainedRow {
    fn text(&self) -> String {
        let action = match (self.action, self.error_code) {
            (_, Some(code)) => code,
            (Some(action), None) => action.name(),
            (None, None) => "no face",
        };
        let index = self.face_index.filter(|index| *index > 0);
        let index = index.map_or_else(String::new, |index| format!(" (face {})", index + 1));
        let head = format!("{}{index}: {action}", words::name(self.role));
        let mut lines = self.why.clone();
        if !self.advice.is_empty() {
            lines.push(format!("What to do: {}.", self.advice.join("; ")));
        }
        if let (Some(score), Some(grade)) = (self.score, self.grade) {
            let interval = self.interval.map_or_else(String::new, |[low, high]| {
                format!(", another shot of the scene {low:.2}–{high:.2} 9 times in 10")
            });
            lines.push(format!("score {score:.4} ({}){interval}", grade.name()));
        }
        if let Some(probability) = self.pass_probability {
            lines.push(format!("pass probability {probability:.3}"));
        }
        if let Some(logit) = self.ood_logit {
            lines.push(format!("OOD logit {logit:.4}"));
        }
        if let Some(norm) = self.embedding_norm {
            let networks = self.network_norms.iter().flatten();
            let networks = networks.map(|(name, norm)| format!("{name} {norm:.3}"));
            let networks = networks.collect::<Vec<_>>().join(", ");
            lines.push(format!("embedding norm {norm:.3} ({networks})"));
        }
        if !self.components.is_empty() {
            let table = output::Rows(&self.components).table(&[
                ("component", |it| it.name.to_owned()),
                ("measured", |it| format!("{:.4}", it.value)),
                ("unit", |it| it.unit.to_owned()),
                ("better", |it| it.better.unwrap_or_default().to_owned()),
            ]);
            lines.extend(table.lines().map(str::to_owned));
        }
        block(head, lines)
    }
}

/// `head` with `lines` indented below it.
fn block(head: String, lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut block = head;
    for line in lines {
        block += "\n  ";
        block += &terminal_line(line.as_ref());
    }
    block
}
