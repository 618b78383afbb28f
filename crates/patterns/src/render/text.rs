//! The report for a terminal, at most 100 columns wide; colours are optional.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::super::report::{Cluster, FleetRow, NormAnomaly, NormSignal, PatternReport, TrendKind};
use super::super::words::{label, source};
use super::{
    by_attention, changes, counted_by_hour, fleet_cells, fleet_head, numbers, or_dash, percent_of,
    sentences, unknown_causes,
};
use faceood_engine::quality::Language;
use faceood_report::columns::{left, right};
use faceood_report::sparkline;

/// Columns of a terminal that the report fits.
pub const COLUMNS: usize = 100;

/// Sources of the fleet that are shown; the others are in the JSON.
const FLEET_ROWS: usize = 15;

const ANOMALIES: usize = 15;

/// How to show it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions {
    /// In which language the sentences are.
    pub language: Language,
    /// Whether the terminal shows colours.
    pub is_coloured: bool,
}

/// The report as text.
pub fn text(report: &PatternReport, style: TextOptions) -> String {
    let mut out = TextReport {
        style,
        lines: String::new(),
    };
    out.head(report);
    if report.clusters.is_empty() {
        out.line(out.pick("No recurring pattern.", "未发现反复出现的问题。"));
    }
    for cluster in &report.clusters {
        out.cluster(cluster);
    }
    out.anomalies(&report.norm_anomalies);
    out.fleet(&report.fleet);
    out.comparison(report);
    out.lines
}

struct TextReport {
    style: TextOptions,
    lines: String,
}

impl TextReport {
    fn pick<T>(&self, english: T, chinese: T) -> T {
        self.style.language.pick(english, chinese)
    }

    /// A line, wrapped at blanks (Chinese: anywhere) so that it fits.
    fn line(&mut self, text: &str) {
        self.indented(text, 0);
    }

    fn indented(&mut self, text: &str, indent: usize) {
        for line in wrap(text, COLUMNS - indent) {
            let _ = writeln!(self.lines, "{}{line}", " ".repeat(indent));
        }
    }

    /// A line that is not wrapped.
    fn unwrapped(&mut self, text: &str) {
        let _ = writeln!(self.lines, "{text}");
    }

    fn title(&mut self, text: &str) {
        self.lines.push('\n');
        self.unwrapped(&self.coloured(text, "1"));
    }

