//! `GET /`: the page, complete in the binary, in the reader's language. It talks to this service and to nobody else.

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, ContentType, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};

use super::inference::language;
use super::report;
use crate::problem::ProblemCode;
use crate::quality::Language;
use crate::server::parameters::quoted;
use crate::server::problem_response::Problem;
use crate::server::state::AppState;

const TEMPLATE: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/app.js");
const STYLE: &str = include_str!("../page/style.css");
const ENGLISH: &str = include_str!("../page/en.json");
const CHINESE: &str = include_str!("../page/zh.json");

/// `blob:` for the preview of a picture that the reader has just chosen.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'self'";

/// Where the link to the weekly report stands, once there is one to lead to.
const REPORT_PLACE: &str = "<!-- weekly report -->";

const fn texts(language: Language) -> &'static str {
    match language {
        Language::English => ENGLISH,
        Language::Chinese => CHINESE,
    }
}

/// The page with the texts of `language` in it: `{{key}}` stands for a text, `{{texts}}` for all of them.
fn render(language: Language) -> String {
    let json = texts(language);
    let texts: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).unwrap_or_default();
    let mut page = TEMPLATE
        .replace("{{language}}", language.tag())
        // A text with `</script>` in it would end the block that holds the texts.
        .replace("{{texts}}", &json.replace('<', "\\u003c"));
    for (key, text) in &texts {
        let text = escaped(text.as_str().unwrap_or_default());
        page = page.replace(&format!("{{{{{key}}}}}"), &text);
    }
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn report_link(language: Language) -> String {
    let texts: serde_json::Value = serde_json::from_str(texts(language)).unwrap_or_default();
    let text = escaped(texts["weekly_report"].as_str().unwrap_or_default());
    format!(r#"<a href="report">{text}</a>"#)
}

pub(super) async fn index(request: HttpRequest) -> HttpResponse {
    static PAGES: LazyLock<[String; 2]> = LazyLock::new(|| Language::ALL.map(render));
    let language = language(&request);
    let page = match language {
        Language::English => &PAGES[0],
        Language::Chinese => &PAGES[1],
    };
    let state = request.app_data::<web::Data<AppState>>();
    let link = if state.is_some_and(|state| report::newest(state).is_file()) {
        report_link(language)
    } else {
        String::new()
    };
    let page = page.replace(REPORT_PLACE, &link);
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_LANGUAGE, language.tag()))
        .insert_header((VARY, "Accept-Language"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .body(page)
}

pub(super) async fn file(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (kind, text) = match file.as_str() {
        "app.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "style.css" => ("text/css; charset=utf-8", STYLE),
        _ => {
            let detail = format!("the page has no file {}", quoted(&file));
            return Err(Problem::new(ProblemCode::NotFound, detail));
        }
    };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::{Action, Verdict};
    use crate::quality::{CauseName, Grade};

    fn keys(language: Language) -> BTreeSet<String> {
        let texts: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(texts(language)).unwrap();
        texts.keys().cloned().collect()
    }

    #[test]
    fn both_languages_have_every_text_and_no_hole_is_left() {
        assert_eq!(keys(Language::English), keys(Language::Chinese));
        for language in Language::ALL {
            let page = render(language);
            assert!(!page.contains("{{"), "{page}");
            assert!(page.contains(&format!("<html lang=\"{}\"", language.tag())));
        }
    }

    #[test]
    fn every_text_that_the_script_asks_for_is_there() {
        let known = keys(Language::English);
        for asked in SCRIPT.split("text(\"").skip(1) {
            let key = asked.split('"').next().unwrap();
            assert!(known.contains(key), "{key}");
        }
    }

    #[test]
    fn every_word_of_an_answer_has_a_text() {
        let known = keys(Language::English);
        let words = Verdict::ALL
            .map(|verdict| format!("verdict_{}", verdict.name()))
            .into_iter()
            .chain(Action::ALL.map(|action| format!("action_{}", action.name())))
            .chain(Grade::ALL.map(|grade| format!("grade_{}", grade.name())))
            .chain(CauseName::ALL.map(|cause| format!("cause_{}", cause.name())));
        for word in words {
            assert!(known.contains(&word), "{word}");
        }
    }

    #[test]
    fn the_page_has_one_place_for_the_report_and_words_for_it() {
        for language in Language::ALL {
            assert_eq!(render(language).matches(REPORT_PLACE).count(), 1);
            assert!(report_link(language).len() > r#"<a href="report"></a>"#.len());
        }
    }

    #[test]
    fn nothing_foreign_is_loaded() {
        for text in [TEMPLATE, SCRIPT, STYLE] {
            for scheme in ["http://", "https://", "src=\"//", "url("] {
                assert!(!text.contains(scheme), "{scheme}");
            }
        }
    }
}
