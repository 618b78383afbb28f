//! `lan`: lets terminals of a network through the unit's firewall, and says what else it takes
//! until they can call: an address to listen on, tokens, a restart.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use chrono::Utc;
use faceood::access::Tokens;
use faceood::config::{DEFAULT_FILE, Loaded};
use faceood::server::is_loopback;
use faceood_engine::whole_file;
use ipnet::IpNet;

use super::service::UnitFacts;
use super::{Context, output, users};

/// Read by systemd as a part of the unit.
const DROP_IN: &str = "/etc/systemd/system/faceoodd.service.d/lan.conf";

/// The same for what else serves, where it is switched on: the sockets that systemd opens, which follow
/// a list of their own, and the instances `faceoodd@N`.
const OTHER_DROP_INS: [(&str, &str); 2] = [
    ("Socket", "/etc/systemd/system/faceoodd.socket.d/lan.conf"),
    (
        "Service",
        "/etc/systemd/system/faceoodd@.service.d/lan.conf",
    ),
];

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The unit lets only this machine in. This writes /etc/systemd/system/faceoodd.service.d/lan.conf, which lets the networks in that are \
given, in place of those of an earlier call. The settings and the tokens stay as they are: it says what is missing in them.

Examples:
  sudo faceood-admin lan 192.168.1.0/24
  sudo faceood-admin lan 192.168.1.0/24 fd00:1::/64 --listen [::]:7861
  sudo faceood-admin lan 10.0.0.17                     one terminal alone
  faceood-admin lan 192.168.1.0/24 --dry-run           only say what would be written
  sudo faceood-admin lan --undo")]
pub(crate) struct Args {
    /// Networks or single addresses that may call, such as 192.168.1.0/24
    #[arg(value_name = "NETWORK", value_parser = network, required_unless_present = "undo")]
    networks: Vec<IpNet>,
    /// Where the daemon shall listen for them; left out: on all addresses, beside what it has
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = remote_address)]
    listen: Option<SocketAddr>,
    /// Permit 0.0.0.0/0 and ::/0, which are everybody
    #[arg(long)]
    anywhere: bool,
    /// Write nothing, only say what would be written
    #[arg(long)]
    dry_run: bool,
    /// Let only this machine in again
    #[arg(long, conflicts_with_all = ["networks", "listen", "anywhere"])]
    undo: bool,
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            format!("{text:?} is no network; give one such as 192.168.1.0/24, or a single address")
        })?,
    };
    if network.addr() != network.network() {
        let (all, one) = (network.trunc(), network.addr());
        return Err(format!(
            "{text} is an address inside a network; give the network, {all}, or that address alone, {one}"
        ));
    }
    if is_loopback(network.addr()) {
        return Err(format!(
            "{text} is this machine, which may call anyway; give another network"
        ));
    }
    Ok(network)
}

fn remote_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!("{text:?} is no address with a port; give one such as 0.0.0.0:7861")
    })?;
    if is_loopback(address.ip()) {
        return Err(format!(
            "{text} is for this machine alone; give an address that the network reaches, such as 0.0.0.0:7861"
        ));
    }
    Ok(address)
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let everybody = args
        .networks
        .iter()
        .find(|network| network.prefix_len() == 0);
    if let Some(network) = everybody.filter(|_| !args.anywhere) {
        bail!(
            "{network} is everybody, on the internet too if it leads here; give the network of the terminals, or add --anywhere"
        );
    }
    if !args.dry_run {
        require_unit()?;
    }
    let loaded = context.loaded()?;
    let drop_in = Path::new(DROP_IN);
    if args.undo {
        if !args.dry_run {
            for (_, path) in OTHER_DROP_INS {
                remove(Path::new(path))?;
            }
        }
        return undo(drop_in, args.dry_run, &loaded);
    }
    let text = drop_in_text("Service", &args.networks);
    let shown = joined(&args.networks);
    let done = if args.dry_run {
        format!("{DROP_IN} would be:\n\n{text}")
    } else {
        write(drop_in, &text)?;
        for (section, path) in OTHER_DROP_INS {
            write(Path::new(path), &drop_in_text(section, &args.networks))?;
        }
        format!("{DROP_IN} lets {shown} in\n")
    };
    let mut steps = missing(args, &loaded);
    steps.push(restart());
    steps.push("check everything: sudo faceood-admin doctor".to_owned());
    output::text(&format!(
        "{done}\nWhat is left to do:\n{}",
        numbered(&steps)
    ))
}

