//! Recent captures as a plain table, for somebody who opens `/v1/inferences` in a browser.

use faceood_engine::quality::Language;
use faceood_log::{Endpoint, InferenceRecord, Role};
use faceood_report::html;
use maud::{Markup, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::page;

/// Columns are narrow so that most screens show all of them. Where there is room, a time and a score
/// stay in one line; on a phone a row becomes a paragraph.
const STYLE: &str = "\
td { white-space: normal; vertical-align: top; }
@media (min-width: 75rem) { td:first-child, td:nth-child(5) { white-space: nowrap; } }
td.text, th.text { text-align: left; word-break: keep-all; }
td.long { word-break: normal; }
td.id { font: .8rem ui-monospace, monospace; overflow-wrap: anywhere; min-width: 11rem; text-align: left; }
td.id code { font: inherit; -webkit-user-select: all; user-select: all; }
main { max-width: 80rem; }
nav { display: flex; gap: 1.5rem; flex-wrap: wrap; margin: .5rem 0; }
@media (max-width: 40rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td.long, td.id { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { display: inline-block; border: 0; padding: 0 .7rem 0 0; }
  td:empty { display: none; }
}
";

/// What would end a value of a query, or mean something in it.
const IN_QUERY: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>');

/// The table. `next` is the cursor of the following page.
pub(super) fn table(
    language: Language,
    rows: &[InferenceRecord],
    query: &str,
    next: Option<&str>,
) -> String {
    let words = page::words(language);
    let word = |kind: &str, name: &str| {
        let known = words
            .get(&format!("{kind}_{name}"))
            .and_then(|word| word.as_str());
        known.unwrap_or(name).to_owned()
    };
    let pick = |english: &'static str, chinese: &'static str| language.pick(english, chinese);
    let head = [
        pick("time (UTC)", "时间（UTC）"),
        pick("source", "来源"),
        pick("endpoint", "接口"),
        pick("scenario", "场景"),
        pick("quality", "质量分"),
        pick("decision", "决策"),
        pick("what pulls it down", "影响质量的原因"),
        pick("verdict", "比对结果"),
        pick("request id", "请求编号"),
    ];
    let endpoint = |row: &InferenceRecord| match (row.endpoint, row.role) {
        (Endpoint::Extract, _) => "extract",
        (Endpoint::Quality, _) => "quality",
        (Endpoint::Compare, Role::Reference) => pick(
            "compare, second side (reference)",
            "compare，第二项（reference）",
        ),
        (Endpoint::Compare, _) => pick("compare, first side (probe)", "compare，第一项（probe）"),
    };
    let shown = |row: &InferenceRecord| -> Markup {
        let scores = row.quality_score.map(|score| {
            let grade = row.grade.map(|grade| word("grade", grade.name()));
            format!("{score:.2} {}", grade.unwrap_or_default())
        });
        let decision = match (row.action, row.error_code) {
            (Some(action), _) => word("action", action.name()),
            (None, Some(_)) => pick("failed", "失败").to_owned(),
            (None, None) => pick("no face", "未检测到人脸").to_owned(),
        };
        let verdict = row.verdict.map(|verdict| {
            let similarity = row.similarity.map(|value| format!(" {value:.2}"));
            word("verdict", verdict.name()) + &similarity.unwrap_or_default()
        });
        // The command would take an id that begins with a dash for an option.
        let dashes = if row.request_id.starts_with('-') {
            "-- "
        } else {
            ""
        };
        html! {
            tr {
                td { (row.time.format("%F %T")) }
                td class="text" { (row.source.as_deref().unwrap_or_default()) }
                td class="text" { (endpoint(row)) }
                td class="text" { (row.scenario.as_deref().unwrap_or_default()) }
                td class="text" { (scores.unwrap_or_default()) }
                td class="text" { (decision) }
                td class="text long" { (why(row, &word, language)) }
                td class="text" { (verdict.unwrap_or_default()) }
                td class="id" { code { "faceood-admin explain " (dashes) (row.request_id) } }
            }
        }
    };
    let title = pick("Recent captures", "最近的抓拍");
    let later = next.map(|cursor| following(query, cursor));
    let body = html! {
        nav {
            a href="../" { "← faceood" }
            @if let Some(later) = &later { a href=(later) { (pick("Earlier ones", "更早的记录")) } }
        }
        @if rows.is_empty() {
            p { (pick("There are none.", "没有记录。")) }
        } @else {
            p {
                code { "faceood-admin explain" }
                (pick(
                    " says why a decision came out as it did. Run the command of a row on the machine of \
                     the service; one click selects it.",
                    " 可解释决策的原因：请在服务所在的机器上运行该行的命令，单击即可选中。",
                ))
            }
            div class="wide" tabindex="0" role="region" aria-label=(title) {
                table {
                    thead { tr { @for cell in head { th scope="col" class="text" { (cell) } } } }
                    tbody { @for row in rows { (shown(row)) } }
                }
            }
        }
    };
    html::page(title, language.tag(), STYLE, &body)
}

/// What decided, and what pulls the score down; the problem of a request that failed.
fn why(row: &InferenceRecord, word: &impl Fn(&str, &str) -> String, language: Language) -> String {
    if let Some(problem) = row.error_code {
        // The page has a sentence of its own in Chinese alone: the service's are English.
        let detail = row.error_detail.as_deref().unwrap_or(problem.title());
        return match language {
            Language::English => detail.to_owned(),
            Language::Chinese => word("problem", problem.code()),
        };
    }
    let several = |reason: &&faceood_engine::policy::Reason| reason.name() != "quality";
    let reasons = row.reasons.iter().flatten().filter(several);
    let reasons = reasons.map(|reason| word("recent", reason.name()));
    let causes = row.causes.iter().flatten();
    let causes = causes.map(|cause| word("cause", cause.name.name()));
    let all: Vec<String> = reasons.chain(causes).collect();
    all.join(language.pick(", ", "、"))
}

/// The address of the following page: the same question with another cursor.
fn following(query: &str, cursor: &str) -> String {
    let kept = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let cursor = format!("cursor={}", utf8_percent_encode(cursor, &IN_QUERY));
    let parts: Vec<&str> = kept.chain([cursor.as_str()]).collect();
    format!("?{}", parts.join("&"))
}

#[cfg(test)]
mod tests {
    use faceood_engine::policy::{Action, Reason, Verdict};
    use faceood_engine::problem::ProblemCode;
    use faceood_log::fixture::full_record;

    use super::*;

    #[test]
    fn rows_say_why_in_both_languages_and_nothing_in_them_becomes_markup() {
        let mut refused = full_record("<b>id</b>", 1);
        (refused.error_code, refused.error_detail) = (None, None);
        refused.source = Some("<script>".to_owned());
        refused.action = Some(Action::Reject);
        refused.reasons = Some(vec![Reason::Quality, Reason::FaceTooSmall]);
        refused.verdict = Some(Verdict::Untrusted);
        let mut failed = full_record("-failed", 2);
        (refused.endpoint, refused.role) = (Endpoint::Compare, Role::Probe);
        (failed.endpoint, failed.role) = (Endpoint::Compare, Role::Reference);
        failed.action = None;
        failed.error_code = Some(ProblemCode::NoFace);
        failed.error_detail = Some("no face was found".to_owned());
        let rows = [refused, failed];
        let english = table(
            Language::English,
            &rows,
            "source=a&cursor=old",
            Some("a b&c"),
        );
        for expected in [
            "reject",
            "too small a face",
            "failed",
            "no face was found",
            "No verdict",
            "compare, first side (probe)",
            "compare, second side (reference)",
            "<code>faceood-admin explain -- -failed</code>",
            "<code>faceood-admin explain &lt;b&gt;",
            "what pulls it down",
        ] {
            assert!(english.contains(expected), "{expected}: {english}");
        }
        assert!(
            !english.contains("<script>") && !english.contains("<b>"),
            "{english}"
        );
        assert!(
            english.contains("href=\"?source=a&amp;cursor=a%20b%26c\""),
            "{english}"
        );
        let chinese = table(Language::Chinese, &rows, "", None);
        for expected in [
            "拒绝",
            "人脸过小",
            "失败",
            "未检测到人脸",
            "第一项（probe）",
            "影响质量的原因",
        ] {
            assert!(chinese.contains(expected), "{expected}: {chinese}");
        }
        assert!(!chinese.contains("cursor="), "{chinese}");
        assert!(table(Language::English, &[], "", None).contains("There are none."));
    }
}
