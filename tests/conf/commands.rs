//! Commands in documents are such as the programs take.
//!
//! A block ```` ```sh ```` has a command on each line, a block ```` ```console ```` behind each `$ `. A code span that begins with a
//! program's name is one too, and may leave out operands. Programs of ours parse theirs themselves: `tidegate` at a
//! socket that nobody listens on, `tidegated` by `--check` (with the feature `dpdk`).

use crate::markdown::{self, Block, Document, root};
use std::path::Path;
use std::process::{Command, Output};

/// Programs of others that documents may show.
const FOREIGN: [&str; 14] = [
    "apt-get",
    "cd",
    "curl",
    "dpkg",
    "editor",
    "ethtool",
    "export",
    "git",
    "ip",
    "nft",
    "pktgen",
    "systemctl",
    "tc",
    "tshark",
];

/// A command's words; quotes hold words together.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in command.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The command lines of a block, without comments and what a shell does with their output.
fn lines(block: &Block) -> Vec<String> {
    let info = block.info.as_deref().unwrap_or_default();
    let text = block.text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| match info {
        "sh" => Some(line),
        "console" => line.strip_prefix("$ "),
        _ => None,
    });
    let bare = lines.map(|line| line.split(" # ").next().unwrap_or_default());
    let bare = bare.map(|line| line.split(" | ").next().unwrap_or_default().trim());
    bare.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Into::into).collect()
}

