//! The lines of a control connection: what becomes of each, and what data connection is expected because of it.

use crate::alg::ftp::exchange::Exchange;
use crate::alg::ftp::rewriter::{Reader, Rewrite, Stream};
use crate::alg::ftp::{
    Context, EndpointFormat, FtpAction, from_client, from_server, refuse, write,
};
use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::snapshot::Protocol;
use crate::stage::peer::Peer;
use crate::state::WorkerState;
use crate::state::record::Refused;
use crate::types::id::BackendId;
use std::net::SocketAddr;

/// The reader of one side's lines.
pub struct Listener<'a> {
    /// Whether the client speaks.
    pub by_client: bool,
    /// Commands that wait for replies.
    pub exchange: &'a mut Exchange,
    /// The other side's stream.
    pub other: &'a mut Stream,
    /// The control connection.
    pub id: FlowId,
    /// The burst in hand.
    pub ctx: &'a BurstContext<'a>,
    /// The worker's state.
    pub state: &'a mut WorkerState,
}

impl Reader for Listener<'_> {
    /// Judges a line, and expects the data connection that it announces.
    fn judge(&mut self, line: &[u8]) -> Rewrite {
        let connection = &self.state.connections[self.id];
        let (backend, vip) = (connection.backend, connection.vip_address(self.ctx));
        let service = self.ctx.snapshot.service_of(backend);
        let Protocol::Ftp(ftp) = service.protocol else { return Rewrite::Keep };
        match self.asks(line, ftp.foreign_data) {
            FtpAction::Nothing => Rewrite::Keep,
            FtpAction::Opaque => {
                self.is_foreign();
                Rewrite::Opaque
            }
            FtpAction::Replace(other) => Rewrite::Replace(other),
            FtpAction::Refused(other) => {
                self.refuse_data();
                Rewrite::Replace(other)
            }
            FtpAction::Active { to, form } => {
                let (port, from) = (to.port(), ftp.data_port);
                let seen_as = self.state.expect_from_server(self.id, port, from, self.ctx).ok();
                let at = seen_as.map(|seen_as| self.state.hosts.socket_address(seen_as));
                tell(&form, line, at)
            }
            FtpAction::Passive { at, form } => {
                let port = self.state.expect_from_client(self.id, at.port(), self.ctx).ok();
                tell(&form, line, port.map(|port| SocketAddr::new(vip, port)))
            }
        }
    }

    fn passed(&mut self, start: &[u8]) {
        match self.by_client {
            true => self.exchange.command(start),
            false => {
                self.exchange.hear(start);
            }
        }
    }

    fn is_foreign(&mut self) {
        self.other.leave_alone();
        self.state.note_unread(self.id, true);
        self.state.sessions.settle(self.state.connections[self.id].session);
    }
}

impl Listener<'_> {
    /// Counts and records that the client has named a third host for its data.
    fn refuse_data(&mut self) {
        let connection = &self.state.connections[self.id];
        let service = self.ctx.backend(connection.backend).service;
        self.state.counters.service(service).data.add(1);
        let client = connection.client();
        let refused = Refused {
            service,
            vip: connection.vip(),
            protocol: client.protocol,
            client: self.state.hosts.socket_address(client.near()),
            hop: connection.back,
            request: None,
        };
        self.state.record_refusal(&refused, "data", self.ctx);
    }

    fn asks(&mut self, line: &[u8], foreign_data: bool) -> FtpAction {
        let (ctx, hosts) = (self.ctx, &self.state.hosts);
        let connection = &self.state.connections[self.id];
        let ranges = &ctx.snapshot[connection.vip()].passive;
        let is_its_own = |(_, owner): &&(_, BackendId)| *owner == connection.backend;
        let context = Context {
            client: hosts.socket_address(connection.client().near()).ip(),
            vip: connection.vip_address(ctx),
            server: Peer::server(connection, false, ctx, hosts).0,
            aliases: &ctx.backend(connection.backend).aliases,
            open_ports: ranges.iter().find(is_its_own).map(|(ports, _)| ports),
            foreign_data,
        };
        match self.by_client {
            true => from_client(line, &context, self.exchange),
            false => from_server(line, &context, self.exchange),
        }
    }
}

/// Tells this endpoint; `None`: no data connection can be expected, and the command is refused.
fn tell(form: &EndpointFormat, line: &[u8], endpoint: Option<SocketAddr>) -> Rewrite {
    let told = endpoint.and_then(|at| write(form, line, at));
    Rewrite::Replace(told.unwrap_or_else(|| refuse(form)))
}
