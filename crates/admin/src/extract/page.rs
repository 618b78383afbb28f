//! Many pictures at once as a page: those first that would not be accepted.

use std::path::Path;

use faceood_engine::capture;
use faceood_engine::pipeline::{Analysis, AnalyzeError, Face};
use faceood_engine::policy::Action;
use faceood_lab::evaluation::picture;
use faceood_report::html::{self, card, jpeg_address};
use maud::{Markup, html};

use super::why;

const STYLE: &str = "\
td img { width: 4.5rem; height: 4.5rem; object-fit: contain; display: block; border-radius: .3rem; background: var(--panel); }
td:first-child { min-width: 0; }
td.file { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
";

#[derive(Default)]
pub(super) struct Page {
    pub(super) rows: Vec<PageRow>,
}

/// A face, or a picture that got no answer.
pub(super) struct PageRow {
    file: String,
    /// Of the face, or of the whole picture; none where it cannot be decoded.
    picture: Option<Vec<u8>>,
    judged: Result<Judged, String>,
}

struct Judged {
    action: Action,
    score: f32,
    interval: [f32; 2],
    grade: &'static str,
    size: String,
    why: String,
}

impl PageRow {
    /// The rows of one picture.
    pub(super) fn all(
        image: &Path,
        upload: &[u8],
        analysed: &Result<Analysis, AnalyzeError>,
        settings: &capture::Settings,
    ) -> Vec<Self> {
        let file = image.display().to_string();
        match analysed {
            Err(error) => vec![Self {
                file,
                picture: picture::of_upload(upload, None, settings),
                judged: Err(error.to_string()),
            }],
            Ok(analysis) => {
                let row = |face: &Face| Self {
                    file: file.clone(),
                    picture: picture::of_upload(upload, Some(face.bounding_box), settings),
                    judged: Ok(Judged::of(face)),
                };
                analysis.faces.iter().map(row).collect()
            }
        }
    }

    /// Its place: what got no answer first, then the worst actions and scores.
    fn order(&self) -> (u8, f32) {
        match &self.judged {
            Err(_) => (0, 0.0),
            Ok(judged) => match judged.action {
                Action::Reject => (1, judged.score),
                Action::Review => (2, judged.score),
                Action::Accept => (3, judged.score),
            },
        }
    }

    fn shown(&self) -> Markup {
        html! {
            tr {
                td { @if let Some(picture) = &self.picture { img alt="" src=(jpeg_address(picture)); } }
                td class="text file" { @for part in self.file.split_inclusive('/') { (part) wbr; } }
                @match &self.judged {
                    Err(why) => {
                        td class="text" { "no answer" }
                        td {} td {} td {} td {}
                        td class="text long" { (why) }
                    }
                    Ok(judged) => {
                        td class="text" { (judged.action.name()) }
                        td { (format!("{:.2}", judged.score)) }
                        td { (format!("{:.2}–{:.2}", judged.interval[0], judged.interval[1])) }
                        td class="text" { (judged.grade) }
                        td { (judged.size) }
                        td class="text long" { (judged.why) }
                    }
                }
            }
        }
    }
}

impl Judged {
    fn of(face: &Face) -> Self {
        let bounds = &face.bounding_box;
        Self {
            action: face.decision.action,
            score: face.quality.score,
            interval: face.quality.interval,
            grade: face.quality.grade.name(),
            size: format!("{:.0}×{:.0}", bounds.width, bounds.height),
            why: match why(face).as_str() {
                "-" => String::new(),
                some => some.replace('_', " "),
            },
        }
    }
}

impl Page {
    pub(super) fn html(&self, scenario: &str) -> String {
        let mut rows: Vec<&PageRow> = self.rows.iter().collect();
        rows.sort_by(|a, b| {
            let (a_kind, a_score) = a.order();
            let (b_kind, b_score) = b.order();
            a_kind
                .cmp(&b_kind)
                .then(a_score.total_cmp(&b_score))
                .then_with(|| a.file.cmp(&b.file))
        });
        let count = |kind: u8| {
            rows.iter()
                .filter(|row| row.order().0 == kind)
                .count()
                .to_string()
        };
        let head = [
            "file",
            "decision",
            "score",
            "another shot",
            "grade",
            "face, px",
            "why",
        ];
        let body = html! {
            p { "What the scenario “" (scenario) "” makes of each picture, those first that are not accepted." }
            div class="cards" {
                (card(&count(3), "accepted", ""))
                (card(&count(2), "for review", ""))
                (card(&count(1), "rejected", ""))
                (card(&count(0), "without an answer", ""))
            }
            div class="wide" tabindex="0" role="region" aria-label="Pictures" {
                table {
                    thead { tr {
                        td {}
                        @for cell in head {
                            th scope="col" class=[["file", "decision", "grade", "why"].contains(&cell).then_some("text")] { (cell) }
                        }
                    } }
                    tbody { @for row in rows { (row.shown()) } }
                }
            }
        };
        html::page("Can these pictures be trusted?", "en", STYLE, &body)
    }
}
