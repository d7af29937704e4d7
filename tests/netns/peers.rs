//! Real servers and real clients.

use kit::lab::{DSR_VIP, Lab, Process, VIPS_V6, until};
use std::path::{Path, PathBuf};

/// Makes the folder that both servers serve, with these files of random bytes.
pub fn files(lab: &Lab, sizes: &[(&str, usize)]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(lab.path("files")).expect("a folder");
    for folder in [lab.dir.path(), &lab.path("files")] {
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder, open).expect("servers may read it");
    }
    for &(name, size) in sizes {
        let mut random = std::io::Read::take(
            std::fs::File::open("/dev/urandom").expect("random bytes"),
            size as u64,
        );
        let mut file = std::fs::File::create(lab.path("files").join(name)).expect("a file");
        std::io::copy(&mut random, &mut file).expect("random bytes");
    }
}

/// Processes of one host's server: clients of `dsr` need answers from the VIP, so one process is bound to it.
pub type Server = Vec<Process>;

/// tftpd-hpa on the host's own address and on the VIP of `dsr`.
pub fn tftpd_hpa(lab: &Lab, name: &str) -> Server {
    vec![tftpd_hpa_at(lab, name, address(name)), tftpd_hpa_at(lab, name, DSR_VIP)]
}

/// tftpd-hpa over IPv6, at the host's own address and at the VIP of `dsr`.
pub fn tftpd_hpa_v6(lab: &Lab, name: &str) -> Server {
    [address_v6(name), VIPS_V6[2]].map(|at| tftpd_hpa_at(lab, name, &format!("[{at}]"))).into()
}

/// tftpd-hpa at one address. At 0.0.0.0 it would answer its first request from the host's own address.
pub fn tftpd_hpa_at(lab: &Lab, name: &str, address: &str) -> Process {
    tftpd_hpa_with(lab, name, address, "")
}

/// tftpd-hpa at one address with a further option.
pub fn tftpd_hpa_with(lab: &Lab, name: &str, address: &str, option: &str) -> Process {
    tftpd_hpa_in(lab, name, address, option, "files")
}

/// tftpd-hpa at one address with a further option and another folder.
pub fn tftpd_hpa_in(lab: &Lab, name: &str, address: &str, option: &str, folder: &str) -> Process {
    let program = peer("tftpd-hpa/usr/sbin/in.tftpd");
    let files = lab.path(folder);
    let options = "--foreground --listen --create --permissive --user nobody --secure";
    serve(
        lab,
        name,
        address,
        &format!("{program} {options} {option} --address {address}:69 {}", files.display()),
    )
}

/// Sends this signal to all programs of a host, with all their children.
pub fn signal_all(lab: &Lab, name: &str, signal: &str) {
    let all = std::process::Command::new("ip").args(["netns", "pids", &lab.space(name)]).output();
    let all = String::from_utf8_lossy(&all.expect("ip runs").stdout).into_owned();
    let ids = all.split_whitespace();
    // A program that has ended meanwhile is no failure.
    let kill = std::process::Command::new("kill").arg(format!("-{signal}")).args(ids).output();
    kill.expect("kill runs");
}

/// atftpd at the host's own address and at the VIP of `dsr`. It does not support IPv6.
pub fn atftpd(lab: &Lab, name: &str) -> Server {
    let program = peer("atftpd/usr/sbin/atftpd");
    let files = lab.path("files");
    let options = "--daemon --no-fork --user nobody.nogroup --port 69 --maxthread 300";
    let at = |address| {
        let command = format!("{program} {options} --bind-address {address} {}", files.display());
        serve(lab, name, address, &command)
    };
    vec![at(address(name)), at(DSR_VIP)]
}

/// The address of a host.
pub fn address(name: &str) -> &'static str {
    if name == "s1" { "10.77.0.30" } else { "10.77.0.31" }
}

/// The IPv6 address of a host.
pub fn address_v6(name: &str) -> &'static str {
    if name == "s1" { "fd00:77::30" } else { "fd00:77::31" }
}

