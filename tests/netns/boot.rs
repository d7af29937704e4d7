//! Machines that boot through a VIP: QEMU with iPXE's ROM or UEFI's client as first stage and GRUB as second, which
//! fetches its configuration, its modules and a file whose hash it prints.

use crate::daemon::Daemon;
use crate::ipv6::{CROSSING, OLD_FARM, dual};
use crate::peers;
use kit::lab::{Lab, Process, VIPS, VIPS_V6};
use std::process::Command;
use std::time::{Duration, Instant};

/// GRUB's commands; output goes to the serial line.
const GRUB: &str = "serial --unit=0 --speed=115200\nterminal_output serial\necho second stage\n\
                    sha256sum /image\necho that is all\nsleep 100\n";

/// A machine's firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Firmware {
    /// SeaBIOS and iPXE's ROM.
    Bios,
    /// OVMF with its own client: EDK2's MTFTP.
    Uefi,
    /// OVMF with iPXE's ROM.
    UefiWithIpxe,
}

impl Firmware {
    /// The first file that the firmware fetches.
    fn first_stage(self) -> &'static str {
        match self {
            Firmware::Bios => "grub/i386-pc/core.0",
            Firmware::Uefi | Firmware::UefiWithIpxe => "grub/x86_64-efi/core.efi",
        }
    }
}

/// The machines' network: a bridge in the client's namespace with the link to the gate.
fn bridge(lab: &Lab) {
    lab.must("client", "ip link add br0 type bridge");
    lab.must("client", "ip address flush dev c0");
    lab.must("client", "ip link set c0 master br0");
    lab.must("client", "ip tuntap add machine mode tap");
    lab.must("client", "ip link set machine master br0 up");
    lab.must("client", "ip link set br0 up");
    lab.must("client", "ip address add 10.78.0.10/16 dev br0");
    lab.must("client", "ip address add fd00:78::10/64 dev br0 nodad");
}

/// Files of the second stage, and one to hash.
fn files(lab: &Lab, vip: &str) {
    peers::files(lab, &[("image", 1 << 20)]);
    let root = lab.path("files");
    let mut grub = Command::new("grub-mknetdir");
    must(grub.arg(format!("--net-directory={}", root.display())).arg("--subdir=grub"));
    std::fs::write(root.join("grub/grub.cfg"), GRUB).expect("it is written");
    if vip.contains(':') {
        first_stage_over_ipv6(lab, vip);
    }
}

/// GRUB has no DHCPv6: it gets an address by router advertisement, and the server from its prefix.
fn first_stage_over_ipv6(lab: &Lab, vip: &str) {
    let early = lab.path("early.cfg");
    std::fs::write(&early, "net_ipv6_autoconf\n").expect("it is written");
    let image = lab.path("files").join(Firmware::Uefi.first_stage());
    let mut grub = Command::new("grub-mkimage");
    must(
        grub.arg("--format=x86_64-efi")
            .arg(format!("--config={}", early.display()))
            .arg(format!("--prefix=(tftp,{vip})/grub"))
            .arg(format!("--output={}", image.display()))
            .args(["efinet", "tftp"]),
    );
}

