//! `GET /`: the page in the reader's language, all in the binary. It talks to this service alone.

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, ContentType, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::components::Direction;
use faceood_engine::quality::hints::HintCode;
use faceood_engine::quality::{Component, Language};
use serde_json::{Map, Value, json};

use crate::server::negotiation::chosen_language;
use crate::server::parameters::quoted;
use crate::server::problem_response::Problem;

const TEMPLATE: &str = include_str!("../page/index.html");
const ENGLISH: &str = include_str!("../page/en.json");
const CHINESE: &str = include_str!("../page/zh.json");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// What the page is made of besides its document and words. Integrators get the same client.
const FILES: [(&str, &str, &str); 17] = [
    ("app.js", SCRIPT, include_str!("../page/app.js")),
    ("camera.js", SCRIPT, include_str!("../page/camera.js")),
    ("compare.js", SCRIPT, include_str!("../page/compare.js")),
    ("dom.js", SCRIPT, include_str!("../page/dom.js")),
    ("extract.js", SCRIPT, include_str!("../page/extract.js")),
    (
        "faceood.js",
        SCRIPT,
        include_str!("../../../clients/typescript/faceood.js"),
    ),
    ("heic.js", SCRIPT, include_str!("../page/heic.js")),
    ("panel.js", SCRIPT, include_str!("../page/panel.js")),
    ("parts.js", SCRIPT, include_str!("../page/parts.js")),
    ("picture.js", SCRIPT, include_str!("../page/picture.js")),
    ("policy.js", SCRIPT, include_str!("../page/policy.js")),
    ("session.js", SCRIPT, include_str!("../page/session.js")),
    ("status.js", SCRIPT, include_str!("../page/status.js")),
    ("texts.js", SCRIPT, include_str!("../page/texts.js")),
    ("answer.css", STYLE, include_str!("../page/answer.css")),
    ("style.css", STYLE, include_str!("../page/style.css")),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../page/icon.svg"),
    ),
];

/// `blob:` for the preview of a chosen picture. Nothing is ever made from text that could be
/// markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What the page knows at once: its words, the advice, and what is measured on a face.
fn known(language: Language) -> Value {
    let mut texts = words(language);
    for hint in HintCode::ALL {
        let text = hint.message(language).into();
        texts.insert(format!("hint_{}", hint.code()), text);
    }
    let components = Component::ALL.map(|component| {
        let direction = match component.direction() {
            Direction::HigherIsBetter => "higher_is_better",
            Direction::LowerIsBetter => "lower_is_better",
            Direction::Neither => "neither",
        };
        json!({
            "name": component.name(), "unit": component.unit(), "direction": direction,
            "usual": component.usual_range(),
        })
    });
    json!({"language": language.tag(), "texts": texts, "components": components})
}

/// The words of the page, by their names.
pub(super) fn words(language: Language) -> Map<String, Value> {
    serde_json::from_str(language.pick(ENGLISH, CHINESE)).unwrap_or_default()
}

