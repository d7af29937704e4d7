//! The loop: samples, keys and signals, one at a time.

use super::action::Effect;
use super::app::{App, Listed};
use super::capture::Running;
use super::{input, view};
use crate::api::{Backend, Request};
use crate::cli::client::{self, Failure, parse};
use crate::cli::sample::Sample;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use serde_json::Value;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Time that the end waits for the rest of a capture.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows the daemon on this socket until a key or a signal ends it.
pub fn run(socket: &Path, json: bool) -> Result<(), Failure> {
    if json {
        return Err(Failure::Usage("top has no JSON: `stats --watch` has"));
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::Usage("top needs a terminal"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Output)?;
    // A panic restores the terminal too: this installs a hook for it.
    let terminal = ratatui::try_init().map_err(Failure::Output)?;
    let ended = LocalSet::new().block_on(&runtime, watch(terminal, socket));
    ratatui::restore();
    // A daemon that does not answer keeps nobody waiting.
    runtime.shutdown_background();
    ended.map_err(Failure::Output)
}

async fn watch(mut terminal: DefaultTerminal, socket: &Path) -> io::Result<()> {
    let mut app = App::default();
    let mut keys = EventStream::new();
    let (mut terminate, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut every_second = interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = JoinSet::new();
    let mut orders: JoinSet<Result<Backend, Failure>> = JoinSet::new();
    let mut captures: JoinSet<Result<String, Failure>> = JoinSet::new();
    let mut capture: Option<Running> = None;
    loop {
        app.capture = capture.as_ref().map(Running::shown);
        terminal.draw(|frame| view::draw(frame, &mut app))?;
        let effect = tokio::select! {
            _ = terminate.recv() => Some(Effect::Quit),
            _ = hangup.recv() => Some(Effect::Quit),
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) => {
                    input::action(&app, key).and_then(|action| app.perform(action))
                }
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(error),
                None => Some(Effect::Quit),
            },
            Some(answer) = samples.join_next() => {
                show(&mut app, answer?);
                None
            }
            Some(outcome) = orders.join_next() => {
                app.ordered(outcome?.map_err(|failure| failure.to_string()));
                Some(Effect::Refresh)
            }
            Some(outcome) = captures.join_next() => {
                capture = None;
                app.captured(outcome?.map_err(|failure| failure.to_string()));
                None
            }
            _ = every_second.tick(), if samples.is_empty() => {
                let (socket, list) = (socket.to_owned(), app.list());
                samples.spawn_blocking(move || sample(&socket, list.as_ref()));
                None
            }
        };
        match effect {
            Some(Effect::Quit) => break,
            Some(Effect::Refresh) => every_second.reset_immediately(),
            Some(Effect::Send(request)) => send(&mut orders, socket.to_owned(), request),
            // One that was just ended may still write.
            Some(Effect::Capture(client)) if captures.is_empty() => {
                let (running, work) = Running::begin(socket.to_owned(), client);
                capture = Some(running);
                captures.spawn_local(work);
            }
            Some(Effect::EndCapture) => capture = None,
            Some(Effect::Capture(_)) | None => {}
        }
    }
    drop(capture);
    // Its file gets its end.
    let _ = timeout(PATIENCE, captures.join_next()).await;
    Ok(())
}

/// Sends an order, which must not wait for a sample.
fn send(orders: &mut JoinSet<Result<Backend, Failure>>, socket: PathBuf, request: Request) {
    orders.spawn_blocking(move || client::ask(&socket, &request).and_then(parse));
}

fn show(app: &mut App, answer: Result<(Sample, Option<Listed>), Failure>) {
    match answer {
        Ok((sample, listed)) => app.take(sample, listed),
        Err(failure) => app.model.lose(SystemTime::now(), failure.to_string()),
    }
}

/// Asks for a sample, and a list with it. The daemon answers one request after the other, in a batch as well, so that a batch
/// would be no nearer to one moment than requests in a row on one connection are.
fn sample(socket: &Path, list: Option<&Request>) -> Result<(Sample, Option<Listed>), Failure> {
    let [status, services, backends, stats] = Sample::REQUESTS.each_ref();
    let Some(list) = list else {
        let answers = client::ask_all(socket, [status, services, backends, stats])?;
        return Ok((Sample::read(answers)?, None));
    };
    let [listed, answers @ ..] =
        client::ask_all(socket, [list, status, services, backends, stats])?;
    Ok((Sample::read(answers)?, read(list, listed)?))
}

fn read(request: &Request, answer: Value) -> Result<Option<Listed>, Failure> {
    Ok(match request {
        Request::Flows(_) => Some(Listed::Flows(parse(answer)?)),
        Request::Clients(_) => Some(Listed::Clients(parse(answer)?)),
        Request::Log(_) => Some(Listed::Log(parse(answer)?)),
        _ => None,
    })
}
