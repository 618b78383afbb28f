//! An explanation as text for a terminal.

use super::{ExplainedRow, Explanation, output, words};
use crate::sinks::terminal_line;

impl Explanation {
    pub(super) fn text(&self) -> String {
        let known = |label: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{label} {value}"))
        };
        let head: Vec<String> = [
            Some(format!("request {}", self.request_id)),
            Some(self.time.clone()),
            Some(format!("{:?}", self.endpoint).to_lowercase()),
            known("source", &self.source),
            known("scenario", &self.scenario),
        ]
        .into_iter()
        .flatten()
        .collect();
        let model: Vec<String> = [
            known("pack", &self.pack),
            self.pack_version.clone(),
            known("on", &self.provider),
            known("· calibration", &self.calibration_id),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (head, model) = (head.join(" · "), model.join(" "));
        let mut blocks = vec![format!(
            "{}\n{}",
            terminal_line(&head),
            terminal_line(&model)
        )];
        if let Some(comparison) = &self.comparison {
            let mut block = format!("verdict: {}", comparison.verdict.name());
            push_indented(&mut block, &comparison.why);
            blocks.push(block);
        }
        if let Some(outcome) = self.outcome {
            let mut block = format!("feedback: {}", outcome.name());
            push_indented(&mut block, self.outcome_note.as_slice());
            push_indented(&mut block, &self.history());
            blocks.push(block);
        }
        if !self.same_id.is_empty() {
            let mut block =
                "earlier requests with this id (explain takes the id of a row too):".to_owned();
            push_indented(&mut block, &self.same_id);
            blocks.push(block);
        }
        blocks.extend(self.samples.iter().map(ExplainedRow::text));
        blocks.join("\n\n")
    }
}

impl Explanation {
    /// Who said what and when, the last first.
    fn history(&self) -> Vec<String> {
        let words = self.feedback.iter().rev().map(|told| {
            let who = [&told.author, &told.address].map(|name| name.as_deref());
            let who: Vec<&str> = who.into_iter().flatten().collect();
            let who = if who.is_empty() {
                "unknown".to_owned()
            } else {
                who.join(", ")
            };
            let note = told.note.as_deref();
            let note = note.map_or_else(String::new, |note| format!(": {note}"));
            format!(
                "{} by {who}: {}{note}",
                told.time.format("%F %T UTC"),
                told.outcome.name()
            )
        });
        words.collect()
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
        let mut block = format!("{}{index}: {action}", words::name(self.role));
        push_indented(&mut block, &self.why);
        let mut facts = Vec::new();
        if let (Some(score), Some(grade)) = (self.score, self.grade) {
            let interval = self.interval.map_or_else(String::new, |[low, high]| {
                format!(", another shot of the scene {low:.2}–{high:.2} 9 times in 10")
            });
            facts.push(format!("score {score:.4} ({}){interval}", grade.name()));
        }
        if let Some(probability) = self.pass_probability {
            facts.push(format!("pass probability {probability:.3}"));
        }
        if let Some(logit) = self.ood_logit {
            facts.push(format!("OOD logit {logit:.4}"));
        }
        if let Some(norm) = self.embedding_norm {
            let networks: Vec<String> = self
                .network_norms
                .iter()
                .flatten()
                .map(|(name, norm)| format!("{name} {norm:.3}"))
                .collect();
            facts.push(format!(
                "embedding norm {norm:.3} ({})",
                networks.join(", ")
            ));
        }
        push_indented(&mut block, &facts);
        if !self.components.is_empty() {
            let rows = self.components.iter().map(|measured| {
                vec![
                    measured.name.into(),
                    format!("{:.4}", measured.value).into(),
                    measured.unit.into(),
                    measured.better.unwrap_or_default().into(),
                ]
            });
            let table = output::table(&["component", "measured", "unit", "better"], rows);
            let lines: Vec<String> = table.lines().map(ToOwned::to_owned).collect();
            push_indented(&mut block, &lines);
        }
        block
    }
}

fn push_indented(block: &mut String, lines: &[String]) {
    for line in lines {
        block.push_str("\n  ");
        block.push_str(&terminal_line(line));
    }
}
