//! What the server did at a peer, drawn over time: the waits between its attempts, its connections, what it had open,
//! what it asked, its git requests. Made from the report's data alone, so that it can be drawn again.
//!
//! The drawing is markup of this crate; of the server's words it has none but numbers.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::calendar::span;
use crate::peer::timeline::{Kind, Moment, Timeline};

const WIDTH: f64 = 760.0;
/// Where the lanes begin and end; their names stand before.
const LEFT: f64 = 118.0;
const RIGHT: f64 = WIDTH - 14.0;
/// Heights of lanes: of those with a curve, and of those with marks.
const CURVE: f64 = 54.0;
const MARKS: f64 = 16.0;
const GAP: f64 = 12.0;
/// Attempts from which on the waits between them are drawn, and up to which they are written beside the curve.
const A_CURVE: usize = 3;
const WRITTEN: usize = 9;

/// One peer's drawing, with its figures in words.
pub(super) fn drawing(timeline: &Timeline) -> Markup {
    let scale = Scale::of(timeline);
    let mut lanes: Vec<Lane> = Vec::new();
    lanes.extend(waits(timeline, &scale));
    lanes.push(connections(timeline, &scale));
    lanes.extend(open(timeline, &scale));
    let marks =
        [("REQ", Kind::Req, "req"), ("NEG-OPEN", Kind::Neg, "neg"), ("CLOSED by peer", Kind::Closed, "bad")];
    lanes.extend(
        marks.into_iter().filter_map(|(name, kind, class)| ticks(timeline, &scale, name, kind, class)),
    );
    lanes.extend(git(timeline, &scale));
    let height: f64 = lanes.iter().map(|lane| lane.height + GAP).sum::<f64>() + 22.0;
    let words = words(timeline);
    html! {
        figure.timeline {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(words) {
                (axis(&scale, height))
                @for (top, lane) in placed(&lanes) {
                    g transform={ "translate(0 " (px(top)) ")" } {
                        text.lane x=(px(LEFT - 8.0)) y=(px(lane.height / 2.0 + 4.0)) { (lane.name) }
                        (lane.drawn)
                    }
                }
            }
            figcaption { (words) }
        }
    }
}

struct Lane {
    name: String,
    height: f64,
    drawn: Markup,
}

fn placed(lanes: &[Lane]) -> Vec<(f64, &Lane)> {
    let mut top = 6.0;
    let place = |lane: &'_ Lane| {
        let at = top;
        top += lane.height + GAP;
        at
    };
    lanes.iter().map(place).zip(lanes).collect()
}

/// Where a time lies.
struct Scale {
    took_ms: f64,
}

impl Scale {
    #[allow(clippy::cast_precision_loss)] // an audit takes no thousands of years
    fn of(timeline: &Timeline) -> Self {
        let last = timeline.moments.last().map_or(0, |moment| moment.at_ms);
        Self { took_ms: timeline.took_ms.max(last).max(1) as f64 }
    }

    #[allow(clippy::cast_precision_loss)]
    fn x(&self, at_ms: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * (at_ms as f64 / self.took_ms).min(1.0)
    }

    /// Whole steps of time, in milliseconds, so that at most ten fit.
    fn step_ms(&self) -> u64 {
        let steps = [
            10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000,
            600_000,
        ];
        #[allow(clippy::cast_precision_loss)]
        let fits = |step: &&u64| self.took_ms / **step as f64 <= 10.0;
        steps.iter().find(fits).copied().unwrap_or(3_600_000)
    }
}

/// A coordinate, to a tenth of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

fn axis(scale: &Scale, height: f64) -> Markup {
    let step = scale.step_ms();
    let times = (0..).map(|number| number * step);
    #[allow(clippy::cast_precision_loss)]
    let times: Vec<u64> = times.take_while(|at| *at as f64 <= scale.took_ms).collect();
    html! {
        @for at in times {
            line.grid x1=(px(scale.x(at))) x2=(px(scale.x(at))) y1="2" y2=(px(height - 18.0)) {}
            text.time x=(px(scale.x(at))) y=(px(height - 5.0)) { (span(at).replace(".0 s", " s")) }
        }
    }
}

fn of(timeline: &Timeline, kind: Kind) -> impl Iterator<Item = &Moment> {
    timeline.moments.iter().filter(move |moment| moment.kind == kind)
}

fn attempts(timeline: &Timeline) -> Vec<u64> {
    let tried =
        timeline.moments.iter().filter(|moment| matches!(moment.kind, Kind::Connect | Kind::TurnedAway));
    tried.map(|moment| moment.at_ms).collect()
}

