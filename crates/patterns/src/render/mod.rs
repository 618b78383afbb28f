//! Views of a [`PatternReport`]: text for a terminal, and one HTML file. Here
//! is what both show in the same words.

use super::comparison::EarlierComparison;
use super::report::{Cluster, FleetRow, LowBy, PatternReport, TrendKind};
use super::words::{label, of_low, source};
use faceood_engine::quality::Language;
use faceood_report::columns::TextColumn;
use faceood_report::plural;

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

/// A number with so many digits. What is rounded to 0 has no sign.
fn fixed(value: f64, digits: usize) -> String {
    unsigned_zero(format!("{value:.digits$}"))
}

/// The same with its sign, also `+`.
fn signed(value: f64, digits: usize) -> String {
    unsigned_zero(format!("{value:+.digits$}"))
}

fn unsigned_zero(shown: String) -> String {
    let is_zero = shown.chars().all(|c| matches!(c, '+' | '-' | '0' | '.'));
    if is_zero {
        shown.trim_start_matches(['+', '-']).to_owned()
    } else {
        shown
    }
}

/// A share in per cent.
fn percent(share: f64, language: Language) -> String {
    format!("{}{}", fixed(100.0 * share, 1), language.pick(" %", "%"))
}

/// `part` of `all` in per cent, or a dash where there are none.
fn percent_of(part: u64, all: u64, language: Language) -> String {
    let share = (all > 0).then(|| part as f64 / all as f64);
    or_dash(share, |share| percent(share, language))
}

/// `value` as `show` has it, or a dash.
fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// Problem codes that are named; the JSON has all of them.
const CODES: usize = 3;

/// How many requests failed, and why.
fn failed(report: &PatternReport, language: Language) -> String {
    let (errors, failures) = (report.totals.errors, &report.failures);
    let failed = language.pick(
        plural(errors, "request failed", "requests failed"),
        format!("另有 {errors} 次请求失败"),
    );
    let reason = |count: u64, code: &str| {
        language.pick(format!("{count} {code}"), format!("{code} {count} 次"))
    };
    let named = failures.iter().take(CODES);
    let mut reasons: Vec<String> = named.map(|it| reason(it.count, &it.code)).collect();
    let rest: u64 = failures.iter().skip(CODES).map(|it| it.count).sum();
    if rest > 0 {
        reasons.push(reason(rest, language.pick("for other reasons", "其他原因")));
    }
    if reasons.is_empty() {
        return failed;
    }
    let reasons = reasons.join(language.pick(", ", "、"));
    language.pick(
        format!("{failed}: {reasons}"),
        format!("{failed}：{reasons}"),
    )
}

/// Said where no capture was judged, with what failed.
fn nothing_judged(report: &PatternReport, language: Language) -> String {
    let of_source = report.window.source.as_deref().map(|name| {
        let name = source(name, language);
        language.pick(format!(" of source {name}"), format!("来源 {name} "))
    });
    let of_source = of_source.unwrap_or_default();
    let failed = match report.totals.errors {
        0 => String::new(),
        _ => format!("{}{}", language.pick("; ", "；"), failed(report, language)),
    };
    language.pick(
        format!("No capture{of_source} was judged in this window{failed}."),
        format!("此时间段内{of_source}没有抓拍{failed}。"),
    )
}

/// What there is to say where no pattern was found: a few captures of one kind are none.
fn no_pattern(report: &PatternReport, language: Language) -> String {
    let least = report.method.min_cluster_size;
    match (report.totals, report.window.low_by) {
        (totals, _) if totals.scored == 0 => nothing_judged(report, language),
        (totals, LowBy::Action) if totals.low == 0 => language.pick(
            "Every capture in this window was accepted.".to_owned(),
            "此时间段内的抓拍全部通过。".to_owned(),
        ),
        (totals, LowBy::Score) if totals.low == 0 => language.pick(
            "No capture in this window has a low score.".to_owned(),
            "此时间段内没有低分抓拍。".to_owned(),
        ),
        (_, LowBy::Action) => language.pick(
            format!(
                "No recurring pattern: one takes at least {least} captures that were not accepted \
                 and look alike."
            ),
            format!("未发现反复出现的问题：至少需要 {least} 张情况相似的未通过抓拍才能判定。"),
        ),
        (_, LowBy::Score) => language.pick(
            format!(
                "No recurring pattern: one takes at least {least} captures of low score that look \
                 alike."
            ),
            format!("未发现反复出现的问题：至少需要 {least} 张情况相似的低分抓拍才能判定。"),
        ),
    }
}

