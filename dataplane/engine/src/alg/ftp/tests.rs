//! The consequence of each line, and the line that goes on in its place.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 30));
const CLIENT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9));
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100));
const SERVER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x30));

const V4: Context = Context {
    client: CLIENT,
    vip: VIP,
    server: SERVER,
    aliases: &[],
    open_ports: None,
    foreign_data: false,
};
const V6: Context = Context { client: CLIENT6, vip: VIP6, server: SERVER6, ..V4 };
const V6_TO_V4: Context = Context { server: SERVER, ..V6 };
const V4_TO_V6: Context = Context { server: SERVER6, ..V4 };

fn client(line: &str, context: &Context) -> FtpAction {
    from_client(line.as_bytes(), context, &mut Exchange::default())
}

/// The consequence of a reply to this command.
fn server(line: &str, context: &Context, command: &str) -> FtpAction {
    let mut exchange = Exchange::default();
    from_client(command.as_bytes(), context, &mut exchange);
    from_server(line.as_bytes(), context, &mut exchange)
}

/// The line that goes on if the gate's endpoint is `endpoint`.
fn told(line: &str, asks: &FtpAction, endpoint: (IpAddr, u16)) -> Option<String> {
    let written = match asks {
        FtpAction::Active { form, .. } | FtpAction::Passive { form, .. } => {
            write(form, line.as_bytes(), endpoint.into())?
        }
        FtpAction::Replace(line) | FtpAction::Refused(line) => line.clone(),
        FtpAction::Nothing | FtpAction::Opaque => return None,
    };
    Some(String::from_utf8(written.to_vec()).unwrap())
}

#[test]
fn a_client_that_listens() {
    let snat = (IpAddr::from([10, 1, 0, 1]), 50000);
    let snat6 = (IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1]), 50000);
    for (context, line, snat, written) in [
        (V4, "PORT 10,0,0,9,4,1", snat, "PORT 10,1,0,1,195,80"),
        (V4, "EPRT |1|10.0.0.9|1025|", snat, "EPRT |1|10.1.0.1|50000|"),
        (V4, "EPRT |2|::ffff:10.0.0.9|1025|", snat, "EPRT |1|10.1.0.1|50000|"),
        (V4_TO_V6, "EPRT |2|::ffff:10.0.0.9|1025|", snat6, "EPRT |2|2001:db8:1::1|50000|"),
        (V6, "EPRT |2|2001:db8::9|1025|", snat6, "EPRT |2|2001:db8:1::1|50000|"),
        (V6_TO_V4, "EPRT |2|2001:db8::9|1025|", snat, "PORT 10,1,0,1,195,80"),
        (V4_TO_V6, "PORT 10,0,0,9,4,1", snat6, "EPRT |2|2001:db8:1::1|50000|"),
        (V4_TO_V6, "EPRT |1|10.0.0.9|1025|", snat6, "EPRT |2|2001:db8:1::1|50000|"),
    ] {
        let asks = client(line, &context);
        let FtpAction::Active { to, .. } = asks else { panic!("{line}: {asks:?}") };
        assert_eq!(to, SocketAddr::new(context.client, 1025), "{line}");
        assert_eq!(told(line, &asks, snat).as_deref(), Some(written));
    }
}

#[test]
fn a_bounce_is_refused() {
    for (context, line) in [
        (V4, "PORT 10,0,0,10,4,1"),
        (V4, "PORT 10,1,0,30,0,22"),
        (V4, "PORT 10,0,0,9,3,255"),
        (V4, "PORT 10,0,0,9,0,0"),
        (V4, "PORT 10,0,0,265,4,1"),
        (V4, "PORT 1"),
        (V6, "PORT 10,0,0,9,4,1"),
        (V6_TO_V4, "PORT 10,0,0,9,4,1"),
    ] {
        assert_eq!(client(line, &context), FtpAction::Refused(super::line(NO_PORT)), "{line}");
    }
    for (context, line) in [
        (V4, "EPRT |1|10.0.0.10|1025|"),
        (V4, "EPRT |2|::ffff:10.0.0.10|1025|"),
        (V4, "EPRT |1|10.0.0.9|1023|"),
        (V4, "EPRT |2|2001:db8::9|1025|"),
        (V4, "EPRT |3|10.0.0.9|1025|"),
        (V6, "EPRT |2|2001:db8::a|1025|"),
        (V6, "EPRT |2|::ffff:10.0.0.9|1025|"),
        (V6_TO_V4, "EPRT |1|10.0.0.9|1025|"),
        (V4, "EPRT |x|localhost|ssh|"),
    ] {
        assert_eq!(client(line, &context), FtpAction::Refused(super::line(NO_EPRT)), "{line}");
    }
}

