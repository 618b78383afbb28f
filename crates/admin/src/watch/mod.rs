//! `watch`: the live box in a terminal. Rows come from the log, readiness and the log's queue
//! from the daemon. Each tick reads only new rows.

mod recent;
mod service;
mod view;

use std::time::Duration;

use anyhow::bail;
use chrono::Utc;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::widgets::Paragraph;

use self::recent::Recent;
use self::service::Service;
use super::{CommandOutcome, Context, output};
use faceood::inference_log::LogReader;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Shows the last ten minutes: requests, decisions, quality and norm by source, the last refusals with their causes. q, Esc or \
Ctrl-C ends it.

Examples:
  faceood-admin watch
  faceood-admin watch --interval 5
  faceood-admin watch --once > now.txt")]
pub(crate) struct Args {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
    /// Show it once, as text, and end
    #[arg(long)]
    once: bool,
}

/// The width that is drawn for where there is no terminal.
const WIDTH: usize = 80;
/// The height that is drawn for where there is no terminal.
const HEIGHT: usize = 24;

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    if !(0.1..=3600.0).contains(&args.interval) {
        bail!("--interval is {}; expected 0.1 to 3600", args.interval);
    }
    if !args.once && !output::is_terminal() {
        bail!("standard output is no terminal: --once shows it a single time, as text");
    }
    let path = context.database()?;
    // With --db alone there may be no daemon to ask.
    let address_file = context.config()?.address_file();
    context.block_on(async {
        let reader = LogReader::open(&path).await?;
        let mut recent = Recent::default();
        if args.once {
            recent.update(&reader, Utc::now()).await?;
            let service = Service::ask(&address_file);
            let lines = view::lines(&recent, &service, Utc::now(), WIDTH, HEIGHT);
            let shown: Vec<_> = lines.iter().map(ToString::to_string).collect();
            output::text(shown.join("\n").trim_end())?;
            return Ok(CommandOutcome::Done);
        }
        // Also puts the terminal back where something panics.
        let mut terminal = ratatui::try_init()?;
        let watched = async {
            loop {
                recent.update(&reader, Utc::now()).await?;
                let service = Service::ask(&address_file);
                if draw_until_next(&mut terminal, &recent, &service, args.interval)? {
                    return anyhow::Ok(());
                }
            }
        };
        let outcome = watched.await;
        ratatui::restore();
        outcome.map(|()| CommandOutcome::Done)
    })
}

/// Draws, and waits for a key or the next look; says whether to end.
fn draw_until_next(
    terminal: &mut DefaultTerminal,
    recent: &Recent,
    service: &Service,
    interval: f64,
) -> anyhow::Result<bool> {
    let until = std::time::Instant::now() + Duration::from_secs_f64(interval);
    loop {
        terminal.draw(|frame| {
            let area = frame.area();
            let (width, height) = (usize::from(area.width), usize::from(area.height));
            let lines = view::lines(recent, service, Utc::now(), width, height);
            frame.render_widget(Paragraph::new(lines), area);
        })?;
        let left = until.saturating_duration_since(std::time::Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        // Any other event may be a new size: draw again.
        if let Event::Key(key) = event::read()?
            && ends(&key)
        {
            return Ok(true);
        }
    }
}

fn ends(key: &KeyEvent) -> bool {
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_end_it() {
        let key = |code, modifiers| ends(&KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
    }
}
