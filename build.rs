//! Finds DPDK and makes its Rust bindings. It runs for `dataplane/dpdk-sys` only, which names it in
//! its manifest.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest release whose interface fits: the first with `rxmode.mtu` and the names of 22.11.
const OLDEST: &str = "22.11";
/// What the bindings are made of, in the package's folder.
const HEADER: &str = "dpdk.h";
/// Only what the `dpdk` crate uses.
const FUNCTIONS: &str = "dpdk_sys_(errno|link)|rte_strerror|rte_openlog_stream\
    |rte_version|rte_eal_(init|cleanup|remote_launch|wait_lcore|get_lcore_state|alarm_set)\
    |rte_(lcore_id|get_main_lcore|get_next_lcore)\
    |rte_pktmbuf_(pool_create|alloc|free)|rte_mempool_(free|avail_count)\
    |rte_eth_dev_(get_port_by_name|owner_new|owner_set|info_get|configure|set_mtu)\
    |rte_eth_dev_(adjust_nb_rx_tx_desc|socket_id|start|stop|close)\
    |rte_eth_(rx|tx)_(queue_setup|burst)|rte_eth_promiscuous_(enable|disable)\
    |rte_eth_(macaddr_get|stats_get)\
    |rte_eth_dev_rss_(hash_update|hash_conf_get|reta_update|reta_query)|rte_softrss";
/// Constants likewise.
const CONSTANTS: &str = "RTE_MAX_LCORE|RTE_PKTMBUF_HEADROOM|RTE_ETHER_(MTU|HDR_LEN|CRC_LEN)|RTE_VLAN_HLEN|RTE_ETH_SPEED_NUM_(NONE|UNKNOWN)\
    |RTE_ETH_RSS_(FRAG_)?IPV[46]|RTE_ETH_RSS_NONFRAG_IPV[46]_(UDP|OTHER)|RTE_ETH_RETA_GROUP_SIZE";

fn main() {
    // The callbacks of bindgen and pkg-config name the headers and variables to watch.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let folders = find();
    let flags = compiler_flags();
    let wrappers = out.join("wrappers.c");
    bind(&flags, &out, &wrappers);
    compile(&flags, &wrappers);
    // After the wrappers, which need them.
    for folder in folders {
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
    for library in ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}

/// Checks that DPDK is there and new enough; the folders that hold its libraries.
fn find() -> Vec<PathBuf> {
    let found =
        pkg_config::Config::new().atleast_version(OLDEST).cargo_metadata(false).probe("libdpdk");
    match found {
        Ok(library) => library.link_paths,
        Err(error) => panic!(
            "DPDK {OLDEST} or newer is needed to build Tidegate's dataplane. On Debian: \
             apt-get install libdpdk-dev libclang-dev pkg-config\n{error}"
        ),
    }
}

/// What a C compiler must be told. The `pkg-config` crate drops `-include` and `-march`, and the
/// layouts depend on both.
fn compiler_flags() -> Vec<String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(program)
        .args(["--cflags", "libdpdk"])
        .output()
        .expect("pkg-config ran a moment ago");
    assert!(output.status.success(), "pkg-config --cflags libdpdk failed");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

/// Writes the bindings, and the C wrappers of DPDK's inline functions.
fn bind(flags: &[String], out: &Path, wrappers: &Path) {
    let bindings = bindgen::Builder::default()
        .header(HEADER)
        .clang_args(flags)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .generate_comments(false)
        .allowlist_function(FUNCTIONS)
        .allowlist_type("dpdk_sys_mbuf")
        .allowlist_var(CONSTANTS)
        .prepend_enum_name(false)
        // Thread-local variables: bound as ordinary ones they link, and crash.
        .blocklist_var("per_lcore_.*")
        // Packed structures that Rust can't express; nothing of ours looks inside.
        .opaque_type("rte_arp_(hdr|ipv4)|rte_gtp_psc_generic_hdr")
        .wrap_static_fns(true)
        .wrap_static_fns_path(wrappers)
        // Else constants made by RTE_BIT64 are missing.
        .clang_macro_fallback()
        .clang_macro_fallback_build_dir(out)
        .generate()
        .expect("DPDK's headers are read by clang");
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR can be written");
}

fn compile(flags: &[String], wrappers: &Path) {
    let mut build = cc::Build::new();
    for flag in flags {
        build.flag(flag);
    }
    // The wrappers include the header by the name it has in the package's folder.
    build.include(".").warnings(false).file(wrappers).compile("dpdk_wrappers");
}