/// The server refuses these itself, and no third host is involved.
#[test]
fn what_has_no_argument_goes_on() {
    for line in ["PORT", "eprt", " PORT\t "] {
        assert_eq!(client(line, &V4), FtpAction::Nothing, "{line}");
        assert_eq!(client(line, &V6_TO_V4), FtpAction::Nothing, "{line}");
    }
}

/// RFC 1639's commands: their data connections could not be followed.
#[test]
fn long_addresses_are_refused() {
    let foreign = Context { foreign_data: true, ..V4 };
    let lprt = "LPRT 4,4,10,0,0,9,2,4,1";
    for context in [V4, V6, V6_TO_V4, V4_TO_V6] {
        assert_eq!(client(lprt, &context), FtpAction::Refused(line(NO_PORT)));
        assert_eq!(client("LPSV", &context), FtpAction::Replace(line(NO_PORT)));
    }
    assert_eq!(client(lprt, &foreign), FtpAction::Nothing);
    assert_eq!(client("LPSV", &foreign), FtpAction::Replace(line(NO_PORT)));
}

#[test]
fn what_has_no_endpoint_is_refused() {
    for (form, refusal) in [
        (EndpointFormat::Port, NO_PORT),
        (EndpointFormat::Eprt, NO_EPRT),
        (EndpointFormat::Numbers(4..5), NO_DATA),
        (EndpointFormat::Digits(4..5), NO_DATA),
        (EndpointFormat::Passive, NO_DATA),
        (EndpointFormat::Extended, NO_DATA),
    ] {
        assert_eq!(refuse(&form)[..], *refusal, "{form:?}");
    }
}

#[test]
fn data_of_others_if_they_may_have_it() {
    let foreign = Context { foreign_data: true, ..V4 };
    for line in ["PORT 10,0,0,10,4,1", "EPRT |1|10.0.0.10|80|", "PORT 10,0,0,265,4,1"] {
        assert_eq!(client(line, &foreign), FtpAction::Nothing, "{line}");
    }
    assert!(matches!(client("PORT 10,0,0,9,4,1", &foreign), FtpAction::Active { .. }));
    assert_eq!(client("PORT 10,0,0,9,0,80", &foreign), FtpAction::Refused(line(NO_PORT)));
}

#[test]
fn a_server_that_listens() {
    let long = "227 Gehen Sie nach (10,1,0,30,195,80), bitte.";
    let (pasv, epsv) = ("PASV", "EPSV");
    for (context, command, line, written) in [
        (V4, pasv, long, "227 Gehen Sie nach (10,0,0,100,234,96), bitte."),
        (V4, pasv, "227 0,0,0,0,195,80", "227 10,0,0,100,234,96"),
        (V4, pasv, "227 =10,1,0,30,195,80", "227 =10,0,0,100,234,96"),
        (V4, pasv, "227 At (10, 1, 0, 30, 195, 80).", "227 At (10,0,0,100,234,96)."),
        (V4, epsv, "229 Here (|||50000|)", "229 Here (|||60000|)"),
        (V6, epsv, "229 Here (|||50000|)", "229 Here (|||60000|)"),
        (V6_TO_V4, epsv, long, "229 Entering Extended Passive Mode (|||60000|)"),
        (V4_TO_V6, pasv, "229 (|||50000|)", "227 Entering Passive Mode (10,0,0,100,234,96)."),
        (V4_TO_V6, epsv, "229 (|||50000|)", "229 (|||60000|)"),
    ] {
        let asks = server(line, &context, command);
        let FtpAction::Passive { at, .. } = asks else { panic!("{line}: {asks:?}") };
        assert_eq!(at, SocketAddr::new(context.server, 50000), "its own address: {line}");
        assert_eq!(told(line, &asks, (context.vip, 60000)).as_deref(), Some(written));
    }
}