/// The waits between attempts: the curve of the back-off.
#[allow(clippy::cast_precision_loss)]
fn waits(timeline: &Timeline, scale: &Scale) -> Option<Lane> {
    let tried = attempts(timeline);
    if tried.len() < A_CURVE {
        return None;
    }
    let waits: Vec<(u64, u64)> = tried.windows(2).map(|two| (two[1], two[1] - two[0])).collect();
    let longest = waits.iter().map(|(_, wait)| *wait).max().unwrap_or(0).max(1);
    let top = 12.0;
    let y = |wait: u64| CURVE - (CURVE - top) * (wait as f64 / longest as f64);
    let points: Vec<String> =
        waits.iter().map(|(at, wait)| format!("{} {}", px(scale.x(*at)), px(y(*wait)))).collect();
    let drawn = html! {
        line.base x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(CURVE)) y2=(px(CURVE)) {}
        polyline.wait points=(points.join(" ")) {}
        @for (at, wait) in &waits {
            line.stem x1=(px(scale.x(*at))) x2=(px(scale.x(*at))) y1=(px(CURVE)) y2=(px(y(*wait))) {}
            circle.wait cx=(px(scale.x(*at))) cy=(px(y(*wait))) r="3" {}
            @if waits.len() <= WRITTEN {
                text.value x=(px(scale.x(*at) - 6.0)) y=(px(y(*wait) - 2.0)) { (seconds(*wait)) }
            }
        }
    };
    Some(Lane { name: "Wait before attempt".to_owned(), height: CURVE, drawn })
}

#[allow(clippy::cast_precision_loss)]
fn seconds(milliseconds: u64) -> String {
    if milliseconds < 10_000 {
        format!("{:.1} s", milliseconds as f64 / 1_000.0)
    } else {
        format!("{:.0} s", milliseconds as f64 / 1_000.0)
    }
}

/// Connections as bars, a cross for each that was turned away.
fn connections(timeline: &Timeline, scale: &Scale) -> Lane {
    let ended: BTreeMap<Option<u64>, u64> =
        of(timeline, Kind::Leave).map(|moment| (moment.connection, moment.at_ms)).collect();
    let end = |moment: &Moment| scale.x(ended.get(&moment.connection).copied().unwrap_or(timeline.took_ms));
    let drawn = html! {
        line.base x1=(px(LEFT)) x2=(px(RIGHT)) y1="8" y2="8" {}
        @for moment in of(timeline, Kind::Connect) {
            @let from = scale.x(moment.at_ms);
            rect.connection x=(px(from)) y="3" width=(px((end(moment) - from).max(2.0))) height="10" rx="2" {}
        }
        @for moment in of(timeline, Kind::TurnedAway) {
            @let at = scale.x(moment.at_ms);
            path.bad d={ "M" (px(at - 4.0)) " 4l8 8m0 -8l-8 8" } {}
        }
    };
    Lane { name: "Connections".to_owned(), height: MARKS, drawn }
}

/// How much was open, step by step: time, subscriptions, filters.
fn steps(timeline: &Timeline) -> Vec<(u64, usize, usize)> {
    let mut open: BTreeMap<(Option<u64>, Option<&str>), usize> = BTreeMap::new();
    let mut steps = Vec::new();
    for moment in &timeline.moments {
        let key = (moment.connection, moment.subscription.as_deref());
        match moment.kind {
            Kind::Req => drop(open.insert(key, moment.filters)),
            Kind::Close | Kind::Closed => drop(open.remove(&key)),
            Kind::Leave => open.retain(|(connection, _), _| *connection != moment.connection),
            _ => continue,
        }
        steps.push((moment.at_ms, open.len(), open.values().sum()));
    }
    steps
}

fn most(steps: &[(u64, usize, usize)]) -> (usize, usize) {
    steps
        .iter()
        .fold((0, 0), |most, (_, subscriptions, filters)| (most.0.max(*subscriptions), most.1.max(*filters)))
}

/// Open filters as an area, open subscriptions as a line in it.
#[allow(clippy::cast_precision_loss)]
fn open(timeline: &Timeline, scale: &Scale) -> Option<Lane> {
    let steps = steps(timeline);
    let (subscriptions, filters) = most(&steps);
    if subscriptions == 0 {
        return None;
    }
    let full = filters.max(subscriptions) as f64;
    let y = |count: usize| px(CURVE - (CURVE - 10.0) * (count as f64 / full));
    let path = |count: fn(&(u64, usize, usize)) -> usize| {
        let mut path = format!("M{} {}", px(LEFT), y(0));
        for step in &steps {
            path.push_str(&format!("H{}V{}", px(scale.x(step.0)), y(count(step))));
        }
        path.push_str(&format!("H{}", px(RIGHT)));
        path
    };
    let area = format!("{}V{}Z", path(|step| step.2), y(0));
    let drawn = html! {
        path.filters d=(area) {}
        path.subscriptions d=(path(|step| step.1)) {}
        line.base x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(CURVE)) y2=(px(CURVE)) {}
        text.value x=(px(RIGHT)) y="8" { "most: " (filters) " filters, " (subscriptions) " subscriptions" }
    };
    Some(Lane { name: "Open at the peer".to_owned(), height: CURVE, drawn })
}

