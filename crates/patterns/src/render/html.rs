//! The report as one self-contained, printable HTML page, light and dark, without scripts.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use super::super::LocalTime;
use super::super::report::{Cluster, NormAnomaly, NormSignal, PatternReport, TimeBin};
use super::super::words::{label, source};
use super::chart::{class_of, clock, control, course, heat, place, stacked};
use super::{
    by_attention, changes, counted_by_hour, fleet_cells, fleet_head, numbers, or_dash, percent_of,
    sentences, unknown_causes,
};
use faceood_engine::quality::Language;
use faceood_report::html::{card, page, table};

const STYLE: &str = include_str!("style.css");

/// Patterns with a colour of their own in the timeline.
const COLOURED: usize = 8;

const CHARTS: usize = 12;

/// Sources in the table; the others are in the JSON.
const FLEET_ROWS: usize = 60;

/// Measures of a pattern in its table.
const MEASURES: usize = 6;

/// What a page needs besides the report.
#[derive(Clone, Copy, Debug)]
pub struct HtmlOptions<'a> {
    /// Its language.
    pub language: Language,
    /// The time zone of its times.
    pub local_time: LocalTime,
    /// Encoded pictures (JPEG) of exemplars, where the site keeps them.
    pub thumbnails: &'a HashMap<Uuid, Vec<u8>>,
}

/// The report as a page.
pub fn html(report: &PatternReport, style: HtmlOptions<'_>) -> String {
    let view = HtmlPage { report, style };
    let body = html! {
        (view.head())
        (view.timeline())
        h2 { (view.pick("Patterns", "反复出现的问题")) }
        @if report.clusters.is_empty() {
            p { (view.pick("No recurring pattern was found in this window.", "此时间段内未发现反复出现的问题。")) }
        }
        @for cluster in &report.clusters { (view.cluster(cluster)) }
        (view.days())
        (view.anomalies())
        (view.fleet())
        (view.comparison())
        (view.method())
    };
    let title = view.pick("What keeps going wrong", "反复出现的问题");
    let page = page(title, style.language.tag(), STYLE, &body);
    // A pack may be called anything, too.
    page.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

struct HtmlPage<'a> {
    report: &'a PatternReport,
    style: HtmlOptions<'a>,
}

