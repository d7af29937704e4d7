//! The whole page.

use super::elements::{mark, title_of, utc};
use super::view::View;
use super::words::span;
use super::{machine, problems, services, transfers};
use maud::{DOCTYPE, Markup, html};
use std::time::{Duration, UNIX_EPOCH};

/// Draws the page.
pub fn page(view: &View) -> String {
    let problems = problems::of(view);
    let title = match problems.len() {
        0 => format!("Tidegate on {}", view.host),
        count => format!("({count}) Tidegate on {}", view.host),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="tidegate.css";
                script src="tidegate.js" defer {}
                noscript { meta http-equiv="refresh" content="5"; }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    p.name { "Tidegate" }
                    nav aria-label="Sections" {
                        @for section in SECTIONS { a href={ "#" (section) } { (title_of(section)) } }
                    }
                    p.refresh {
                        span #fresh role="status" {}
                        button #pause type="button" hidden { "Pause" }
                    }
                }
                main #content tabindex="-1" { (content(view, &problems)) }
            }
        }
    };
    page.into_string()
}

/// Sections, by the anchors that lead to them.
const SECTIONS: [&str; 6] = ["services", "running", "failed", "drops", "workers", "links"];

fn content(view: &View, problems: &[String]) -> Markup {
    html! {
        h1 { "Tidegate on " (view.host) }
        (summary(view))
        section.problems aria-label="Problems" {
            @if problems.is_empty() {
                p { (mark("up")) "No problem now." }
            } @else {
                h2 { (super::words::count(problems.len(), "problem")) }
                ul { @for problem in problems { li { (mark("down")) (problem) } } }
            }
        }
        (services::section(&view.services))
        (transfers::running(&view.flows))
        (transfers::failed(&view.failures))
        (machine::drops(&view.drops))
        (machine::workers(&view.workers))
        (machine::links(&view.interfaces))
    }
}

fn summary(view: &View) -> Markup {
    let since_1970 = view.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let reloads = view.daemon.reloads;
    let config_age =
        since_1970.saturating_sub(Duration::from_secs_f64(reloads.last_success.max(0.0)));
    let reload = match (view.last_reload, reloads.is_last_successful) {
        (None, _) => "none since the start".to_owned(),
        (Some(ago), true) => format!("done {} ago", span(ago)),
        (Some(ago), false) => format!("refused {} ago", span(ago)),
    };
    let facts = [
        ("Version", view.daemon.build.version.to_owned()),
        ("Up for", span(view.uptime)),
        ("Configuration in force for", span(config_age)),
        ("Last reload", reload),
        ("As of", utc(&humantime::format_rfc3339_seconds(view.at).to_string())),
    ];
    html! { dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
}
