//! The report for a terminal of any width; colours are optional.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::super::report::{
    Cluster, FirstStep, LowBy, NormAnomaly, NormSignal, PatternReport, TrendKind,
};
use super::super::words::{named, source};
use super::{
    by_attention, changes, counted_by_hour, explained, failed, fixed, fleet_cells, fleet_columns,
    no_pattern, nothing_judged, numbers, or_dash, percent, percent_of, sentences, unknown_causes,
};
use faceood_engine::quality::Language;
use faceood_report::columns::text_table;
use faceood_report::{plural, sparkline};

/// Columns where there is no terminal to ask.
pub const COLUMNS: usize = 100;

/// The row of hours takes so many. Narrower text has more line breaks than words anyway.
const LEAST_COLUMNS: usize = 36;

/// Sources of the fleet that are shown; the others are in the JSON.
const FLEET_ROWS: usize = 15;

const ANOMALIES: usize = 15;

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// In which language the sentences are.
    pub language: Language,
    /// Whether the terminal shows colours.
    pub is_coloured: bool,
    /// Columns that lines may take.
    pub columns: usize,
}

/// Says how to get a page, below the text on a terminal.
pub fn page_tip(language: Language, columns: usize) -> String {
    let tip = language.pick(
        "Tip: --format html --out report.html writes this report as a page with charts.",
        "提示：加上 --format html --out report.html 可生成带图表的网页报告。",
    );
    let lines = wrap(tip, columns.max(LEAST_COLUMNS));
    format!("\n{}\n", lines.join("\n"))
}

