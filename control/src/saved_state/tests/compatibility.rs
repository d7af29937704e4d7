//! State as version 0.1.0 writes it: the next process must be able to read it, whatever its types are called by then.

use super::*;
use crate::backend_status::AdminState;

/// A state with every protocol and mode, fixed and learned hardware addresses, a rule, and something that leaves.
const WRITTEN: &str = r#"
{"terms":{"layout":"1","boot":"today","workers":2,"max_flows":1024,"size":8192,"interfaces":["lan"]},
"name":1,"seed":[2,3],"registry":{"services":[
{"name":"pxe","protocol":"tftp","port":69,"means":"Snat","idle_timeout":{"secs":60,"nanos":0},
"transitory_timeout":{"secs":60,"nanos":0},"allow_clients":["10.0.0.0/8","fd00::/16"]},
{"name":"files","protocol":{"ftp":{"data_port":20,"foreign_data":false}},"port":21,"means":"Nat",
"idle_timeout":{"secs":7440,"nanos":0},"transitory_timeout":{"secs":240,"nanos":0},"allow_clients":[]},
{"name":"all","protocol":"any","port":0,"means":"Dsr","idle_timeout":{"secs":300,"nanos":0},
"transitory_timeout":{"secs":240,"nanos":0},"allow_clients":[]},
{"name":"ssh","protocol":"tcp","port":22,"means":"Nat","idle_timeout":{"secs":7440,"nanos":0},
"transitory_timeout":{"secs":240,"nanos":0},"allow_clients":[]},
{"name":"dns","protocol":"udp","port":53,"means":"Nat","idle_timeout":{"secs":300,"nanos":0},
"transitory_timeout":{"secs":240,"nanos":0},"allow_clients":[]}],"backends":[
{"what":{"service":0,"name":"one","address":"10.0.0.30","aliases":["10.0.0.40"],"server":0,"data":null,
"fixed":null,"also_from":[]},"presence":"Configured"},
{"what":{"service":0,"name":"six","address":"fd00::30","aliases":[],"server":1,"data":null,
"fixed":[0,[2,0,0,0,0,48]],"also_from":[[2,0,0,0,0,102]]},"presence":"Configured"},
{"what":{"service":1,"name":"ftp1","address":"10.0.0.30","aliases":[],"server":0,
"data":[{"start":50000,"end":50099},[0]],"fixed":null,"also_from":[]},"presence":"Configured"},
{"what":{"service":2,"name":"one","address":"10.0.0.32","aliases":[],"server":2,"data":null,
"fixed":null,"also_from":[]},"presence":"Configured"},
{"what":{"service":3,"name":"one","address":"10.0.0.33","aliases":[],"server":3,"data":null,
"fixed":null,"also_from":[]},"presence":"Leaving"},
{"what":{"service":4,"name":"one","address":"10.0.0.33","aliases":[],"server":3,"data":null,
"fixed":null,"also_from":[]},"presence":"Gone"}],"vips":[
{"what":{"held":{"address":"10.0.0.100","interface":0},"broadcast":true},"presence":"Configured"},
{"what":{"held":{"address":"fd00::100","interface":0},"broadcast":false},"presence":"Configured"},
{"what":{"held":{"address":"10.0.0.200","interface":0},"broadcast":false},"presence":"Leaving"}],"snat":[
{"what":{"address":"10.0.0.101","interface":0},"presence":"Configured"},
{"what":{"address":"fd00::101","interface":0},"presence":"Configured"}],
"servers":["10.0.0.30","fd00::30","10.0.0.32","10.0.0.33"],
"rotas":[{"service":0,"rule":null},{"service":0,"rule":0},{"service":1,"rule":null},{"service":2,"rule":null},
{"service":3,"rule":null},{"service":4,"rule":null}]},
"orders":[["files","ftp1","disabled",null],["pxe","one","draining",null],["pxe","six","enabled",7]]}
"#;

#[test]
fn state_that_an_earlier_version_wrote_is_read_and_written_alike() {
    let (_folder, socket) = left();
    let path = socket.with_added_extension("state");
    let json: String = WRITTEN.lines().collect();
    fs::write(&path, format!("{}\n{json}", digest(&json))).unwrap();
    let mut saved_state = read(&path, &compatibility()).unwrap().expect("saved state");
    assert_eq!((saved_state.seed, saved_state.registry.backends().len()), ([2, 3], 6));
    assert_eq!(
        saved_state.statuses.overrides(),
        [
            ("files".into(), "ftp1".into(), AdminState::Disabled, None),
            ("pxe".into(), "one".into(), AdminState::Draining, None),
            ("pxe".into(), "six".into(), AdminState::Enabled, Some(7)),
        ]
    );
    saved_state.saved.clear();
    let (registry, statuses) = (saved_state.registry.clone(), saved_state.statuses.clone());
    saved_state.save(&registry, &statuses);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n{json}", digest(&json)));
}
