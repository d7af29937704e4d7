//! Lines of Tidegate's own log, for tests.

use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;

thread_local! {
    /// The lines of this thread, while somebody listens.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct Listener;

impl Log for Listener {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        LINES
            .with_borrow_mut(|lines| lines.as_mut().map(|all| all.push(record.args().to_string())));
    }

    fn flush(&self) {}
}

/// The lines that this thread logs meanwhile.
pub fn by(work: impl FnOnce()) -> Vec<String> {
    // Another test may have been here before.
    let _ = log::set_logger(&Listener);
    log::set_max_level(LevelFilter::Info);
    LINES.set(Some(vec![]));
    work();
    LINES.take().unwrap_or_default()
}
