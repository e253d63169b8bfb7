//! Topic names, topic filters and the grammar of shared subscriptions. MQTT 5 §4.7, §4.8.
//! Here are only the rules for their text; matching is the core's.
//!
//! ```text
//! topic name     plant/line1/temp              no + and no #
//! topic filter   plant/+/temp   plant/#        + and # alone in a level, # last
//! shared         $share/ShareName/filter       ShareName not empty, without / + #
//! ```

use routing::address::LEVELS_MAX;

use super::Malformed;

/// A topic filter, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFilter<'a> {
    /// The share name of `$share/name/filter`.
    pub share: Option<&'a str>,
    /// What topics are matched against.
    pub filter: &'a str,
}

/// Checks a topic name, as PUBLISH, a will and a response topic carry it.
///
/// # Errors
/// [`Malformed::TopicName`] if it is empty, has a wildcard \[MQTT-3.3.2-2\] or has more than
/// [`LEVELS_MAX`] levels. The characters were checked by [`utf8::check`](super::utf8::check).
pub fn check_name(name: &str) -> Result<(), Malformed> {
    let mut levels = 1;
    for byte in name.bytes() {
        match byte {
            b'+' | b'#' => return Err(Malformed::TopicName),
            b'/' => levels += 1,
            _ => {}
        }
    }
    if name.is_empty() || levels > LEVELS_MAX {
        return Err(Malformed::TopicName);
    }
    Ok(())
}

/// Checks a topic filter and takes `$share` apart.
///
/// # Errors
/// [`Malformed::TopicFilter`] for an empty filter, wildcards that share a level, `#` before the
/// last level \[MQTT-4.7.1-1\], \[MQTT-4.7.1-2\], or more than [`LEVELS_MAX`] levels;
/// [`Malformed::SharedSubscription`] for `$share` without a name or a filter. \[MQTT-4.8.2-1\]
pub fn parse_filter(text: &str) -> Result<TopicFilter<'_>, Malformed> {
    check_filter(text)?;
    let Some(shared) = text.strip_prefix("$share/") else {
        return Ok(TopicFilter {
            share: None,
            filter: text,
        });
    };
    match shared.split_once('/') {
        Some((name, filter)) if !name.is_empty() && !filter.is_empty() && name != "+" => {
            Ok(TopicFilter {
                share: Some(name),
                filter,
            })
        }
        _ => Err(Malformed::SharedSubscription),
    }
}

fn check_filter(filter: &str) -> Result<(), Malformed> {
    if filter.is_empty() {
        return Err(Malformed::TopicFilter);
    }
    let mut levels = filter.split('/');
    let mut count = 0;
    while let Some(level) = levels.next() {
        count += 1;
        let is_last = levels.clone().next().is_none();
        let is_sound = match level {
            "+" => true,
            "#" => is_last,
            _ => !level.contains(['+', '#']),
        };
        if !is_sound || count > LEVELS_MAX {
            return Err(Malformed::TopicFilter);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topic_names() {
        for name in ["a", "/", "//", "a/b", " ", "$SYS/x", "é/ü", "a b/c"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "+", "#", "a/+", "a/#", "a+", "a/b#c"] {
            assert_eq!(check_name(name), Err(Malformed::TopicName), "{name}");
        }
    }

    #[test]
    fn topic_filters() {
        for filter in [
            "a",
            "/",
            "+",
            "#",
            "+/+",
            "/+",
            "a/#",
            "+/a/#",
            "/#",
            "$SYS/#",
            "$share",
            "$shared/+",
        ] {
            let whole = TopicFilter {
                share: None,
                filter,
            };
            assert_eq!(parse_filter(filter), Ok(whole), "{filter}");
        }
        for filter in [
            "", "a+", "+a", "a/+b", "##", "#/a", "a/#/b", "a#", "a/b#", "+#", "ab/+e",
        ] {
            assert_eq!(
                parse_filter(filter),
                Err(Malformed::TopicFilter),
                "{filter}"
            );
        }
    }

    #[test]
    fn shared_subscriptions() {
        let parsed = |share, filter| {
            Ok(TopicFilter {
                share: Some(share),
                filter,
            })
        };
        assert_eq!(parse_filter("$share/p/a/b"), parsed("p", "a/b"));
        assert_eq!(parse_filter("$share/p/#"), parsed("p", "#"));
        assert_eq!(parse_filter("$share/p//"), parsed("p", "/"));
        for filter in [
            "$share/",
            "$share/p",
            "$share/p/",
            "$share//a",
            "$share/+/p",
        ] {
            assert_eq!(
                parse_filter(filter),
                Err(Malformed::SharedSubscription),
                "{filter}"
            );
        }
        for filter in ["$share/#/p", "$share/a+/p", "$share/p/a#"] {
            assert_eq!(
                parse_filter(filter),
                Err(Malformed::TopicFilter),
                "{filter}"
            );
        }
    }

    #[test]
    fn more_levels_than_the_limit_are_refused() {
        let deep = "/".repeat(LEVELS_MAX - 1);
        assert_eq!(check_name(&deep), Ok(()));
        assert!(parse_filter(&deep).is_ok());
        let deeper = "/".repeat(LEVELS_MAX);
        assert_eq!(check_name(&deeper), Err(Malformed::TopicName));
        assert_eq!(parse_filter(&deeper), Err(Malformed::TopicFilter));
    }

    proptest! {
        #[test]
        fn every_topic_name_is_a_filter(name in "[a-zé$/ ]{1,20}") {
            prop_assume!(!name.starts_with("$share/"));
            prop_assert_eq!(check_name(&name), Ok(()));
            prop_assert!(parse_filter(&name).is_ok());
        }
    }
}
