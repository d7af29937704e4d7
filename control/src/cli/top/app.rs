//! The program's state between two keys, and what each action makes of it.

use super::action::{Action, Effect};
use super::log;
use super::model::Model;
use super::screen::Screen;
use super::transfers::{self, Sort, Transfer};
use crate::api::{Backend, Clients, Few, Flows, Log, LogLine, Newer, Order, Request, Which};
use crate::backend_status::AdminState;
use crate::cli::sample::Sample;
use ratatui::widgets::TableState;
use std::net::IpAddr;

/// The most transfers to list: the daemon collects them every second.
const MOST_FLOWS: usize = 1000;
/// The most clients of each list.
const MOST_CLIENTS: usize = 100;

/// The meaning of keys.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Keys move between screens and rows.
    Browse,
    /// Keys edit the screen's filter.
    Filter,
    /// Keys answer whether to send this order.
    Confirm(Order),
    /// Keys close the list of keys.
    Help,
    /// Keys close the details of this transfer.
    Details(Box<Transfer>),
}

/// A capture that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The client.
    pub client: IpAddr,
    /// The file's name.
    pub file: String,
    /// Frames in the file.
    pub frames: u64,
    /// Frames that were lost.
    pub lost: u64,
}

/// The list of a screen that the daemon makes only when asked.
#[derive(Debug, Clone)]
pub enum Listed {
    /// Transfers and connections.
    Flows(Flows),
    /// Clients.
    Clients(Clients),
    /// Lines of the log.
    Log(Log),
}

/// The program's state.
#[derive(Debug)]
pub struct App {
    /// The screen that is shown.
    pub screen: Screen,
    /// The contents of the screens.
    pub model: Model,
    /// The selected row of each screen.
    pub tables: [TableState; Screen::ALL.len()],
    /// The order of transfers.
    pub sort: Sort,
    /// For each screen, a text that its rows must contain.
    pub filters: [String; Screen::ALL.len()],
    /// The meaning of keys now.
    pub mode: Mode,
    /// Whether reasons without drops are shown.
    pub shows_all_drops: bool,
    /// The outcome of the last order or capture.
    pub message: String,
    /// The capture that runs.
    pub capture: Option<Capture>,
}

impl Default for App {
    fn default() -> App {
        App {
            screen: Screen::default(),
            model: Model::default(),
            tables: [TableState::new().with_selected(0); Screen::ALL.len()],
            sort: Sort::default(),
            filters: Default::default(),
            mode: Mode::Browse,
            shows_all_drops: false,
            message: String::new(),
            capture: None,
        }
    }
}

impl App {
    /// The request for the list of the screen, if the daemon makes it only when asked.
    pub fn list(&self) -> Option<Request> {
        Some(match self.screen {
            Screen::Transfers => {
                Request::Flows(Which { limit: Some(MOST_FLOWS), ..Which::default() })
            }
            Screen::Clients => Request::Clients(Few { limit: Some(MOST_CLIENTS) }),
            Screen::Log => {
                let after = self.model.log.newest();
                Request::Log(Newer { after, limit: Some(log::MOST) })
            }
            Screen::Overview | Screen::Backends | Screen::Drops => return None,
        })
    }

    /// Takes a new sample, and a list that was asked for with it.
    pub fn take(&mut self, sample: Sample, listed: Option<Listed>) {
        let at = sample.at;
        self.model.take(sample);
        match listed {
            Some(Listed::Flows(flows)) => self.model.take_flows(at, &flows),
            Some(Listed::Clients(clients)) => self.model.clients = Some(clients),
            Some(Listed::Log(log)) => self.model.log.take(log),
            None => {}
        }
        if let Mode::Details(shown) = &mut self.mode
            && let Some(now) = self.model.transfers.iter().find(|one| one.is(shown))
        {
            **shown = now.clone();
        }
    }

    /// Takes the outcome of an order.
    pub fn ordered(&mut self, outcome: Result<Backend, String>) {
        self.message = match outcome {
            Ok(Backend { service, name, state, .. }) => {
                format!("backend {name} of {service} is {state}")
            }
            Err(why) => why,
        };
    }

    /// Takes the outcome of a capture.
    pub fn captured(&mut self, outcome: Result<String, String>) {
        self.capture = None;
        self.message = outcome.unwrap_or_else(|why| format!("no capture: {why}"));
    }