/// Runs a program of ours, and says what it had against its arguments.
fn ran(output: std::io::Result<Output>, fine: &[i32]) -> Result<(), String> {
    let output = output.map_err(|error| error.to_string())?;
    let code = output.status.code().unwrap_or(-1);
    if fine.contains(&code) {
        return Ok(());
    }
    Err(format!("exit code {code}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Puts a value behind an option, in place of the one that is there.
fn set(arguments: &mut Vec<String>, option: &str, value: &str) {
    match arguments.iter().position(|argument| argument == option) {
        Some(place) if place + 1 < arguments.len() => arguments[place + 1] = value.into(),
        _ => arguments.splice(0..0, [option.into(), value.into()]).for_each(drop),
    }
}

/// Runs `tidegate`. Exit code 3: the command was understood, and nobody listens. `check` has a plugin's code for that,
/// `ready` a script's, and `top` looks for a terminal first. `pair key` needs no daemon, and writes into a folder of ours.
fn tidegate(mut arguments: Vec<String>) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    if let [pair, key, file @ ..] = &*arguments
        && (&**pair, &**key) == ("pair", "key")
        && file.len() <= 1
    {
        arguments.truncate(2);
        arguments.push(folder.path().join("pair.key").display().to_string());
    }
    set(&mut arguments, "--socket", "/nonexistent/control.sock");
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate")).args(arguments).output();
    let said = |words: &str| {
        let all = output.as_ref().map(|output| [&*output.stdout, &output.stderr].concat());
        all.is_ok_and(|all| String::from_utf8_lossy(&all).starts_with(words))
    };
    let nobody = ["TIDEGATE CRITICAL - no tidegated answers", "tidegate: no tidegated answers"];
    if nobody.into_iter().any(said) || said("tidegate: top needs a terminal") {
        return Ok(());
    }
    ran(output, &[0, 3])
}

/// Runs `tidegated` to check an existing configuration.
#[cfg(feature = "dpdk")]
fn tidegated(mut arguments: Vec<String>) -> Result<(), String> {
    let file = root().join("conf/minimal.toml");
    set(&mut arguments, "--config", file.to_str().expect("a path"));
    if !arguments.iter().any(|argument| argument == "--check") {
        arguments.push("--check".into());
    }
    ran(Command::new(env!("CARGO_BIN_EXE_tidegated")).args(arguments).output(), &[0])
}

/// Looks for options of `tidegated` in its source, since there is no program without DPDK.
#[cfg(not(feature = "dpdk"))]
fn tidegated(arguments: Vec<String>) -> Result<(), String> {
    let source = std::fs::read_to_string(root().join("control/src/options.rs"));
    let source = source.map_err(|error| error.to_string())?;
    for option in arguments.iter().filter_map(|argument| argument.strip_prefix("--")) {
        if !source.contains(&format!("\n    pub {}: ", option.replace('-', "_"))) {
            return Err(format!("it has no option --{option}"));
        }
    }
    Ok(())
}

/// Looks for options of `tidegate-storm` in its source: the program is another package's.
fn storm(arguments: &[String]) -> Result<(), String> {
    let source = std::fs::read_to_string(root().join("tests/storm/src/options.rs"));
    let source = source.map_err(|error| error.to_string())?;
    for option in arguments.iter().filter_map(|argument| argument.strip_prefix("--")) {
        let field = format!("\n    pub {}: ", option.replace('-', "_"));
        if option != "help" && !source.contains(&field) {
            return Err(format!("it has no option --{option}"));
        }
    }
    match arguments.first().map(String::as_str) {
        Some("run" | "serve" | "--help") | None => Ok(()),
        other => Err(format!("it has no command {other:?}")),
    }
}

/// The words between the parentheses of `NAME=(…)` in a script.
pub fn array(script: &str, name: &str) -> Vec<String> {
    let (_, behind) = script.split_once(&format!("\n{name}=(")).expect("an array");
    let (inside, _) = behind.split_once(')').expect("its end");
    inside.split_whitespace().map(Into::into).collect()
}

/// Looks for options in a script's text, for parts and targets in its list.
fn script(path: &str, arguments: &[String]) -> Result<(), String> {
    let text = std::fs::read_to_string(root().join(path)).map_err(|error| error.to_string())?;
    for option in arguments.iter().filter(|argument| argument.starts_with("--")) {
        if !text.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == option) {
            return Err(format!("{path} has no option {option}"));
        }
    }
    let known = match path {
        "scripts/test" => array(&text, "parts"),
        "scripts/fuzz" => array(&text, "all"),
        "scripts/bench" => ["pipeline", "device", "storm"].map(Into::into).to_vec(),
        _ => return Ok(()),
    };
    let operands = arguments
        .iter()
        .filter(|argument| argument.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    let unknown: Vec<_> = operands.filter(|operand| !known.contains(operand)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(format!("{path} has no {unknown:?}")) }
}

/// Looks for packages, tests and features that Cargo is told to use.
fn cargo(arguments: &[String]) -> Result<(), String> {
    let before_dashes = arguments.iter().take_while(|argument| *argument != "--");
    let arguments: Vec<_> = before_dashes.map(String::as_str).collect();
    let mut names = arguments.windows(2);
    names.try_for_each(|pair| {
        let there = match pair[0] {
            "-p" => package(pair[1]).is_some(),
            "--test" => has_test(&arguments, pair[1]),
            "--features" => manifest(root()).contains(&format!("\n{} = [", pair[1])),
            _ => true,
        };
        if there { Ok(()) } else { Err(format!("Cargo finds no {} {}", pair[0], pair[1])) }
    })
}

fn manifest(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default()
}

/// The folder of a package of the workspace.
fn package(name: &str) -> Option<std::path::PathBuf> {
    let workspace: toml::Table = manifest(root()).parse().expect("a manifest");
    let members = workspace["workspace"]["members"].as_array().expect("members").clone();
    let folders = members.iter().filter_map(|member| Some(root().join(member.as_str()?)));
    folders
        .chain([root().into()])
        .find(|folder| manifest(folder).contains(&format!("\nname = \"{name}\"\n")))
}

fn has_test(arguments: &[&str], test: &str) -> bool {
    let named = arguments.windows(2).find(|pair| pair[0] == "-p");
    let Some(folder) = named.map_or(Some(root().into()), |pair| package(pair[1])) else {
        return false;
    };
    let declared = manifest(&folder).contains(&format!("[[test]]\nname = \"{test}\"\n"));
    let files = [format!("tests/{test}.rs"), format!("tests/{test}/main.rs")];
    declared || files.iter().any(|file| folder.join(file).exists())
}

/// Looks for packages among those that `scripts/setup.sh` installs.
fn apt_get(arguments: &[String]) -> Result<(), String> {
    let setup = std::fs::read_to_string(root().join("scripts/setup.sh")).expect("a script");
    let known: Vec<_> = setup.split(|c: char| c.is_whitespace() || "\"()".contains(c)).collect();
    let packages = arguments.iter().skip(1).filter(|argument| !argument.starts_with(['-', '.']));
    let missing: Vec<_> = packages.filter(|package| !known.contains(&package.as_str())).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("scripts/setup.sh has no {missing:?}")) }
}

/// Has the program of a command take it; `folder` is where `./` is, from the repository's folder.
fn check(command: &str, folder: &str) -> Result<(), String> {
    let mut words = words(command);
    while words.first().is_some_and(|word| word.contains('=')) {
        words.remove(0);
    }
    if words.is_empty() {
        return Ok(());
    }
    let program = words.remove(0);
    match program.trim_start_matches("target/release/") {
        "tidegate" => tidegate(words),
        "tidegated" => tidegated(words),
        "tidegate-storm" => storm(&words),
        // Scripts, as packages call them.
        "tidegate-bind-nic" => script("scripts/bind-nic", &words),
        "tidegate-hugepages" => script("scripts/hugepages", &words),
        "cargo" => cargo(&words),
        "apt-get" => apt_get(&words),
        path if path.starts_with("scripts/") => script(path, &words),
        path if path.starts_with("./") => script(&format!("{folder}/{}", &path[2..]), &words),
        name if FOREIGN.contains(&name) => Ok(()),
        name => Err(format!("nobody knows the program {name}")),
    }
}