/// The page with the words of `language` for each `{{key}}`, and `{{known}}`.
fn render(language: Language) -> String {
    let (other, other_name) = match language {
        Language::English => (Language::Chinese, "中文"),
        Language::Chinese => (Language::English, "English"),
    };
    let known = known(language);
    // A text with `</script>` in it would end the block that holds the texts.
    let block = known.to_string().replace('<', "\\u003c");
    let mut page = TEMPLATE
        .replace("{{language}}", language.tag())
        .replace("{{other_language}}", other.tag())
        .replace("{{other_language_name}}", other_name)
        .replace("{{known}}", &block);
    for (key, text) in known["texts"].as_object().into_iter().flatten() {
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

pub(super) async fn index(request: HttpRequest) -> HttpResponse {
    static PAGES: LazyLock<[String; 2]> = LazyLock::new(|| Language::ALL.map(render));
    let language = chosen_language(&request);
    let page = &PAGES[language as usize];
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_LANGUAGE, language.tag()))
        .insert_header((VARY, "Accept-Language, Cookie"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("Permissions-Policy", "camera=(self), microphone=()"))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .body(page.as_str())
}

pub(super) async fn file(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let words = file.strip_suffix(".json").and_then(Language::of_tag);
    let (kind, text) = match (words, FILES.iter().find(|(name, _, _)| *name == *file)) {
        (Some(language), _) => ("application/json", known(language).to_string()),
        (None, Some((_, kind, text))) => (*kind, (*text).to_owned()),
        (None, None) => {
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
    use faceood_engine::policy::{Action, Reason, Verdict};
    use faceood_engine::quality::{CauseName, Grade};

    fn keys(language: Language) -> BTreeSet<String> {
        let known = known(language);
        let texts = known["texts"].as_object().unwrap();
        texts.keys().cloned().collect()
    }

    #[test]
    fn both_languages_have_every_text_and_no_hole_is_left() {
        // The service explains its problems in English; in Chinese the page says by the code what
        // is wrong.
        let problems: BTreeSet<_> = ProblemCode::ALL
            .iter()
            .filter(|problem| problem.is_answered())
            .map(|problem| format!("problem_{}", problem.code()))
            .collect();
        let chinese = keys(Language::Chinese);
        assert!(problems.is_subset(&chinese), "{:?}", &problems - &chinese);
        assert_eq!(keys(Language::English), &chinese - &problems);
        for language in Language::ALL {
            let page = render(language);
            assert!(!page.contains("{{"), "{page}");
            assert!(page.contains(&format!("<html lang=\"{}\"", language.tag())));
        }
    }

    #[test]
    fn a_text_has_the_same_values_in_both_languages() {
        let holes = |text: &Value| -> BTreeSet<String> {
            let parts = text.as_str().unwrap().split('{').skip(1);
            parts
                .map(|part| part.split('}').next().unwrap().to_owned())
                .collect()
        };
        let (english, chinese) = (known(Language::English), known(Language::Chinese));
        for (key, text) in english["texts"].as_object().unwrap() {
            assert_eq!(holes(text), holes(&chinese["texts"][key]), "{key}");
        }
    }

    #[test]
    fn every_text_that_a_script_or_the_document_asks_for_is_there() {
        let known = keys(Language::English);
        let scripts = FILES.iter().map(|(_, _, text)| text);
        for source in scripts.chain([&TEMPLATE]) {
            for opening in [
                "text(\"",
                "#say(\"",
                "#refuse(\"",
                "data-text=\"",
                "data-label=\"",
            ] {
                for (at, _) in source.match_indices(opening) {
                    // A longer name that ends alike is another function.
                    let is_whole = !source[..at].ends_with(|before: char| before.is_alphanumeric());
                    let key = source[at + opening.len()..].split('"').next().unwrap();
                    assert!(!is_whole || key.is_empty() || known.contains(key), "{key}");
                }
            }
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
            .chain(CauseName::ALL.map(|cause| format!("cause_{}", cause.name())))
            .chain(Reason::ALL.map(|reason| format!("reason_{}", reason.name())))
            .chain(Reason::ALL.map(|reason| format!("why_{}", reason.name())))
            .chain(Reason::ALL.map(|reason| format!("recent_{}", reason.name())))
            .chain(Component::ALL.map(|component| format!("component_{}", component.name())))
            .chain(Component::ALL.map(|component| format!("unit_{}", component.unit())))
            .chain(["higher_is_better", "lower_is_better", "neither"].map(str::to_owned));
        for word in words {
            assert!(known.contains(&word), "{word}");
        }
    }

    #[test]
    fn components_have_the_names_that_reports_give_them() {
        for language in Language::ALL {
            let texts = known(language)["texts"].clone();
            for component in Component::ALL {
                let key = format!("component_{}", component.name());
                assert_eq!(texts[&key], component.label(language), "{key}");
            }
        }
    }

    #[test]
    fn nothing_foreign_is_loaded_and_all_of_it_is_small() {
        let mut bytes = render(Language::Chinese).len();
        for (name, _, text) in FILES.iter().chain([&("index.html", "", TEMPLATE)]) {
            bytes += text.len();
            // Names of a kind of document and of the usual place of the service: nothing is fetched
            // from there.
            let text = text
                .replace("http://www.w3.org/2000/svg", "")
                .replace("http://127.0.0.1:7860", "");
            for foreign in [
                "http://",
                "https://",
                "src=\"//",
                "url(",
                "@import",
                "innerHTML",
            ] {
                assert!(!text.contains(foreign), "{name}: {foreign}");
            }
        }
        assert!(bytes <= 150_000, "{bytes}");
    }

    #[test]
    fn a_file_that_a_script_imports_is_served() {
        for (name, _, text) in FILES {
            for import in text.split(" from \"./").skip(1) {
                let imported = import.split('"').next().unwrap();
                assert!(
                    FILES.iter().any(|(served, _, _)| *served == imported),
                    "{name} imports {imported}"
                );
            }
        }
    }
}