/// What the report calls its low rows.
fn low_word(report: &PatternReport, language: Language) -> &'static str {
    match report.window.low_by {
        LowBy::Action => language.pick("not accepted", "未通过"),
        LowBy::Score => language.pick("low score", "低分"),
    }
}

/// Which part of the low rows the patterns have.
fn explained(report: &PatternReport, language: Language) -> String {
    let low = report.totals.low;
    let part = percent_of(low - report.unclustered, low, language);
    let word = of_low(report.window.low_by, language);
    language.pick(format!("{part} {word}"), format!("占{word}的 {part}"))
}

/// Whether patterns have a trend, since the rows span some days.
fn has_trends(report: &PatternReport) -> bool {
    let mut clusters = report.clusters.iter();
    !clusters.any(|cluster| cluster.trend == TrendKind::Unknown)
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
    let [mean, p10, p90] = [quality.mean, quality.p10, quality.p90].map(|score| fixed(score, 2));
    let mut text = language.pick(
        format!("{word} {mean} ({p10}–{p90})"),
        format!("{word} {mean}（{p10}–{p90}）"),
    );
    if let (Some(mean), Some(z)) = (norm.mean, norm.z) {
        let word = language.pick("norm", "特征向量模长");
        let (mean, z) = (fixed(mean, 2), signed(z, 1));
        text += &language.pick(
            format!(" · {word} {mean} ({z} σ)"),
            format!(" · {word} {mean}（{z} σ）"),
        );
    }
    let [low, high] = cluster.trend_detail.interval;
    if high < 1e3 {
        let shares = [cluster.trend_detail.slope_per_day, low, high];
        let [slope, low, high] = shares.map(|share| signed(100.0 * share, 0));
        text += &language.pick(
            format!(" · {slope} %{per}day ({low} … {high})"),
            format!(" · 每天 {slope}%（{low} … {high}）"),
        );
    }
    text
}

/// Sources with those first that need attention, then by their share of low captures.
fn by_attention(fleet: &[FleetRow]) -> Vec<&FleetRow> {
    let mut rows: Vec<&FleetRow> = fleet.iter().collect();
    let share = |row: &FleetRow| row.share_low.unwrap_or(-1.0);
    rows.sort_by(|a, b| {
        let needs = |row: &FleetRow| (row.drift.is_none(), !row.is_worse);
        let by_share = share(b).total_cmp(&share(a));
        needs(a)
            .cmp(&needs(b))
            .then(by_share)
            .then(b.low.cmp(&a.low))
    });
    rows
}

/// A source's row in the table: name, captures, shares of low ones, of those for review and of those
/// rejected, median score, main cause, change.
fn fleet_cells(row: &FleetRow, language: Language) -> [String; 8] {
    let drift = row.drift.map_or(String::new(), |drift| {
        let arrow = if drift.is_rising { "▲" } else { "▼" };
        let [before, after] = [drift.before, drift.after].map(|share| percent(share, language));
        format!("{arrow} {before} → {after}")
    });
    // A reference that was given as an embedding has an action and may have no score: it is no
    // capture.
    let share = |count| percent_of(count, row.captures, language);
    [
        source(&row.source, language),
        row.captures.to_string(),
        or_dash(row.share_low, |share| percent(share, language)),
        share(row.actions.review),
        share(row.actions.reject),
        or_dash(row.median_score, |score| fixed(score, 2)),
        or_dash(row.main_cause(), |name| label(name, language)),
        drift,
    ]
}

/// The columns of those cells.
fn fleet_columns(report: &PatternReport, language: Language) -> [TextColumn<'static>; 8] {
    let column = |head, is_number| TextColumn { head, is_number };
    [
        column(language.pick("source", "来源"), false),
        column(language.pick("captures", "抓拍数"), true),
        column(low_word(report, language), true),
        column(language.pick("review", "复核"), true),
        column(language.pick("reject", "拒绝"), true),
        column(language.pick("median score", "质量分中位数"), true),
        column(language.pick("main cause", "主要原因"), false),
        column(language.pick("change", "变化"), false),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_less_than_nothing() {
        assert_eq!(fixed(-0.0004, 3), "0.000");
        assert_eq!(fixed(-0.0006, 3), "-0.001");
        assert_eq!(signed(-0.04, 1), "0.0");
        assert_eq!(signed(0.04, 0), "0");
        assert_eq!(signed(2.0, 1), "+2.0");
        assert_eq!(percent(-0.0, Language::Chinese), "0.0%");
    }
}
