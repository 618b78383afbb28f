//! Checks that ONNX Runtime's library is intact and loads.

use std::fs;
use std::path::Path;

use super::{Check, CheckStatus, Finding, failed, ok, skipped, warning};
use faceood_engine::pack::sha256_hex;
use faceood_engine::pipeline::tuning::Chosen;
use faceood_engine::runtime::{self, Runtime, RuntimeError, Settings};

/// Has the SHA-256 of each wheel.
const SETUP: &str = include_str!("../../../../scripts/setup");

const FETCH: &str = "install the package again (sudo apt-get install --reinstall ./faceood*.deb), or in a checkout run ./scripts/setup, then sudo ./scripts/install where faceood is installed";

/// The library's files, and the library loaded as the daemon loads it, with the runtime in it for
/// further checks. One whose files are damaged is not loaded: it might take this process with it.
pub(super) fn checks(
    settings: &Settings,
    chosen: Result<Chosen, RuntimeError>,
) -> (Vec<Check>, Option<Runtime>) {
    let found = chosen.and_then(|chosen| {
        let library = runtime::find_library(settings, chosen.plan.candidate.provider)?;
        Ok((library, chosen.plan))
    });
    let (files, plan) = match found {
        Ok((library, plan)) => (files(&library.path), plan),
        Err(error) => return (vec![unusable(&error).named("library")], None),
    };
    let loaded = match files.status {
        CheckStatus::Failed => None,
        _ => Some(Runtime::load_as(settings, plan)),
    };
    let (finding, runtime) = match loaded {
        None => (skipped("not loaded, since its files are damaged"), None),
        Some(Err(error)) => (unusable(&error), None),
        Some(Ok(runtime)) => {
            let (provider, library) = (runtime.provider(), runtime.library().path.display());
            let (reason, build) = (&runtime.plan().reason, runtime.build_info().trim());
            let found = format!("{provider} on {library} ({reason}); {build}");
            (ok(found), Some(runtime))
        }
    };
    let checks = vec![files.named("library files"), finding.named("library")];
    (checks, runtime)
}

fn unusable(error: &RuntimeError) -> Finding {
    let advice = match error {
        RuntimeError::ProviderUnavailable { .. } => {
            "mend what it names, or set runtime.provider = \"auto\"; then restart the daemon"
        }
        _ => FETCH,
    };
    failed(error.to_string(), advice)
}

/// Holds all that was fetched with `library` against the hashes that scripts/setup wrote beside it.
fn files(library: &Path) -> Finding {
    let folder = library.parent().unwrap_or(Path::new("."));
    let shown = folder.display();
    let Ok(list) = fs::read_to_string(folder.join("files.sha256")) else {
        return skipped(format!(
            "{shown} has no files.sha256 to check it by: it did not come with faceood"
        ));
    };
    let listed = list.lines().filter_map(|line| line.split_once("  "));
    let listed: Vec<_> = listed.collect();
    let name = library.file_name().and_then(|name| name.to_str());
    let unlisted = name.filter(|name| listed.iter().all(|(_, listed)| listed != name));
    let mut wrong = Vec::from_iter(unlisted.map(|name| format!("{name} is not in files.sha256")));
    for (hash, name) in &listed {
        match fs::read(folder.join(name)) {
            Ok(bytes) if sha256_hex(&bytes) == *hash => {}
            Ok(_) => wrong.push(format!(
                "{name} has another SHA-256 than when it was fetched"
            )),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    if !wrong.is_empty() {
        return failed(format!("{shown}: {}", wrong.join("; ")), FETCH);
    }
    let found = format!(
        "{} files in {shown}, unchanged since they were fetched",
        listed.len()
    );
    match fs::read_to_string(folder.join("wheel.sha256")) {
        Ok(wheel) if SETUP.contains(wheel.trim()) => ok(found),
        _ => warning(
            format!("{found}, from another wheel than this release was tried with"),
            FETCH,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn files_are_held_against_what_was_fetched() {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let library = dir.path().join("libonnxruntime.so.1");
        let check = || files(&library);
        write("libonnxruntime.so.1", "code");
        assert_eq!(check().status, CheckStatus::Skipped);

        let hash = sha256_hex(b"code");
        write("files.sha256", &format!("{hash}  libonnxruntime.so.1\n"));
        assert_eq!(check().status, CheckStatus::Warning, "no wheel is named");
        let pinned = SETUP.split_once("onnxruntime=(onnxruntime ").unwrap().1;
        let pinned = &pinned[pinned.find(' ').unwrap()..pinned.find(')').unwrap()];
        write("wheel.sha256", &format!("{}\n", pinned.trim()));
        assert_eq!(check().status, CheckStatus::Ok, "{:?}", check());

        write("libonnxruntime.so.1", "cod\0");
        let damaged = check();
        assert_eq!(damaged.status, CheckStatus::Failed);
        assert!(damaged.found.contains("another SHA-256"), "{damaged:?}");
        assert!(damaged.advice.unwrap().contains("scripts/setup"));
        fs::remove_file(&library).unwrap();
        assert!(check().found.contains("No such file"), "{:?}", check());
        let other = files(&dir.path().join("libonnxruntime.so.2"));
        assert!(other.found.contains("not in files.sha256"), "{other:?}");
    }
}
