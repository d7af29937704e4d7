//! Admission of a client that opens a connection: by the service's access list, and by its quota.

use super::WorkerState;
use crate::context::Env;
use crate::flow::endpoint::HostId;
use crate::flow::host_table::NoRoom;
use crate::types::drop_reason::DropReason;
use crate::types::id::ServiceId;
use crate::types::verdict::Step;
use std::net::IpAddr;

impl WorkerState {
    /// Admits a client to this service. Its address is interned, and must be released if no connection comes of it.
    ///
    /// # Errors
    ///
    /// The service does not admit the client, or there is no room for its address.
    pub fn admit(&mut self, client: IpAddr, service: ServiceId, env: &Env) -> Step<HostId> {
        if !env.snapshot[service].access.admits(client) {
            self.counters.service(service).client.add(1);
            return Err(DropReason::Refused.into());
        }
        Ok(self.hosts.intern(client).map_err(|NoRoom| DropReason::FlowTableFull)?)
    }

    /// Admits a client for one more connection, or for one more data connection, as [`WorkerState::admit`] does.
    ///
    /// # Errors
    ///
    /// As [`WorkerState::admit`], or the client has as many connections as it may have.
    pub fn admit_connection(
        &mut self,
        client: IpAddr,
        service: ServiceId,
        is_data: bool,
        env: &Env,
    ) -> Step<HostId> {
        let host = self.admit(client, service, env)?;
        let checked = self.check_quota(host, service, is_data, env);
        checked.inspect_err(|_| self.hosts.release(host))?;
        Ok(host)
    }
}
