//! Checks the processor for the instructions that make the models fast.

use super::{Finding, ok, warning};

pub(super) fn check() -> Finding {
    judge(&features())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512_vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512_bf16", is_x86_feature_detected!("avx512bf16")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected;
    vec![
        ("neon", is_aarch64_feature_detected!("neon")),
        ("fp16", is_aarch64_feature_detected!("fp16")),
        ("dotprod", is_aarch64_feature_detected!("dotprod")),
        ("bf16", is_aarch64_feature_detected!("bf16")),
        ("i8mm", is_aarch64_feature_detected!("i8mm")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

fn judge(features: &[(&str, bool)]) -> Finding {
    let present = features.iter().filter_map(|(name, is)| is.then_some(*name));
    let found = match present.collect::<Vec<_>>().as_slice() {
        [] => "none of the instructions that models are fast with".to_owned(),
        names => names.join(", "),
    };
    if features.contains(&("avx2", false)) {
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
        assert_eq!(judge(&[("avx2", true), ("fma", false)]).found, "avx2");
        let old = judge(&[("avx2", false), ("fma", false)]);
        assert_eq!(old.status, CheckStatus::Warning);
        assert!(old.advice.unwrap().contains("virtual machine"));
    }
}