    fn coloured(&self, text: &str, code: &str) -> String {
        if self.style.is_coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn head(&mut self, report: &PatternReport) {
        let (window, totals, method) = (&report.window, report.totals, &report.method);
        let (inferences, errors) = (totals.inferences, totals.errors);
        let (low, scored, most) = (totals.low, totals.scored, window.max_score);
        let share = percent_of(low, scored, self.style.language);
        let time = |time| or_dash(time, minute);
        let span = format!("{} – {} UTC", time(window.from), time(window.to));
        self.line(&self.pick(
            format!(
                "{span}: {inferences} inferences, {errors} errors, \
                 {low} of {scored} captures score {most} or less ({share})"
            ),
            format!(
                "{span}：推理 {inferences} 次，错误 {errors} 次，\
                 {scored} 张抓拍中有 {low} 张质量分不高于 {most}（{share}）"
            ),
        ));
        let (patterns, rest) = (report.clusters.len(), report.unclustered);
        let zone = &window.utc_offset;
        let clustered = low - rest;
        let part = percent_of(clustered, low, self.style.language);
        self.line(&self.pick(
            format!(
                "{patterns} patterns have {clustered} of them ({part}); {rest} belong to none. \
                 Hours are local time (UTC{zone})."
            ),
            format!(
                "反复出现的问题共 {patterns} 个，涵盖其中 {clustered} 张（{part}）；{rest} 张未归类。\
                 时刻为本地时间（UTC{zone}）。"
            ),
        ));
        if method.is_sample {
            let (learnt, seed) = (method.learnt_from, method.seed);
            self.line(&self.pick(
                format!(
                    "Patterns were learnt from a sample of {learnt} low rows (seed {seed}); \
                     the others were assigned to them."
                ),
                format!(
                    "反复出现的问题由抽取的 {learnt} 条低分记录（随机种子 {seed}）学习得到，其余记录据此归类。"
                ),
            ));
        }
        if method.counted_by.is_some() {
            self.line(counted_by_hour(self.style.language));
        }
        if method.unknown_causes > 0 {
            self.line(&unknown_causes(method.unknown_causes, self.style.language));
        }
        self.lines.push('\n');
    }

    fn cluster(&mut self, cluster: &Cluster) {
        let code = match cluster.trend {
            TrendKind::New | TrendKind::Growing => "1;31",
            TrendKind::Steady => "1;33",
            TrendKind::Fading => "1;32",
        };
        let name = label(&cluster.label, self.style.language);
        self.unwrapped(&self.coloured(&format!("[{}] {name}", cluster.id), code));
        let [summary, advice] = sentences(cluster, self.style.language);
        self.indented(summary, 4);
        self.indented(&format!("→ {advice}"), 4);
        let mut facts = numbers(cluster, self.style.language, "/");
        for part in cluster.sources.iter().take(3) {
            facts += &format!(" · {} ×{:.1}", source(&part.source), part.lift);
        }
        self.indented(&facts, 4);
        let bars = self.coloured(&sparkline::counts(&cluster.hours, '·'), "36");
        self.unwrapped(&format!("    0h {bars} 24h\n"));
    }

    fn anomalies(&mut self, anomalies: &[NormAnomaly]) {
        if anomalies.is_empty() {
            return;
        }
        self.title(self.pick("Embedding norm", "特征向量模长"));
        for anomaly in anomalies.iter().take(ANOMALIES) {
            self.line(&self.anomaly(anomaly));
        }
        self.rest(anomalies.len(), ANOMALIES);
    }

    fn anomaly(&self, anomaly: &NormAnomaly) -> String {
        let signal = match anomaly.signal {
            NormSignal::Norm => self.pick("norm", "特征向量模长"),
            NormSignal::Residual => {
                self.pick("norm given the score", "扣除质量分影响后的特征向量模长")
            }
        };
        let source = source(&anomaly.source);
        let (z, rows, direction) = (anomaly.z.abs(), anomaly.rows, &anomaly.direction);
        let lower = if anomaly.z < 0.0 { "偏低" } else { "偏高" };
        let levels = format!("{:.3} → {:.3}", anomaly.before, anomaly.after);
        let to = anomaly.to.format("%m-%d %H:%M");
        let span = format!("{} – {to} UTC", minute(anomaly.from));
        let mut text = self.pick(
            format!("{source}: {signal} {direction} by {z:.1} σ ({levels}), {span}, {rows} rows"),
            format!("{source}：{signal}{lower} {z:.1} σ（{levels}），{span}，{rows} 条记录"),
        );
        if !anomaly.coincides.is_empty() {
            text += self.pick("; with ", "；同时出现：");
            text += &anomaly.coincides.join(self.pick(", ", "、"));
        }
        text
    }

    fn fleet(&mut self, fleet: &[FleetRow]) {
        if fleet.is_empty() {
            return;
        }
        self.title(self.pick("Sources", "来源"));
        let mut head = fleet_head(self.style.language);
        head[3] = self.pick("median", "中位数");
        // 特征向量模长 takes twelve columns.
        let norm_columns = self.pick(6, 12);
        self.unwrapped(&fleet_line(&head.map(str::to_owned), norm_columns));
        for row in by_attention(fleet).into_iter().take(FLEET_ROWS) {
            let mut cells = fleet_cells(row, self.style.language);
            if let Some(drift) = row.drift {
                let form = self.pick(" since %d %b", " 自 %m-%d 起");
                cells[6] += &drift.since.format(form).to_string();
            }
            let mut line = fleet_line(&cells, norm_columns);
            if row.is_worse || row.drift.is_some_and(|drift| drift.is_rising) {
                line = self.coloured(&line, "31");
            }
            self.unwrapped(&line);
        }
        self.rest(fleet.len(), FLEET_ROWS);
    }

    fn comparison(&mut self, report: &PatternReport) {
        let Some(comparison) = &report.comparison else {
            return;
        };
        self.title(self.pick("Against the earlier report", "与先前报告相比"));
        let lines = changes(comparison, self.style.language);
        if lines.is_empty() {
            self.line(self.pick("nothing new, gone or grown", "没有新出现、消失或增多的问题"));
        }
        for line in lines {
            self.line(&line);
        }
    }

    fn rest(&mut self, all: usize, shown: usize) {
        if all > shown {
            let more = all - shown;
            self.line(&self.pick(
                format!("… and {more} more (--format json has all of them)"),
                format!("……另有 {more} 项（用 --format json 列出全部）"),
            ));
        }
    }
}

fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M").to_string()
}

/// A line of the table of sources. A wider column of norms takes its room from the names.
fn fleet_line(cells: &[String; 7], norm_columns: usize) -> String {
    let [source, captures, low, median, norm, cause, drift] = cells;
    let line = format!(
        "{} {} {} {} {}  {} {drift}",
        left(source, 30 - norm_columns),
        right(captures, 9),
        right(low, 7),
        right(median, 7),
        right(norm, norm_columns),
        left(cause, 17)
    );
    line.trim_end().to_owned()
}

/// `text` in lines of at most `columns`.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let clean = text.replace(char::is_control, " ");
    let options = textwrap::Options::new(columns).wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::wrap(&clean, options)
        .into_iter()
        .map(Cow::into_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_where_they_may_be() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("一二三四五", 6), ["一二三", "四五"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