/// dnsmasq, which answers from port 69 for all transfers.
pub fn single_port(lab: &Lab, name: &str) -> Process {
    dnsmasq(lab, name, "--tftp-single-port")
}

/// dnsmasq over IPv4 and IPv6, at all addresses of the host.
pub fn dnsmasq(lab: &Lab, name: &str, option: &str) -> Process {
    let program = peer("dnsmasq-base/usr/sbin/dnsmasq");
    let files = lab.path("files");
    let options = "--keep-in-foreground --port=0 --conf-file=/dev/null --user=root --pid-file \
                   --enable-tftp";
    let command = format!("{program} {options} {option} --tftp-root={}", files.display());
    serve(lab, name, "0.0.0.0", &command)
}

/// dnsmasq as a DHCP server.
pub fn dhcp(lab: &Lab, name: &str, options: &str) -> Process {
    let program = peer("dnsmasq-base/usr/sbin/dnsmasq");
    let always = "--keep-in-foreground --port=0 --conf-file=/dev/null --user=root --pid-file \
                  --bind-interfaces --no-ping --log-dhcp";
    lab.spawn(name, &format!("{program} {always} {options}"))
}

/// OpenSSH at all addresses of the host; root logs in with [`ssh_key`].
pub fn sshd(lab: &Lab, name: &str) -> Process {
    let (program, dir) = (peer("openssh-server/usr/sbin/sshd"), lab.path(&format!("{name}-sshd")));
    let (dir, key) = (dir.display(), ssh_key(lab));
    let user = "sshd:x:65533:65534::/run/sshd:/bin/false";
    let script = format!(
        "mkdir {dir}\n\
         ssh-keygen -q -t ed25519 -N '' -f {dir}/key\n\
         cat {key}.pub >{dir}/authorized\n\
         mount -t tmpfs none /run && mkdir /run/sshd\n\
         exec {program} -D -e -f /dev/null -h {dir}/key -o UsePAM=no -o PidFile=none \
         -o StrictModes=no -o MaxStartups=100 -o AuthorizedKeysFile={dir}/authorized -o 'Subsystem sftp internal-sftp'\n",
        key = key.display()
    );
    let server = with_user(lab, name, user, &script);
    until("sshd listens", || lab.must(name, "ss -Hltn").contains(":22 "));
    server
}

/// The client's key, made at its first use.
pub fn ssh_key(lab: &Lab) -> PathBuf {
    let key = lab.path("ssh-key");
    if !key.exists() {
        let make = format!("ssh-keygen+-q+-t+ed25519+-N+''+-f+{}", key.display());
        lab.must("client", &format!("sh -c {make}"));
    }
    key
}

/// Starts a script in a host. Its programs require a user that only an installed package creates: the script gets one
/// in a mount namespace of its own.
pub fn with_user(lab: &Lab, name: &str, user: &str, script: &str) -> Process {
    let who = user.split(':').next().expect("a name");
    let (users, file) = (lab.path(&format!("{name}-{who}.passwd")), format!("{name}-{who}.sh"));
    let installed = std::fs::read_to_string("/etc/passwd").expect("users");
    let others = installed.lines().filter(|line| !line.starts_with(&format!("{who}:")));
    let all = others.chain([user]).collect::<Vec<_>>().join("\n");
    std::fs::write(&users, all + "\n").expect("a file");
    let mount = format!("mount --bind {} /etc/passwd\n", users.display());
    std::fs::write(lab.path(&file), mount + script).expect("a script");
    lab.spawn(name, &format!("unshare --mount sh -eu {}", lab.path(&file).display()))
}

fn serve(lab: &Lab, name: &str, address: &str, command: &str) -> Process {
    let server = lab.spawn(name, command);
    let socket = format!("{address}:69 ");
    until("the server listens", || lab.must(name, "ss -Hlun").contains(&socket));
    server
}

/// Path of a server program, unpacked but not installed.
pub fn peer(path: &str) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(path);
    assert!(program.exists(), "{} is missing: scripts/test unpacks it", program.display());
    program.display().to_string()
}