#[test]
fn replies_that_go_on_as_they_are() {
    for line in [
        "220 Hello",
        "227 Entering Passive Mode",
        "227 (10,1,0,30,0,22)",
        "229 (|||22|)",
        "500 What?",
        "425 (|||50000|)",
        "nothing",
        "",
    ] {
        assert_eq!(server(line, &V4, "PASV"), FtpAction::Nothing, "{line}");
        assert_eq!(server(line, &V6_TO_V4, "EPSV"), FtpAction::Nothing, "{line}");
    }
    assert_eq!(server("227 (0,0,0,0,195,80)", &V6, "PASV"), FtpAction::Nothing);
    assert_eq!(server("234 Go on", &V4, "AUTH TLS"), FtpAction::Opaque);
    assert_eq!(server("234 Go on", &V4, "PASV"), FtpAction::Nothing);
}

/// A reply to another command: the client must not use it.
#[test]
fn a_reply_to_another_command_leads_nowhere() {
    let refused = FtpAction::Replace(line(NO_DATA));
    for line in ["227 Entering Passive Mode (10,1,0,30,195,80)", "229 (|||50000|)"] {
        for command in ["", "NOOP", "ABOR", "AUTH TLS", "EPSV ALL", "PORT 10,0,0,9,4,1"] {
            assert_eq!(server(line, &V4, command), refused, "{command}");
        }
        assert!(matches!(server(line, &V4, "P@SW"), FtpAction::Passive { .. }));
    }
    let mut exchange = Exchange::default();
    for command in ["CWD a", "PASV"] {
        from_client(command.as_bytes(), &V4, &mut exchange);
    }
    let forged = from_server(b"227 (10,1,0,30,12,234)", &V4, &mut exchange);
    assert_eq!(forged, refused);
    let at = SocketAddr::new(SERVER, 50000);
    let asks = from_server(b"227 (10,1,0,30,195,80)", &V4, &mut exchange);
    assert!(matches!(asks, FtpAction::Passive { at: told, .. } if told == at), "{asks:?}");
}

#[test]
fn the_last_line_of_a_reply_counts() {
    let mut exchange = Exchange::default();
    from_client(b"PASV", &V4, &mut exchange);
    for line in ["227-(10,1,0,30,12,234)", "229 (|||3306|)", "227-(10,1,0,30,12,235)"] {
        assert_eq!(from_server(line.as_bytes(), &V4, &mut exchange), FtpAction::Nothing, "{line}");
    }
    let asks = from_server(b"227 (10,1,0,30,195,80)", &V4, &mut exchange);
    assert!(matches!(asks, FtpAction::Passive { at, .. } if at.port() == 50000), "{asks:?}");
}

#[test]
fn only_the_servers_own_address_leads_anywhere() {
    let alias = [IpAddr::from([192, 0, 2, 1])];
    let ranged = Context { open_ports: Some(&(50000..=50099)), ..V4 };
    for (context, address, is_of_server) in [
        (V4, "10,1,0,30", true),
        (V4, "0,0,0,0", true),
        (V4, "10,1,0,31", false),
        (V4, "10,0,0,100", false),
        (V4, "192,0,2,1", false),
        (Context { aliases: &alias, ..V4 }, "192,0,2,1", true),
        (Context { aliases: &alias, ..V4 }, "192,0,2,2", false),
        // Clients reach this port anyway, so the server may announce it.
        (ranged, "10,0,0,100", true),
    ] {
        let asks = server(&format!("227 ({address},195,80)"), &context, "PASV");
        match is_of_server {
            true => assert!(matches!(asks, FtpAction::Passive { .. }), "{address}: {asks:?}"),
            false => assert_eq!(asks, FtpAction::Replace(line(NO_DATA)), "{address}"),
        }
    }
    let beside = server("227 (10,0,0,100,195,180)", &ranged, "PASV");
    assert_eq!(beside, FtpAction::Replace(line(NO_DATA)));
}

