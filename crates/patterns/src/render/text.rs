//! The report for a terminal, at most 100 columns wide; colours are optional.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::super::report::{Cluster, FleetRow, NormAnomaly, NormSignal, PatternReport, TrendKind};
use super::super::words::{label, source as shown_source};
use faceood::quality::Language;
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
#[must_use]
pub fn text(report: &PatternReport, style: TextOptions) -> String {
    let mut out = TextReport {
        style,
        lines: String::new(),
    };
    out.head(report);
    if report.clusters.is_empty() {
        out.line(out.pick("No recurring pattern.", "未发现重复出现的模式。"));
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
    fn pick(&self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.style.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
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

    fn title(&mut self, text: &str) {
        self.lines.push('\n');
        let shown = self.coloured(text, "1");
        let _ = writeln!(self.lines, "{shown}");
    }

    fn coloured(&self, text: &str, code: &str) -> String {
        if self.style.is_coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn head(&mut self, report: &PatternReport) {
        let window = &report.window;
        let time = |time: Option<chrono::DateTime<chrono::Utc>>| {
            time.map_or("–".to_owned(), |time| {
                time.format("%Y-%m-%d %H:%M").to_string()
            })
        };
        let totals = &report.totals;
        let share = percent(totals.low as f64 / totals.scored.max(1) as f64);
        let span = format!("{} – {} UTC", time(window.from), time(window.to));
        let counts = match self.style.language {
            Language::English => format!(
                "{span}: {} inferences, {} errors, {} of {} captures score {} or less ({share})",
                totals.inferences, totals.errors, totals.low, totals.scored, window.max_score
            ),
            Language::Chinese => format!(
                "{span}：推理 {} 次，错误 {} 次，{} 张抓拍中 {} 张得分不高于 {}（{share}）",
                totals.inferences, totals.errors, totals.scored, totals.low, window.max_score
            ),
        };
        self.line(&counts);
        let clustered = totals.low - report.unclustered;
        let part = percent(clustered as f64 / totals.low.max(1) as f64);
        let patterns = match self.style.language {
            Language::English => format!(
                "{} patterns have {} of them ({}); {} belong to none. Hours are local time (UTC{}).",
                report.clusters.len(),
                clustered,
                part,
                report.unclustered,
                window.utc_offset
            ),
            Language::Chinese => format!(
                "共 {} 个模式，涵盖其中 {} 张（{}）；{} 张未归类。时刻为本地时间（UTC{}）。",
                report.clusters.len(),
                clustered,
                part,
                report.unclustered,
                window.utc_offset
            ),
        };
        self.line(&patterns);
        if report.method.is_sample {
            let learnt = report.method.learnt_from;
            let sampled = match self.style.language {
                Language::English => format!(
                    "Patterns were learnt from a sample of {learnt} low rows (seed {}); the others were assigned to them.",
                    report.method.seed
                ),
                Language::Chinese => format!(
                    "模式由 {learnt} 条低分记录的抽样（种子 {}）学习得到，其余记录按此归类。",
                    report.method.seed
                ),
            };
            self.line(&sampled);
        }
        self.lines.push('\n');
    }

    fn cluster(&mut self, cluster: &Cluster) {
        let (summary, advice) = match self.style.language {
            Language::English => (&cluster.summary, &cluster.advice),
            Language::Chinese => (&cluster.summary_zh, &cluster.advice_zh),
        };
        let code = match cluster.trend {
            TrendKind::New | TrendKind::Growing => "1;31",
            TrendKind::Steady => "1;33",
            TrendKind::Fading => "1;32",
        };
        let name = label(&cluster.label, self.style.language);
        let head = format!("[{}] {name}", cluster.id);
        let head = self.coloured(&head, code);
        let _ = writeln!(self.lines, "{head}");
        self.indented(summary, 4);
        self.indented(&format!("→ {advice}"), 4);
        let slope = &cluster.trend_detail;
        let norm = &cluster.embedding_norm;
        let mut facts = vec![format!(
            "{} {:.2} ({:.2}–{:.2})",
            self.pick("score", "得分"),
            cluster.quality.mean,
            cluster.quality.p10,
            cluster.quality.p90
        )];
        if let (Some(mean), Some(z)) = (norm.mean, norm.z) {
            let word = self.pick("norm", "范数");
            facts.push(format!("{word} {mean:.2} ({z:+.1} σ)"));
        }
        if slope.interval[1] < 1e3 {
            facts.push(format!(
                "{:+.0} %/{} ({:+.0} … {:+.0})",
                100.0 * slope.slope_per_day,
                self.pick("day", "天"),
                100.0 * slope.interval[0],
                100.0 * slope.interval[1]
            ));
        }
        for part in cluster.sources.iter().take(3) {
            facts.push(format!("{} ×{:.1}", shown_source(&part.source), part.lift));
        }
        self.indented(&facts.join(" · "), 4);
        let bars = self.coloured(&sparkline::counts(&cluster.hours, '·'), "36");
        let _ = writeln!(self.lines, "    0h {bars} 24h\n");
    }

    fn anomalies(&mut self, anomalies: &[NormAnomaly]) {
        if anomalies.is_empty() {
            return;
        }
        self.title(self.pick("Embedding norm", "嵌入向量范数"));
        for anomaly in anomalies.iter().take(ANOMALIES) {
            self.line(&self.anomaly(anomaly));
        }
        self.rest(anomalies.len(), ANOMALIES);
    }

    fn anomaly(&self, anomaly: &NormAnomaly) -> String {
        let signal = match anomaly.signal {
            NormSignal::Norm => self.pick("norm", "范数"),
            NormSignal::Residual => self.pick("norm given the score", "扣除得分影响后的范数"),
        };
        let source = shown_source(&anomaly.source);
        let (z, rows) = (anomaly.z.abs(), anomaly.rows);
        let levels = format!("{:.3} → {:.3}", anomaly.before, anomaly.after);
        let span = format!(
            "{} – {} UTC",
            anomaly.from.format("%Y-%m-%d %H:%M"),
            anomaly.to.format("%m-%d %H:%M")
        );
        let coincides = anomaly.coincides.join(", ");
        let is_alone = anomaly.coincides.is_empty();
        match self.style.language {
            Language::English => {
                let with = if is_alone {
                    String::new()
                } else {
                    format!("; with {coincides}")
                };
                let direction = &anomaly.direction;
                format!(
                    "{source}: {signal} {direction} by {z:.1} σ ({levels}), {span}, {rows} rows{with}"
                )
            }
            Language::Chinese => {
                let with = if is_alone {
                    String::new()
                } else {
                    format!("；同时出现：{coincides}")
                };
                let direction = if anomaly.z < 0.0 { "偏低" } else { "偏高" };
                format!(
                    "{source}：{signal}{direction} {z:.1} σ（{levels}），{span}，{rows} 条记录{with}"
                )
            }
        }
    }

    fn fleet(&mut self, fleet: &[FleetRow]) {
        if fleet.is_empty() {
            return;
        }
        self.title(self.pick("Sources", "摄像头"));
        let head = match self.style.language {
            Language::English => [
                "source",
                "captures",
                "low",
                "median",
                "norm",
                "top cause",
                "drift",
            ],
            Language::Chinese => [
                "摄像头",
                "抓拍",
                "低分",
                "中位数",
                "范数",
                "首要原因",
                "变化",
            ],
        };
        let _ = writeln!(self.lines, "{}", fleet_line(head));
        let mut order: Vec<&FleetRow> = fleet.iter().collect();
        // Those that need attention come first.
        order.sort_by_key(|row| (row.drift.is_none(), !row.is_worse));
        for row in order.iter().take(FLEET_ROWS) {
            let number =
                |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
            let drift = row.drift.map_or(String::new(), |drift| {
                let arrow = if drift.is_rising { "▲" } else { "▼" };
                let (before, after) = (percent(drift.before), percent(drift.after));
                let since = match self.style.language {
                    Language::English => drift.since.format("since %d %b"),
                    Language::Chinese => drift.since.format("自%-m月%-d日起"),
                };
                format!("{arrow} {before} → {after} {since}")
            });
            let cause = row.top_cause.as_deref();
            let line = fleet_line([
                &shown_source(&row.source),
                &row.inferences.to_string(),
                &row.share_low.map_or("–".into(), percent),
                &number(row.median_score),
                &number(row.embedding_norm),
                &cause.map_or("–".into(), |name| label(name, self.style.language)),
                &drift,
            ]);
            let shown = if row.is_worse || row.drift.is_some_and(|drift| drift.is_rising) {
                self.coloured(&line, "31")
            } else {
                line
            };
            let _ = writeln!(self.lines, "{shown}");
        }
        self.rest(fleet.len(), FLEET_ROWS);
    }

    fn comparison(&mut self, report: &PatternReport) {
        let Some(comparison) = &report.comparison else {
            return;
        };
        self.title(self.pick("Against the earlier report", "与先前报告相比"));
        let mut lines = Vec::new();
        for id in &comparison.new {
            lines.push(format!("{}: [{id}]", self.pick("new", "新出现")));
        }
        for growth in &comparison.grown {
            let word = self.pick("grown", "增多");
            lines.push(format!("{word}: [{}] ×{:.1}", growth.id, growth.factor));
        }
        for gone in &comparison.gone {
            lines.push(format!("{}: {gone}", self.pick("gone", "已消失")));
        }
        if lines.is_empty() {
            lines.push(
                self.pick("nothing new, gone or grown", "无新增、消失或增多")
                    .to_owned(),
            );
        }
        for line in lines {
            self.line(&line);
        }
    }

    fn rest(&mut self, all: usize, shown: usize) {
        if all > shown {
            let more = all - shown;
            let said = match self.style.language {
                Language::English => format!("… and {more} more (--format json has all of them)"),
                Language::Chinese => format!("……另有 {more} 项（--format json 列出全部）"),
            };
            self.line(&said);
        }
    }
}

/// A line of the table of sources.
fn fleet_line([source, captures, low, median, norm, cause, drift]: [&str; 7]) -> String {
    let line = format!(
        "{} {} {} {} {}  {} {drift}",
        left(source, 24),
        right(captures, 9),
        right(low, 7),
        right(median, 7),
        right(norm, 6),
        left(cause, 17)
    );
    line.trim_end().to_owned()
}

/// A share in per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
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
