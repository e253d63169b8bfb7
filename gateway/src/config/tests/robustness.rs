//! No text whatever makes the checks panic, and every refusal points at a place.

use proptest::prelude::*;

use super::parse;

fn assert_answers(text: &str) {
    if let Err(report) = parse(text) {
        assert!(report.contains("--> busbar.toml:"), "{report}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[\\[\\]\\{\\}=.,\"'#a-z0-9 \\n-]{0,80}") {
        assert_answers(&text);
    }

    #[test]
    fn any_cut_of_the_reference_is_answered(at in 0..12_000_usize) {
        let text = include_str!("../../../../configs/busbar.toml");
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        assert_answers(text.get(..at.unwrap_or(0)).unwrap_or_default());
    }

    #[test]
    fn any_value_of_any_key_is_answered(key in 0..120_usize, value in "[-a-z0-9\"'\\[\\]{} .]{0,12}") {
        let text = include_str!("../../../../configs/busbar.toml");
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let keys = lines.iter_mut().filter(|line| line.contains(" = ") && !line.starts_with('#'));
        if let Some(line) = keys.into_iter().nth(key) {
            let name = line.split(" = ").next().unwrap().to_owned();
            *line = format!("{name} = {value}");
        }
        assert_answers(&lines.join("\n"));
    }
}
