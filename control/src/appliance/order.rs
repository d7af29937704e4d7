//! Orders to backends. An order lasts until another one, over reloads too.

use super::Appliance;
use crate::api::{self, Backend, Error, MOST_WEIGHT};
use crate::standing::{Order, Standing};

impl Appliance {
    /// Has a backend serve, finish what it has, or stop at once.
    pub(super) async fn order(&self, ordered: api::Order) -> Result<Backend, Error> {
        let api::Order { service, backend, order } = ordered;
        let row = self.change(&service, &backend, |standing, _| standing.order = order).await?;
        let what = match order {
            Order::Enabled => "enabled",
            Order::Draining => "drained",
            Order::Disabled => "disabled",
        };
        log::info!("backend {backend} of {service} is {what} by command");
        Ok(row)
    }

    /// Gives a backend a weight.
    pub(super) async fn weigh(&self, ordered: api::Weight) -> Result<Backend, Error> {
        let api::Weight { service, backend, weight } = ordered;
        if weight > MOST_WEIGHT {
            return Err(Error::Params(format!("`weight` is at most {MOST_WEIGHT}")));
        }
        let set = |standing: &mut Standing, written: u16| {
            standing.weight = Some(weight).filter(|&weight| weight != written);
        };
        let row = self.change(&service, &backend, set).await?;
        log::info!("backend {backend} of {service} has weight {weight} by command");
        Ok(row)
    }

    /// Changes how a backend stands, of which the file's weight is told. When that is answered, it is in force.
    async fn change(
        &self,
        service: &str,
        backend: &str,
        change: impl FnOnce(&mut Standing, u16),
    ) -> Result<Backend, Error> {
        let written = self.written_weight(service, backend)?;
        self.standings.send_modify(|standings| change(standings.entry(service, backend), written));
        self.refresh().await;
        let mut rows = self.backends().into_iter();
        rows.find(|row| row.service == service && row.name == backend)
            .ok_or_else(|| Error::Unknown(format!("backend `{backend}` was removed meanwhile")))
    }

    fn written_weight(&self, service: &str, backend: &str) -> Result<u16, Error> {
        let in_force = self.in_force();
        let known = in_force.config().services.iter().find(|known| known.name == service);
        let known =
            known.ok_or_else(|| Error::Unknown(format!("there is no service `{service}`")))?;
        let backend =
            known.backends.iter().find(|known| known.name == backend).ok_or_else(|| {
                Error::Unknown(format!("service `{service}` has no backend `{backend}`"))
            })?;
        Ok(backend.weight)
    }
}
