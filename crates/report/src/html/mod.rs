//! What all HTML reports share: one self-contained page with inline style, light and dark, no script and no foreign origin; tables, cards,
//! and the colours that their charts use.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Colours, type, tables, charts.
const STYLE: &str = include_str!("style.css");
/// The browser is told to load nothing, whatever a folder or a camera may be called. Pictures are part of the file.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A whole page in the language of this tag, with `style` besides what all have.
#[must_use]
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

/// A table with a head; numbers stand to the right of all but the first column.
#[must_use]
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Markup {
    html! {
        div class="wide" {
            table {
                thead { tr { @for cell in head { th { (cell) } } } }
                tbody {
                    @for row in rows { tr { @for cell in row { td { (cell) } } } }
                }
            }
        }
    }
}

/// A large number with what it means.
#[must_use]
pub fn card(number: &str, meaning: &str, detail: &str) -> Markup {
    html! {
        div class="card" {
            div class="number" { (number) }
            div { (meaning) }
            div class="quiet" { (detail) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_folder_is_called_cannot_become_markup() {
        let rows = [vec!["<img src=x>".to_owned()]];
        let shown = page("<script>", "en", "", &table(&["a"], rows));
        assert!(
            !shown.contains("<script>") && !shown.contains("<img"),
            "{shown}"
        );
    }
}
