//! Checks the service under systemd, if there is one.

use std::process::Command;

use super::{Finding, failed, ok, said, skipped, warning};
use crate::service::{UNIT, UnitFacts};

pub(super) fn check() -> Finding {
    let properties =
        "LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,StatusText,NeedDaemonReload";
    match UnitFacts::ask(properties) {
        Ok(facts) => judge(&facts, restarts_of_a_day()),
        Err(why) => skipped(why),
    }
}

/// The user as whom systemd runs the daemon, where the unit is installed and names one.
pub(super) fn user() -> Option<String> {
    let user = said(Command::new("systemctl").args(["show", UNIT, "--property=User", "--value"]));
    Some(user.trim().to_owned()).filter(|user| !user.is_empty())
}

/// How often systemd brought it back within 24 hours; `None` where this user may not read the
/// journal.
fn restarts_of_a_day() -> Option<usize> {
    let output = Command::new("journalctl")
        .args(["--unit", UNIT, "--since=-24h", "--output=cat"])
        .arg("--grep=Scheduled restart job")
        .output()
        .ok()?;
    // Its exit code is the same where nothing was found.
    let is_refused = String::from_utf8_lossy(&output.stderr).contains("permission");
    (!is_refused).then(|| String::from_utf8_lossy(&output.stdout).lines().count())
}

fn judge(facts: &UnitFacts, restarts_of_a_day: Option<usize>) -> Finding {
    let fact = |name| facts.of(name);
    if !facts.is_installed() {
        return skipped(
            "faceoodd.service is not installed (the package installs it, in a checkout sudo ./scripts/install)",
        );
    }
    let (active, sub) = (fact("ActiveState"), fact("SubState"));
    let mut found = format!("faceoodd.service is {active} ({sub})");
    if !fact("StatusText").is_empty() {
        found = format!("{found}: {}", fact("StatusText"));
    }
    let of_a_day = match restarts_of_a_day {
        Some(count) => format!("{count} times within 24 h"),
        None => "how often within 24 h, only root can see".to_owned(),
    };
    let restarts: u32 = fact("NRestarts").parse().unwrap_or(0);
    if active == "failed" || sub == "auto-restart" {
        return failed(
            format!("{found}, result {}", fact("Result")),
            "see why: journalctl -u faceoodd -n 50; correct it, then: systemctl restart faceoodd",
        );
    }
    // The one begins anew when somebody restarts it, the other looks back a day.
    if restarts > 0 || restarts_of_a_day.is_some_and(|count| count > 0) {
        return warning(
            format!("{found}, brought back {restarts} times since it was started, {of_a_day}"),
            "see why: journalctl -u faceoodd | grep -B20 'Scheduled restart'",
        );
    }
    if fact("NeedDaemonReload") == "yes" {
        return warning(
            format!("{found}; its file changed"),
            "systemctl daemon-reload",
        );
    }
    if active != "active" {
        return warning(found, "start it: systemctl enable --now faceoodd");
    }
    if fact("UnitFileState") == "disabled" {
        return warning(
            format!("{found}, not started at boot"),
            "systemctl enable faceoodd",
        );
    }
    ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn states_of_the_service_are_told_apart() {
        let judge = |facts: &str, restarts| {
            judge(&UnitFacts::new(facts.replace(' ', "\n")), Some(restarts))
        };
        let status = |facts: &str| judge(facts, 0).status;
        let running = "LoadState=loaded ActiveState=active SubState=running UnitFileState=enabled NRestarts=0";
        assert_eq!(
            status("LoadState=not-found ActiveState=inactive"),
            CheckStatus::Skipped
        );
        assert_eq!(status(running), CheckStatus::Ok);
        let yesterday = judge(running, 2);
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
