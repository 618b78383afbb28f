//! Callers of the installed service: the unit's firewall, and tokens that systemd hands over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::doctor::{check, doctor, text};
use super::{CONFIG, client, property, run, succeed};
use crate::support::{Answer, wait_for};

const DROP_IN: &str = "/etc/systemd/system/faceoodd.service.d/lan.conf";
const TOKENS: &str = "/etc/faceood/tokens.toml";

/// `lan` changes the unit's firewall and nothing else, and `doctor` sees whether all agrees.
pub(super) fn a_network_is_let_in_and_out_again() {
    let dry = admin(&["lan", "192.168.1.0/24", "--dry-run"]);
    assert!(dry.contains("IPAddressAllow=192.168.1.0/24"), "{dry}");
    assert!(!Path::new(DROP_IN).exists());
    let as_nobody = [
        "env",
        "--chdir=/",
        "runuser",
        "-u",
        "nobody",
        "--",
        "faceood-admin",
        "lan",
        "10.0.0.0/8",
    ];
    let (done, said) = run(&as_nobody);
    assert!(!done && said.contains("sudo faceood-admin lan"), "{said}");

    let said = admin(&["lan", "192.168.1.0/24", "fd00:1::/64"]);
    for part in [
        CONFIG,
        "listen = [\"127.0.0.1:7860\", \"[::]:7861\"]",
        "faceood-admin token add",
        "systemctl daemon-reload",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let mode = fs::metadata(DROP_IN)
        .expect("it was written")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
    succeed(&["systemctl", "daemon-reload"]);
    let allowed = property("IPAddressAllow");
    for network in ["127.0.0.0/8", "192.168.1.0/24", "fd00:1::/64"] {
        assert!(allowed.split(' ').any(|one| one == network), "{allowed}");
    }
    let firewall = check(&doctor(0), "firewall");
    assert_eq!(
        firewall["status"], "warning",
        "nothing listens for them: {firewall:#}"
    );
    assert!(
        text(&firewall, "found").contains("192.168.1.0/24"),
        "{firewall:#}"
    );

    admin(&["lan", "--undo"]);
    assert!(!Path::new(DROP_IN).exists());
    assert!(admin(&["lan", "--undo"]).contains("nothing to undo"));
    succeed(&["systemctl", "daemon-reload"]);
    let firewall = check(&doctor(0), "firewall");
    assert_eq!(firewall["status"], "ok", "{firewall:#}");
}

/// The file is root's, and the daemon has its copy: a token is valid, and its end takes a restart.
pub(super) fn systemd_hands_over_tokens_that_only_root_may_read() {
    let shipped = fs::read_to_string(CONFIG).expect("it was installed");
    fs::write(
        CONFIG,
        "listen = \"0.0.0.0:7860\"\n[server.tls]\nmode = \"off\"\n",
    )
    .expect("root may write");
    let token = secret(&["token", "add", "desk", "--role", "operator"]);
    let token = token.trim();
    let mode = fs::metadata(TOKENS)
        .expect("it was written")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    succeed(&["systemctl", "restart", "faceoodd"]);
    assert_eq!(info(token), 200, "the daemon reads its own file");

    succeed(&["chown", "root:", TOKENS]);
    let file = check(&doctor(1), "tokens file");
    assert_eq!(file["status"], "failed", "{file:#}");
    let folder = "/run/systemd/system/faceoodd.service.d";
    fs::create_dir_all(folder).expect("root may write");
    let credential = Path::new(folder).join("credential.conf");
    let line = format!("[Service]\nLoadCredential=tokens.toml:{TOKENS}\n");
    fs::write(&credential, line).expect("root may write");
    succeed(&["systemctl", "daemon-reload"]);
    succeed(&["systemctl", "restart", "faceoodd"]);
    assert_eq!(info(token), 200, "the daemon reads the copy");
    assert_eq!(info("fod_wrong"), 401);
    let file = check(&doctor(0), "tokens file");
    assert_eq!(file["status"], "ok", "{file:#}");
    assert!(
        text(&file, "found").contains("systemctl restart"),
        "{file:#}"
    );

    admin(&["token", "add", "other", "--role", "operator"]);
    admin(&["token", "revoke", "desk"]);
    succeed(&["systemctl", "restart", "faceoodd"]);
    assert_eq!(info(token), 401);

    fs::remove_file(credential).expect("it was made above");
    fs::remove_file(TOKENS).expect("it was made above");
    fs::write(CONFIG, shipped).expect("root may write");
    succeed(&["systemctl", "daemon-reload"]);
    succeed(&["systemctl", "restart", "faceoodd"]);
    wait_for("the daemon", || client().try_get("/readyz"));
}

/// The status of a request with `token` to an address that asks for one.
fn info(token: &str) -> u16 {
    let client = client();
    let request = client.http().get(client.url("/v1/info")).bearer_auth(token);
    Answer::of(request).status
}

/// What `faceood-admin` said, called from a folder that is no checkout.
#[track_caller]
fn admin(arguments: &[&str]) -> String {
    let command = [&["env", "--chdir=/", "faceood-admin"], arguments].concat();
    let (done, said) = run(&command);
    assert!(done, "{command:?}: {said}");
    said
}

/// Only what it printed as its result.
#[track_caller]
fn secret(arguments: &[&str]) -> String {
    let output = std::process::Command::new("faceood-admin")
        .args(arguments)
        .current_dir("/")
        .output()
        .expect("it was installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
