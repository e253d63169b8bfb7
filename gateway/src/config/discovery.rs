//! `[discovery]`: how the gateway is found on the network.

use super::lan::{Interface, read_interface};
use super::section::Section;

/// Off unless interfaces are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Interfaces on which the listeners are announced by multicast DNS.
    pub mdns: Vec<String>,
    /// What the gateway is called there; empty: as the machine is.
    pub name: String,
}

/// What one label of DNS holds.
const NAME_BYTES_MAX: usize = 63;

impl Discovery {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            mdns: section.parsed_list("mdns", "an interface", Vec::new(), |text| {
                match read_interface(text)? {
                    Interface::Name(name) => Ok(name),
                    Interface::Address(_) => Err("must be a name such as \"eth0\"".to_owned()),
                }
            }),
            name: section.parsed("name", "a name", String::new(), |text| {
                let is_name = text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
                let right = format!("must have at most {NAME_BYTES_MAX} bytes");
                is_name.then(|| text.to_owned()).ok_or(right)
            }),
        }
    }
}