/// Half pixels at which something happened: what lies closer together looks like one.
#[allow(clippy::cast_possible_truncation)]
fn columns<'m>(moments: impl Iterator<Item = &'m Moment>, scale: &Scale) -> BTreeSet<i64> {
    moments.map(|moment| (scale.x(moment.at_ms) * 2.0).round() as i64).collect()
}

#[allow(clippy::cast_precision_loss)]
fn ticks(timeline: &Timeline, scale: &Scale, name: &str, kind: Kind, class: &str) -> Option<Lane> {
    let count = of(timeline, kind).count();
    let drawn = html! {
        line.base x1=(px(LEFT)) x2=(px(RIGHT)) y1="8" y2="8" {}
        @for column in columns(of(timeline, kind), scale) {
            @let at = px(column as f64 / 2.0);
            line.(class) x1=(at) x2=(at) y1="2" y2="14" {}
        }
    };
    (count > 0).then(|| Lane { name: format!("{name} ({count})"), height: MARKS, drawn })
}

/// Git requests as dots, another colour for those that were refused.
#[allow(clippy::cast_precision_loss)]
fn git(timeline: &Timeline, scale: &Scale) -> Option<Lane> {
    let count = of(timeline, Kind::Git).count();
    let is_good = |moment: &&Moment| moment.status.is_some_and(|status| status < 400);
    let good = columns(of(timeline, Kind::Git).filter(is_good), scale);
    let refused = columns(of(timeline, Kind::Git).filter(|moment| !is_good(moment)), scale);
    let drawn = html! {
        line.base x1=(px(LEFT)) x2=(px(RIGHT)) y1="8" y2="8" {}
        @for column in good { circle.git cx=(px(column as f64 / 2.0)) cy="8" r="4" {} }
        @for column in refused { path.bad d={ "M" (px(column as f64 / 2.0 - 4.0)) " 4l8 8m0 -8l-8 8" } {} }
    };
    (count > 0).then(|| Lane { name: format!("git ({count})"), height: MARKS, drawn })
}

/// The figures in one sentence: what a screen reader says of the drawing, and what stands below it.
fn words(timeline: &Timeline) -> String {
    let count = |kind| of(timeline, kind).count();
    let figures = [
        (attempts(timeline).len(), "attempt to connect", "attempts to connect"),
        (count(Kind::TurnedAway), "of them turned away", "of them turned away"),
        (count(Kind::Req), "REQ", "REQ"),
        (count(Kind::Neg), "NEG-OPEN", "NEG-OPEN"),
        (timeline.events, "event sent", "events sent"),
        (count(Kind::Git), "git request", "git requests"),
    ];
    let some = figures.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> =
        some.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect();
    let parts = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    let mut words =
        format!("What the server did at {} in {}: {parts}", timeline.name, span(timeline.took_ms));
    if timeline.left_out > 0 {
        words.push_str(&format!("; {} later moments are not drawn", timeline.left_out));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at_ms: u64, kind: Kind, connection: u64) -> Moment {
        Moment {
            at_ms,
            kind,
            connection: Some(connection),
            subscription: None,
            filters: 0,
            status: None,
            text: "<script>".to_owned(),
        }
    }

    fn timeline(moments: Vec<Moment>) -> Timeline {
        Timeline { name: "peer 1".to_owned(), took_ms: 20_000, events: 3, moments, left_out: 0 }
    }

    #[test]
    fn a_back_off_is_drawn_with_its_waits() {
        let tried = [0, 1_000, 3_000, 7_000, 15_000].map(|at| moment(at, Kind::TurnedAway, at));
        let drawn = drawing(&timeline(tried.to_vec())).into_string();
        for wait in ["1.0 s", "2.0 s", "4.0 s", "8.0 s"] {
            assert!(drawn.contains(wait), "{wait} in {drawn}");
        }
        assert!(drawn.contains("5 attempts to connect, 5 of them turned away"), "{drawn}");
        assert!(!drawn.contains("<script"), "{drawn}");
    }

    #[test]
    fn what_is_open_rises_and_falls() {
        let on = |at, kind, name: &str, filters| Moment {
            subscription: Some(name.to_owned()),
            filters,
            ..moment(at, kind, 1)
        };
        let moments = vec![
            moment(0, Kind::Connect, 1),
            on(10, Kind::Req, "a", 3),
            on(20, Kind::Req, "b", 4),
            on(30, Kind::Close, "a", 0),
            on(40, Kind::Neg, "n", 1),
            moment(50, Kind::Leave, 1),
        ];
        let timeline = timeline(moments);
        assert_eq!(steps(&timeline), [(10, 1, 3), (20, 2, 7), (30, 1, 4), (50, 0, 0)]);
        assert!(drawing(&timeline).into_string().contains("most: 7 filters, 2 subscriptions"));
    }

    #[test]
    fn a_peer_to_which_nobody_came_is_drawn_too() {
        let nobody = Timeline { events: 0, ..timeline(Vec::new()) };
        assert!(drawing(&nobody).into_string().contains("in 20.0 s: nothing"));
    }
}