/// The file would have no effect without the unit.
fn require_unit() -> anyhow::Result<()> {
    let unit = match UnitFacts::ask("LoadState") {
        Ok(unit) => unit,
        Err(why) => bail!(
            "there is no unit to open: {why}; a daemon that was started by hand has no firewall of its own, and needs only `listen` \
             in its settings and a token (faceood-admin token add); --dry-run shows both"
        ),
    };
    if !unit.is_installed() {
        bail!(
            "faceoodd.service is not installed here; install the package first, or in a checkout run sudo ./scripts/install"
        );
    }
    Ok(())
}

fn drop_in_text(section: &str, networks: &[IpNet]) -> String {
    let lines = networks
        .iter()
        .map(|network| format!("IPAddressAllow={network}\n"));
    let lines: String = lines.collect();
    format!(
        "# Written by `faceood-admin lan`; `faceood-admin lan --undo` deletes it.\n[{section}]\n{lines}"
    )
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
            readable(folder, 0o755)?;
        }
        whole_file::write(path, text.as_bytes())?;
        readable(path, 0o644)
    };
    written()
        .map_err(as_root)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Others may read what is in a unit, whatever the umask is: `systemctl cat` shows it to them.
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn as_root(error: io::Error) -> anyhow::Error {
    let is_refused = error.kind() == ErrorKind::PermissionDenied;
    let error = anyhow::Error::from(error);
    if is_refused {
        let again = users::sudo_as("root");
        return error.context(format!(
            "this user may not change units; run it as root: {again}"
        ));
    }
    error
}

/// Deletes a drop-in, if it is there.
fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed
            .map_err(as_root)
            .with_context(|| format!("{} cannot be deleted", path.display()))?,
    }
    // Where `systemctl edit` keeps something there, it stays.
    let _ = path.parent().map(fs::remove_dir);
    Ok(())
}

fn undo(path: &Path, is_dry: bool, loaded: &Loaded) -> anyhow::Result<()> {
    let shown = path.display();
    if !path.exists() {
        return output::text(&format!("nothing to undo: there is no {shown}"));
    }
    let done = if is_dry {
        format!("{shown} would be deleted")
    } else {
        remove(path)?;
        format!(
            "{shown} is deleted: the unit lets only this machine in, unless another drop-in says more"
        )
    };
    let mut steps = Vec::new();
    let remote = remote(loaded);
    if !remote.is_empty() {
        steps.push(format!(
            "in {}, take out of `listen`: {}",
            config_file(loaded),
            joined(&remote)
        ));
    }
    steps.push(restart());
    output::text(&format!(
        "{done}\n\nWhat is left to do:\n{}",
        numbered(&steps)
    ))
}

/// What the settings and the tokens still lack.
fn missing(args: &Args, loaded: &Loaded) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(line) = listen_line(args, loaded) {
        let file = config_file(loaded);
        steps.push(format!(
            "in {file}, above its first [section], in place of another `listen`:\n\n     {line}\n"
        ));
    }
    if loaded.config.server.open {
        steps.push(
            "server.open is set, so nobody is asked for a token: take it out of the settings, unless a firewall or a proxy decides \
             who may call"
                .to_owned(),
        );
        return steps;
    }
    match Tokens::read(&loaded.tokens_file()) {
        Ok(tokens) if tokens.has_valid(Utc::now()) => {}
        Ok(_) => steps.push(
            "make a token for each terminal: sudo faceood-admin token add NAME --role terminal --source NAME".to_owned(),
        ),
        Err(error) => steps.push(format!("the tokens cannot be used: {error}")),
    }
    steps
}

