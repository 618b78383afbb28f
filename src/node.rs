//! The name of this box among others: in its answers and rows, and at the centre as its role and as
//! the common name of its certificate.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Most bytes of a role's name in PostgreSQL.
const LONGEST: usize = 63;

/// What a node may be called, in words.
pub(crate) const EXPECTED: &str = "1 to 63 of a-z, A-Z, 0-9, `.`, `_` and `-`, and neither `public`, `none` nor a name that begins with `pg_`, which \
     PostgreSQL keeps for itself; empty: the host's name";

/// The setting `node`: a name, or nothing for the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeSetting(String);

impl NodeSetting {
    /// The name of this box: as set, else made of the host's name.
    pub fn name(&self) -> NodeName {
        if !self.0.is_empty() {
            return NodeName(self.0.as_str().into());
        }
        let system = rustix::system::uname();
        NodeName::of_host(&system.nodename().to_string_lossy())
    }
}

impl TryFrom<String> for NodeSetting {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || is_node_name(&text) {
            Ok(Self(text))
        } else {
            Err(format!("expected {EXPECTED}"))
        }
    }
}

impl From<NodeSetting> for String {
    fn from(setting: NodeSetting) -> Self {
        setting.0
    }
}

/// The name of a box: plain enough for a header, a role of PostgreSQL and a certificate. Cheap to
/// clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A plain name that looks like the host's.
    fn of_host(host: &str) -> Self {
        let plain = |character: char| if is_plain(character) { character } else { '-' };
        let name: String = host.chars().map(plain).take(LONGEST).collect();
        let name = match name.as_str() {
            "" => "faceood".to_owned(),
            reserved if is_reserved(reserved) => {
                let name = format!("node-{reserved}");
                name.chars().take(LONGEST).collect()
            }
            _ => name,
        };
        Self(name.into())
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_node_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.chars().all(is_plain) && !is_reserved(text)
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-".contains(character)
}

/// Whether PostgreSQL lets no role have this name.
fn is_reserved(name: &str) -> bool {
    name.starts_with("pg_") || ["public", "none"].contains(&name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_that_fit_everywhere_are_taken() {
        let longest = "n".repeat(LONGEST);
        for name in ["box-1", "Gate_2.hall", "7", &longest] {
            let setting = NodeSetting::try_from(name.to_owned()).unwrap();
            assert_eq!(setting.name().as_str(), name);
        }
        let too_long = "n".repeat(LONGEST + 1);
        for name in [
            "box 1", "box/1", "box:1", "Tür", "a\nb", "pg_box", "public", "none", &too_long,
        ] {
            let refusal = NodeSetting::try_from(name.to_owned()).unwrap_err();
            assert!(refusal.contains("1 to 63"), "{name}: {refusal}");
        }
    }

    #[test]
    fn without_a_name_the_hosts_is_made_plain() {
        for (host, name) in [
            ("box-1.hall.example", "box-1.hall.example"),
            ("box 1", "box-1"),
            ("Tür", "T-r"),
            ("", "faceood"),
            ("public", "node-public"),
            ("pg_1", "node-pg_1"),
        ] {
            assert_eq!(NodeName::of_host(host).as_str(), name);
        }
        assert!(is_node_name(NodeSetting::default().name().as_str()));
    }

    proptest! {
        #[test]
        fn every_host_gives_a_name_that_may_be_set(host in "\\PC{0,80}") {
            prop_assert!(is_node_name(NodeName::of_host(&host).as_str()));
        }
    }
}
