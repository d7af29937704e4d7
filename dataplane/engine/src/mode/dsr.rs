//! Direct server return: only the Ethernet header is written. The backend has the VIP on its
//! loopback and answers past us.

use super::{Pools, Rules, SeenAs};
use crate::flow::hosts::Endpoint;
use crate::flow::ports::Rest;
use crate::tables::Backend;
use crate::verdict::Step;

/// The mode `dsr`.
pub struct Dsr;

impl Rules for Dsr {
    fn answers_seen(&self) -> bool {
        false
    }

    fn seen_as(&self, client: Endpoint, _: &Backend, _: u8, _: &mut Pools) -> Step<SeenAs> {
        Ok(client.into())
    }

    fn release(&self, _: Endpoint, _: u8, _: Rest, _: &mut Pools) {}
}
