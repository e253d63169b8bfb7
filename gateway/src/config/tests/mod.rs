//! Whole configurations: the files that are shipped, and every kind of fault with its report.

mod faults;
mod files;
mod lan;
mod mqtt_sn;
mod robustness;

use super::{Config, Overlay};

/// What `text` makes, or the whole report.
fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Some(("busbar.toml", text)), &[]).map_err(|report| report.to_string())
}

/// The report on `text`, which must be wrong in `count` places.
fn report(count: usize, text: &str) -> String {
    let report = Config::parse(Some(("busbar.toml", text)), &[]).unwrap_err();
    assert_eq!(report.count(), count, "{report}");
    report.to_string()
}

fn set(text: &str) -> Overlay {
    Overlay {
        option: "--set",
        text: text.to_owned(),
    }
}