/// The addresses in the settings that the network can reach.
fn remote(loaded: &Loaded) -> Vec<SocketAddr> {
    let listen = loaded.config.listen.addresses().iter().copied();
    listen
        .filter(|address| !is_loopback(address.ip()))
        .collect()
}

/// The setting under which the daemon listens for the networks; `None` where it does.
fn listen_line(args: &Args, loaded: &Loaded) -> Option<String> {
    let addresses = loaded.config.listen.addresses();
    let wanted = match args.listen {
        Some(wanted) if addresses.contains(&wanted) => return None,
        Some(wanted) => wanted,
        None if !remote(loaded).is_empty() => return None,
        None => {
            // All addresses of the other kind include those of IPv4.
            let is_v6 = args.networks.iter().any(|network| network.addr().is_ipv6());
            let all = if is_v6 {
                Ipv6Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            };
            let port = addresses
                .iter()
                .map(SocketAddr::port)
                .max()
                .unwrap_or_default();
            SocketAddr::new(all, port.saturating_add(1))
        }
    };
    // All addresses with a port leave none for that port.
    let kept = addresses
        .iter()
        .filter(|address| address.port() != wanted.port());
    let quoted = kept
        .chain([&wanted])
        .map(|address| format!("\"{address}\""));
    let quoted: Vec<_> = quoted.collect();
    Some(match quoted.as_slice() {
        [one] => format!("listen = {one}"),
        several => format!("listen = [{}]", several.join(", ")),
    })
}

fn config_file(loaded: &Loaded) -> String {
    let file = loaded.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    file.display().to_string()
}

fn restart() -> String {
    "sudo systemctl daemon-reload && sudo systemctl restart faceoodd".to_owned()
}

fn numbered(steps: &[String]) -> String {
    let steps = steps.iter().zip(1..);
    steps
        .map(|(step, number)| format!("  {number}. {step}\n"))
        .collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_taken_and_mistakes_are_told() {
        for (text, read) in [
            ("192.168.1.0/24", "192.168.1.0/24"),
            ("10.0.0.17", "10.0.0.17/32"),
            ("fd00:1::/64", "fd00:1::/64"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read);
        }
        for (text, part) in [
            ("192.168.1.5/24", "192.168.1.0/24"),
            ("192.168.1", "no network"),
            ("192.168.1.0/33", "no network"),
            ("gate-3.local", "no network"),
            ("", "no network"),
            ("127.0.0.0/8", "this machine"),
            ("::1", "this machine"),
            ("::ffff:127.0.0.1", "this machine"),
        ] {
            let refused = network(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
        for local in ["127.0.0.1:7861", "[::ffff:127.0.0.1]:7861"] {
            let refused = remote_address(local).unwrap_err();
            assert!(refused.contains("0.0.0.0:7861"), "{refused}");
        }
        assert!(remote_address("7861").is_err());
    }

    #[test]
    fn the_drop_in_replaces_an_earlier_one_and_everybody_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faceoodd.service.d/lan.conf");
        let networks = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| network(text).unwrap()).collect()
        };
        write(&path, &drop_in_text("Service", &networks(&["10.0.0.0/8"]))).unwrap();
        write(
            &path,
            &drop_in_text("Service", &networks(&["192.168.1.0/24", "fd00::/8"])),
        )
        .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.ends_with("[Service]\nIPAddressAllow=192.168.1.0/24\nIPAddressAllow=fd00::/8\n"),
            "{text}"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
    }

    #[test]
    fn who_may_not_is_told_to_be_root() {
        let error = as_root(ErrorKind::PermissionDenied.into());
        assert!(
            format!("{error:#}").contains("run it as root: sudo "),
            "{error:#}"
        );
        let full = as_root(ErrorKind::StorageFull.into());
        assert!(!format!("{full:#}").contains("sudo"), "{full:#}");
    }
}
