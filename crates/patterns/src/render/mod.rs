//! Views of a [`PatternReport`](super::PatternReport): text for a terminal, and one HTML file. Here
//! is what both show in the same words.

use super::report::{Cluster, EarlierComparison, FleetRow};
use super::words::{label, source};
use faceood_engine::quality::Language;

mod chart;
pub mod html;
pub mod text;

/// Where rows were counted by the hour: what that means for the report.
fn counted_by_hour(language: Language) -> &'static str {
    language.pick(
        "Rows were counted by the hour, and all low rows read; medians, usual levels and changes \
         of level come from a sample of the others.",
        "记录按小时计数，低分记录逐条读取；中位数、常态水平与水平变化来自其余记录的抽样。",
    )
}

/// Where causes were left out: what that means, and what to do.
fn unknown_causes(count: u64, language: Language) -> String {
    language.pick(
        format!(
            "{count} causes have names that this release does not know, and were left out: boxes \
             that run a newer one wrote them. Upgrade faceood-admin here."
        ),
        format!(
            "有 {count} 个原因的名称本版本无法识别，未计入：由运行更新版本的设备写入。请升级此处的 faceood-admin。"
        ),
    )
}

/// A share in per cent.
fn percent(share: f64, language: Language) -> String {
    format!("{:.1}{}", 100.0 * share, language.pick(" %", "%"))
}

/// `part` of `all` in per cent.
fn percent_of(part: u64, all: u64, language: Language) -> String {
    percent(part as f64 / all.max(1) as f64, language)
}

/// `value` as `show` has it, or a dash.
fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// A pattern's sentence and its advice.
fn sentences(cluster: &Cluster, language: Language) -> [&str; 2] {
    language.pick(
        [&cluster.summary, &cluster.advice],
        [&cluster.summary_zh, &cluster.advice_zh],
    )
}

/// A pattern's score, norm and growth; `per` stands between the growth and its day.
fn numbers(cluster: &Cluster, language: Language, per: &str) -> String {
    let (quality, norm) = (cluster.quality, cluster.embedding_norm);
    let word = language.pick("score", "质量分");
    let (mean, p10, p90) = (quality.mean, quality.p10, quality.p90);
    let mut text = language.pick(
        format!("{word} {mean:.2} ({p10:.2}–{p90:.2})"),
        format!("{word} {mean:.2}（{p10:.2}–{p90:.2}）"),
    );
    if let (Some(mean), Some(z)) = (norm.mean, norm.z) {
        let word = language.pick("norm", "特征向量模长");
        text += &language.pick(
            format!(" · {word} {mean:.2} ({z:+.1} σ)"),
            format!(" · {word} {mean:.2}（{z:+.1} σ）"),
        );
    }
    let [low, high] = cluster.trend_detail.interval;
    if high < 1e3 {
        let [slope, low, high] = [cluster.trend_detail.slope_per_day, low, high].map(|x| 100.0 * x);
        text += &language.pick(
            format!(" · {slope:+.0} %{per}day ({low:+.0} … {high:+.0})"),
            format!(" · 每天 {slope:+.0}%（{low:+.0} … {high:+.0}）"),
        );
    }
    text
}

/// Sources with those first that need attention.
fn by_attention(fleet: &[FleetRow]) -> Vec<&FleetRow> {
    let mut rows: Vec<&FleetRow> = fleet.iter().collect();
    rows.sort_by_key(|row| (row.drift.is_none(), !row.is_worse));
    rows
}

/// A source's row in the table: name, captures, low share, median score, norm, cause, drift.
fn fleet_cells(row: &FleetRow, language: Language) -> [String; 7] {
    let number = |value| or_dash(value, |value: f64| format!("{value:.2}"));
    let drift = row.drift.map_or(String::new(), |drift| {
        let arrow = if drift.is_rising { "▲" } else { "▼" };
        let [before, after] = [drift.before, drift.after].map(|share| percent(share, language));
        format!("{arrow} {before} → {after}")
    });
    [
        source(&row.source),
        row.inferences.to_string(),
        or_dash(row.share_low, |share| percent(share, language)),
        number(row.median_score),
        number(row.embedding_norm),
        or_dash(row.top_cause.as_deref(), |name| label(name, language)),
        drift,
    ]
}

/// The heads of those cells.
fn fleet_head(language: Language) -> [&'static str; 7] {
    [
        language.pick("source", "来源"),
        language.pick("captures", "抓拍数"),
        language.pick("low", "低分"),
        language.pick("median score", "质量分中位数"),
        language.pick("norm", "特征向量模长"),
        language.pick("top cause", "主要原因"),
        language.pick("drift", "变化"),
    ]
}

/// What is new, grown and gone, one line each.
fn changes(comparison: &EarlierComparison, language: Language) -> Vec<String> {
    let new = comparison.new.iter();
    let new = new.map(|id| format!("{}[{id}]", language.pick("new: ", "新出现：")));
    let grown = comparison.grown.iter().map(|growth| {
        let word = language.pick("grown: ", "增多：");
        format!("{word}[{}] ×{:.1}", growth.id, growth.factor)
    });
    let gone = comparison.gone.iter();
    let gone = gone.map(|gone| format!("{}{gone}", language.pick("gone: ", "已消失：")));
    new.chain(grown).chain(gone).collect()
}
