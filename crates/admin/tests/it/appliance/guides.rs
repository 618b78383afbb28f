//! The guides' blocks that need root and an installed service, run as they stand in docs/, from the
//! first line to the last.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{CONFIG, DATABASE, binaries, client, property, row_count, succeed};
use crate::support::{photos, repository, wait_for};

/// In the comment above such a block.
const MARK: &str = "<!-- not run here: crates/admin/tests/it/appliance/guides.rs";

/// Where the scripts look for programs that are built, as a reader has them after `./scripts/run`.
fn target() -> PathBuf {
    std::env::temp_dir().join("built")
}

/// A machine need not have sudo, and the guides do.
const SUDO: &str = "#!/bin/sh
if [ \"$1\" = -u ]; then user=$2; shift 2; exec runuser -u \"$user\" -- \"$@\"; fi
exec \"$@\"
";

/// Five minutes with a service, as the quick start has them.
pub(super) fn the_quick_start_installs_and_watches() {
    fs::create_dir_all(target()).expect("root may write");
    symlink(binaries(), target().join("release")).expect("root may write");
    let sudo = "/usr/local/bin/sudo";
    fs::write(sudo, SUDO).expect("root may write");
    fs::set_permissions(sudo, PermissionsExt::from_mode(0o755)).expect("root may write");

    let blocks = blocks("quickstart.md");
    assert_eq!(blocks.len(), 1);
    let said = run_block(&blocks[0]);
    assert!(said.contains("faceoodd.service is active"), "{said}");
    assert!(said.contains("ready"), "watch shows the service: {said}");
    assert_eq!(property("UnitFileState"), "enabled");
    succeed(&["scripts/uninstall", "--purge"]);
}

/// A box's life, as the operator's guide has it: installed, upgraded, put back, opened to a network,
/// reported on, removed.
pub(super) fn the_operators_guide_is_followed() {
    let mut blocks = blocks("operations.md");
    assert_eq!(blocks.len(), 7, "{blocks:#?}");
    // It stands beside the other ways to change what is installed, and is the last one to go.
    blocks.sort_by_key(|block| block.contains("uninstall"));
    let [
        install,
        upgrade,
        restore,
        network,
        report,
        calibrate,
        remove,
    ] = blocks.as_slice()
    else {
        unreachable!("counted above");
    };
    let said = run_block(install);
    assert!(said.contains("faceoodd.service is active"), "{said}");

    ask();
    run_block(upgrade);
    let before = row_count();
    assert_eq!(before, 1);
    ask();
    assert_eq!(row_count(), before + 1);
    run_block(restore);
    client().get("/readyz").expect_status(200);
    assert_eq!(row_count(), before, "what came after the backup is gone");
    ask();
    assert_eq!(row_count(), before + 1, "and the log goes on");

    let said = run_block(network);
    assert!(
        said.contains("the unit lets 192.168.1.0/24 in to 0.0.0.0:7861"),
        "{said}"
    );
    assert!(said.contains("\"action\":\"accept\""), "{said}");
    ask();

    run_block(report);
    succeed(&["systemctl", "is-active", "faceood-report.timer"]);
    succeed(&["systemctl", "start", "faceood-report.service"]);
    let report = client().get("/reports/latest").expect_status(200).text();
    assert!(report.contains("<html"), "{report}");

    let calibration = || client().get("/v1/info").ok()["calibration_id"].clone();
    let packs_own = calibration();
    let site = std::env::temp_dir();
    make_photos(&site.join("photos"));
    let shipped = fs::read_to_string(CONFIG).expect("it was installed");
    let ours = format!("calibration_file = \"calibration.json\"\n{shipped}");
    fs::write(CONFIG, ours).expect("root may write");
    let said = run_block_in(&site, calibrate);
    assert!(said.contains("calibration error (ECE)"), "{said}");
    wait_for("the calibration of the site", || {
        (calibration() != packs_own).then_some(())
    });

    run_block(remove);
    assert_eq!(property("LoadState"), "not-found");
    assert!(Path::new(CONFIG).exists() && Path::new(DATABASE).exists());
    succeed(&["scripts/uninstall", "--purge"]);
}

#[test]
fn the_chinese_guides_have_the_same_commands() {
    let commands = |guide: &str| -> Vec<String> {
        let all = blocks(guide).into_iter();
        let without_comment =
            |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
        all.flat_map(|block| block.lines().map(without_comment).collect::<Vec<_>>())
            .collect()
    };
    for guide in ["quickstart", "operations"] {
        let english = commands(&format!("{guide}.md"));
        assert!(!english.is_empty());
        assert_eq!(english, commands(&format!("{guide}.zh.md")), "{guide}");
    }
}

/// As many as are asked for at least, of one face, worse in every way: what is learnt from them is
/// of no use, and is learnt.
fn make_photos(folder: &Path) {
    let photo = photos::pixels(&photos::astronaut());
    let face = photos::resized(&photo, 192, 192);
    for person in 0..30u8 {
        let person_folder = folder.join(person.to_string());
        fs::create_dir_all(&person_folder).expect("root may write");
        for shot in 0..10u8 {
            let seed = u64::from(person) * 10 + u64::from(shot);
            let worse = photos::noisy(
                &face,
                f32::from(shot) * 4.0 + f32::from(person) / 10.0,
                seed,
            );
            let file = person_folder.join(format!("{shot}.jpg"));
            fs::write(file, photos::jpeg(&worse, 90)).expect("root may write");
        }
    }
}

fn ask() {
    client()
        .extract(&photos::astronaut(), "")
        .expect_status(200);
}

/// The blocks of a guide that are to be run here.
fn blocks(guide: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs").join(guide)).expect("the guide");
    let marked = text.split(MARK).skip(1);
    marked
        .map(|rest| {
            let block = rest.split_once("```sh\n").expect("a block follows").1;
            block.split_once("```").expect("it ends").0.to_owned()
        })
        .collect()
}

/// Types the lines of a block at a terminal in the checkout, and `q` where a program waits for a
/// key; gives all that was shown.
#[track_caller]
fn run_block(block: &str) -> String {
    run_block_in(repository(), block)
}

#[track_caller]
fn run_block_in(folder: &Path, block: &str) -> String {
    let file = std::env::temp_dir().join("block.sh");
    fs::write(
        &file,
        format!("set -euo pipefail\nstty rows 24 cols 100\n{block}"),
    )
    .expect("root may write");
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .args([
            &format!("timeout --foreground 300 bash {}", file.display()),
            "/dev/null",
        ])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) is there");
    if block.contains(" watch ") {
        use std::io::Write as _;
        let keys = terminal.stdin.as_mut().expect("it was piped");
        keys.write_all(b"q").expect("it reads");
    }
    let output = terminal.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{block}\n{said}");
    said
}
