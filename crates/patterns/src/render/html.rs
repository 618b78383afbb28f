//! The report as one self-contained, printable HTML page, light and dark, without scripts.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use super::super::LocalTime;
use super::super::report::{
    Cluster, FleetRow, LowBy, NormAnomaly, NormSignal, PatternReport, TimeBin, TrendKind,
};
use super::super::words::{label, measure, named, source};
use super::chart::{class_of, clock, control, course, heat, place, stacked};
use super::{
    by_attention, changes, counted_by_hour, explained, failed, fixed, fleet_cells, fleet_columns,
    has_trends, low_word, no_pattern, numbers, or_dash, percent, percent_of, sentences, signed,
    unknown_causes,
};
use faceood_engine::quality::Language;
use faceood_report::html::{card, jpeg_address, page, table};
use faceood_report::plural;

const STYLE: &str = include_str!("style.css");

/// Patterns with a colour of their own in the timeline.
const COLOURED: usize = 8;

const CHARTS: usize = 12;

/// Sources in the table, and further ones that are folded away; the others are in the JSON.
const FLEET_ROWS: usize = 20;
const FOLDED_ROWS: usize = 200;

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
        (view.first_steps())
        (view.comparison())
        (view.timeline())
        h2 { (view.pick("Patterns", "反复出现的问题")) }
        @if report.clusters.is_empty() {
            p { (no_pattern(report, view.style.language)) }
        }
        @for cluster in &report.clusters { (view.cluster(cluster)) }
        (view.days())
        (view.fleet())
        (view.anomalies())
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
        let language = self.style.language;
        let (totals, window) = (self.report.totals, &self.report.window);
        let time = |time| or_dash(time, |time| self.time(time));
        let clusters = self.report.clusters.iter();
        let rising = clusters.filter(|cluster| cluster.trend.is_up()).count();
        let patterns = self.report.clusters.len();
        let explained = match patterns {
            0 => String::new(),
            _ => explained(self.report, language),
        };
        let share = |count| percent_of(count, totals.scored, language);
        let low = match window.low_by {
            LowBy::Action => {
                let actions = totals.actions;
                let (review, reject) = (share(actions.review), share(actions.reject));
                self.pick(
                    format!("{review} for review, {reject} rejected"),
                    format!("复核 {review}，拒绝 {reject}"),
                )
            }
            LowBy::Score => format!(
                "{} / {} ≤ {}",
                totals.low,
                totals.scored,
                window.max_score.unwrap_or_default()
            ),
        };
        let trend = if has_trends(self.report) {
            rising.to_string()
        } else {
            "–".to_owned()
        };
        let anomalies = self.report.norm_anomalies.len() as u64;
        let short = self.pick("less than three days of data", "数据不足三天");
        let changed = self.pick(
            plural(
                anomalies,
                "change of the embedding norm",
                "changes of the embedding norm",
            ),
            format!("特征向量模长变化 {anomalies} 处"),
        );
        html! {
            p class="quiet" {
                (time(window.from)) " – " (time(window.to)) " (UTC" (window.utc_offset) ")"
                @if let Some(name) = &window.source { " · " (source(name, language)) }
            }
            div class="cards" {
                (card(&totals.scored.to_string(), self.pick(if totals.scored == 1 { "capture judged" } else { "captures judged" }, "张抓拍"), &failed(self.report, language)))
                (card(&percent_of(totals.low, totals.scored, language), low_word(self.report, language), &low))
                (card(&patterns.to_string(), self.pick(if patterns == 1 { "pattern" } else { "patterns" }, "个反复出现的问题"),
                    &explained))
                (card(&trend, self.pick("new or growing", "新出现或增多"),
                    if has_trends(self.report) { &changed } else { short }))
            }
        }
    }

    /// What to do first, one line each.
    fn first_steps(&self) -> Markup {
        let steps = &self.report.first_steps;
        if steps.is_empty() {
            return html! {};
        }
        let language = self.style.language;
        let head = [
            self.pick("where", "来源"),
            self.pick("what", "问题"),
            self.pick("share of its captures", "占该来源抓拍"),
            self.pick("do this", "处理办法"),
            self.pick("expected gain", "预期收益"),
        ];
        let rows = steps.iter().map(|step| {
            let (captures, share) = (step.captures, percent(step.share, language));
            vec![
                step.place(language),
                named(&step.label, language),
                self.pick(
                    format!("{share} ({captures})"),
                    format!("{share}（{captures} 张）"),
                ),
                step.remedy(language).to_owned(),
                or_dash(step.gain(language), |gain| gain),
            ]
        });
        html! {
            h2 { (self.pick("Do these first", "优先处理")) }
            div class="steps" { (table(&head, rows)) }
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
        // A bin that begins seconds before midnight is of the new day.
        let (form, later) = match to - from {
            span if span.num_hours() > 60 => ("%m-%d", TimeDelta::minutes(10)),
            span if span.num_hours() >= 1 => ("%H:%M", TimeDelta::zero()),
            _ => ("%H:%M:%S", TimeDelta::zero()),
        };
        let begins: Vec<String> = bins
            .iter()
            .map(|bin| bin.from + later)
            .map(|begin| (self.style.local_time)(begin).format(form).to_string())
            .collect();
        let low = low_word(self.report, self.style.language);
        let title = self.pick(
            format!("Share of captures over time: {low}"),
            format!("{low}抓拍占比随时间的变化"),
        );
        html! {
            h2 { (title) }
            (stacked(&title, &begins, &parts))
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
                measure(name, self.style.language).to_owned(),
                fixed(value.median, 3),
                signed(value.z, 1),
            ]
        });
        let kind = match cluster.trend {
            TrendKind::Unknown => "undated",
            known => known.word(Language::English),
        };
        let pictures = cluster.exemplars.iter();
        let pictures: Vec<&Vec<u8>> = pictures
            .filter_map(|id| self.style.thumbnails.get(id))
            .collect();
        html! {
            section class={ "pattern " (kind) } id={ "pattern-" (cluster.id) } {
                h3 {
                    "[" (cluster.id) "] " (named(&cluster.label, self.style.language))
                    @if cluster.trend != TrendKind::Unknown {
                        span class={ "tag " (kind) } { (cluster.trend.word(self.style.language)) }
                    }
                }
                p { (summary) }
                p class="advice" { "→ " (advice) }
                div class="two" {
                    (clock(self.pick("by hour of the day", "按小时分布"), &cluster.hours, cluster.peak_hours))
                    (course(self.pick("share of all captures over the window", "占全部抓拍的比例"), &shares))
                }
                @if !pictures.is_empty() {
                    div class="faces" {
                        @for picture in pictures {
                            img alt="" src=(jpeg_address(picture));
                        }
                    }
                }
                details {
                    summary { (self.pick("Numbers and request ids", "具体数值与记录编号")) }
                    div class="two" {
                        (table(&[self.pick("differs most in", "差异最大的指标"), self.pick("median of this pattern", "该问题的中位数"), "σ"], rows))
                        @if !cluster.sources.is_empty() {
                            (table(&[self.pick("source", "来源"), self.pick("captures", "抓拍数"), self.pick("lift", "相对倍数")],
                                cluster.sources.iter().take(MEASURES).map(|part| {
                                    vec![source(&part.source, self.style.language), part.count.to_string(), format!("×{:.1}", part.lift)]
                                })))
                        }
                    }
                    p class="quiet" { (numbers(cluster, self.style.language, " / ")) }
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
    }

    fn days(&self) -> Markup {
        let days = self.report.source_hours.iter().map(|day| {
            let share = |hour: usize| {
                (day.scored[hour] > 0).then(|| day.low[hour] as f64 / day.scored[hour] as f64)
            };
            let name = source(&day.source, self.style.language);
            let name: String = name.chars().take(24).collect();
            (name, std::array::from_fn(share))
        });
        let rows: Vec<(String, [Option<f64>; 24])> = days.collect();
        if rows.is_empty() {
            return html! {};
        }
        let low = low_word(self.report, self.style.language);
        let title = self.pick(
            format!("By source and hour of the day: {low}"),
            format!("各来源各小时的{low}占比"),
        );
        let legend = |most: &str| {
            self.pick(
                format!("Palest: 0 %, darkest: {most}; empty: no captures."),
                format!("颜色最浅：0%，最深：{most}；空白：无抓拍。"),
            )
        };
        html! { h2 { (title) } (heat(&title, &rows, legend)) }
    }

    fn anomalies(&self) -> Markup {
        let found = &self.report.norm_anomalies;
        if found.is_empty() {
            return html! {};
        }
        html! {
            h2 { (self.pick("Embedding norm", "特征向量模长")) }
            p {
                (self.pick(
                    "The recogniser's input has changed at these sources. Look whether the camera, its settings or its place changed then.",
                    "以下来源的识别输入发生了变化，请核查当时摄像头、其设置或安装位置是否有变动。"))
            }
            ul { @for anomaly in found.iter().take(CHARTS) { li { (self.when(anomaly)) } } }
            @if found.len() > CHARTS {
                p class="quiet" { "+ " (found.len() - CHARTS) }
            }
            details {
                summary { (self.pick("Charts of the norm", "特征向量模长曲线")) }
                @for anomaly in found.iter().take(CHARTS) { (self.anomaly(anomaly)) }
            }
        }
    }

    /// Where and when a norm differed, and what began about then.
    fn when(&self, anomaly: &NormAnomaly) -> String {
        let (from, to) = (self.time(anomaly.from), self.time(anomaly.to));
        let source = source(&anomaly.source, self.style.language);
        let mut text = format!("{source}: {from} – {to}");
        for with in &anomaly.coincides {
            text += &format!(" · {with}");
        }
        text
    }

    fn anomaly(&self, anomaly: &NormAnomaly) -> Markup {
        let window = self.window();
        let signal = match anomaly.signal {
            NormSignal::Norm => self.pick("norm", "特征向量模长"),
            NormSignal::Residual => {
                self.pick("norm given the score", "扣除质量分影响后的特征向量模长")
            }
        };
        let source = source(&anomaly.source, self.style.language);
        let [before, after] = [anomaly.before, anomaly.after].map(|level| fixed(level, 3));
        let z = signed(anomaly.z, 1);
        let (from, to) = (self.time(anomaly.from), self.time(anomaly.to));
        let mut title = self.pick(
            format!("{source}: {signal} {before} → {after} ({z} σ), {from} – {to}"),
            format!("{source}：{signal} {before} → {after}（{z} σ），{from} – {to}"),
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
        let language = self.style.language;
        let cells = |row: &&FleetRow| {
            let mut cells = fleet_cells(row, language);
            if row.is_worse {
                cells[2] += " !";
            }
            if let Some(drift) = row.drift {
                cells[7] += self.pick(", ", "，");
                cells[7] += &self.time(drift.since);
            }
            cells.into()
        };
        let head = fleet_columns(self.report, language).map(|column| column.head);
        let all = by_attention(rows);
        let folded = all.iter().skip(FLEET_ROWS).take(FOLDED_ROWS);
        let left = rows.len().saturating_sub(FLEET_ROWS + FOLDED_ROWS);
        let others = folded.len();
        html! {
            h2 { (self.pick("Sources", "来源")) }
            (table(&head, all.iter().take(FLEET_ROWS).map(cells)))
            @if others > 0 {
                details {
                    summary { (self.pick(format!("{others} more"), format!("另外 {others} 个"))) }
                    (table(&head, folded.map(cells)))
                }
            }
            p class="quiet" {
                @if rows.iter().any(|row| row.is_worse) {
                    (self.pick(
                        "! : a significantly larger share than the other sources.",
                        "“!”表示占比显著高于其他来源。"))
                }
                @if left > 0 { " " (left) " " (self.pick("more are in the JSON report.", "个来源见 JSON 报告。")) }
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
        let set_aside = plural(aside as u64, "group was", "groups were");
        let learnt = self.pick(
            format!(
                "Learnt from {low} low and {good} good rows{sample}; a pattern needs {least} rows. \
                 {set_aside} set aside, since chance explains that. \
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
            @for note in counted.into_iter().map(str::to_owned).chain(unknown) { p class="quiet" { (note) } }
            details {
                summary { (self.pick("How it was counted", "统计方法")) }
                p class="quiet" { (learnt) }
            }
        }
    }
}
