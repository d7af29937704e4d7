//! Real FTP clients: curl, lftp, and Python's ftplib with `ftp_client.py`.

use crate::peers::{in_url, same_bytes};
use kit::lab::Lab;
use std::fmt::Write;
use std::process::Output;

/// How a client opens data connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    Pasv,
    Epsv,
    Port,
    Eprt,
}

/// All over IPv4; the last two over IPv6.
pub const DATA: [Data; 4] = [Data::Pasv, Data::Epsv, Data::Port, Data::Eprt];
pub const DATA_V6: [Data; 2] = [Data::Epsv, Data::Eprt];

impl Data {
    fn verb(self) -> &'static str {
        match self {
            Data::Pasv => "PASV",
            Data::Epsv => "EPSV",
            Data::Port => "PORT",
            Data::Eprt => "EPRT",
        }
    }

    /// curl's options. It uses the address in the reply to PASV.
    fn options(self) -> &'static str {
        match self {
            Data::Pasv => "--disable-epsv --no-ftp-skip-pasv-ip",
            Data::Epsv => "",
            Data::Port => "--ftp-port - --disable-eprt",
            Data::Eprt => "--ftp-port -",
        }
    }
}

/// curl's words when the reply to a whole active transfer comes before the handshake's end of its data connection, as it
/// may: they are two connections.
const OVERTAKEN: &str = "Ctrl conn has data while waiting for data conn\n< 226";

/// curl, one session per call.
#[derive(Clone, Copy)]
pub struct Curl<'a> {
    pub lab: &'a Lab,
    /// The server's address, or a VIP.
    pub at: &'a str,
    pub data: Data,
    /// Control and data connections in TLS.
    pub tls: bool,
    /// TLS from the first byte on, without AUTH.
    pub implicit: bool,
}

impl<'a> Curl<'a> {
    pub fn new(lab: &'a Lab, at: &'a str, data: Data) -> Curl<'a> {
        Curl { lab, at, data, tls: false, implicit: false }
    }

    /// Downloads these files and compares them.
    pub fn get(self, files: &[&str]) {
        let url = self.url();
        let mut command = String::new();
        for file in files {
            let _ = write!(command, " -o {} {url}{file}", self.got(file));
        }
        self.run(&command);
        files.iter().for_each(|file| self.compare(&self.got(file), &format!("files/{file}")));
    }

    /// Uploads these files and compares them.
    pub fn put(self, files: &[&str]) {
        let url = self.url();
        let mut command = String::new();
        for file in files {
            let _ = std::fs::remove_file(self.lab.path(&format!("files/up/{file}")));
            let from = self.lab.path(&format!("files/{file}"));
            let _ = write!(command, " -T {} {url}up/{file}", from.display());
        }
        self.run(&command);
        for file in files {
            self.compare(&format!("files/up/{file}"), &format!("files/{file}"));
        }
    }

    /// Lists the folder, which must contain these files.
    pub fn list(self, files: &[&str]) {
        let output = self.run(&self.url());
        let list = String::from_utf8_lossy(&output.stdout);
        for file in files {
            let there = list.lines().any(|line| line.split_whitespace().last() == Some(file));
            assert!(there, "{}: no {file} in the list: {list}", self.name());
        }
    }

    /// Resumes a file at its middle.
    pub fn resume(self, file: &str) {
        let whole = std::fs::read(self.lab.path(&format!("files/{file}"))).expect("a file");
        let half = &whole[..whole.len() / 2];
        std::fs::write(self.lab.path(&self.got(file)), half).expect("a file");
        let output = self.run(&format!("-C - -o {} {}{file}", self.got(file), self.url()));
        assert!(said(&output).contains(&format!("> REST {}", half.len())), "{}", said(&output));
        self.compare(&self.got(file), &format!("files/{file}"));
    }

    /// Each session has its own file names.
    fn got(self, file: &str) -> String {
        format!("got-{}-{file}", self.data.verb())
    }

    fn url(self) -> String {
        // Its default port would be 990.
        let (scheme, port) = if self.implicit { ("ftps", ":21") } else { ("ftp", "") };
        format!("{scheme}://{}{port}/", in_url(self.at))
    }

    /// Runs one session, in which no data connection is opened in another way.
    fn run(self, command: &str) -> Output {
        let tls = if self.tls { "--ssl-reqd --insecure" } else { "" };
        let options = format!("--fail-early --max-time 180 -sSv {} {tls}", self.data.options());
        let session = || self.lab.run("client", &format!("curl {options} {command}"));
        let mut output = session();
        for _ in 0..3 {
            if said(&output).contains(OVERTAKEN) {
                output = session();
            }
        }
        let said = said(&output);
        assert!(output.status.success(), "{}: `{command}`: {said}", self.name());
        for verb in DATA.map(Data::verb) {
            let used = said.contains(&format!("> {verb}"));
            assert_eq!(used, verb == self.data.verb(), "{}: {verb}: {said}", self.name());
        }
        output
    }

    fn compare(self, one: &str, other: &str) {
        let same = same_bytes(&self.lab.path(one), &self.lab.path(other));
        assert!(same, "{}: {one} is not {other}", self.name());
    }

    fn name(self) -> String {
        let tls = if self.tls { " in TLS" } else { "" };
        format!("curl at {} with {}{tls}", self.at, self.data.verb())
    }
}

/// Runs these commands in one lftp session; all must succeed.
pub fn lftp(lab: &Lab, at: &str, settings: &str, commands: &str) {
    let script = format!(
        "set cmd:fail-exit yes\nset net:max-retries 1\nset net:timeout 60\nset ftp:use-abor yes\n\
         {settings}\nopen ftp://{}/\n{commands}\n",
        in_url(at)
    );
    let file = lab.path("lftp-script");
    std::fs::write(&file, &script).expect("a file");
    let home = format!("env LFTP_HOME={}", lab.path("lftp").display());
    let output =
        lab.run("client", &format!("{home} timeout 180 lftp --norc -f {}", file.display()));
    assert!(output.status.success(), "lftp at {at}: {script}{}", said(&output));
}

/// The command that runs `ftp_client.py` with these words.
pub fn ftplib(words: &str) -> String {
    format!("timeout 180 {}", ftplib_for_ever(words))
}

/// A command that runs `ftp_client.py` without a limit of time: for what goes on until it is told to stop.
pub fn ftplib_for_ever(words: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/ftp_client.py");
    format!("/usr/bin/python3 {script} {words}")
}

/// Runs `ftp_client.py`, which must succeed.
pub fn must_ftplib(lab: &Lab, words: &str) {
    let output = lab.run("client", &ftplib(words));
    assert!(output.status.success(), "ftplib: {words}: {}", said(&output));
}

/// The program's output.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}