fn must(command: &mut Command) {
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

/// DHCP for the machines, with the VIP and the first file.
fn dhcp(lab: &Lab, firmware: Firmware, vip: &str) -> Process {
    let file = firmware.first_stage();
    let lease = lab.path("leases");
    let more = if vip.contains(':') {
        format!(
            "--enable-ra --dhcp-range=fd00:78::50,fd00:78::60,slaac,64 \
             --dhcp-option=option6:bootfile-url,tftp://[{vip}]/{file}"
        )
    } else {
        format!(
            "--dhcp-range=10.78.0.50,10.78.0.60,255.255.0.0 --dhcp-option=option:router,10.78.0.1 --dhcp-boot={file},vip,{vip}"
        )
    };
    peers::dhcp(
        lab,
        "client",
        &format!("--interface=br0 --dhcp-leasefile={} {more}", lease.display()),
    )
}

/// A machine that boots from the network. Its processor is emulated, as some kernels cannot run real mode in nested
/// guests. UEFI would try IPv4 first, for a minute.
fn machine(lab: &Lab, firmware: Firmware, vip: &str) -> Process {
    let serial = lab.path("serial");
    let rom = match firmware {
        Firmware::Bios => "",
        Firmware::Uefi => ",romfile=",
        Firmware::UefiWithIpxe => ",romfile=/usr/lib/ipxe/qemu/efi-virtio.rom",
    };
    let bios = match firmware {
        Firmware::Bios => "",
        Firmware::Uefi | Firmware::UefiWithIpxe => "-bios /usr/share/qemu/OVMF.fd",
    };
    let ipv4 = if vip.contains(':') { "n" } else { "y" };
    let command = format!(
        "qemu-system-x86_64 -accel tcg -m 512 -display none -no-reboot -nodefaults \
         -serial file:{} -monitor none {bios} -boot n \
         -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string={ipv4} \
         -netdev tap,id=net,ifname=machine,script=no,downscript=no \
         -device virtio-net-pci,netdev=net,bootindex=0{rom}",
        serial.display()
    );
    lab.spawn("client", &command)
}

/// The machine's serial output.
fn said(lab: &Lab) -> String {
    let serial = std::fs::read(lab.path("serial")).unwrap_or_default();
    String::from_utf8_lossy(&serial).into_owned()
}

fn wait_for(lab: &Lab, words: &str) {
    // Booting takes time, more so on an emulated processor.
    let deadline = Instant::now() + Duration::from_secs(300);
    while !said(lab).contains(words) {
        assert!(Instant::now() < deadline, "the machine never said `{words}`:\n{}", said(lab));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn hash(lab: &Lab) -> String {
    let output = Command::new("sha256sum").arg(lab.path("files/image")).output();
    let output = String::from_utf8(output.expect("sha256sum runs").stdout).expect("text");
    output.split_whitespace().next().expect("a hash").to_owned()
}

/// A machine, its boot file, and its server.
struct Boot {
    firmware: Firmware,
    service: &'static str,
    vip: &'static str,
    servers: fn(&Lab) -> Vec<Process>,
}

const BIOS: Boot =
    Boot { firmware: Firmware::Bios, service: "nat", vip: VIPS[0], servers: forking };

/// From the first DHCP message to the hash of a file.
fn boots(boot: &Boot) {
    let &Boot { firmware, service, vip, servers } = boot;
    let lab = Lab::new().with_ipv6();
    files(&lab, vip);
    bridge(&lab);
    let _servers = servers(&lab);
    let daemon = Daemon::with(&lab, &(dual().text(&lab) + CROSSING));
    let _dhcp = dhcp(&lab, firmware, vip);
    let _machine = machine(&lab, firmware, vip);
    wait_for(&lab, "that is all");
    assert!(said(&lab).contains(&hash(&lab)), "another hash:\n{}", said(&lab));
    // The first stage, the configuration, some modules and the file.
    assert!(daemon.total(service, "completed") > 5);
    if firmware == Firmware::Uefi {
        // EDK2 asks only for the size first, and ends that by an ERROR.
        assert!(daemon.total(service, "size_probes") > 0);
    }
    daemon.finish();
}

fn forking(lab: &Lab) -> Vec<Process> {
    [peers::tftpd_hpa(lab, "s1"), peers::atftpd(lab, "s2")].into_iter().flatten().collect()
}

fn forking_v6(lab: &Lab) -> Vec<Process> {
    ["s1", "s2"].into_iter().flat_map(|name| peers::tftpd_hpa_v6(lab, name)).collect()
}

/// With transfer ports of their own, and with port 69.
fn dnsmasqs(lab: &Lab) -> Vec<Process> {
    vec![peers::dnsmasq(lab, "s1", ""), peers::single_port(lab, "s2")]
}

#[test]
fn a_bios_machine_boots_by_ipxe() {
    boots(&BIOS);
}

#[test]
fn a_bios_machine_boots_from_dnsmasq() {
    boots(&Boot { servers: dnsmasqs, ..BIOS });
}

#[test]
fn a_uefi_machine_boots_by_its_own_client() {
    boots(&Boot { firmware: Firmware::Uefi, ..BIOS });
}

#[test]
fn a_uefi_machine_boots_by_its_own_client_from_dnsmasq() {
    boots(&Boot { firmware: Firmware::Uefi, servers: dnsmasqs, ..BIOS });
}

#[test]
fn a_uefi_machine_boots_by_ipxe_through_a_pool() {
    let (service, vip) = ("snat", VIPS[1]);
    boots(&Boot { firmware: Firmware::UefiWithIpxe, service, vip, ..BIOS });
}

#[test]
fn a_uefi_machine_boots_over_ipv6() {
    boots(&Boot { firmware: Firmware::Uefi, vip: VIPS_V6[0], servers: forking_v6, ..BIOS });
}

#[test]
fn a_uefi_machine_boots_over_ipv6_from_servers_of_ipv4() {
    let (service, vip) = ("old-farm", OLD_FARM);
    boots(&Boot { firmware: Firmware::Uefi, service, vip, ..BIOS });
}
