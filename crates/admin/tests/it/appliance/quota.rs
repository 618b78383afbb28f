//! A quota on processor time: the daemon works on as many pictures at once as it has cores, not as
//! the host has.

use std::fs;

use super::{client, drop_in, property};

pub(super) fn uses_the_cores_of_its_quota() {
    let sessions = || client().get("/v1/info").ok()["provider"]["sessions"].as_u64();
    drop_in("CPUQuota=100%");
    let limit = format!("/sys/fs/cgroup{}/cpu.max", property("ControlGroup"));
    if fs::read_to_string(&limit).is_ok_and(|limit| !limit.starts_with("max")) {
        assert_eq!(sessions(), Some(1));
    } else {
        eprintln!("skipped: no quota is in force here ({limit})");
    }
    drop_in("");
}
