//! Real FTP servers with anonymous read and write access.

use crate::peers::{peer, with_user};
use kit::lab::{Lab, Process, until};
use std::fmt::Write;

/// A server program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ftpd {
    Vsftpd,
    Proftpd,
    Pure,
}

pub const FTPDS: [Ftpd; 3] = [Ftpd::Vsftpd, Ftpd::Proftpd, Ftpd::Pure];

/// Settings that a test varies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner<'a> {
    /// First and last passive port; any if left out.
    pub passive_ports: Option<(u16, u16)>,
    /// The address in replies to PASV; the server's own if left out.
    pub named: Option<&'a str>,
    /// Whether TLS is offered.
    pub tls: bool,
    /// Whether TLS is required from the first byte on; not supported by pure-ftpd.
    pub implicit: bool,
    /// Whether clients may name third hosts for data; supported by pure-ftpd only.
    pub foreign: bool,
}

impl Ftpd {
    /// Starts the server at all addresses of the host, with the lab's `files` and a writable folder `up`. pure-ftpd
    /// opens active connections from port 20, the others from any port.
    pub fn start(self, lab: &Lab, name: &str, manner: Manner) -> Process {
        folder(lab);
        let server = match self {
            Ftpd::Vsftpd => vsftpd(lab, name, manner),
            Ftpd::Proftpd => proftpd(lab, name, manner),
            Ftpd::Pure => pure_ftpd(lab, name, manner),
        };
        until(&format!("{self:?} listens"), || lab.must(name, "ss -Hltn").contains(":21 "));
        server
    }
}

