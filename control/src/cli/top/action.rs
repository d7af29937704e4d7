//! The actions that keys stand for, and their effects outside of the program's state.

use super::screen::Screen;
use crate::api::Request;
use crate::backend_status::AdminState;
use std::net::IpAddr;

/// An action, which a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ends the program.
    Quit,
    /// Shows a screen.
    Show(Screen),
    /// Shows the screen so many places further.
    Turn(usize),
    /// Selects the row so many places further.
    Move(i16),
    /// Selects the first row.
    First,
    /// Selects the last row.
    Last,
    /// Gives the selected backend an order, after a question.
    Order(AdminState),
    /// Answers yes, or ends the filter.
    Accept,
    /// Goes back.
    Cancel,
    /// Shows the list of keys.
    Help,
    /// Edits the filter.
    Filter,
    /// Adds a character to the filter.
    Type(char),
    /// Removes the filter's last character.
    Erase,
    /// Sorts transfers by something else.
    Sort,
    /// Shows the selected transfer.
    Details,
    /// Begins a capture of the selected client, or ends the one that runs.
    Capture,
    /// Shows all reasons of drops, or only those that are not zero.
    AllDrops,
}

/// An effect of an action outside of the program's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ends the program.
    Quit,
    /// Asks the daemon for a sample at once.
    Refresh,
    /// Sends the daemon a request.
    Send(Request),
    /// Begins a capture of this client.
    Capture(IpAddr),
    /// Ends the capture.
    EndCapture,
}
