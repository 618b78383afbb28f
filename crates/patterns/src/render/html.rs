//! The report as one self-contained, printable HTML page, light and dark, without scripts.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use super::super::LocalTime;
use super::super::report::{Cluster, FleetRow, NormAnomaly, NormSignal, PatternReport, TrendKind};
use super::super::words::{label, source as shown_source};
use super::chart::{Control, class_of, clock, course, heat, place, stacked};
use super::text::percent;
use faceood::quality::Language;
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
#[must_use]
pub fn html(report: &PatternReport, style: HtmlOptions<'_>) -> String {
    let view = HtmlPage { report, style };
    let body = html! {
        (view.head())
        (view.timeline())
        h2 { (view.pick("Patterns", "模式")) }
        @if report.clusters.is_empty() {
            p { (view.pick("No recurring pattern was found in this window.", "此时间段内未发现重复出现的模式。")) }
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
    fn pick<'a>(&self, english: &'a str, chinese: &'a str) -> &'a str {
        match self.style.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    fn time(&self, time: DateTime<Utc>) -> String {
        (self.style.local_time)(time)
            .format("%Y-%m-%d %H:%M")
            .to_string()
    }

    fn window(&self) -> [DateTime<Utc>; 2] {
        let window = &self.report.window;
        let from = window.from.unwrap_or_default();
        [from, window.to.unwrap_or(from)]
    }

    fn head(&self) -> Markup {
        let totals = &self.report.totals;
        let window = &self.report.window;
        let share = |part: u64, all: u64| percent(part as f64 / all.max(1) as f64);
        let time =
            |time: Option<DateTime<Utc>>| time.map_or("–".to_owned(), |time| self.time(time));
        let clustered = totals.low - self.report.unclustered;
        let rising = self
            .report
            .clusters
            .iter()
            .filter(|cluster| is_up(cluster))
            .count();
        html! {
            p class="quiet" {
                (time(window.from)) " – " (time(window.to)) " (UTC" (window.utc_offset) ")"
                @if let Some(source) = &window.source { " · " (shown_source(source)) }
            }
            div class="cards" {
                (card(&totals.inferences.to_string(), self.pick("inferences", "次推理"),
                    &format!("{} {}", totals.errors, self.pick("errors", "次错误"))))
                (card(&share(totals.low, totals.scored), self.pick("score low", "得分偏低"),
                    &format!("{} / {} ≤ {}", totals.low, totals.scored, window.max_score)))
                (card(&self.report.clusters.len().to_string(), self.pick("patterns", "个模式"),
                    &format!("{} {}", share(clustered, totals.low), self.pick("of the low ones", "的低分抓拍"))))
                (card(&rising.to_string(), self.pick("new or growing", "新出现或增多"),
                    &format!("{} {}", self.report.norm_anomalies.len(), self.pick("norm anomalies", "处范数异常"))))
            }
        }
    }

    fn timeline(&self) -> Markup {
        let bins = &self.report.timeline;
        if self.report.totals.low == 0 {
            return html! {};
        }
        let share = |counts: &mut dyn Iterator<Item = u64>| -> Vec<f64> {
            counts
                .zip(bins)
                .map(|(count, bin)| count as f64 / bin.scored.max(1) as f64)
                .collect()
        };
        let shown: Vec<&Cluster> = self.report.clusters.iter().take(COLOURED).collect();
        let mut parts: Vec<(usize, Vec<f64>)> = shown
            .iter()
            .enumerate()
            .map(|(colour, cluster)| (colour, share(&mut cluster.timeline.iter().copied())))
            .collect();
        let mut rest = (0..bins.len()).map(|bin| {
            let told: u64 = shown.iter().map(|cluster| cluster.timeline[bin]).sum();
            bins[bin].low.saturating_sub(told)
        });
        parts.push((COLOURED, share(&mut rest)));
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
                    span { i class=(class_of(colour)) {} "[" (cluster.id) "] " (label(&cluster.label, self.style.language)) }
                }
                span { i class=(class_of(COLOURED)) {} (self.pick("no pattern", "未归类")) }
            }
        }
    }

    fn cluster(&self, cluster: &Cluster) -> Markup {
        let (summary, advice) = match self.style.language {
            Language::English => (&cluster.summary, &cluster.advice),
            Language::Chinese => (&cluster.summary_zh, &cluster.advice_zh),
        };
        let shares: Vec<f64> = cluster
            .timeline
            .iter()
            .zip(&self.report.timeline)
            .map(|(&count, bin)| count as f64 / bin.scored.max(1) as f64)
            .collect();
        let mut measures: Vec<_> = cluster.components.iter().collect();
        measures.sort_by(|a, b| b.1.z.abs().total_cmp(&a.1.z.abs()).then(a.0.cmp(b.0)));
        let rows = measures.into_iter().take(MEASURES).map(|(name, value)| {
            vec![
                name.clone(),
                format!("{:.3}", value.median),
                format!("{:+.1}", value.z),
            ]
        });
        let slope = &cluster.trend_detail;
        let kind = cluster.trend.name();
        let pictures: Vec<&Vec<u8>> = cluster
            .exemplars
            .iter()
            .filter_map(|id| self.style.thumbnails.get(id))
            .collect();
        html! {
            section class={ "pattern " (kind) } id={ "pattern-" (cluster.id) } {
                h3 {
                    "[" (cluster.id) "] " (label(&cluster.label, self.style.language))
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
                        (table(&[self.pick("source", "摄像头"), self.pick("captures", "次数"), self.pick("lift", "提升度")],
                            cluster.sources.iter().take(MEASURES).map(|part| {
                                vec![shown_source(&part.source), part.count.to_string(), format!("×{:.1}", part.lift)]
                            })))
                        p class="quiet" {
                            (format!("{} {:.2} ({:.2}–{:.2})", self.pick("score", "得分"), cluster.quality.mean, cluster.quality.p10, cluster.quality.p90))
                            @if let (Some(mean), Some(z)) = (cluster.embedding_norm.mean, cluster.embedding_norm.z) {
                                (format!(" · {} {mean:.2} ({z:+.1} σ)", self.pick("norm", "范数")))
                            }
                            @if slope.interval[1] < 1e3 {
                                (format!(" · {:+.0} % / {} ({:+.0} … {:+.0})", 100.0 * slope.slope_per_day, self.pick("day", "天"),
                                    100.0 * slope.interval[0], 100.0 * slope.interval[1]))
                            }
                        }
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
                    (self.pick("Most typical rows", "最典型的记录")) ": "
                    @for (index, id) in cluster.exemplars.iter().take(3).enumerate() {
                        @if index > 0 { ", " }
                        code { (id) }
                    }
                }
            }
        }
    }

    fn days(&self) -> Markup {
        let rows: Vec<(String, [Option<f64>; 24])> = self
            .report
            .source_hours
            .iter()
            .map(|day| {
                let share = |hour: usize| {
                    (day.scored[hour] > 0).then(|| day.low[hour] as f64 / day.scored[hour] as f64)
                };
                let name: String = shown_source(&day.source).chars().take(24).collect();
                (name, std::array::from_fn(share))
            })
            .collect();
        if rows.is_empty() {
            return html! {};
        }
        let title = self.pick(
            "Share of low captures by source and hour",
            "按摄像头与小时的低分占比",
        );
        html! { h2 { (title) } (heat(title, &rows)) }
    }

    fn anomalies(&self) -> Markup {
        let found = &self.report.norm_anomalies;
        if found.is_empty() {
            return html! {};
        }
        html! {
            h2 { (self.pick("Embedding norm", "嵌入向量范数")) }
            @for anomaly in found.iter().take(CHARTS) { (self.anomaly(anomaly)) }
            @if found.len() > CHARTS {
                p class="quiet" { "+ " (found.len() - CHARTS) }
            }
        }
    }

    fn anomaly(&self, anomaly: &NormAnomaly) -> Markup {
        let window = self.window();
        let signal = match anomaly.signal {
            NormSignal::Norm => self.pick("norm", "范数"),
            NormSignal::Residual => self.pick("norm given the score", "给定得分下的范数"),
        };
        let mut title = format!(
            "{}: {signal} {:.3} → {:.3} ({:+.1} σ), {} – {}",
            shown_source(&anomaly.source),
            anomaly.before,
            anomaly.after,
            anomaly.z,
            self.time(anomaly.from),
            self.time(anomaly.to)
        );
        for with in &anomaly.coincides {
            title += &format!(" · {with}");
        }
        Control {
            title,
            means: &anomaly.course,
            usual: anomaly.before,
            unusual: vec![[place(anomaly.from, window), place(anomaly.to, window)]],
        }
        .markup()
    }

    fn fleet(&self) -> Markup {
        let rows = &self.report.fleet;
        if rows.is_empty() {
            return html! {};
        }
        let mut order: Vec<&FleetRow> = rows.iter().collect();
        order.sort_by_key(|row| (row.drift.is_none(), !row.is_worse));
        let number =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
        let cells = order.iter().take(FLEET_ROWS).map(|row| {
            let drift = row.drift.map_or(String::new(), |drift| {
                let sign = if drift.is_rising { "▲" } else { "▼" };
                let (from, to) = (percent(drift.before), percent(drift.after));
                format!("{sign} {from} → {to}, {}", self.time(drift.since))
            });
            let share = row.share_low.map_or("–".into(), percent);
            vec![
                shown_source(&row.source),
                row.inferences.to_string(),
                if row.is_worse {
                    format!("{share} !")
                } else {
                    share
                },
                number(row.median_score),
                number(row.embedding_norm),
                row.top_cause
                    .as_deref()
                    .map_or("–".into(), |name| label(name, self.style.language)),
                drift,
            ]
        });
        let head = [
            self.pick("source", "摄像头"),
            self.pick("captures", "抓拍"),
            self.pick("low", "低分"),
            self.pick("median score", "得分中位数"),
            self.pick("norm", "范数"),
            self.pick("top cause", "首要原因"),
            self.pick("drift", "变化"),
        ];
        html! {
            h2 { (self.pick("Sources", "摄像头")) }
            (table(&head, cells))
            p class="quiet" {
                (self.pick("! : a significantly larger share of low captures than the other sources.", "!：低分占比显著高于其他摄像头。"))
                @if rows.len() > FLEET_ROWS { " " (rows.len() - FLEET_ROWS) " " (self.pick("more are in the JSON report.", "个见 JSON 报告。")) }
            }
        }
    }

    fn comparison(&self) -> Markup {
        let Some(comparison) = &self.report.comparison else {
            return html! {};
        };
        html! {
            h2 { (self.pick("Against the earlier report", "与先前报告相比")) }
            ul {
                @for id in &comparison.new { li { (self.pick("new", "新出现")) ": [" (id) "]" } }
                @for growth in &comparison.grown {
                    li { (self.pick("grown", "增多")) ": [" (growth.id) "] ×" (format!("{:.1}", growth.factor)) }
                }
                @for gone in &comparison.gone { li { (self.pick("gone", "已消失")) ": " (gone) } }
            }
        }
    }

    fn method(&self) -> Markup {
        let method = &self.report.method;
        let learnt = match self.style.language {
            Language::English => format!(
                "Learnt from {} low and {} good rows{}; a pattern needs {} rows. {} groups were set aside, since chance explains them. \
                 Significance by Benjamini and Hochberg at 5 %.",
                method.learnt_from,
                method.good_rows,
                if method.is_sample {
                    " (a sample; the other rows were assigned)"
                } else {
                    ""
                },
                method.min_cluster_size,
                method.groups_set_aside
            ),
            Language::Chinese => format!(
                "由 {} 条低分与 {} 条高分记录学习{}；一个模式至少需要 {} 条。{} 个分组可用偶然解释，未列出。显著性按 Benjamini–Hochberg（5 %）判定。",
                method.learnt_from,
                method.good_rows,
                if method.is_sample {
                    "（抽样，其余按此归类）"
                } else {
                    ""
                },
                method.min_cluster_size,
                method.groups_set_aside
            ),
        };
        html! { p class="quiet" { (learnt) } }
    }
}

fn is_up(cluster: &Cluster) -> bool {
    matches!(cluster.trend, TrendKind::New | TrendKind::Growing)
}
