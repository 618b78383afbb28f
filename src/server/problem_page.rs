//! A failure as a page, for somebody who opened an endpoint in a browser that answers with a page.

use actix_web::http::header::{
    CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};
use actix_web::{HttpRequest, HttpResponse};
use faceood_engine::problem::ProblemCode;
use faceood_report::html;
use maud::html;

use super::negotiation::{chosen_language, prefers_page};
use super::problem_response::Problem;

/// What a page may do that is one file with its style in it: load nothing and run nothing.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; sandbox allow-popups allow-same-origin";

/// Endpoints that answer a browser with a page. The page of the service is one folder above them.
const PAGES: [&str; 2] = ["/v1/inferences", "/reports/latest"];

/// Whether somebody in a browser reads of `problem`. What is forbidden is the doing of another page
/// or name, and whoever wrote that reads JSON.
pub(super) fn is_for(problem: &Problem, request: &HttpRequest, endpoint: &str) -> bool {
    problem.code != ProblemCode::Forbidden && PAGES.contains(&endpoint) && prefers_page(request)
}

/// The answer to `request`, with a page in place of JSON.
pub(super) fn in_place_of(
    answer: HttpResponse,
    problem: &Problem,
    request: &HttpRequest,
    id: &str,
) -> HttpResponse {
    let language = chosen_language(request);
    let pick = |english: &'static str, chinese: &'static str| language.pick(english, chinese);
    let (title, says, link) = if problem.code == ProblemCode::Unauthenticated {
        // The problem tells a program how it sends a token.
        (
            pick("Please sign in", "请登录"),
            pick(
                "This page is for operators and administrators who are signed in.",
                "此页面仅供已登录的操作员和管理员查看。",
            ),
            pick("Sign in", "登录"),
        )
    } else {
        (
            pick("This page could not be shown", "无法显示此页面"),
            problem.detail_in(language),
            "← faceood",
        )
    };
    let body = html! {
        // What stands between backquotes is code, as in Markdown.
        p { @for (index, part) in says.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        } }
        p { a href="../" { (link) } }
        p class="quiet" { (pick("Request", "请求编号")) " " code { (id) } }
    };
    let page = html::page(title, language.tag(), "", &body);
    let mut answer = answer.set_body(page).map_into_boxed_body();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LANGUAGE, language.tag()),
        (CONTENT_SECURITY_POLICY, POLICY),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}