impl HtmlPage<'_> {
    fn pick<T>(&self, english: T, chinese: T) -> T {
        self.style.language.pick(english, chinese)
    }

    fn label(&self, cluster: &Cluster) -> String {
        label(&cluster.label, self.style.language)
    }

    fn time(&self, time: DateTime<Utc>) -> String {
        (self.style.local_time)(time)
            .format("%Y-%m-%d %H:%M")
            .to_string()
    }

    /// The share of all captures in each bin of the window.
    fn shares(&self, counts: &[u64]) -> Vec<f64> {
        let bins = counts.iter().zip(&self.report.timeline);
        let share = |(&count, bin): (&u64, &TimeBin)| count as f64 / bin.scored.max(1) as f64;
        bins.map(share).collect()
    }

    fn window(&self) -> [DateTime<Utc>; 2] {
        let window = &self.report.window;
        let from = window.from.unwrap_or_default();
        [from, window.to.unwrap_or(from)]
    }

    fn head(&self) -> Markup {
        let totals = &self.report.totals;
        let window = &self.report.window;
        let time = |time| or_dash(time, |time| self.time(time));
        let clustered = totals.low - self.report.unclustered;
        let clusters = self.report.clusters.iter();
        let rising = clusters.filter(|cluster| cluster.trend.is_up()).count();
        html! {
            p class="quiet" {
                (time(window.from)) " – " (time(window.to)) " (UTC" (window.utc_offset) ")"
                @if let Some(name) = &window.source { " · " (source(name)) }
            }
            div class="cards" {
                (card(&totals.inferences.to_string(), self.pick("inferences", "次推理"),
                    &format!("{} {}", totals.errors, self.pick("errors", "次错误"))))
                (card(&percent_of(totals.low, totals.scored, self.style.language), self.pick("score low", "质量分偏低"),
                    &format!("{} / {} ≤ {}", totals.low, totals.scored, window.max_score)))
                (card(&self.report.clusters.len().to_string(), self.pick("patterns", "个反复出现的问题"),
                    &format!("{} {}", percent_of(clustered, totals.low, self.style.language), self.pick("of the low ones", "的低分抓拍"))))
                (card(&rising.to_string(), self.pick("new or growing", "新出现或增多"),
                    &format!("{} {}", self.report.norm_anomalies.len(), self.pick("norm anomalies", "处特征向量模长异常"))))
            }
        }
    }

    fn timeline(&self) -> Markup {
        let bins = &self.report.timeline;
        if self.report.totals.low == 0 {
            return html! {};
        }
        let shown: Vec<&Cluster> = self.report.clusters.iter().take(COLOURED).collect();
        let colours = shown.iter().enumerate();
        let mut parts: Vec<(usize, Vec<f64>)> = colours
            .map(|(colour, cluster)| (colour, self.shares(&cluster.timeline)))
            .collect();
        let rest = bins.iter().enumerate().map(|(at, bin)| {
            let told: u64 = shown.iter().map(|cluster| cluster.timeline[at]).sum();
            bin.low.saturating_sub(told)
        });
        let rest: Vec<u64> = rest.collect();
        parts.push((COLOURED, self.shares(&rest)));
        let [from, to] = self.window();
        let form = if (to - from).num_hours() > 60 {
            "%m-%d"
        } else {
            "%H:%M"
        };
        let begins: Vec<String> = bins
            .iter()
            // One that begins seconds before midnight is of the new day.
            .map(|bin| bin.from + TimeDelta::minutes(10))
            .map(|begin| (self.style.local_time)(begin).format(form).to_string())
            .collect();
        let title = self.pick(
            "Share of low captures over the window",
            "低分抓拍占比随时间的变化",
        );
        html! {
            h2 { (title) }
            (stacked(title, &begins, &parts))
            div class="legend" {
                @for (colour, cluster) in shown.iter().enumerate() {
                    span { i class=(class_of(colour)) {} "[" (cluster.id) "] " (self.label(cluster)) }
                }
                span { i class=(class_of(COLOURED)) {} (self.pick("no pattern", "未归类")) }
            }
        }
    }

    fn cluster(&self, cluster: &Cluster) -> Markup {
        let [summary, advice] = sentences(cluster, self.style.language);
        let shares = self.shares(&cluster.timeline);
        let mut measures: Vec<_> = cluster.components.iter().collect();
        measures.sort_by(|a, b| b.1.z.abs().total_cmp(&a.1.z.abs()).then(a.0.cmp(b.0)));
        let rows = measures.into_iter().take(MEASURES).map(|(name, value)| {
            vec![
                name.clone(),
                format!("{:.3}", value.median),
                format!("{:+.1}", value.z),
            ]
        });
        let kind = cluster.trend.word(Language::English);
        let pictures = cluster.exemplars.iter();
        let pictures: Vec<&Vec<u8>> = pictures
            .filter_map(|id| self.style.thumbnails.get(id))
            .collect();
        html! {
            section class={ "pattern " (kind) } id={ "pattern-" (cluster.id) } {
                h3 {
                    "[" (cluster.id) "] " (self.label(cluster))
                    span class={ "tag " (kind) } { (cluster.trend.word(self.style.language)) }
                }
                p { (summary) }
                p class="advice" { "→ " (advice) }
                div class="two" {
                    (clock(self.pick("by hour of the day", "按小时分布"), &cluster.hours, cluster.peak_hours))
                    (course(self.pick("share of all captures over the window", "占全部抓拍的比例"), &shares))
                }
                div class="two" {
                    (table(&[self.pick("differs most in", "差异最大的指标"), self.pick("median", "中位数"), "σ"], rows))
                    div {
                        (table(&[self.pick("source", "来源"), self.pick("captures", "抓拍数"), self.pick("lift", "相对倍数")],
                            cluster.sources.iter().take(MEASURES).map(|part| {
                                vec![source(&part.source), part.count.to_string(), format!("×{:.1}", part.lift)]
                            })))
                        p class="quiet" { (numbers(cluster, self.style.language, " / ")) }
                    }
                }
                @if !pictures.is_empty() {
                    div class="faces" {
                        @for picture in pictures {
                            img alt="" src={ "data:image/jpeg;base64," (STANDARD.encode(picture)) };
                        }
                    }
                }
                p class="quiet" {
                    (self.pick("Most typical rows: ", "最典型的记录："))
                    @for (index, id) in cluster.exemplars.iter().take(3).enumerate() {
                        @if index > 0 { ", " }
                        code { (id) }
                    }
                }
            }
        }
    }

    fn days(&self) -> Markup {
        let days = self.report.source_hours.iter().map(|day| {
            let share = |hour: usize| {
                (day.scored[hour] > 0).then(|| day.low[hour] as f64 / day.scored[hour] as f64)
            };
            let name: String = source(&day.source).chars().take(24).collect();
            (name, std::array::from_fn(share))
        });
        let rows: Vec<(String, [Option<f64>; 24])> = days.collect();
        if rows.is_empty() {
            return html! {};
        }
        let title = self.pick(
            "Share of low captures by source and hour",
            "各来源各小时的低分占比",
        );
        html! { h2 { (title) } (heat(title, &rows)) }
    }

    fn anomalies(&self) -> Markup {
        let found = &self.report.norm_anomalies;
        if found.is_empty() {
            return html! {};
        }
        html! {
            h2 { (self.pick("Embedding norm", "特征向量模长")) }
            @for anomaly in found.iter().take(CHARTS) { (self.anomaly(anomaly)) }
            @if found.len() > CHARTS {
                p class="quiet" { "+ " (found.len() - CHARTS) }
            }
        }
    }

    fn anomaly(&self, anomaly: &NormAnomaly) -> Markup {
        let window = self.window();
        let signal = match anomaly.signal {
            NormSignal::Norm => self.pick("norm", "特征向量模长"),
            NormSignal::Residual => {
                self.pick("norm given the score", "扣除质量分影响后的特征向量模长")
            }
        };
        let source = source(&anomaly.source);
        let (before, after, z) = (anomaly.before, anomaly.after, anomaly.z);
        let (from, to) = (self.time(anomaly.from), self.time(anomaly.to));
        let mut title = self.pick(
            format!("{source}: {signal} {before:.3} → {after:.3} ({z:+.1} σ), {from} – {to}"),
            format!("{source}：{signal} {before:.3} → {after:.3}（{z:+.1} σ），{from} – {to}"),
        );
        for with in &anomaly.coincides {
            title += &format!(" · {with}");
        }
        let unusual = [anomaly.from, anomaly.to].map(|time| place(time, window));
        control(&title, &anomaly.course, anomaly.before, unusual)
    }

    fn fleet(&self) -> Markup {
        let rows = &self.report.fleet;
        if rows.is_empty() {
            return html! {};
        }
        let cells = by_attention(rows).into_iter().take(FLEET_ROWS).map(|row| {
            let mut cells = fleet_cells(row, self.style.language);
            if row.is_worse {
                cells[2] += " !";
            }
            if let Some(drift) = row.drift {
                cells[6] += self.pick(", ", "，");
                cells[6] += &self.time(drift.since);
            }
            cells.into()
        });
        html! {
            h2 { (self.pick("Sources", "来源")) }
            (table(&fleet_head(self.style.language), cells))
            p class="quiet" {
                (self.pick("! : a significantly larger share of low captures than the other sources.", "“!”表示低分占比显著高于其他来源。"))
                @if rows.len() > FLEET_ROWS { " " (rows.len() - FLEET_ROWS) " " (self.pick("more are in the JSON report.", "个来源见 JSON 报告。")) }
            }
        }
    }

    fn comparison(&self) -> Markup {
        let Some(comparison) = &self.report.comparison else {
            return html! {};
        };
        html! {
            h2 { (self.pick("Against the earlier report", "与先前报告相比")) }
            ul { @for line in changes(comparison, self.style.language) { li { (line) } } }
        }
    }

    fn method(&self) -> Markup {
        let method = &self.report.method;
        let (low, good) = (method.learnt_from, method.good_rows);
        let (least, aside) = (method.min_cluster_size, method.groups_set_aside);
        let sample = if method.is_sample {
            self.pick(
                " (a sample; the other rows were assigned)",
                "（抽样，其余记录据此归类）",
            )
        } else {
            ""
        };
        let learnt = self.pick(
            format!(
                "Learnt from {low} low and {good} good rows{sample}; a pattern needs {least} rows. \
                 {aside} groups were set aside, since chance explains them. \
                 Significance by Benjamini and Hochberg at 5 %."
            ),
            format!(
                "由 {low} 条低分与 {good} 条高分记录学习得到{sample}；每个反复出现的问题至少需要 {least} 条。\
                 另有 {aside} 个分组可能出于偶然，未列出。显著性按 Benjamini–Hochberg 方法（5%）判定。"
            ),
        );
        let counted = method
            .counted_by
            .map(|_| counted_by_hour(self.style.language));
        let unknown = (method.unknown_causes > 0)
            .then(|| unknown_causes(method.unknown_causes, self.style.language));
        html! {
            p class="quiet" {
                (learnt)
                @if let Some(counted) = counted { " " (counted) }
                @if let Some(unknown) = unknown { " " (unknown) }
            }
        }
    }
}
