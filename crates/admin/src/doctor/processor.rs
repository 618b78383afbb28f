//! Checks the processor for the instructions that make the models fast.

use super::{Finding, ok, warning};
use faceood_engine::runtime;

pub(super) fn check() -> Finding {
    let (_, instructions) = runtime::processor();
    judge(&instructions, cfg!(target_arch = "x86_64"))
}

fn judge(instructions: &[String], is_x86: bool) -> Finding {
    let found = match instructions {
        [] => "none of the instructions that models are fast with".to_owned(),
        names => names.join(", "),
    };
    if is_x86 && !instructions.iter().any(|name| name == "avx2") {
        return warning(
            found,
            "without AVX2 an inference takes several times as long: is it hidden by the virtual machine (choose its host's processor type)?",
        );
    }
    ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn a_processor_without_avx2_is_slow() {
        let names = |of: &[&str]| of.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(judge(&names(&["avx2", "fma"]), true).found, "avx2, fma");
        let old = judge(&names(&["fma"]), true);
        assert_eq!(old.status, CheckStatus::Warning);
        assert!(old.advice.unwrap().contains("virtual machine"));
        assert_eq!(judge(&names(&["asimdhp"]), false).status, CheckStatus::Ok);
    }
}
