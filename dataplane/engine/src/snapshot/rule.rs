//! Rules that send some requests to a backend group of their own.

use crate::snapshot::access::contains;
use crate::types::tftp_path::Path;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::tftp::Request;

/// A rule for some requests. All given conditions must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Files (patterns); empty: all.
    pub files: Vec<String>,
    /// Uploads or downloads; `None`: both.
    pub is_write: Option<bool>,
    /// Clients; empty: all.
    pub clients: Vec<IpNet>,
}

impl Rule {
    /// Whether the rule matches the request.
    pub fn is_for(&self, client: IpAddr, request: &Request) -> bool {
        self.is_write.is_none_or(|is_write| is_write == request.is_write)
            && (self.clients.is_empty() || contains(&self.clients, client))
            && (self.files.is_empty()
                || Path::of(request.file).is_some_and(|path| path.matches(&self.files)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::tftp::Message;

    fn globs(globs: &[&str]) -> Vec<String> {
        globs.iter().map(|&glob| glob.to_owned()).collect()
    }

    #[test]
    fn a_rule_is_for_what_fits_all_that_it_names() {
        let rule = Rule {
            files: globs(&["*.efi", "grub/**"]),
            is_write: Some(false),
            clients: vec!["10.1.0.0/16".parse().unwrap()],
        };
        let is_for = |bytes: &[u8], client: &str| {
            let Ok(Message::Request(request)) = Message::parse(bytes) else { panic!() };
            rule.is_for(client.parse().unwrap(), &request)
        };
        assert!(is_for(b"\0\x01boot.efi\0octet\0", "10.1.0.9"));
        assert!(is_for(b"\0\x01/grub/x/y\0octet\0", "10.1.0.9"));
        assert!(!is_for(b"\0\x02boot.efi\0octet\0", "10.1.0.9"));
        assert!(!is_for(b"\0\x01boot.efi\0octet\0", "10.2.0.9"));
        assert!(!is_for(b"\0\x01boot.img\0octet\0", "10.1.0.9"));
    }
}