/// Checks a code span that begins with a program's name; operands may be missing.
fn check_span(span: &str) -> Result<(), String> {
    let (program, _) = span.split_once(' ').unwrap_or((span, ""));
    match program {
        "tidegate" => check(span, "").or_else(|_| check(&format!("{span} --help"), "")),
        "tidegated" if span.contains("--") => check(span, ""),
        "tidegate-storm" | "tidegate-bind-nic" | "tidegate-hugepages" | "cargo" | "apt-get" => {
            check(span, "")
        }
        path if path.starts_with("scripts/") && span.contains(' ') => check(span, ""),
        name if name.starts_with("lib") && name.ends_with("-dev") => {
            apt_get(&["install".into(), name.into()])
        }
        _ => Ok(()),
    }
}

fn faults(document: &Document) -> Vec<String> {
    let fault = |line: usize, command: &str, fault: String| {
        format!("{}:{line}: `{command}`: {fault}", document.name)
    };
    let blocks = document.blocks.iter().flat_map(|block| {
        let mut folder = String::new();
        lines(block).into_iter().filter_map(move |line| {
            if let Some(into) = line.strip_prefix("cd ") {
                folder = into.into();
            }
            Some(fault(block.line, &line, check(&line, &folder).err()?))
        })
    });
    let spans = document.spans.iter();
    let spans = spans.filter_map(|(line, span)| Some(fault(*line, span, check_span(span).err()?)));
    blocks.chain(spans).collect()
}

#[test]
fn commands_in_documents_are_taken() {
    let all = markdown::all();
    let faults: Vec<_> = all.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let shown: usize =
        all.iter().flat_map(|document| &document.blocks).map(|b| lines(b).len()).sum();
    assert!(shown >= 2, "{shown} commands");
}

#[test]
fn a_wrong_command_is_found() {
    let wrong = [
        "tidegate stauts",
        "tidegate backend drain pxe",
        "tidegate hash pxe CLIENT",
        "tidegate flows --clients 10.0.0.1",
        "tidegate check --intervall 5s",
        "tidegate check --interval soon",
        "tidegate tops",
        "tidegate top --jsno",
        "tidegated --config a.toml --chek",
        "target/release/tidegate-storm run --taget 10.0.0.100",
        "target/release/tidegate-storm rum",
        "scripts/tset",
        "tidegate-bind-nic --bakc 0000:03:00.0",
        "scripts/test lint unti",
        "scripts/fuzz --second 10",
        "scripts/bench devcie",
        "cargo test -p enigne",
        "cargo test --test netsn",
        "cargo test -p engine --test packtes",
        "cargo build --features dpkd",
        "apt-get install libdpdk-dve",
        "make",
        "cd scripts\n./tset",
    ];
    for command in wrong {
        let document = Document::parse("a.md", &format!("```sh\n{command}\n```\n"));
        assert_eq!(faults(&document).len(), 1, "{command}");
    }
}

#[test]
fn a_right_command_is_taken() {
    let right = [
        "tidegate --json flows --client 10.0.0.1 | head",
        "tidegate check --interval 5s",
        "tidegate top",
        "tidegate --socket /run/other.sock backend weight pxe tftp1 5",
        "target/release/tidegated --config /etc/tidegate/tidegate.toml --log-level debug",
        "target/release/tidegate-storm run --target 10.0.0.100 --length 30s",
        "scripts/test lint unit   # two parts",
        "scripts/fuzz --seconds 10 ftp_line",
        "cd scripts/pktgen\n./packets /tmp/storm",
        "cargo test --features dpdk --test netns transfers::",
        "cargo test -p engine --test packets",
        "apt-get install --no-install-recommends libdpdk-dev clang",
        "RUST_LOG=debug cargo build --release --locked \\\n    --features dpdk",
    ];
    for command in right {
        let document = Document::parse("a.md", &format!("```sh\n{command}\n```\n"));
        assert_eq!(faults(&document), Vec::<String>::new(), "{command}");
    }
}

#[test]
fn commands_in_lines_and_behind_prompts_are_found() {
    let text = "`tidegate backend drain`, `tidegate stats --wach`, `tidegate drain`, `libdpdk-dev`, `libdpkd-dev`\n\n\
        ```console\n$ tidegate reload\nreloaded\n$ tidegate reolad\n```\n\n```text\ntidegate x\n```\n";
    assert_eq!(faults(&Document::parse("a.md", text)).len(), 4);
}
