//! The screens.

/// A screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    /// Services, workers and interfaces.
    #[default]
    Overview,
    /// Backends, with orders.
    Backends,
    /// Transfers and connections now.
    Transfers,
    /// Dropped packets by reason.
    Drops,
    /// Clients that ask again and again, and those with the most bytes.
    Clients,
    /// The last ends and refusals.
    Log,
}

impl Screen {
    /// All screens, in the order of their number keys.
    pub const ALL: [Screen; 6] = [
        Screen::Overview,
        Screen::Backends,
        Screen::Transfers,
        Screen::Drops,
        Screen::Clients,
        Screen::Log,
    ];

    /// The screen's name.
    pub fn name(self) -> &'static str {
        match self {
            Screen::Overview => "Overview",
            Screen::Backends => "Backends",
            Screen::Transfers => "Transfers",
            Screen::Drops => "Drops",
            Screen::Clients => "Clients",
            Screen::Log => "Log",
        }
    }
}
