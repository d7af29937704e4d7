//! A port whose buffers are on loan, as a device's are.

use crossbeam::queue::ArrayQueue;
use engine::types::frame::{Burst, Frame};
use kit::worker_set::Wire;
use std::sync::Arc;
use worker::port::Port;

/// Bytes of a buffer.
const SIZE: usize = 2048;

type Shelf = Arc<ArrayQueue<Box<[u8; SIZE]>>>;

/// A buffer that goes back to where it came from, as a device's does.
pub struct Loan {
    /// The buffer's bytes, taken out when it is given back.
    bytes: Option<Box<[u8; SIZE]>>,
    len: usize,
    shelf: Shelf,
}

impl Frame for Loan {
    fn bytes(&self) -> &[u8] {
        &self.bytes.as_ref().expect("until it is dropped")[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes.as_mut().expect("until it is dropped")[..self.len]
    }

    fn set_len(&mut self, len: usize) -> bool {
        let fits = len <= SIZE;
        if fits {
            self.len = len;
        }
        fits
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let bytes = self.bytes.take().expect("once");
        self.shelf.push(bytes).expect("room for all there are");
    }
}

/// A port whose buffers are on loan.
#[derive(Clone)]
pub struct Lending {
    wire_in: Arc<ArrayQueue<Loan>>,
    wire_out: Arc<ArrayQueue<Loan>>,
    shelf: Shelf,
}

impl Wire for Lending {
    fn new(room: usize) -> Lending {
        let shelf = ArrayQueue::new(8192);
        while shelf.push(Box::new([0; SIZE])).is_ok() {}
        Lending {
            wire_in: Arc::new(ArrayQueue::new(room)),
            wire_out: Arc::new(ArrayQueue::new(room)),
            shelf: Arc::new(shelf),
        }
    }

    fn arrive(&self, frame: &[u8]) {
        let loan = self.clone().frame(frame).expect("a buffer");
        assert!(self.wire_in.push(loan).is_ok(), "room on the wire");
    }

    fn leave(&self) -> Option<Vec<u8>> {
        self.wire_out.pop().map(|loan| loan.bytes().to_vec())
    }
}

impl Port for Lending {
    type Buffer = Loan;

    fn receive(&mut self, burst: &mut Burst<Loan>) {
        while !burst.is_full()
            && let Some(frame) = self.wire_in.pop()
        {
            burst.push(frame);
        }
    }

    fn transmit(&mut self, burst: &mut Burst<Loan>) {
        let room = self.wire_out.capacity() - self.wire_out.len();
        let sent = room.min(burst.len());
        for frame in burst.drain(..sent) {
            self.wire_out.force_push(frame);
        }
    }

    fn frame(&mut self, frame: &[u8]) -> Option<Loan> {
        let mut bytes = self.shelf.pop()?;
        bytes[..frame.len()].copy_from_slice(frame);
        Some(Loan { bytes: Some(bytes), len: frame.len(), shelf: Arc::clone(&self.shelf) })
    }
}
