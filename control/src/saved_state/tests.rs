mod compatibility;

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const FRESH: [u64; 3] = [1, 2, 3];
const LATER: [u64; 3] = [4, 5, 6];

fn compatibility() -> Compatibility {
    Compatibility {
        layout: "1".into(),
        boot: "today".into(),
        workers: 2,
        max_flows: 1024,
        size: 2 * PAGE,
        interfaces: vec!["lan".into()],
    }
}

/// A folder with state that was saved with orders, and the socket's path in it.
fn left() -> (tempfile::TempDir, PathBuf) {
    left_by(&compatibility())
}

/// A folder as [`left`], by a process of this kind.
fn left_by(compatibility: &Compatibility) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let mut saved_state = SavedState::open(&socket, compatibility.clone(), FRESH);
    let len = PAGE + usize::from(compatibility.workers) * compatibility.size;
    assert_eq!(saved_state.memory.as_ref().unwrap().metadata().unwrap().size(), len as u64);
    let mut statuses = BackendStatuses::default();
    statuses.entry("pxe", "tftp1").admin = AdminState::Draining;
    statuses.entry("pxe", "tftp2").weight = Some(7);
    saved_state.save(&Registry::default(), &statuses);
    (folder, socket)
}

#[test]
fn what_was_left_is_found_again() {
    let (_folder, socket) = left();
    let saved_state = SavedState::open(&socket, compatibility(), LATER);
    assert_eq!(saved_state.seed, [2, 3]);
    assert_eq!(saved_state.statuses.overrides().len(), 2);
    let orders = saved_state.statuses.overrides();
    assert!(orders.contains(&("pxe".into(), "tftp1".into(), AdminState::Draining, None)));
    assert!(orders.contains(&("pxe".into(), "tftp2".into(), AdminState::Enabled, Some(7))));
    let mut head = [0; 16];
    saved_state.memory.unwrap().read_exact(&mut head).unwrap();
    // It is read from behind what was looked at.
    assert_eq!(head, [0; 16]);
}

#[test]
fn what_does_not_fit_is_begun_anew() {
    type Change = fn(&mut Compatibility);
    let changes: [(&str, Change); 3] = [
        ("started anew", |compatibility| compatibility.boot = "tomorrow".into()),
        ("otherwise", |compatibility| compatibility.layout = "2".into()),
        ("interfaces", |compatibility| compatibility.interfaces.clear()),
    ];
    for (why, change) in changes {
        let (_folder, socket) = left();
        let mut compatibility = compatibility();
        change(&mut compatibility);
        let said = read(&socket.with_added_extension("state"), &compatibility).unwrap_err();
        assert!(said.contains(why), "{said}");
        let saved_state = SavedState::open(&socket, compatibility, LATER);
        assert_eq!(
            (saved_state.seed, saved_state.statuses.overrides().len()),
            ([5, 6], 0),
            "{why}"
        );
        assert!(saved_state.memory.is_some(), "{why}");
    }
}

#[test]
fn what_other_workers_have_left_is_there_to_be_moved() {
    let size = part(16);
    let former = compatibility().resized(2, 16, size);
    let (_folder, socket) = left_by(&former);
    let path = socket.with_added_extension("flows");
    let mut bytes = fs::read(&path).unwrap();
    bytes[PAGE..PAGE + size].fill(1);
    bytes[PAGE + size..].fill(2);
    fs::write(&path, &bytes).unwrap();
    let resized = former.resized(3, 4096, 8 * PAGE);
    let mut saved_state = SavedState::open(&socket, resized.clone(), LATER);
    assert_eq!(saved_state.seed, [2, 3], "the rows are sealed with it");
    assert_eq!(saved_state.statuses.overrides().len(), 2);
    let mut former = saved_state.former.take().unwrap();
    assert_eq!(former.max_flows, 16);
    for _ in 0..2 {
        let parts: Vec<_> = former.parts().map(|part| part.unwrap()).collect();
        assert_eq!(parts, [vec![1; size], vec![2; size]]);
    }
    let memory = saved_state.memory.as_ref().unwrap();
    assert_eq!(memory.metadata().unwrap().size(), 25 * PAGE as u64);
    saved_state.save(&Registry::default(), &BackendStatuses::default());
    let next = SavedState::open(&socket, resized, FRESH);
    assert!(next.former.is_none() && next.memory.is_some(), "they are moved once");
    assert_eq!(next.seed, [2, 3]);
}

