//! `watch`: the live box in a terminal. Rows come from the log, readiness and the log's queue
//! from the daemon. Each tick reads only new rows.

mod recent;
mod service;
mod view;

use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::Utc;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::widgets::Paragraph;

use self::recent::Recent;
use self::service::Service;
use super::{Context, output};
use faceood_log::LogReader;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Shows the last ten minutes: requests, decisions, quality and norm by source, what was rejected or failed last. Sources with the \
largest share of faces that were not accepted come first. q, Esc or Ctrl-C ends it.

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

/// What is drawn for where there is no terminal: columns and lines. A file has room for many sources.
const SIZE: (usize, usize) = (80, 60);

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    if !(0.1..=3600.0).contains(&args.interval) {
        bail!("--interval is {}; expected 0.1 to 3600", args.interval);
    }
    if !args.once && !output::is_terminal() {
        bail!("standard output is no terminal: --once shows it a single time, as text");
    }
    let path = context.database()?;
    // With --db alone there may be no daemon to ask.
    let config = context.config()?;
    context.block_on(async {
        let reader = LogReader::open(&path).await?;
        let mut recent = Recent::default();
        if args.once {
            recent.update(&reader, Utc::now()).await?;
            let service = Service::ask(&config);
            let (width, height) = output::terminal_size().unwrap_or(SIZE);
            let lines = view::lines(&recent, &service, Utc::now(), width, height);
            let shown: Vec<_> = lines.iter().map(ToString::to_string).collect();
            return output::text(shown.join("\n").trim_end());
        }
        // Also puts the terminal back where something panics.
        let mut terminal = ratatui::try_init()?;
        let watched = async {
            loop {
                recent.update(&reader, Utc::now()).await?;
                let service = Service::ask(&config);
                if draw_until_next(&mut terminal, &recent, &service, args.interval)? {
                    return anyhow::Ok(());
                }
            }
        };
        let outcome = watched.await;
        ratatui::restore();
        outcome
    })
}

/// Draws, and waits for a key or the next look; says whether to end.
fn draw_until_next(
    terminal: &mut DefaultTerminal,
    recent: &Recent,
    service: &Service,
    interval: f64,
) -> anyhow::Result<bool> {
    let until = Instant::now() + Duration::from_secs_f64(interval);
    loop {
        terminal.draw(|frame| {
            let area = frame.area();
            let (width, height) = (usize::from(area.width), usize::from(area.height));
            let mut lines = view::lines(recent, service, Utc::now(), width, height);
            if let Some(first) = lines.first_mut() {
                first.push_span(view::keys());
            }
            frame.render_widget(Paragraph::new(lines), area);
        })?;
        if !event::poll(until.saturating_duration_since(Instant::now()))? {
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
    let ends = match key.code {
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        code => matches!(code, KeyCode::Char('q') | KeyCode::Esc),
    };
    ends && key.kind == KeyEventKind::Press
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
