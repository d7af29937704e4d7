//! Connections per client and service, counted exactly: a client belongs to one worker. Unassured and silent ones are
//! listed, as they make room for another one of their client. All memory is allocated at once.

use super::endpoint::{Endpoint, HostId};
use super::hash::Seed;
use super::hash_index::{FlowId, Index, NO_FLOW};
use super::key::Key;
use super::lists::Lists;
use crate::types::direction::KeyKind;
use crate::types::id::ServiceId;
use wire::tcp::SeqNumber;

/// The account of a client at a service: for its connections, or for its data connections.
pub fn account(client: HostId, service: ServiceId, is_data: bool) -> Key {
    Key::new(Endpoint { host: client, port: service.0 }, is_data.into())
}

/// Counts of connections.
#[derive(Debug)]
pub struct Quotas {
    index: Index,
    accounts: Box<[Key]>,
    counts: Box<[u32]>,
    free: Vec<u32>,
    /// By row: the slot of its account, or [`NO_FLOW`].
    of: Box<[u32]>,
    /// By row: sequence number of the client's first byte.
    first: Box<[SeqNumber]>,
    /// Two lists per account: unassured rows, and assured rows that may have sent nothing; oldest first.
    quiet: Lists,
    seed: Seed,
}

impl Quotas {
    /// Quotas for so many rows; with 0 rows nothing is counted.
    pub fn new(rows: usize, seed: Seed) -> Quotas {
        Quotas {
            index: Index::new(rows),
            accounts: vec![Key::NONE; rows].into(),
            counts: vec![0; rows].into(),
            free: (0..rows as u32).rev().collect(),
            of: vec![NO_FLOW; rows].into(),
            first: vec![SeqNumber::default(); rows].into(),
            quiet: Lists::new(rows as u32, 2 * rows as u32),
            seed,
        }
    }

    /// Number of connections of this account.
    pub fn count(&self, account: Key) -> u32 {
        self.find(account).map_or(0, |place| self.counts[place as usize])
    }

    /// Counts the row, which is not assured yet.
    pub fn enter(&mut self, row: FlowId, account: Key) {
        if row as usize >= self.of.len() {
            return;
        }
        let Some(place) = self.find(account).or_else(|| self.open(account)) else { return };
        self.counts[place as usize] += 1;
        self.of[row as usize] = place;
        self.quiet.append(unassured(place), row);
    }

    /// Uncounts the row, which has ended or is reused.
    pub fn leave(&mut self, row: FlowId) {
        let Some(place) = self.place(row) else { return };
        self.of[row as usize] = NO_FLOW;
        self.quiet.remove(row);
        self.counts[place as usize] -= 1;
        if self.counts[place as usize] == 0 {
            self.index.remove(self.hash(self.accounts[place as usize]), place);
            self.free.push(place);
        }
    }

    /// Marks the row as assured; its client's first byte has sequence number `first`.
    pub fn assure(&mut self, row: FlowId, first: SeqNumber) {
        let Some(place) = self.place(row) else { return };
        self.first[row as usize] = first;
        self.quiet.append(quiet(place), row);
    }

    /// Sequence number of the client's first byte.
    pub fn first(&self, row: FlowId) -> SeqNumber {
        self.first.get(row as usize).copied().unwrap_or_default()
    }

    /// The oldest unassured row of this account.
    pub fn unassured(&self, account: Key) -> Option<FlowId> {
        self.find(account).and_then(|place| self.quiet.first(unassured(place)))
    }

    /// The oldest assured row of this account that may have sent nothing.
    pub fn quiet(&self, account: Key) -> Option<FlowId> {
        self.find(account).and_then(|place| self.quiet.first(quiet(place)))
    }

    /// Notes that the row's client has sent data.
    pub fn speaks(&mut self, row: FlowId) {
        if self.place(row).is_some() {
            self.quiet.remove(row);
        }
    }

    fn place(&self, row: FlowId) -> Option<u32> {
        self.of.get(row as usize).copied().filter(|&place| place != NO_FLOW)
    }

    fn find(&self, account: Key) -> Option<u32> {
        self.index.find(self.hash(account), |place| self.accounts[place as usize] == account)
    }

    fn open(&mut self, account: Key) -> Option<u32> {
        let &place = self.free.last()?;
        if !self.index.insert(self.hash(account), place) {
            return None;
        }
        self.free.pop();
        self.accounts[place as usize] = account;
        Some(place)
    }

    fn hash(&self, account: Key) -> u64 {
        self.seed.hash(KeyKind::Client, account)
    }
}

/// The list of this account's unassured rows.
fn unassured(place: u32) -> u32 {
    2 * place
}

/// The list of this account's silent rows.
fn quiet(place: u32) -> u32 {
    2 * place + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn client(n: u8) -> HostId {
        HostId::v4(Ipv4Addr::new(10, 0, 0, n))
    }

    #[test]
    fn each_client_each_service_and_data_for_itself() {
        let mut quotas = Quotas::new(8, Seed([1, 2]));
        let accounts = [(1, 0, false), (1, 0, true), (1, 1, false), (2, 0, false)]
            .map(|(n, service, is_data)| account(client(n), ServiceId(service), is_data));
        for (row, account) in (0..).zip(accounts) {
            quotas.enter(row, account);
        }
        quotas.enter(4, accounts[0]);
        assert_eq!(accounts.map(|account| quotas.count(account)), [2, 1, 1, 1]);
        (0..8).for_each(|row| quotas.leave(row));
        assert_eq!(accounts.map(|account| quotas.count(account)), [0; 4]);
        (0..8).for_each(|row| quotas.enter(row, account(client(row as u8), ServiceId(0), false)));
        assert_eq!(quotas.count(account(client(7), ServiceId(0), false)), 1);
    }

    #[test]
    fn who_was_quiet_for_longest_comes_first() {
        let mut quotas = Quotas::new(8, Seed([1, 2]));
        let account = account(client(1), ServiceId(0), false);
        (0..5).for_each(|row| quotas.enter(row, account));
        [3, 0, 2].into_iter().for_each(|row| quotas.assure(row, SeqNumber(70 + row)));
        quotas.speaks(3);
        assert_eq!((quotas.unassured(account), quotas.quiet(account)), (Some(1), Some(0)));
        assert_eq!((quotas.first(0), quotas.count(account)), (SeqNumber(70), 5));
    }

    #[test]
    fn without_room_nothing_is_counted() {
        let mut quotas = Quotas::new(0, Seed([1, 2]));
        let account = account(client(1), ServiceId(0), false);
        quotas.enter(3, account);
        quotas.assure(3, SeqNumber(1));
        quotas.speaks(3);
        quotas.leave(3);
        assert_eq!((quotas.count(account), quotas.unassured(account)), (0, None));
    }
}