/// The report as text.
pub fn text(report: &PatternReport, style: TextOptions) -> String {
    let columns = style.columns.max(LEAST_COLUMNS);
    let mut out = TextReport {
        style: TextOptions { columns, ..style },
        lines: String::new(),
    };
    out.head(report);
    out.first_steps(&report.first_steps);
    for cluster in &report.clusters {
        out.cluster(cluster);
    }
    out.anomalies(&report.norm_anomalies);
    out.fleet(report);
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
        for line in wrap(text, self.style.columns - indent) {
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
        let language = self.style.language;
        if totals.scored == 0 {
            self.line(&nothing_judged(report, language));
            return;
        }
        let time = |time| or_dash(time, minute);
        let span = format!("{} – {} UTC", time(window.from), time(window.to));
        let (low, scored) = (totals.low, totals.scored);
        let share = percent_of(low, scored, language);
        let (actions, most) = (totals.actions, window.max_score.unwrap_or_default());
        let captures = plural(scored, "capture was judged", "captures were judged");
        let failed = failed(report, language);
        let (review, reject) = (actions.review, actions.reject);
        let [reviewed, rejected] =
            [review, reject].map(|count| percent_of(count, scored, language));
        let counted = match window.low_by {
            LowBy::Action => self.pick(
                format!(
                    "{low} of them not accepted ({share}): {review} for review ({reviewed}), \
                     {reject} rejected ({rejected})"
                ),
                format!(
                    "其中 {low} 张未通过（{share}）：复核 {review} 张（{reviewed}），\
                     拒绝 {reject} 张（{rejected}）"
                ),
            ),
            LowBy::Score => self.pick(
                format!("{low} of them score {most} or less ({share})"),
                format!("其中 {low} 张质量分不高于 {most}（{share}）"),
            ),
        };
        self.line(&self.pick(
            format!("{span}: {captures}, {counted}; {failed}."),
            format!("{span}：共判定 {scored} 张抓拍，{counted}；{failed}。"),
        ));
        let (patterns, rest) = (report.clusters.len(), report.unclustered);
        let zone = &window.utc_offset;
        let explained = explained(report, language);
        let have = plural(patterns, "pattern has", "patterns have");
        self.line(&if patterns == 0 {
            no_pattern(report, language)
        } else {
            self.pick(
                format!(
                    "{have} {explained}; {rest} belong to none. Hours are local time (UTC{zone})."
                ),
                format!(
                    "反复出现的问题共 {patterns} 个，{explained}；{rest} 张未归类。\
                     时刻为本地时间（UTC{zone}）。"
                ),
            )
        });
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
            self.line(counted_by_hour(language));
        }
        if method.unknown_causes > 0 {
            self.line(&unknown_causes(method.unknown_causes, language));
        }
        self.lines.push('\n');
    }

    /// What to do first, with where, what, how often and what it would bring.
    fn first_steps(&mut self, steps: &[FirstStep]) {
        if steps.is_empty() {
            return;
        }
        let language = self.style.language;
        let title = self.coloured(self.pick("Do these first", "优先处理"), "1");
        self.unwrapped(&title);
        for (number, step) in (1..).zip(steps) {
            let (place, what) = (step.place(language), named(&step.label, language));
            let (captures, share) = (step.captures, percent(step.share, language));
            let captures_in_words = plural(captures, "capture", "captures");
            let mut line = self.pick(
                format!("{number}. {place}: {what}, {captures_in_words} ({share}) → "),
                format!("{number}. {place}：{what}，{captures} 张（{share}）→ "),
            );
            line += step.remedy(language);
            if let Some(gain) = step.gain(language) {
                line += self.pick("; ", "；");
                line += &gain;
            }
            self.line(&line);
        }
        self.lines.push('\n');
    }

    fn cluster(&mut self, cluster: &Cluster) {
        let code = match cluster.trend {
            TrendKind::New | TrendKind::Growing => "1;31",
            TrendKind::Steady | TrendKind::Unknown => "1;33",
            TrendKind::Fading => "1;32",
        };
        let name = named(&cluster.label, self.style.language);
        for line in wrap(&format!("[{}] {name}", cluster.id), self.style.columns) {
            self.unwrapped(&self.coloured(&line, code));
        }
        let [summary, advice] = sentences(cluster, self.style.language);
        self.indented(summary, 4);
        self.indented(&format!("→ {advice}"), 4);
        let mut facts = numbers(cluster, self.style.language, "/");
        for part in cluster.sources.iter().take(3) {
            facts += &format!(
                " · {} ×{:.1}",
                source(&part.source, self.style.language),
                part.lift
            );
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
        let source = source(&anomaly.source, self.style.language);
        let (rows, direction) = (anomaly.rows, &anomaly.direction);
        let z = fixed(anomaly.z.abs(), 1);
        let lower = if anomaly.z < 0.0 { "偏低" } else { "偏高" };
        let [before, after] = [anomaly.before, anomaly.after].map(|level| fixed(level, 3));
        let levels = format!("{before} → {after}");
        let to = anomaly.to.format("%m-%d %H:%M");
        let span = format!("{} – {to} UTC", minute(anomaly.from));
        let mut text = self.pick(
            format!("{source}: {signal} {direction} by {z} σ ({levels}), {span}, {rows} rows"),
            format!("{source}：{signal}{lower} {z} σ（{levels}），{span}，{rows} 条记录"),
        );
        if !anomaly.coincides.is_empty() {
            text += self.pick("; with ", "；同时出现：");
            text += &anomaly.coincides.join(self.pick(", ", "、"));
        }
        text
    }

    fn fleet(&mut self, report: &PatternReport) {
        let fleet = &report.fleet;
        if fleet.is_empty() {
            return;
        }
        let language = self.style.language;
        self.title(self.pick("Sources", "来源"));
        let columns = fleet_columns(report, language);
        let shown: Vec<_> = by_attention(fleet).into_iter().take(FLEET_ROWS).collect();
        let rows = shown.iter().map(|row| {
            let mut cells = fleet_cells(row, language);
            if let Some(drift) = row.drift {
                let form = self.pick(" since %d %b", " 自 %m-%d 起");
                cells[7] += &drift.since.format(form).to_string();
            }
            cells.into()
        });
        let rows: Vec<Vec<String>> = rows.collect();
        let (head, lines) = text_table(&columns, &rows, self.style.columns);
        if let Some(head) = head {
            self.unwrapped(&head);
        }
        for (row, line) in shown.iter().zip(lines) {
            let needs = row.is_worse || row.drift.is_some_and(|drift| drift.is_rising);
            let line = if needs {
                self.coloured(&line, "31")
            } else {
                line
            };
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

/// Units that stand on the line of their number.
const UNITS: [&str; 5] = ["%", "σ", "px", "ms", "s"];

/// Does not break a line.
const NO_BREAK_SPACE: char = '\u{a0}';

/// `text` with a [`NO_BREAK_SPACE`] between each number and its unit.
fn with_joined_units(text: &str) -> String {
    let before_unit = |rest: &str| {
        let mut ends = UNITS.iter().filter_map(|unit| rest.strip_prefix(unit));
        ends.any(|end| !end.starts_with(char::is_alphanumeric))
    };
    let joined = text.char_indices().map(|(at, c)| {
        let is_after_number = c == ' ' && text[..at].ends_with(|c: char| c.is_ascii_digit());
        if is_after_number && before_unit(&text[at + 1..]) {
            NO_BREAK_SPACE
        } else {
            c
        }
    });
    joined.collect()
}

/// `text` in lines of at most `columns`.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let clean = with_joined_units(&text.replace(char::is_control, " "));
    // A name such as gate-3 is copied from here: no line ends at its hyphen.
    let options = textwrap::Options::new(columns)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(&clean, options)
        .into_iter()
        .map(|line| line.replace(NO_BREAK_SPACE, " "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_where_they_may_be() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one gate-3", 9), ["one", "gate-3"]);
        assert_eq!(wrap("一二三四五", 6), ["一二三", "四五"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn a_number_keeps_its_unit_on_its_line() {
        assert_eq!(wrap("a share of 12 %", 14), ["a share of", "12 %"]);
        assert_eq!(wrap("rose by 2.1 σ, 7 px", 14), ["rose by 2.1 σ,", "7 px"]);
        assert_eq!(wrap("增多 12 %（3）", 9), ["增多", "12 %（3）"]);
        // Neither of these blanks is before a unit.
        assert_eq!(wrap("gate 3 sees %", 7), ["gate 3", "sees %"]);
    }
}