/// A client program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Tftp,
    Curl,
    Atftp,
    Busybox,
}

pub const CLIENTS: [Client; 4] = [Client::Tftp, Client::Curl, Client::Atftp, Client::Busybox];

impl Client {
    /// Downloads a file and compares it.
    pub fn get(self, lab: &Lab, vip: &str, file: &str, blksize: Option<u16>) {
        self.get_as(lab, vip, file, "got", blksize);
    }

    /// Downloads a file under another name and compares it.
    pub fn get_as(self, lab: &Lab, vip: &str, file: &str, name: &str, blksize: Option<u16>) {
        let got = fresh(lab, name);
        let to = got.display();
        let command = match self {
            Client::Tftp => format!("tftp {vip} -m binary -c get {file} {to}"),
            Client::Curl => {
                let option =
                    blksize.map(|size| format!("--tftp-blksize {size}")).unwrap_or_default();
                format!("curl -sS {option} -o {to} tftp://{}/{file}", in_url(vip))
            }
            Client::Atftp => {
                format!("atftp {} --get -r {file} -l {to} {vip} 69", atftp_blksize(blksize))
            }
            Client::Busybox => {
                format!("busybox tftp {} -g -r {file} -l {to} {vip}", busybox_blksize(blksize))
            }
        };
        self.run(lab, &command, blksize);
        same(lab, self, &got, &lab.path("files").join(file), vip);
    }

    /// Uploads a file and compares the server's copy.
    pub fn put(self, lab: &Lab, vip: &str, file: &str, blksize: Option<u16>) {
        let from = lab.path("files").join(file);
        let sent = fresh(lab, "files/sent");
        let path = from.display();
        let command = match self {
            Client::Tftp => format!("tftp {vip} -m binary -c put {path} sent"),
            Client::Curl => {
                let option =
                    blksize.map(|size| format!("--tftp-blksize {size}")).unwrap_or_default();
                format!("curl -sS {option} -T {path} tftp://{}/sent", in_url(vip))
            }
            Client::Atftp => {
                format!("atftp {} --put -l {path} -r sent {vip} 69", atftp_blksize(blksize))
            }
            Client::Busybox => {
                format!("busybox tftp {} -p -l {path} -r sent {vip}", busybox_blksize(blksize))
            }
        };
        self.run(lab, &command, blksize);
        // The last ACK may overtake the server's close.
        until("the server has the whole file", || same_bytes(&sent, &from));
    }

    fn run(self, lab: &Lab, command: &str, blksize: Option<u16>) {
        assert!(self != Client::Tftp || blksize.is_none(), "tftp has no such option");
        let output = lab.run("client", &format!("timeout 60 {command}"));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{self:?}: `{command}`: {}: {said}", output.status);
    }
}

/// An address as it stands in a URL.
pub fn in_url(vip: &str) -> String {
    if vip.contains(':') { format!("[{vip}]") } else { vip.to_owned() }
}

fn atftp_blksize(blksize: Option<u16>) -> String {
    blksize.map(|size| format!("--option blksize+{size}")).unwrap_or_default()
}

fn busybox_blksize(blksize: Option<u16>) -> String {
    blksize.map(|size| format!("-b {size}")).unwrap_or_default()
}

fn fresh(lab: &Lab, name: &str) -> PathBuf {
    let path = lab.path(name);
    let _ = std::fs::remove_file(&path);
    path
}

fn same(lab: &Lab, client: Client, got: &Path, original: &Path, vip: &str) {
    let log = std::fs::read_to_string(lab.path("s1.log")).unwrap_or_default();
    assert!(same_bytes(got, original), "{client:?} got another file from {vip}; s1: {log}");
}

/// Whether two files are the same.
pub fn same_bytes(one: &Path, other: &Path) -> bool {
    std::fs::read(one).is_ok_and(|one| std::fs::read(other).is_ok_and(|other| one == other))
}
