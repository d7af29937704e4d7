//! Administrative states and weights of backends. They last until they are changed again, over reloads too.

use super::Daemon;
use crate::api::{self, Backend, Error, MOST_WEIGHT};
use crate::backend_status::{AdminState, BackendStatus};

impl Daemon {
    /// Sets the administrative state of a backend.
    pub(super) async fn order(&self, ordered: api::Order) -> Result<Backend, Error> {
        let api::Order { service, backend, order } = ordered;
        let row = self.change(&service, &backend, |status, _| status.admin = order).await?;
        let what = match order {
            AdminState::Enabled => "enabled",
            AdminState::Draining => "drained",
            AdminState::Disabled => "disabled",
        };
        log::info!("backend {backend} of {service} is {what} by command");
        Ok(row)
    }

    /// Sets the weight of a backend.
    pub(super) async fn weigh(&self, ordered: api::Weight) -> Result<Backend, Error> {
        let api::Weight { service, backend, weight } = ordered;
        if weight > MOST_WEIGHT {
            return Err(Error::Params(format!("`weight` is at most {MOST_WEIGHT}")));
        }
        let set = |status: &mut BackendStatus, written: u16| {
            status.weight = Some(weight).filter(|&weight| weight != written);
        };
        let row = self.change(&service, &backend, set).await?;
        log::info!("backend {backend} of {service} has weight {weight} by command");
        Ok(row)
    }

    /// Changes the status of a backend; `change` gets the file's weight too. The change is in force when this
    /// returns.
    async fn change(
        &self,
        service: &str,
        backend: &str,
        change: impl FnOnce(&mut BackendStatus, u16),
    ) -> Result<Backend, Error> {
        let written = self.written_weight(service, backend)?;
        self.statuses.send_modify(|statuses| change(statuses.entry(service, backend), written));
        self.publish().await;
        let mut rows = self.backends().into_iter();
        rows.find(|row| row.service == service && row.name == backend)
            .ok_or_else(|| Error::Unknown(format!("backend `{backend}` was removed meanwhile")))
    }

    fn written_weight(&self, service: &str, backend: &str) -> Result<u16, Error> {
        let active = self.active();
        let known = active.config().services.iter().find(|known| known.name == service);
        let known =
            known.ok_or_else(|| Error::Unknown(format!("there is no service `{service}`")))?;
        let backend =
            known.backends.iter().find(|known| known.name == backend).ok_or_else(|| {
                Error::Unknown(format!("service `{service}` has no backend `{backend}`"))
            })?;
        Ok(backend.weight)
    }
}