    /// The text that rows of the screen must contain.
    pub fn filter(&self) -> &str {
        &self.filters[self.screen as usize]
    }

    fn edit_filter(&mut self) -> &mut String {
        &mut self.filters[self.screen as usize]
    }

    /// The transfers that match the filter, in order.
    pub fn transfers(&self) -> Vec<&Transfer> {
        let filter = &self.filters[Screen::Transfers as usize];
        transfers::chosen(&self.model.transfers, filter, self.sort)
    }

    /// The lines of the log that match the filter, the latest first.
    pub fn lines(&self) -> Vec<&LogLine> {
        self.model.log.chosen(&self.filters[Screen::Log as usize])
    }

    /// The selected row of the screen, where there are so many.
    fn selected(&self, rows: usize) -> Option<usize> {
        let selected = self.tables[self.screen as usize].selected().unwrap_or(0);
        rows.checked_sub(1).map(|last| selected.min(last))
    }

    /// Carries out an action.
    pub fn perform(&mut self, action: Action) -> Option<Effect> {
        let table = &mut self.tables[self.screen as usize];
        match action {
            Action::Quit => return Some(Effect::Quit),
            Action::Show(screen) => return self.show(screen),
            Action::Turn(places) => {
                let next = (self.screen as usize + places) % Screen::ALL.len();
                return self.show(Screen::ALL[next]);
            }
            Action::Move(rows) if rows < 0 => table.scroll_up_by(rows.unsigned_abs()),
            Action::Move(rows) => table.scroll_down_by(rows.unsigned_abs()),
            Action::First => table.select_first(),
            Action::Last => table.select_last(),
            Action::Order(order) => self.confirm(order),
            Action::Accept => return self.accept(),
            Action::Cancel => self.cancel(),
            Action::Help => self.mode = Mode::Help,
            Action::Filter => self.mode = Mode::Filter,
            Action::Type(c) => self.edit_filter().push(c),
            Action::Erase => drop(self.edit_filter().pop()),
            Action::Sort => self.sort = self.sort.next(),
            Action::Details => self.open_details(),
            Action::Capture => return self.switch_capture(),
            Action::AllDrops => self.shows_all_drops = !self.shows_all_drops,
        }
        None
    }

    fn show(&mut self, screen: Screen) -> Option<Effect> {
        self.screen = screen;
        self.message.clear();
        self.list().map(|_| Effect::Refresh)
    }

    /// Asks whether to give the selected backend an order. The names are kept: rows may move before the answer.
    fn confirm(&mut self, order: AdminState) {
        let rows = &self.model.backends;
        let Some(place) = self.selected(rows.len()) else { return };
        let Backend { service, name, .. } = &rows[place].backend;
        let (service, backend) = (service.clone(), name.clone());
        self.mode = Mode::Confirm(Order { service, backend, order });
    }

    fn accept(&mut self) -> Option<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Confirm(order) => Some(Effect::Send(Request::Order(order))),
            _ => None,
        }
    }

    fn cancel(&mut self) {
        if std::mem::replace(&mut self.mode, Mode::Browse) == Mode::Filter {
            self.edit_filter().clear();
        }
    }

    fn switch_capture(&self) -> Option<Effect> {
        if self.capture.is_some() {
            return Some(Effect::EndCapture);
        }
        self.selected_client().map(Effect::Capture)
    }

    /// The client of the transfer that is shown or selected, or of the selected row of clients.
    fn selected_client(&self) -> Option<IpAddr> {
        if let Mode::Details(shown) = &self.mode {
            return Some(shown.address);
        }
        match self.screen {
            Screen::Transfers => {
                let rows = self.transfers();
                self.selected(rows.len()).map(|place| rows[place].address)
            }
            Screen::Clients => {
                let rows = &self.model.clients.as_ref()?.unfinished;
                self.selected(rows.len()).map(|place| rows[place].client)
            }
            Screen::Overview | Screen::Backends | Screen::Drops | Screen::Log => None,
        }
    }

    fn open_details(&mut self) {
        let rows = self.transfers();
        if let Some(place) = self.selected(rows.len()) {
            self.mode = Mode::Details(Box::new(rows[place].clone()));
        }
    }
}
