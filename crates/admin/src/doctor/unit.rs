//! Checks the service under systemd, if there is one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::Check;

const NAME: &str = "unit";

pub(super) fn check() -> Check {
    if !Path::new("/run/systemd/system").is_dir() {
        return Check::skipped(NAME, "no systemd runs here");
    }
    let properties =
        "LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,StatusText,NeedDaemonReload";
    let asked = Command::new("systemctl")
        .args(["show", "faceoodd.service", "--property", properties])
        .output();
    match asked {
        Ok(output) if output.status.success() => judge(
            &String::from_utf8_lossy(&output.stdout),
            restarts_of_a_day(),
        ),
        Ok(output) => Check::skipped(
            NAME,
            format!(
                "systemctl does not answer: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        ),
        Err(error) => Check::skipped(NAME, format!("systemctl cannot be run: {error}")),
    }
}

/// The user as whom systemd runs the daemon, where the unit is installed and names one.
pub(super) fn user() -> Option<String> {
    let output = Command::new("systemctl")
        .args(["show", "faceoodd.service", "--property=User", "--value"])
        .output()
        .ok()?;
    let user = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!user.is_empty()).then_some(user)
}

/// How often systemd brought it back within 24 hours; `None` where this user may not read the journal.
fn restarts_of_a_day() -> Option<usize> {
    let output = Command::new("journalctl")
        .args(["--unit=faceoodd.service", "--since=-24h", "--output=cat"])
        .arg("--grep=Scheduled restart job")
        .output()
        .ok()?;
    // Its exit code is the same where nothing was found.
    let is_refused = String::from_utf8_lossy(&output.stderr).contains("permission");
    (!is_refused).then(|| String::from_utf8_lossy(&output.stdout).lines().count())
}

fn judge(shown: &str, restarts_of_a_day: Option<usize>) -> Check {
    let facts: BTreeMap<&str, &str> = shown
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let fact = |name: &str| facts.get(name).copied().unwrap_or_default();
    if fact("LoadState") == "not-found" {
        return Check::skipped(
            NAME,
            "faceoodd.service is not installed (sudo scripts/install does)",
        );
    }
    let (active, sub) = (fact("ActiveState"), fact("SubState"));
    let mut found = format!("faceoodd.service is {active} ({sub})");
    if !fact("StatusText").is_empty() {
        found = format!("{found}: {}", fact("StatusText"));
    }
    let of_a_day = restarts_of_a_day.map_or_else(
        || "how often within 24 h, only root can see".to_owned(),
        |count| format!("{count} times within 24 h"),
    );
    let restarts: u32 = fact("NRestarts").parse().unwrap_or(0);
    if active == "failed" || sub == "auto-restart" {
        return Check::failed(
            NAME,
            format!("{found}, result {}", fact("Result")),
            "see why: journalctl -u faceoodd -n 50; correct it, then: systemctl restart faceoodd",
        );
    }
    // The one begins anew when somebody restarts it, the other looks back a day.
    if restarts > 0 || restarts_of_a_day.is_some_and(|count| count > 0) {
        return Check::warning(
            NAME,
            format!("{found}, brought back {restarts} times since it was started, {of_a_day}"),
            "see why: journalctl -u faceoodd | grep -B20 'Scheduled restart'",
        );
    }
    if fact("NeedDaemonReload") == "yes" {
        return Check::warning(
            NAME,
            format!("{found}; its file changed"),
            "systemctl daemon-reload",
        );
    }
    if active != "active" {
        return Check::warning(NAME, found, "start it: systemctl enable --now faceoodd");
    }
    if fact("UnitFileState") == "disabled" {
        return Check::warning(
            NAME,
            format!("{found}, not started at boot"),
            "systemctl enable faceoodd",
        );
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn states_of_the_service_are_told_apart() {
        let status = |facts: &str| judge(&facts.replace(' ', "\n"), Some(0)).status;
        let running = "LoadState=loaded ActiveState=active SubState=running UnitFileState=enabled NRestarts=0";
        assert_eq!(
            status("LoadState=not-found ActiveState=inactive"),
            CheckStatus::Skipped
        );
        assert_eq!(status(running), CheckStatus::Ok);
        let yesterday = judge(&running.replace(' ', "\n"), Some(2));
        assert_eq!(yesterday.status, CheckStatus::Warning);
        assert!(
            yesterday.found.contains("2 times within 24 h"),
            "{yesterday:?}"
        );
        assert_eq!(
            status(&running.replace("enabled", "disabled")),
            CheckStatus::Warning
        );
        assert_eq!(
            status(&running.replace("NRestarts=0", "NRestarts=3")),
            CheckStatus::Warning
        );
        assert_eq!(
            status(&running.replace("=active", "=inactive")),
            CheckStatus::Warning
        );
        assert_eq!(
            status(&running.replace("=active", "=failed")),
            CheckStatus::Failed
        );
        assert_eq!(
            status(&running.replace("=running", "=auto-restart")),
            CheckStatus::Failed
        );
    }
}
