//! A phase without a bar.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use migrate::progress::{Clock, Pace, Position};
use migrate::text::{count, counted, duration};

use super::event::{At, Event};
use super::{Out, Style, write_line};

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// A phase whose progress is told now and then.
pub(super) struct Running {
    style: Style,
    name: String,
    clock: Arc<dyn Clock>,
    out: Out,
    pace: Mutex<(Pace, Duration)>,
}

impl Running {
    /// Tells that a phase begins.
    pub(super) fn begin(
        style: Style,
        name: &str,
        total: Option<u64>,
        clock: &Arc<dyn Clock>,
        out: &Out,
    ) -> Running {
        let line = match (style, total) {
            (Style::Events, total) => Event::Phase { phase: name, total }.to_json(),
            (_, Some(total)) => format!("{name}: {}", counted(total, "record")),
            (_, None) => name.to_owned(),
        };
        write_line(out, &line);
        let now = clock.now();
        let (clock, out) = (Arc::clone(clock), Arc::clone(out));
        let pace = Mutex::new((Pace::new(total, now), now + EVERY));
        Running { style, name: name.to_owned(), clock, out, pace }
    }

    /// Tells how far it is, if it is time to.
    pub(super) fn tell(&self, done: u64) {
        let now = self.clock.now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let (pace, due) = &mut *pace;
        if now < *due {
            return;
        }
        *due = now + EVERY;
        let position = pace.at(now, done);
        let line = match self.style {
            Style::Events => Event::Progress(At::new(&self.name, &position)).to_json(),
            _ => self.line(&position),
        };
        write_line(&self.out, &line);
    }

    fn line(&self, position: &Position) -> String {
        let mut line = format!("{}: {}", self.name, count(position.done));
        if let (Some(total), Some(percent)) = (position.total, position.percent()) {
            line += &format!(" of {} ({percent:.0} %)", count(total));
        }
        if let Some(rate) = position.per_second {
            line += &format!(", {} a second", count(rate.round() as u64));
        }
        if let Some(left) = position.remaining {
            line += &format!(", {} left", duration(left));
        }
        line
    }
}