/// A build whose rows are laid out alike, and which needs more or less memory for as many.
#[test]
fn what_other_workers_have_left_has_the_size_of_this_build_s() {
    for size in [part(16) - PAGE, part(16) + PAGE] {
        let former = compatibility().resized(2, 16, size);
        let (_folder, socket) = left_by(&former);
        let resized = former.resized(3, 16, part(16));
        let said = read(&socket.with_added_extension("state"), &resized).unwrap_err();
        assert!(said.contains("another size"), "{said}");
        assert!(SavedState::open(&socket, resized, LATER).former.is_none());
    }
}

#[test]
fn damage_is_noticed() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("contradicts itself", |socket| {
            let path = socket.with_added_extension("state");
            let text = fs::read_to_string(&path).unwrap();
            let (_, json) = text.split_once('\n').unwrap();
            let json = json.replace(r#""rotas":[]"#, r#""rotas":[{"service":9,"rule":null}]"#);
            fs::write(path, format!("{}\n{json}", digest(&json))).unwrap();
        }),
        ("damaged", |socket| {
            let path = socket.with_added_extension("state");
            let text = fs::read_to_string(&path).unwrap().replace("tftp1", "tftp9");
            fs::write(path, text).unwrap();
        }),
        ("cut off", |socket| fs::write(socket.with_added_extension("state"), "abc").unwrap()),
        ("somebody else", |socket| {
            fs::write(socket.with_added_extension("flows"), vec![0; 5 * PAGE]).unwrap();
        }),
        ("somebody else", |socket| {
            let path = socket.with_added_extension("flows");
            File::options().write(true).open(path).unwrap().set_len(PAGE as u64).unwrap();
        }),
        ("No such file", |socket| fs::remove_file(socket.with_added_extension("flows")).unwrap()),
    ];
    for (why, damage) in damages {
        let (_folder, socket) = left();
        damage(&socket);
        let said = read(&socket.with_added_extension("state"), &compatibility()).unwrap_err();
        assert!(said.contains(why), "{said}");
        assert_eq!(SavedState::open(&socket, compatibility(), LATER).seed, [5, 6]);
    }
}

#[test]
fn where_nothing_can_be_left_all_else_goes_on() {
    let saved_state = SavedState::open(Path::new("/nowhere/control.sock"), compatibility(), FRESH);
    assert!(saved_state.memory.is_none());
    assert_eq!(saved_state.seed, [2, 3]);
}

#[test]
fn what_is_left_is_for_nobody_else() {
    let (folder, socket) = left();
    let [state, flows, new] =
        ["state", "flows", "state.new"].map(|end| socket.with_added_extension(end));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!([&state, &flows].map(|path| mode(path)), [0o600; 2]);
    // As versions before have left them.
    for path in [&state, &flows] {
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    let mut saved_state = SavedState::open(&socket, compatibility(), LATER);
    assert_eq!(saved_state.seed, [2, 3]);
    assert_eq!([&state, &flows].map(|path| mode(path)), [0o600; 2]);
    // Whatever lies where the next state is written beside the old one.
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &new).unwrap();
    saved_state.save(&Registry::default(), &BackendStatuses::default());
    assert_eq!((mode(&state), fs::read(&victim).unwrap()), (0o600, b"precious".to_vec()));
    assert!(
        read(&state, &compatibility())
            .unwrap()
            .is_some_and(|saved_state| saved_state.seed == [2, 3])
    );
    fs::remove_file(&state).unwrap();
    symlink(&victim, &state).unwrap();
    assert!(read(&state, &compatibility()).is_err(), "a link is not followed");
}
