//! Probes over TCP, and programs.

use super::finding::{ProbeError, backend_fault};
use super::*;
use crate::config::{Login, Program, User};
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use target::tests::target;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A step of a connection: the server sends this line, or must receive it.
enum Line {
    Says(&'static str),
    Hears(&'static str),
}
use Line::{Hears, Says};

/// Probes a server that follows this script, and hangs up.
async fn probe(probe: Probe, script: &[Line]) -> Finding {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        for line in script {
            match line {
                Says(line) => stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap(),
                Hears(line) => {
                    let mut heard = String::new();
                    stream.read_line(&mut heard).await.unwrap();
                    assert_eq!(heard, format!("{line}\r\n"));
                }
            }
        }
    };
    let both = async { tokio::join!(probe.find(&target), server).0 };
    timeout(Duration::from_secs(10), both).await.expect("it ends")
}

/// An address where nobody listens.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

const END: [Line; 4] = [Hears("NOOP"), Says("200 well"), Hears("QUIT"), Says("221 bye")];

fn login() -> Probe {
    Probe::Ftp(Some(Login { user: "gate".into(), password: "secret".into() }))
}

#[tokio::test]
async fn ftp_with_a_login() {
    let start = [Says("220-hello"), Says("220 is here"), Says("220 ready"), Hears("USER gate")];
    let [hello, second, ready, user] = start;
    let [noop, well, quit, bye] = END;
    let script = [
        hello,
        second,
        user,
        Says("331 whose?"),
        Hears("PASS secret"),
        Says("230 in"),
        noop,
        well,
        quit,
        bye,
    ];
    assert_eq!(probe(login(), &script).await, Ok(String::new()));
    let script =
        [ready, Hears("USER gate"), Says("331 whose?"), Hears("PASS secret"), Says("530 no")];
    assert_eq!(probe(login(), &script).await, backend_fault("PASS: `530 no`"));
    let [noop, well, quit, _] = END;
    let script = [Says("220 ready"), Hears("USER gate"), Says("230 in"), noop, well, quit];
    assert_eq!(probe(login(), &script).await, Ok(String::new()), "no password, and no farewell");
}

#[tokio::test]
async fn ftp_without_a_login() {
    let ftp = || Probe::Ftp(None);
    let [noop, well, quit, bye] = END;
    assert_eq!(probe(ftp(), &[Says("220 ready"), noop, well, quit, bye]).await, Ok(String::new()));
    let refused = [Says("220 ready"), Hears("NOOP"), Says("530 login"), Hears("QUIT")];
    assert_eq!(probe(ftp(), &refused).await, Ok(String::new()));
    let busy = probe(ftp(), &[Says("421 too\x1b many")]).await;
    assert_eq!(busy, backend_fault("its greeting: `421 too\\u{1b} many`"));
    assert_eq!(
        probe(ftp(), &[Says("SSH-2.0-x")]).await,
        backend_fault("its greeting: `SSH-2.0-x`")
    );
    assert_eq!(probe(ftp(), &[]).await, backend_fault("it hung up"));
    let broken = probe(ftp(), &[Says("220-hello"), Says("221 other")]).await;
    assert_eq!(broken, backend_fault("it hung up"), "a reply without an end");
}

#[tokio::test]
async fn ssh_by_its_greeting() {
    let script = [Says("welcome"), Says("to all"), Says("SSH-2.0-OpenSSH_9.2")];
    assert_eq!(probe(Probe::Ssh, &script).await, Ok("SSH-2.0-OpenSSH_9.2".into()));
    let web = probe(Probe::Ssh, &[Says("HTTP/1.1 400 Bad Request"), Says("")]).await;
    assert_eq!(web, backend_fault("no SSH greeting, but `HTTP/1.1 400 Bad Request`"));
    assert_eq!(probe(Probe::Ssh, &[]).await, backend_fault("it hung up"));
    let chatter: Vec<Line> = (0..200).map(|_| Says("and another thing")).collect();
    let found = probe(Probe::Ssh, &chatter).await;
    assert_eq!(found, backend_fault("no SSH greeting, but `and another thing`"));
}

#[tokio::test]
async fn who_talks_without_an_end_is_not_listened_to() {
    let long: &'static str = "x".repeat(80_000).leak();
    assert_eq!(probe(Probe::Ssh, &[Says(long)]).await, backend_fault("it talks for ever"));
}

#[tokio::test]
async fn a_connection_alone() {
    assert_eq!(probe(Probe::Tcp, &[]).await, Ok(String::new()));
    let nobody = closed().await;
    let refused = backend_fault(format!("port {} is closed", nobody.port()));
    for probe in [Probe::Tcp, Probe::Ssh, Probe::Ftp(None)] {
        assert_eq!(probe.find(&target(nobody)).await, refused);
    }
}

/// A program, which runs as nobody if root runs the tests.
fn program(words: &[&str]) -> Probe {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Probe::Command(Program { words, user: User { uid: 65534, gid: 65534 } })
}

async fn sh(script: &str) -> Finding {
    let target = target(([10, 0, 0, 30], 2169).into());
    let probe = program(&["sh", "-c", script]);
    timeout(Duration::from_secs(10), probe.find(&target)).await.expect("it ends")
}

#[tokio::test]
async fn programs_get_nothing_of_ours() {
    assert_eq!(sh("pwd").await, Ok("/".into()));
    let environment = sh("tr '\\0' ' ' </proc/$$/environ | sed 's/=[^ ]*//g'").await;
    assert_eq!(environment.unwrap().trim(), "PATH");
    assert_eq!(sh("readlink /proc/$$/fd/0 /proc/$$/fd/2 | uniq").await, Ok("/dev/null".into()));
    let session =
        sh("read -r _ _ _ _ _ session terminal _ </proc/$$/stat; echo $((session-$$)) $terminal")
            .await;
    assert_eq!(session, Ok("0 0".into()), "a session of its own, without a terminal");
    if nix::unistd::geteuid().is_root() {
        assert_eq!(sh("echo $(id -u) $(id -g) $(id -G)").await, Ok(["65534"; 3].join(" ")));
        let none = sh("grep -cE '^Cap(Prm|Eff|Amb|Inh):.0*$' /proc/self/status").await;
        assert_eq!(none, Ok("4".into()));
    }
}

#[tokio::test]
async fn programs_by_their_exit_code() {
    assert_eq!(sh("echo HOST:PORT is well; echo more").await, Ok("10.0.0.30:2169 is well".into()));
    assert_eq!(sh("exit 0").await, Ok(String::new()));
    assert_eq!(sh("echo slow; exit 1").await, Ok("warning: slow".into()));
    assert_eq!(sh("echo CRITICAL - dead; exit 2").await, backend_fault("exit 2: CRITICAL - dead"));
    assert_eq!(sh("exit 3").await, backend_fault("exit 3"));
    assert_eq!(sh("kill -9 $$").await, backend_fault("killed by signal 9"));
    assert_eq!(
        sh("head -c 100000 /dev/zero; exit 2").await,
        backend_fault("exit 2"),
        "it may say much"
    );
    let nothing = program(&["/nowhere/check"]);
    let found = nothing.find(&target(closed().await)).await;
    let words = "cannot run `/nowhere/check`: No such file or directory (os error 2)";
    assert_eq!(found, Err(ProbeError::Local(words.into())));
}

#[tokio::test]
async fn a_program_that_hangs_dies_with_all_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let file = folder.path().join("pids");
    let script =
        format!("sleep 1000 & echo $$ $! >{0}.part; mv {0}.part {0}; wait", file.display());
    let probe = program(&["sh", "-c", &script]);
    let target = target(([10, 0, 0, 30], 69).into());
    let started = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        found = probe.find(&target) => panic!("{found:?}"),
        () = started => {}
    }
    let pids = std::fs::read_to_string(&file).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2);
    for pid in pids.split_whitespace() {
        ends(pid).await;
    }
}

#[tokio::test]
async fn a_program_that_ends_leaves_nothing_running() {
    let left = sh("sleep 1000 >/dev/null & echo $!").await.expect("its process");
    ends(&left).await;
}

async fn ends(pid: &str) {
    let ended = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.expect("it was killed");
}

/// Whether a process runs. One that has ended may wait for its parent.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
