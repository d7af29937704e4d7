//! A capture of one client, which a key begins and ends, into a file of the folder that the program runs in.

use super::app::Capture;
use crate::api::CaptureFilter;
use crate::cli::capture::{CaptureFile, Tally};
use crate::cli::client::Failure;
use crate::cli::frames::Frames;
use crate::cli::pcapng;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::sync::{oneshot, watch};

/// A capture that ends when this is dropped.
pub struct Running {
    client: IpAddr,
    file: String,
    tally: watch::Receiver<Tally>,
    _end: oneshot::Sender<()>,
}

impl Running {
    /// A capture of this client, and the work to be done for it.
    pub fn begin(
        socket: PathBuf,
        client: IpAddr,
    ) -> (Running, impl Future<Output = Result<String, Failure>>) {
        let file = file_name(client, SystemTime::now());
        let (progress, tally) = watch::channel(Tally::default());
        let (end, ended) = oneshot::channel();
        let work = capture(socket, client, file.clone(), progress, ended);
        (Running { client, file, tally, _end: end }, work)
    }

    /// The capture, as the screen shows it.
    pub fn shown(&self) -> Capture {
        let Tally { frames, lost } = *self.tally.borrow();
        Capture { client: self.client, file: self.file.clone(), frames, lost }
    }
}

/// Captures until the end; returns the outcome in words.
async fn capture(
    socket: PathBuf,
    client: IpAddr,
    name: String,
    progress: watch::Sender<Tally>,
    mut end: oneshot::Receiver<()>,
) -> Result<String, Failure> {
    let filter = CaptureFilter { client: Some(client.into()), ..CaptureFilter::default() };
    let (start, mut frames) = Frames::start(&socket, filter).await?;
    let out = pcapng::create(Path::new(&name))?;
    let filter = format!("tidegate capture --client {client}");
    let mut file = CaptureFile::begin(out, &filter, &start)?;
    loop {
        let message = tokio::select! {
            _ = &mut end => break,
            message = frames.next() => message?,
        };
        file.add(&message, u64::MAX)?;
        progress.send_replace(file.tally());
    }
    let Tally { frames, lost } = file.end()?;
    Ok(format!("{name}: {frames} frames captured, {lost} lost"))
}

/// The file's name: client and time, without colons, which other programs take for the end of a host's name.
fn file_name(client: IpAddr, now: SystemTime) -> String {
    let client = client.to_string().replace(':', "-");
    let time = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "");
    format!("tidegate-{client}-{time}.pcapng")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    #[test]
    fn a_file_is_named_after_client_and_time() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_352_842);
        let name = |client: &str| file_name(client.parse().expect("an address"), time);
        assert_eq!(name("10.0.0.7"), "tidegate-10.0.0.7-20260301T081402Z.pcapng");
        assert_eq!(name("fd00::7"), "tidegate-fd00--7-20260301T081402Z.pcapng");
    }

    #[test]
    fn a_file_is_its_owner_s_and_none_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.pcapng");
        drop(pcapng::create(&path).expect("a file"));
        let mode = path.metadata().expect("its facts").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "kept").expect("it is writable");
        let error = pcapng::create(&path).err().expect("it is there already").to_string();
        assert!(error.contains("File exists"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), "kept");
    }
}