/// vsftpd requires a root folder that is not writable.
fn folder(lab: &Lab) {
    use std::fs::{Permissions, create_dir_all, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let (files, up) = (lab.path("files"), lab.path("files/up"));
    create_dir_all(&up).expect("a folder");
    for (folder, mode) in [(files, 0o755), (up, 0o777)] {
        set_permissions(folder, Permissions::from_mode(mode)).expect("it is ours");
    }
}

/// Sessions stay in the host's namespace, where the lab ends them.
fn vsftpd(lab: &Lab, name: &str, manner: Manner) -> Process {
    let (empty, files) = (lab.path(&format!("{name}-empty")), lab.path("files"));
    std::fs::create_dir_all(&empty).expect("a folder");
    let mut text = format!(
        "background=NO\nseccomp_sandbox=NO\nisolate_network=NO\nxferlog_enable=NO\n\
         secure_chroot_dir={}\nanonymous_enable=YES\nftp_username=daemon\nanon_root={}\n\
         write_enable=YES\nanon_upload_enable=YES\n\
         anon_other_write_enable=YES\nmax_per_ip=0\nasync_abor_enable=YES\n",
        empty.display(),
        files.display()
    );
    if let Some((first, last)) = manner.passive_ports {
        let _ = writeln!(text, "pasv_min_port={first}\npasv_max_port={last}");
    }
    // A dual-stack socket announces no other address.
    match manner.named {
        Some(address) => {
            let _ = writeln!(text, "listen=YES\nlisten_ipv6=NO\npasv_address={address}");
        }
        None => text += "listen=NO\nlisten_ipv6=YES\n",
    }
    if manner.tls {
        let certificate = certificate(lab);
        let _ = writeln!(
            text,
            "ssl_enable=YES\nallow_anon_ssl=YES\nssl_ciphers=HIGH\nrequire_ssl_reuse=NO\n\
             rsa_cert_file={certificate}"
        );
    }
    if manner.implicit {
        text += "implicit_ssl=YES\n";
    }
    let config = lab.path(&format!("{name}-vsftpd.conf"));
    std::fs::write(&config, text).expect("a file");
    let program = peer("vsftpd/usr/sbin/vsftpd");
    lab.spawn(name, &format!("{program} {}", config.display()))
}

fn proftpd(lab: &Lab, name: &str, manner: Manner) -> Process {
    // Only the server may write to its own folder.
    let folder = lab.path(&format!("{name}-proftpd"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |file: &str| folder.join(file);
    let mut text = format!(
        "ServerType standalone\nControlsEngine off\nUseIPv6 on\nUser daemon\nGroup nogroup\nUseReverseDNS off\n\
         ScoreboardFile {}\nPidFile {}\nDelayEngine off\nAuthPAM off\nUseFtpUsers off\nWtmpLog off\n\
         <Anonymous {}>\nUser daemon\nGroup daemon\nUserAlias anonymous daemon\n\
         RequireValidShell off\nAllowOverwrite on\nAllowRetrieveRestart on\n</Anonymous>\n",
        path("scoreboard").display(),
        path("pid").display(),
        lab.path("files").display()
    );
    if let Some((first, last)) = manner.passive_ports {
        let _ = writeln!(text, "PassivePorts {first} {last}");
    }
    if let Some(address) = manner.named {
        let _ = writeln!(text, "MasqueradeAddress {address}");
    }
    if manner.tls {
        let modules = peer("proftpd-mod-crypto/usr/lib/proftpd");
        let certificate = certificate(lab);
        let _ = writeln!(
            text,
            "ModulePath {modules}\nLoadModule mod_tls.c\nTLSEngine on\nTLSRSACertificateFile {certificate}\n\
             TLSRSACertificateKeyFile {certificate}\nTLSOptions NoSessionReuseRequired {}",
            if manner.implicit { "UseImplicitSSL" } else { "" }
        );
    }
    let config = path("conf");
    std::fs::write(&config, text).expect("a file");
    let program = peer("proftpd-core/usr/sbin/proftpd");
    lab.spawn(name, &format!("{program} --nodaemon -S 0.0.0.0 --config {}", config.display()))
}

/// pure-ftpd requires a user `ftp`.
fn pure_ftpd(lab: &Lab, name: &str, manner: Manner) -> Process {
    let program = peer("pure-ftpd/usr/sbin/pure-ftpd");
    let pid = lab.path(&format!("{name}-pure-ftpd.pid"));
    let mut script = format!(
        "exec {program} --anonymousonly --dontresolve --maxclientsnumber 200 --pidfile {}",
        pid.display()
    );
    if let Some((first, last)) = manner.passive_ports {
        let _ = write!(script, " --passiveportrange {first}:{last}");
    }
    if let Some(address) = manner.named {
        let _ = write!(script, " --forcepassiveip {address}");
    }
    if manner.tls {
        let _ = write!(script, " --tls 1 --certfile {}", certificate(lab));
    }
    if manner.foreign {
        script += " --allowanonymousfxp";
    }
    let user = format!("ftp:x:65532:65534::{}:/bin/false", lab.path("files").display());
    with_user(lab, name, &user, &script)
}

/// GNU inetutils' ftpd, of BSD's kind: without PORT it connects to the control connection's endpoint. It requires a
/// user `ftp`.
pub fn inetutils_ftpd(lab: &Lab, name: &str) -> Process {
    folder(lab);
    let program = peer("inetutils-ftpd/usr/sbin/ftpd");
    let pid = lab.path(&format!("{name}-inetutils-ftpd.pid"));
    let script = format!(
        "{program} --daemon --anonymous-only --pidfile={0}\nexec tail --pid=$(cat {0}) -f /dev/null",
        pid.display()
    );
    let user = format!("ftp:x:65532:65534::{}:/bin/false", lab.path("files").display());
    let server = with_user(lab, name, &user, &script);
    until("inetutils' ftpd listens", || lab.must(name, "ss -Hltn").contains(":21 "));
    server
}

/// A key and a self-signed certificate in one file.
fn certificate(lab: &Lab) -> String {
    let file = lab.path("certificate.pem").display().to_string();
    if !lab.path("certificate.pem").exists() {
        let kind = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ftp";
        lab.must("client", &format!("openssl req {kind} -keyout {file} -out {file}.part"));
        lab.must("client", &format!("sh -c cat+{file}.part+>>{file}"));
    }
    file
}
