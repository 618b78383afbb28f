//! Page, tables and charts of the HTML reports. A page is one self-contained file with inline
//! style, light and dark. It has no script and loads nothing from elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub mod plot;

const STYLE: &str = include_str!("style.css");
/// Forbids the browser to load anything, even if the name of a folder or camera became markup.
/// Pictures are part of the file.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A whole page. `language` is a BCP 47 tag; `style` is CSS in addition to the common style sheet.
pub fn page(title: &str, language: &str, style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    page.into_string()
}

/// A page with nothing but text, as a terminal shows it. On a narrow page lines are wrapped, and
/// what was wrapped is indented.
pub fn text_page(title: &str, text: &str) -> String {
    let body = html! {
        pre { @for line in text.lines() { span { (line) "\n" } } }
    };
    page(title, "en", "", &body)
}

/// Characters of a cell from which on its column is wide enough for sentences.
const SENTENCE: usize = 24;

/// How a column of these cells is set: numbers to the right, words to the left, sentences in lines.
fn column_class(cells: &[&str]) -> Option<&'static str> {
    let is_word = |cell: &&&str| cell.starts_with(|c: char| c.is_alphabetic() || c == '/');
    let says_something = |cell: &&&str| !["", "-", "–"].contains(*cell);
    let said = cells.iter().filter(says_something).count();
    if cells.iter().any(|cell| cell.chars().count() >= SENTENCE) {
        Some("text long")
    } else if cells.iter().filter(is_word).count() * 2 > said {
        Some("text")
    } else {
        None
    }
}

/// A table with a head. Where it is wider than the page, it scrolls by itself, also by the
/// keyboard; screen readers call it by its head.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Markup {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let class_of = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let cells: Vec<&str> = cells.map(String::as_str).collect();
        column_class(&cells)
    };
    let classes: Vec<Option<&str>> = (0..head.len()).map(class_of).collect();
    let class = |index: usize| classes.get(index).copied().flatten();
    let columns: Vec<&str> = head
        .iter()
        .copied()
        .filter(|cell| !cell.is_empty())
        .collect();
    html! {
        div class="wide" tabindex="0" role="region" aria-label=(columns.join(", ")) {
            table {
                thead {
                    tr {
                        @for (index, cell) in head.iter().enumerate() {
                            th scope="col" class=[class(index)] { (cell) }
                        }
                    }
                }
                tbody {
                    @for row in &rows {
                        tr { @for (index, cell) in row.iter().enumerate() { td class=[class(index)] { (cell) } } }
                    }
                }
            }
        }
    }
}

/// A large number, what it means, and a detail in small type.
pub fn card(number: &str, meaning: &str, detail: &str) -> Markup {
    html! {
        div class="card" {
            div class="number" { (number) }
            div { (meaning) }
            div class="quiet" { (detail) }
        }
    }
}

/// A wider drawing scrolls on a narrow page, where its text would become too small.
const LARGEST_UNSCROLLED: f64 = 600.0;

/// A drawing of SVG elements, with `below` under it. `frame` is left, top, width and height in the
/// drawing's units; screen readers say the `title`.
pub fn figure(frame: [f64; 4], title: &str, drawing: &Markup, below: &Markup) -> Markup {
    let [left, top, width, height] = frame;
    let is_wide = width > LARGEST_UNSCROLLED;
    html! {
        figure class=[is_wide.then_some("wide")] tabindex=[is_wide.then_some("0")] {
            svg viewBox={ (left) " " (top) " " (width) " " (height) } role="img" aria-label=(title) { (drawing) }
            (below)
        }
    }
}

/// A JPEG as the address of a picture: part of the file, since a page loads nothing.
pub fn jpeg_address(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg))
}

/// The `points` of an SVG line or polygon.
pub fn points(places: impl IntoIterator<Item = [f64; 2]>) -> String {
    let shown = |[x, y]: [f64; 2]| format!("{},{}", round(x), round(y));
    let shown: Vec<_> = places.into_iter().map(shown).collect();
    shown.join(" ")
}

/// `value` rounded to a tenth of a pixel, which is fine enough and keeps the file small.
pub fn round(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_words_to_the_left_and_sentences_in_lines() {
        let column = |cells: [&'static str; 3]| column_class(&cells);
        assert_eq!(column(["0.93", "–", "none"]), None);
        assert_eq!(column(["ok", "FAILED", ""]), Some("text"));
        assert_eq!(column(["人脸像素不足", "–", "–"]), Some("text"));
        assert_eq!(column(["/v1/info", "/v1/extract", "–"]), Some("text"));
        let sentence = "no library was found: run ./scripts/setup";
        assert_eq!(column(["", sentence, ""]), Some("text long"));
        let shown = table(
            &["check", "found"],
            [vec!["library".to_owned(), sentence.to_owned()]],
        );
        assert!(
            shown
                .into_string()
                .contains("<td class=\"text long\">no library")
        );
    }

    #[test]
    fn each_line_of_a_text_page_is_wrapped_by_itself() {
        let shown = text_page("Model pack", "one\n\n  <two>");
        let lines = "<pre><span>one\n</span><span>\n</span><span>  &lt;two&gt;\n</span></pre>";
        assert!(shown.contains(lines), "{shown}");
    }

    #[test]
    fn what_a_folder_is_called_cannot_become_markup() {
        let rows = [vec!["<img src=x>".to_owned()]];
        let shown = page("<script>", "en", "", &table(&["<b>"], rows));
        assert!(
            !shown.contains("<script>") && !shown.contains("<img") && !shown.contains("<b>"),
            "{shown}"
        );
    }
}