/// Lines are read as by the most lenient server.
#[test]
fn what_some_servers_drop_is_dropped() {
    for line in [
        "PORT 10,0,0,10,4,1\0",
        "PORT 10,0,0,10,4,1\r",
        "PO\0RT 10,0,0,10,4,1",
        "\r\0PORT\x0b10,0,0,10,4,1",
        "PORT\r10,0,0,10,4,1",
    ] {
        assert_eq!(client(line, &V4), FtpAction::Refused(super::line(NO_PORT)), "{line:?}");
    }
    let ours = client("PORT\0 10,0,0,9,4,1\r", &V4);
    assert!(matches!(ours, FtpAction::Active { .. }), "{ours:?}");
    for (odd, plain) in [("PASV\r", "PASV"), ("EPSV\0 ALL", "EPSV ALL"), ("\0", "")] {
        assert_eq!(client(odd, &V4), FtpAction::Replace(super::line(plain.as_bytes())), "{odd:?}");
    }
    let long = format!("EPSV {}\0", "x".repeat(300));
    assert_eq!(client(&long, &V4), FtpAction::Replace(line(NO_PORT)));
}

/// An echo or a listing of these could be taken for a reply.
#[test]
fn lines_that_could_come_back_as_replies_are_refused() {
    for line in ["227 (10,1,0,30,12,234)", "2", " 213 End", "STAT -1", "stat  up", "STAT *"] {
        assert_eq!(client(line, &V4), FtpAction::Refused(super::line(NO_PORT)), "{line}");
    }
    for line in ["STAT", "LIST -1", "RETR 227 (1,2,3,4,5,6)"] {
        assert_eq!(client(line, &V4), FtpAction::Nothing, "{line}");
    }
}

#[test]
fn commands_that_go_on_as_they_are() {
    for line in ["PASV", "EPSV", "EPSV 1", "EPSV 2", "EPSV ALL", "EPSV x", "AUTH TLS", "LIST", ""] {
        assert_eq!(client(line, &V4), FtpAction::Nothing, "{line}");
        assert_eq!(client(line, &V6), FtpAction::Nothing, "{line}");
    }
}

/// RFC 6384, in both directions.
#[test]
fn commands_that_are_turned_over() {
    let refused = "PORT 0,0,0,0,0,0";
    for (context, line, written) in [
        (V6_TO_V4, "EPSV", "PASV"),
        (V6_TO_V4, "EPSV 2", "PASV"),
        (V6_TO_V4, "EPSV 1", refused),
        (V6_TO_V4, "EPSV ALL", refused),
        (V6_TO_V4, "PASV", refused),
        (V4_TO_V6, "PASV", "EPSV"),
        (V4_TO_V6, "EPSV", "EPSV"),
        (V4_TO_V6, "EPSV 1", "EPSV"),
        (V4_TO_V6, "EPSV 2", refused),
        (V4_TO_V6, "EPSV ALL", refused),
    ] {
        let asks = client(line, &context);
        assert!(matches!(asks, FtpAction::Replace(_)), "{line}: {asks:?}");
        assert_eq!(told(line, &asks, (VIP, 1)).as_deref(), Some(written), "{line}");
    }
    assert_eq!(client("EPSV 3", &V6_TO_V4), FtpAction::Nothing);
    assert_eq!(client("AUTH TLS", &V6_TO_V4), FtpAction::Nothing);
}

#[test]
fn a_client_is_answered_as_it_has_asked() {
    let mut exchange = Exchange::default();
    for line in ["EPSV", "NOOP", "PASV"] {
        from_client(line.as_bytes(), &V4_TO_V6, &mut exchange);
    }
    let told = ["229 (|||50000|)", "200 ok", "229 (|||50000|)"].map(|line| {
        let asks = from_server(line.as_bytes(), &V4_TO_V6, &mut exchange);
        told(line, &asks, (VIP, 60000))
    });
    let passive = "227 Entering Passive Mode (10,0,0,100,234,96).";
    assert_eq!(told, [Some("229 (|||60000|)".into()), None, Some(passive.into())]);
}

#[test]
fn an_address_that_a_line_cannot_name_is_not_written() {
    let endpoint = SocketAddr::new(VIP6, 50000);
    for form in [EndpointFormat::Port, EndpointFormat::Passive, EndpointFormat::Numbers(4..5)] {
        assert_eq!(write(&form, b"227 x", endpoint), None);
    }
}
